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
    /// The broker.
    pub broker: Broker,
    /// Turn the page for browsers on; `false` = as it is.
    pub page: bool,
    /// The work that is set up.
    pub work: Work,
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
    /// Name or path of the model.
    pub model: String,
    /// The source, checked.
    pub source: source::Config,
    /// The keys of the source that were chosen; the others stay at their defaults and are not written.
    pub source_keys: Vec<String>,
    /// Parts of the picture, `[x, y, width, height]` in pixels; empty = the whole picture; `None` = as the pipeline has them.
    pub regions: Option<Vec<[u32; 4]>>,
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
                "{other:?} is no source: give a device (/dev/video0), a URL (rtsp://…), rpicam, machine, iio, hwmon, thermal, \
                 synthetic, or pairs as in the configuration (type=v4l2 device=/dev/video0)"
            ));
        }
    };
    Ok(pairs.iter().chain(rest).cloned().collect())
}

/// A row of digits, `x,y,w,h` in pixels of the picture.
///
/// # Errors
/// The mistake, for people.
pub fn row(text: &str, picture: Option<[u32; 2]>) -> Result<[u32; 4], String> {
    let numbers: Result<Vec<u32>, _> = text.split([',', ' ']).filter(|t| !t.is_empty()).map(str::parse).collect();
    let Ok(Ok([x, y, w, h])) = numbers.map(<[u32; 4]>::try_from) else {
        return Err(format!("{text:?} is not x,y,width,height in whole pixels, such as 140,192,360,96"));
    };
    if w == 0 || h == 0 {
        return Err("width and height must be above 0".into());
    }
    let outside = |[width, height]: [u32; 2]| {
        u64::from(x) + u64::from(w) > u64::from(width) || u64::from(y) + u64::from(h) > u64::from(height)
    };
    match picture {
        Some(size) if outside(size) => {
            Err(format!("{x},{y},{w},{h} reaches beyond the picture, which has {}x{} pixels", size[0], size[1]))
        }
        _ => Ok([x, y, w, h]),
    }
}

/// The row cut into `digits` equal boxes that meet without a gap.
///
/// # Errors
/// A message for people when a digit would be narrower than can be read.
pub fn regions([x, y, w, h]: [u32; 4], digits: u32) -> Result<Vec<[u32; 4]>, String> {
    const LEAST_WIDTH: u32 = 4;
    if !(1..=16).contains(&digits) {
        return Err(format!("{digits} digits: 1 to 16 are possible"));
    }
    if w / digits < LEAST_WIDTH {
        return Err(format!("{digits} digits in {w} pixels: each would be narrower than {LEAST_WIDTH} pixels"));
    }
    let edge = |i: u32| (u64::from(w) * u64::from(i) / u64::from(digits)) as u32;
    Ok((0..digits).map(|i| [x + edge(i), y, edge(i + 1) - edge(i), h]).collect())
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
        assert_eq!(row("140, 192,360,96", Some([640, 480])), Ok([140, 192, 360, 96]));
        for (text, word) in
            [("1,2,3", "such as"), ("-1,2,3,4", "such as"), ("0,0,0,5", "above 0"), ("600,0,41,9", "640x480")]
        {
            let reason = row(text, Some([640, 480])).unwrap_err();
            assert!(reason.contains(word), "{text}: {reason}");
        }
        assert_eq!(regions([10, 5, 10, 20], 2), Ok(vec![[10, 5, 5, 20], [15, 5, 5, 20]]));
        let boxes = regions([0, 0, 101, 9], 7).unwrap();
        assert_eq!(boxes.iter().map(|b| b[2]).sum::<u32>(), 101);
        assert!(boxes.windows(2).all(|pair| pair[0][0] + pair[0][2] == pair[1][0]));
        assert!(regions([0, 0, 10, 9], 5).is_err() && regions([0, 0, 100, 9], 0).is_err());
    }
}
