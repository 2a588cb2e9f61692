//! A network camera through `ffmpeg`, which decodes, drops down to the wanted rate, scales, and writes raw I420.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{self, Address, Input};
use super::contract::{Context, Source, SourceError};
use super::kind::{Frames, Paths, SourceKind, interval};
use super::piped::{Cut, LEAST_FPS, Piped, Plan, Raw, patience};
use super::relay::Relay;
use super::{program, sizes};
use crate::frame::PixelFormat;
use crate::frame::diagnostic::{Diagnostic, quoted};
use crate::sys::child::Spec;
use crate::sys::mask::{redact, redact_args};
use crate::sys::{Mask, landlock};

/// The program that reads the camera.
const PROGRAM: &str = "ffmpeg";

/// A network camera.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RtspConfig {
    /// `rtsp://`, `http://` or a file that `ffmpeg` can read. A password in it never reaches the log.
    #[schemars(length(min = 1))]
    pub url: String,
    /// Width in pixels that `ffmpeg` scales to.
    #[serde(default = "w640")]
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Height in pixels that `ffmpeg` scales to.
    #[serde(default = "h480")]
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Most pictures per second that `ffmpeg` passes on. A camera that is silent for the time of three of them, and for 15 s, is
    /// connected anew.
    #[serde(default = "five")]
    #[schemars(range(min = 0.001, max = 240.0))]
    pub fps: f64,
    /// Transport of RTSP.
    #[serde(default)]
    pub transport: RtspTransport,
    /// Decode key frames only while nothing moves in the pictures (`[pipeline.motion]`). For that the camera is connected to a second time
    /// for seconds; one whose key frames are more than 4 s apart is always decoded whole.
    #[serde(default = "yes")]
    pub key_frames_when_idle: bool,
    /// Further input arguments for `ffmpeg`, before `-i`.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// The program; empty = `ffmpeg` from PATH.
    #[serde(default)]
    pub program: String,
}

impl fmt::Debug for RtspConfig {
    /// Everything but what may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RtspConfig { url, width, height, fps, transport, key_frames_when_idle, extra_args, program } = self;
        f.debug_struct("RtspConfig")
            .field("url", if url.contains(['@', '?']) { &"***" } else { url })
            .field("width", width)
            .field("height", height)
            .field("fps", fps)
            .field("transport", transport)
            .field("key_frames_when_idle", key_frames_when_idle)
            .field("extra_args", &format_args!("[{} not shown]", extra_args.len()))
            .field("program", program)
            .finish()
    }
}

/// Transport of RTSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    /// Interleaved in the RTSP connection; survives firewalls and packet loss.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl SourceKind for RtspConfig {
    /// Starts nothing: the child is started by the first call of `next`. Fatal is an empty URL.
    fn open(&self, _: Context) -> Result<Box<dyn Source>, SourceError> {
        let config = self.clone();
        if !self.key_frames_when_idle || is_file(&self.url) || times_by_arrival(&self.url) {
            return Ok(Box::new(Piped::new(Box::new(move |side| plan(&config, side, false)))?));
        }
        let open = move |keys_only| {
            let config = config.clone();
            Piped::new(Box::new(move |side| plan(&config, side, keys_only)))
        };
        Ok(Box::new(Relay::new(Box::new(open))?))
    }

    fn describe(&self) -> String {
        redact(&self.url)
    }

    fn frames(&self) -> Frames<'_> {
        Frames::Pictures { format: PixelFormat::I420, size: Some([self.width, self.height]) }
    }

    fn frame_interval(&self) -> Duration {
        interval(self.fps)
    }

    fn is_camera(&self) -> bool {
        !is_file(&self.url)
    }

    /// Sizes that `ffmpeg` can scale to; none from a file, which would start again from its beginning.
    fn capture_sizes(&self, _regions: bool) -> Vec<[u32; 2]> {
        if is_file(&self.url) { Vec::new() } else { sizes::free([self.width, self.height], 2) }
    }

    fn paths(&self) -> Paths {
        let mut read = program::paths(&self.program, &self.extra_args);
        let local = self.url.strip_prefix("file:").map_or(self.url.as_str(), |path| path.trim_start_matches("//"));
        if !local.contains("://") {
            read.push(landlock::directory(Path::new(local)));
        }
        Paths { read, devices: vec!["/dev".into()] }
    }

    fn check(&self) -> Vec<Diagnostic> {
        let Some(doubt) = address::doubt(&self.url) else { return Vec::new() };
        let diagnostic =
            if doubt.usable { Diagnostic::warning("url", doubt.why) } else { Diagnostic::error("url", doubt.why) };
        vec![diagnostic.found(quoted(&redact(&self.url))).help(doubt.how)]
    }

    fn check_files(&self) -> Vec<Diagnostic> {
        program::check(&self.program, &[PROGRAM]).into_iter().collect()
    }

    fn secret_keys(&self) -> Vec<&'static str> {
        let url = (redact(&self.url) != self.url).then_some("url");
        let arguments = (redact_args(&self.extra_args) != self.extra_args).then_some("extra_args");
        url.into_iter().chain(arguments).collect()
    }

    fn view(&self) -> Option<String> {
        Some(self.url.clone())
    }
}

fn w640() -> u32 {
    640
}

fn h480() -> u32 {
    480
}

fn yes() -> bool {
    true
}

fn five() -> f64 {
    5.0
}

fn scheme(url: &str) -> String {
    url.split_once("://").map_or("file", |(scheme, _)| scheme).to_ascii_lowercase()
}

fn is_file(url: &str) -> bool {
    scheme(url) == "file"
}

/// True for pictures that get their times at arrival. MJPEG over HTTP or a bare socket has no clock, and ffmpeg takes each
/// picture for 1/25 s (frigate 1725 and 1776). What comes in segments, or faster than it is to be seen, has a clock of its own
/// that must be kept.
fn times_by_arrival(url: &str) -> bool {
    const OWN_CLOCK: [&str; 16] = [
        "m3u8", "m3u", "mpd", "mp4", "m4v", "m4s", "mov", "mkv", "webm", "ts", "m2ts", "flv", "avi", "ogv", "3gp",
        "mpg",
    ];
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let kind = file.rsplit_once('.').map_or("", |(_, kind)| kind);
    matches!(scheme(url).as_str(), "http" | "https" | "tcp" | "unix")
        && !OWN_CLOCK.iter().any(|own| kind.eq_ignore_ascii_case(own))
}

/// The filter that lets at most `fps` pictures a second through, each once and at once. (ffmpeg's own `fps` filter holds each one
/// back until the next comes, and repeats those of a slow camera to make up the number.)
fn thin_out(fps: f64) -> String {
    let turn = |time: &str| format!("floor({time}*{fps}+0.5)");
    format!("select='isnan(prev_selected_t)+not(eq({},{}))'", turn("t"), turn("prev_selected_t"))
}

/// The child to run for pictures with a longer side of `side` pixels (`None` = as configured), of key frames only or of all.
fn plan(config: &RtspConfig, side: Option<u32>, keys_only: bool) -> Result<Plan, SourceError> {
    let RtspConfig { url, width, height, fps, transport, extra_args, program, .. } = config;
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
    if keys_only {
        // Before the user's own arguments, which may name a decoder that knows no such thing.
        add(&["-skip_frame", "nokey"]);
    }
    if is_file {
        // At the speed of its own clock, as a camera would.
        add(&["-re"]);
    }
    if times_by_arrival(url) {
        // Nor is there a rate to be found out, for which ffmpeg would wait for further pictures.
        add(&["-use_wallclock_as_timestamps", "1", "-fpsprobesize", "0"]);
    }
    args.extend(extra_args.iter().cloned());
    let filter = format!("{},scale={width}:{height}:out_range=tv", thin_out(*fps));
    // Each picture as it comes: none repeated or left out for a constant rate, none held back in the threads of an encoder that
    // only copies, nor in a buffer until the next one fills it.
    let output =
        "-map 0:v:0 -an -sn -dn -fps_mode passthrough -pix_fmt yuv420p -threads 1 -f rawvideo -flush_packets 1";
    let (Address::Clear(encoded) | Address::Doubtful(encoded, _)) = address::read(url);
    let Input { mut args, stdin, exposed } = address::input(args, &encoded);
    let mask = if stdin.is_empty() { mask } else { mask.with_alias("pipe:0", &shown) };
    if let Some(why) = exposed {
        tracing::warn!("{shown}: other users of this computer can read the password in ffmpeg's arguments: {why}");
    }
    args.splice(0..0, leading);
    args.extend(output.split(' ').map(str::to_owned));
    args.extend(["-vf".to_owned(), filter, "pipe:1".to_owned()]);

    let program = if program.is_empty() { PROGRAM } else { program };
    let spec = Spec {
        name: program.rsplit('/').next().unwrap_or(program).to_owned(),
        program: program.to_owned(),
        args,
        stdin,
        package: "the Debian package ffmpeg",
        mask,
    };
    Ok(Plan {
        describe: format!("rtsp {shown} {width}x{height} {fps} fps{}", if keys_only { ", key frames" } else { "" }),
        origin: shown,
        specs: vec![spec],
        cut: Cut::Raw(Raw::i420(width, height)),
        full: (full != [width, height]).then_some(full),
        patience: patience(*fps),
        snapshots: times_by_arrival(url).then(|| Duration::from_secs_f64(1.0 / fps.max(LEAST_FPS))),
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
            key_frames_when_idle: true,
            extra_args: vec!["-stimeout".into(), "1".into()],
            program: String::new(),
        }
    }

    #[test]
    fn the_command_line_fits_the_kind_of_input() {
        let camera = plan(&config("rtsp://cam/s0"), None, false).unwrap();
        assert_eq!(
            camera.specs[0].args.join(" "),
            "-nostdin -hide_banner -nostats -loglevel warning -fflags discardcorrupt -flags low_delay \
             -analyzeduration 1000000 -rtsp_transport tcp -stimeout 1 \
             -i rtsp://cam/s0 -map 0:v:0 -an -sn -dn -fps_mode passthrough -pix_fmt yuv420p -threads 1 -f rawvideo \
             -flush_packets 1 -vf select='isnan(prev_selected_t)+not(eq(floor(t*5+0.5),floor(prev_selected_t*5+0.5)))',\
             scale=640:480:out_range=tv pipe:1"
        );
        assert!(!camera.ends && camera.specs[0].stdin.is_empty());
        let secret = plan(&config("rtsp://a:hunter#2@cam/s0"), None, false).unwrap();
        assert!(!secret.specs[0].args.iter().any(|arg| arg.contains("hunter")), "others can read it");
        let playlist = String::from_utf8(secret.specs[0].stdin.clone()).unwrap();
        assert!(playlist.contains("file 'rtsp://a:hunter%232@cam/s0'\n"), "{playlist}");
        assert!(playlist.contains("option rtsp_transport 'tcp'\noption stimeout '1'\n"), "{playlist}");
        let file = plan(&config("/data/yard.mp4"), None, false).unwrap();
        assert!(file.ends && file.specs[0].args.contains(&"-re".to_owned()));
        let http = plan(&config("http://cam/video.mjpg"), None, false).unwrap();
        assert!(!http.specs[0].args.iter().any(|a| a == "-re" || a == "-rtsp_transport"));
    }

    #[test]
    fn what_has_no_clock_goes_by_the_time_of_arrival() {
        for (url, expected) in [
            ("http://cam/video.mjpg", true),
            ("https://cam/axis-cgi/mjpg/video.cgi?resolution=640x480&name=a.mp4", true),
            ("http://cam:8080/?action=stream", true),
            ("tcp://cam:5000", true),
            ("http://cam/live/index.M3U8?name=1.mjpg", false),
            ("https://cam/clip.mp4", false),
            ("rtsp://cam/s0", false),
            ("udp://239.0.0.1:1234", false),
            ("/data/yard.mjpeg", false),
        ] {
            let plan = plan(&config(url), None, false).unwrap();
            assert_eq!(plan.specs[0].args.iter().any(|a| a == "-use_wallclock_as_timestamps"), expected, "{url}");
            let place = |name: &str| plan.specs[0].args.iter().position(|a| a == name);
            assert!(place("-use_wallclock_as_timestamps") < place("-stimeout"), "the user's own wins: {url}");
        }
    }

    #[test]
    fn a_lowered_picture_is_scaled_by_ffmpeg_and_says_so() {
        let config = config("rtsp://cam/s0");
        assert_eq!(config.capture_sizes(false), [[480, 360], [320, 240], [240, 180], [160, 120]]);
        let lowered = plan(&config, Some(320), false).unwrap();
        assert!(lowered.specs[0].args.iter().any(|a| a.contains("scale=320:240:")), "{:?}", lowered.specs[0].args);
        assert_eq!((lowered.full, plan(&config, None, false).unwrap().full), (Some([640, 480]), None));
        assert!(
            RtspConfig { url: "/data/yard.mp4".into(), ..config }.capture_sizes(false).is_empty(),
            "it would start again"
        );
    }

    #[test]
    fn credentials_stay_out_of_what_is_shown() {
        let plan = plan(&config("rtsp://admin:hunter2@cam/s0?password=again"), None, false).unwrap();
        for text in [&plan.describe, &plan.origin] {
            assert!(!text.contains("hunter2") && !text.contains("again") && text.contains("cam/s0"), "{text}");
        }
    }

    #[test]
    fn an_empty_url_is_refused() {
        assert!(plan(&config(" "), None, false).unwrap_err().to_string().contains("url is empty"));
    }
}
