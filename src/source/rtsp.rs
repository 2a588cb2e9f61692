//! A network camera through `ffmpeg`, which decodes, drops down to the wanted rate, scales, and writes raw I420.

use super::address::{self, Address, Input};
use super::config::{RtspConfig, RtspTransport};
use super::piped::{Cut, Piped, Plan, Raw, patience};
use super::{Source, SourceError, sizes};
use crate::sys::Mask;
use crate::sys::child::Spec;

/// The camera that `config` names; the child is started by the first call of `next`.
///
/// # Errors
/// [`SourceError::Fatal`] for an empty URL.
pub(super) fn open(config: &RtspConfig) -> Result<Box<dyn Source>, SourceError> {
    let config = config.clone();
    Ok(Box::new(Piped::new(Box::new(move |side| plan(&config, side)))?))
}

/// Smaller pictures that `ffmpeg` can scale to; none from a file, which would start again from its beginning.
pub(super) fn capture_sizes(config: &RtspConfig) -> Vec<[u32; 2]> {
    if is_file(&config.url) { Vec::new() } else { sizes::free([config.width, config.height], 2) }
}

fn scheme(url: &str) -> String {
    url.split_once("://").map_or("file", |(scheme, _)| scheme).to_ascii_lowercase()
}

fn is_file(url: &str) -> bool {
    scheme(url) == "file"
}

/// What to run for pictures with a longer side of `side` pixels; `None` = as configured.
fn plan(config: &RtspConfig, side: Option<u32>) -> Result<Plan, SourceError> {
    let RtspConfig { url, width, height, fps, transport, extra_args, program } = config;
    let full = [*width, *height];
    let [width, height] = side.map_or(full, |side| sizes::scaled(full, side, 2));
    if url.trim().is_empty() {
        return Err(SourceError::Fatal { origin: "rtsp".into(), reason: "url is empty".into() });
    }
    let scheme = scheme(url);
    let is_file = is_file(url);
    let mask = Mask::of(url, extra_args);
    let shown = mask.apply(url);

    let leading = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "warning"].map(str::to_owned);
    let mut args: Vec<String> = Vec::new();
    let mut add = |list: &[&str]| args.extend(list.iter().map(|s| (*s).to_owned()));
    // Freshness before smoothness: no reordering delay, a short analysis. (`-fflags nobuffer` would throw away what was read
    // for the analysis, with it the first key frame: grey smears up to the next one, seconds later.) Damaged packets are
    // dropped, and setting `flags` to one value clears `output_corrupt`: no half pictures.
    add(&["-fflags", "discardcorrupt", "-flags", "low_delay", "-analyzeduration", "1000000"]);
    if scheme == "rtsp" || scheme == "rtsps" {
        let transport = match transport {
            RtspTransport::Tcp => "tcp",
            RtspTransport::Udp => "udp",
        };
        add(&["-rtsp_transport", transport]);
    }
    if is_file {
        // At the speed of its own clock, as a camera would.
        add(&["-re"]);
    }
    args.extend(extra_args.iter().cloned());
    let filter = format!("fps={fps},scale={width}:{height}:out_range=tv");
    let output =
        ["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", &filter, "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1"];
    let (Address::Clear(url) | Address::Doubtful(url, _)) = address::read(url);
    let Input { mut args, stdin, exposed } = address::input(args, &url);
    let mask = if stdin.is_empty() { mask } else { mask.with_alias("pipe:0", &shown) };
    if let Some(why) = exposed {
        tracing::warn!("{shown}: other users of this computer can read the password in ffmpeg's arguments: {why}");
    }
    args.splice(0..0, leading);
    args.extend(output.map(str::to_owned));

    let program = if program.is_empty() { "ffmpeg" } else { program };
    let spec = Spec {
        name: program.rsplit('/').next().unwrap_or(program).to_owned(),
        program: program.to_owned(),
        args,
        stdin,
        package: "the Debian package ffmpeg",
        mask,
    };
    Ok(Plan {
        describe: format!("rtsp {shown} {width}x{height} {fps} fps"),
        origin: shown,
        specs: vec![spec],
        cut: Cut::Raw(Raw::i420(width, height)),
        full: (full != [width, height]).then_some(full),
        patience: patience(*fps),
        ends: is_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RtspConfig {
        RtspConfig {
            url: url.into(),
            width: 640,
            height: 480,
            fps: 5.0,
            transport: RtspTransport::Tcp,
            extra_args: vec!["-stimeout".into(), "1".into()],
            program: String::new(),
        }
    }

    #[test]
    fn the_command_line_fits_the_kind_of_input() {
        let camera = plan(&config("rtsp://cam/s0"), None).unwrap();
        assert_eq!(
            camera.specs[0].args.join(" "),
            "-nostdin -hide_banner -nostats -loglevel warning -fflags discardcorrupt -flags low_delay \
             -analyzeduration 1000000 -rtsp_transport tcp -stimeout 1 \
             -i rtsp://cam/s0 -map 0:v:0 -an -sn -dn -vf fps=5,scale=640:480:out_range=tv -pix_fmt yuv420p -f rawvideo \
             pipe:1"
        );
        assert!(!camera.ends && camera.specs[0].stdin.is_empty());
        let secret = plan(&config("rtsp://a:hunter#2@cam/s0"), None).unwrap();
        assert!(!secret.specs[0].args.iter().any(|arg| arg.contains("hunter")), "others can read it");
        let playlist = String::from_utf8(secret.specs[0].stdin.clone()).unwrap();
        assert!(playlist.contains("file 'rtsp://a:hunter%232@cam/s0'\n"), "{playlist}");
        assert!(playlist.contains("option rtsp_transport 'tcp'\noption stimeout '1'\n"), "{playlist}");
        let file = plan(&config("/data/yard.mp4"), None).unwrap();
        assert!(file.ends && file.specs[0].args.contains(&"-re".to_owned()));
        let http = plan(&config("http://cam/video.mjpg"), None).unwrap();
        assert!(!http.specs[0].args.iter().any(|a| a == "-re" || a == "-rtsp_transport"));
    }

    #[test]
    fn a_lowered_picture_is_scaled_by_ffmpeg_and_says_so() {
        let config = config("rtsp://cam/s0");
        assert_eq!(capture_sizes(&config), [[480, 360], [320, 240], [240, 180], [160, 120]]);
        let lowered = plan(&config, Some(320)).unwrap();
        assert!(lowered.specs[0].args.iter().any(|a| a.contains("scale=320:240:")), "{:?}", lowered.specs[0].args);
        assert_eq!((lowered.full, plan(&config, None).unwrap().full), (Some([640, 480]), None));
        assert!(
            capture_sizes(&RtspConfig { url: "/data/yard.mp4".into(), ..config }).is_empty(),
            "it would start again"
        );
    }

    #[test]
    fn credentials_stay_out_of_what_is_shown() {
        let plan = plan(&config("rtsp://admin:hunter2@cam/s0?password=again"), None).unwrap();
        for text in [&plan.describe, &plan.origin] {
            assert!(!text.contains("hunter2") && !text.contains("again") && text.contains("cam/s0"), "{text}");
        }
    }

    #[test]
    fn an_empty_url_is_refused() {
        assert!(plan(&config(" "), None).unwrap_err().to_string().contains("url is empty"));
    }
}
