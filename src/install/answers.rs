//! Answers of a person, in the terms of the configuration. Pure.

use std::path::PathBuf;

use crate::frame::Quantity;
use crate::preprocess::Region;
use crate::source;

/// Everything that setup writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Name of this computer in topics; `None` = as it is.
    pub node: Option<String>,
    /// The broker; `None` = as it is.
    pub broker: Option<Broker>,
    /// Turn the page for browsers on; `false` = as it is.
    pub page: bool,
    /// The work that is set up; `None` = as it is.
    pub work: Option<Work>,
}

/// Work by a table of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// `[[pipeline]]`.
    Pipeline(Pipeline),
    /// `[[meter]]`.
    Meter(Meter),
}

impl Work {
    /// Name in topics.
    pub fn name(&self) -> &str {
        match self {
            Work::Pipeline(pipeline) => &pipeline.name,
            Work::Meter(meter) => &meter.name,
        }
    }
}

/// `[mqtt]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name; empty = none.
    pub username: String,
    /// File that the daemon reads the password from.
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority that signed the broker's certificate; `None` = no encryption.
    pub ca_file: Option<PathBuf>,
}

/// `[[pipeline]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Name in topics.
    pub name: String,
    /// Name or path of the model; `None` = none, and the task `baseline` learns what is usual of readings.
    pub model: Option<String>,
    /// Time for which `baseline` learns; `None` = as it is.
    pub learn_s: Option<f64>,
    /// The source, checked.
    pub source: source::Config,
    /// The keys of the source that were chosen; the others stay at their defaults and are not written.
    pub source_keys: Vec<String>,
    /// Parts of the picture that a pipeline of this name has stay.
    pub keep_regions: bool,
    /// Labels that count, of a detector; empty = all; `None` = as it is.
    pub labels: Option<Vec<String>>,
    /// Least score that counts; `None` = as it is.
    pub min_score: Option<f32>,
}

/// `[[meter]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Meter {
    /// Name in topics.
    pub name: String,
    /// The source, checked.
    pub source: source::Config,
    /// The keys of the source that were chosen.
    pub source_keys: Vec<String>,
    /// The digits, dials and marks that a meter of this name has stay.
    pub keep_regions: bool,
    /// Its digits, most significant first, in source pixels.
    pub digits: Vec<Region>,
    /// Its dials, most significant first.
    pub dials: Vec<Region>,
    /// Quantity that it counts.
    pub kind: Option<Quantity>,
    /// Unit, where it is not the usual one of the kind.
    pub unit: Option<String>,
    /// Places behind the decimal point, where they are not as many as there are dials.
    pub decimals: Option<u8>,
}

/// `HOST` or `HOST:PORT`, also `[::1]:1883` and `mqtt://HOST`; without a port the usual one.
///
/// # Errors
/// The mistake, for people.
pub fn broker_address(text: &str, encrypted: bool) -> Result<(String, u16), String> {
    let usual = if encrypted { 8883 } else { 1883 };
    let text = text.trim();
    if text.starts_with("mqtts://") && !encrypted {
        return Err("mqtts:// needs the authority's certificate: --tls-ca FILE".into());
    }
    let text = text.strip_prefix("mqtts://").or_else(|| text.strip_prefix("mqtt://")).unwrap_or(text);
    let text = text.trim_end_matches('/');
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if text.matches(':').count() == 1 => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
        None => (text, None),
    };
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '"');
    if host.is_empty() || host.contains(strange) {
        return Err(format!("{text:?} is not HOST or HOST:PORT"));
    }
    let port = match port.map(str::parse::<u16>) {
        None => usual,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(format!("{text:?}: the port is a number from 1 to 65535")),
    };
    Ok((host.to_owned(), port))
}

/// A short form of a source, or pairs as in `[pipeline.source]`, as pairs.
///
/// # Errors
/// The mistake, for people.
pub fn source_pairs(words: &[String]) -> Result<Vec<String>, String> {
    if words.iter().any(|word| word.starts_with("type=")) {
        return Ok(words.to_vec());
    }
    let Some((first, rest)) = words.split_first() else { return Err("no source is given".into()) };
    let pairs: &[String] = match first.as_str() {
        "machine" => &["type=sensor".into(), "kind=machine".into()],
        "iio" | "hwmon" | "thermal" => &["type=sensor".into(), format!("kind={first}")],
        "synthetic" => &["type=synthetic".into()],
        "rpicam" | "csi" => &["type=rpicam".into()],
        device if device.starts_with("/dev/") => &["type=v4l2".into(), format!("device={device}")],
        url if ["rtsp://", "rtsps://", "http://", "https://"].iter().any(|p| url.starts_with(p)) => {
            &["type=rtsp".into(), format!("url={url}")]
        }
        other => {
            return Err(format!(
                "{other:?} is no source: give a device (/dev/video0), an address (rtsp://…, http://…/jpg), a file or folder (./photos), rpicam, machine, iio, hwmon, thermal, \
                 synthetic, or pairs as in the configuration (type=v4l2 device=/dev/video0)"
            ));
        }
    };
    Ok(pairs.iter().chain(rest).cloned().collect())
}

/// A row of digits in pixels of the picture: `x,y,w,h`, three corners of a slanted one (top left, top right, bottom left), or its four
/// corners clockwise from the top left. Gives the four.
///
/// # Errors
/// The mistake, for people.
pub fn row(text: &str, picture: Option<[u32; 2]>) -> Result<Corners, String> {
    let numbers: Result<Vec<f32>, _> =
        text.split([',', ' ', ';']).filter(|part| !part.is_empty()).map(str::parse).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    let corners = match numbers.as_deref() {
        Some(&[_, _, w, h]) if w <= 0.0 || h <= 0.0 => return Err("width and height must be above 0".into()),
        Some(&[x, y, w, h]) => Region::Rect([x, y, w, h]).corners(),
        Some(&[ax, ay, bx, by, dx, dy]) => [[ax, ay], [bx, by], [bx + dx - ax, by + dy - ay], [dx, dy]],
        Some(&[ax, ay, bx, by, cx, cy, dx, dy]) => [[ax, ay], [bx, by], [cx, cy], [dx, dy]],
        _ => {
            return Err(format!(
                "{text:?} is not x,y,width,height in pixels, such as 140,192,360,96, nor three or four corners: top left, top right, \
                 bottom right, bottom left, each x,y"
            ));
        }
    };
    if !Region::Quad(flat(corners)).is_clockwise() {
        return Err(format!(
            "{text}: corners go clockwise from the top left, round a shape that none of them points into"
        ));
    }
    let within = |[x, y]: [f32; 2], [width, height]: [u32; 2]| {
        (0.0..=width as f32).contains(&x) && (0.0..=height as f32).contains(&y)
    };
    match picture {
        Some(size) if !corners.iter().all(|corner| within(*corner, size)) => {
            Err(format!("{text} reaches beyond the picture, which has {}x{} pixels", size[0], size[1]))
        }
        _ => Ok(corners),
    }
}

/// The row cut into `digits` boxes of equal width that meet without a gap: upright ones where the row is.
///
/// # Errors
/// A message for people when a digit would be narrower than can be read.
pub fn regions([a, b, c, d]: Corners, digits: u32) -> Result<Vec<Region>, String> {
    const LEAST_WIDTH: f32 = 4.0;
    if !(1..=16).contains(&digits) {
        return Err(format!("{digits} digits: 1 to 16 are possible"));
    }
    let width = (b[0] - a[0]).hypot(b[1] - a[1]);
    if width / (digits as f32) < LEAST_WIDTH {
        return Err(format!("{digits} digits in {width:.0} pixels: each would be narrower than {LEAST_WIDTH} pixels"));
    }
    let upright = a[1] == b[1] && c[1] == d[1] && a[0] == d[0] && b[0] == c[0];
    let on = |from: [f32; 2], to: [f32; 2], i: u32| {
        let part = i as f32 / digits as f32;
        [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part]
    };
    let one = |i: u32| {
        let (left, right) = (on(a, b, i), on(a, b, i + 1));
        if upright {
            let edge = |x: f32| x.round();
            return Region::Rect([edge(left[0]), a[1], edge(right[0]) - edge(left[0]), d[1] - a[1]]);
        }
        Region::Quad(flat([left, right, on(d, c, i + 1), on(d, c, i)]))
    };
    Ok((0..digits).map(one).collect())
}

/// Four corners, clockwise from the top left, each `[x, y]` in pixels.
pub type Corners = [[f32; 2]; 4];

fn flat([a, b, c, d]: Corners) -> [f32; 8] {
    [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, encrypted, expected) in [
            ("pi.local", false, Ok(("pi.local", 1883))),
            ("pi.local", true, Ok(("pi.local", 8883))),
            ("mqtt://10.0.0.2:1884/", false, Ok(("10.0.0.2", 1884))),
            ("[::1]:99", false, Ok(("::1", 99))),
            ("fe80::1", false, Ok(("fe80::1", 1883))),
            ("a:0", false, Err("port")),
            ("a:b", false, Err("port")),
            ("", false, Err("HOST")),
            ("user@host", false, Err("HOST")),
            ("mqtts://a", false, Err("--tls-ca")),
        ] {
            match (broker_address(text, encrypted), expected) {
                (Ok((host, port)), Ok(wanted)) => assert_eq!((host.as_str(), port), wanted, "{text}"),
                (Err(reason), Err(word)) => assert!(reason.contains(word), "{text}: {reason}"),
                (got, wanted) => panic!("{text}: {got:?} instead of {wanted:?}"),
            }
        }
    }

    #[test]
    fn sources_have_short_forms() {
        for (words, expected) in [
            (&["/dev/video2", "width=1280"][..], Some("type=v4l2 device=/dev/video2 width=1280")),
            (&["rtsp://u:p@cam/1"], Some("type=rtsp url=rtsp://u:p@cam/1")),
            (&["machine"], Some("type=sensor kind=machine")),
            (&["fps=1", "type=synthetic"], Some("fps=1 type=synthetic")),
            (&["webcam"], None),
        ] {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            assert_eq!(source_pairs(&words).ok().map(|p| p.join(" ")).as_deref(), expected, "{words:?}");
        }
    }

    #[test]
    fn a_row_becomes_boxes_without_gaps() {
        assert_eq!(
            row("140, 192,360,96", Some([640, 480])),
            Ok([[140.0, 192.0], [500.0, 192.0], [500.0, 288.0], [140.0, 288.0]])
        );
        for (text, word) in [
            ("1,2,3", "such as"),
            ("a,2,3,4", "such as"),
            ("-1,2,3,4", "640x480"),
            ("0,0,0,5", "above 0"),
            ("600,0,41,9", "640x480"),
            ("10,10,10,90,90,90,90,10", "clockwise"),
            ("nan,0,41,9", "such as"),
        ] {
            let reason = row(text, Some([640, 480])).unwrap_err();
            assert!(reason.contains(word), "{text}: {reason}");
        }
        let upright = |text: &str, digits| regions(row(text, None).unwrap(), digits);
        assert_eq!(
            upright("10,5,10,20", 2),
            Ok(vec![Region::Rect([10.0, 5.0, 5.0, 20.0]), Region::Rect([15.0, 5.0, 5.0, 20.0])])
        );
        let boxes = upright("0,0,101,9", 7).unwrap();
        let edges: Vec<[f32; 2]> = boxes.iter().map(|b| [b.corners()[0][0], b.corners()[1][0]]).collect();
        assert!(edges.windows(2).all(|pair| pair[0][1] == pair[1][0]) && edges[6][1] == 101.0, "{edges:?}");
        assert!(upright("0,0,10,9", 5).is_err() && upright("0,0,100,9", 0).is_err());
    }

    #[test]
    fn a_slanted_row_is_cut_along_its_edges() {
        // Three corners are a parallelogram.
        let slanted = row("100,50 300,80 95,110", None).unwrap();
        assert_eq!(slanted, [[100.0, 50.0], [300.0, 80.0], [295.0, 140.0], [95.0, 110.0]]);
        let boxes = regions(slanted, 4).unwrap();
        assert_eq!(boxes.len(), 4);
        assert_eq!(boxes[1].corners(), [[150.0, 57.5], [200.0, 65.0], [195.0, 125.0], [145.0, 117.5]]);
        assert_eq!(row("100,50,300,80,295,140,95,110", None), Ok(slanted));
    }
}
