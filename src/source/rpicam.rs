//! A Raspberry Pi camera through `rpicam-vid`, which older systems call `libcamera-vid`.
//!
//! It is asked for MJPEG. Raw YUV would save an encoding and a decoding, but says nothing about itself: `rpicam-vid` pads
//! rows to what the ISP likes (64 bytes on a Pi 4: raspberrypi/rpicam-apps issues 188 and 857) and libcamera may adjust the
//! size, and neither shows in the stream, so that a sheared picture would go to the model without an error. A JPEG carries
//! its own size, and damage is seen and overcome at the next start of image. Who needs the cycles asks for
//! `extra_args = ["--codec", "yuv420"]` with a width that no known ISP pads.
//!
//! For smaller pictures the child is started again with another `--width` and `--height`. It would choose the sensor's mode by
//! them, and some modes show only the middle of the view (rpicam-apps, `RPiCamApp::selectMode`): the mode is therefore asked for
//! by the configured size, which is what it goes by otherwise.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Context, Source, SourceError};
use super::kind::{Device, Frames, Paths, SourceKind, interval};
use super::piped::{Cut, Mjpeg, Piped, Plan, Raw, patience};
use super::{program, sizes};
use crate::frame::PixelFormat;
use crate::frame::diagnostic::Diagnostic;
use crate::sys::Mask;
use crate::sys::child::Spec;

/// Names of the program, the present one first.
const PROGRAMS: [&str; 2] = ["rpicam-vid", "libcamera-vid"];
const PACKAGE: &str = "the package rpicam-apps of Raspberry Pi OS (rpicam-apps-lite without a desktop)";
/// Rows of a width that divides by this are padded by no ISP of a Pi.
const UNPADDED: u32 = 128;
/// JPEG quality; the program's own default of 50 costs accuracy.
const QUALITY: &str = "90";

/// A Raspberry Pi camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RpicamConfig {
    /// Camera number as `rpicam-hello --list-cameras` counts them.
    #[schemars(range(min = 0, max = 15))]
    pub camera: u32,
    /// Width in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Height in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Pictures per second.
    #[schemars(range(min = 0.1, max = 240.0))]
    pub fps: f64,
    /// Further arguments for `rpicam-vid`, for instance `["--hflip", "--vflip"]`.
    pub extra_args: Vec<String>,
    /// The program; empty = `rpicam-vid`, else `libcamera-vid`, from PATH.
    pub program: String,
}

impl Default for RpicamConfig {
    fn default() -> Self {
        RpicamConfig { camera: 0, width: 640, height: 480, fps: 15.0, extra_args: Vec::new(), program: String::new() }
    }
}

impl SourceKind for RpicamConfig {
    /// Starts nothing: the child is started by the first call of `next`. Fatal are `extra_args` whose output cannot be read.
    fn open(&self, _: Context) -> Result<Box<dyn Source>, SourceError> {
        let config = self.clone();
        Ok(Box::new(Piped::new(Box::new(move |side| plan(&config, side)))?))
    }

    fn describe(&self) -> String {
        format!("Raspberry Pi camera {}", self.camera)
    }

    fn frames(&self) -> Frames<'_> {
        Frames::Pictures { format: PixelFormat::Jpeg, size: Some([self.width, self.height]) }
    }

    fn frame_interval(&self) -> Duration {
        interval(self.fps)
    }

    /// None where `extra_args` fix the size.
    fn capture_sizes(&self, _regions: bool) -> Vec<[u32; 2]> {
        let fixed = ["--width", "--height"].iter().any(|name| value_of(name, &self.extra_args).is_some());
        if fixed { Vec::new() } else { sizes::free([self.width, self.height], step(self)) }
    }

    fn is_camera(&self) -> bool {
        true
    }

    fn exclusive_device(&self) -> Option<Device> {
        Some(Device { name: format!("camera {}", self.camera), key: "camera" })
    }

    fn paths(&self) -> Paths {
        Paths { read: program::paths(&self.program, &self.extra_args), devices: vec!["/dev".into()] }
    }

    fn check_files(&self) -> Vec<Diagnostic> {
        program::check(&self.program, &PROGRAMS).into_iter().collect()
    }

    fn view(&self) -> Option<String> {
        Some(format!("camera {} {}x{}", self.camera, self.width, self.height))
    }
}

/// Divisor of a smaller picture's width.
fn step(config: &RpicamConfig) -> u32 {
    if value_of("--codec", &config.extra_args) == Some("yuv420") { UNPADDED } else { 2 }
}

/// The child to run for pictures with a longer side of `side` pixels; `None` = as configured.
fn plan(config: &RpicamConfig, side: Option<u32>) -> Result<Plan, SourceError> {
    let RpicamConfig { camera, width, height, fps, extra_args, program } = config;
    let full = [*width, *height];
    let [width, height] = side.map_or(full, |side| sizes::scaled(full, side, step(config)));
    let lowered = full != [width, height];
    let origin = format!("rpicam {camera}");
    let fatal = |reason: String| SourceError::Fatal { origin: origin.clone(), reason };
    if let Some(arg) = extra_args.iter().find(|arg| ["-o", "--output"].contains(&option(arg))) {
        return Err(fatal(format!("extra_args: {arg} would send the pictures elsewhere")));
    }
    let codec = value_of("--codec", extra_args).unwrap_or("mjpeg");
    let cut = match codec {
        "mjpeg" => Cut::Mjpeg(Mjpeg::new(picture_limit(width, height))),
        "yuv420" if width.is_multiple_of(UNPADDED) && height.is_multiple_of(2) => Cut::Raw(Raw::i420(width, height)),
        "yuv420" => {
            return Err(fatal(format!(
                "extra_args: --codec yuv420 needs a width that divides by {UNPADDED} and an even height, found {width}x{height}: \
                 other rows are padded by an amount that rpicam-vid does not tell"
            )));
        }
        other => return Err(fatal(format!("extra_args: --codec {other}: only mjpeg and yuv420 can be read"))),
    };
    let own = [
        ("--timeout", "0".to_owned()),
        ("--camera", camera.to_string()),
        ("--width", width.to_string()),
        ("--height", height.to_string()),
        ("--framerate", fps.to_string()),
        ("--codec", "mjpeg".to_owned()),
        ("--quality", QUALITY.to_owned()),
    ];
    let mode = lowered.then(|| ("--mode", format!("{}:{}:12:P", full[0], full[1])));
    let mut args: Vec<String> = Vec::new();
    // The program refuses an option that is given twice; the user's own goes first.
    for (name, value) in own.into_iter().chain(mode) {
        if value_of(name, extra_args).is_none() && !(name == "--quality" && codec != "mjpeg") {
            args.extend([name.to_owned(), value]);
        }
    }
    for flag in ["--nopreview", "--flush"] {
        if !extra_args.iter().any(|arg| option(arg) == flag) {
            args.push(flag.to_owned());
        }
    }
    // One line per picture on standard error otherwise.
    if !extra_args.iter().any(|arg| ["--verbose", "-v"].contains(&option(arg))) {
        args.push("--verbose=0".to_owned());
    }
    args.extend(extra_args.iter().cloned());
    args.extend(["--output".to_owned(), "-".to_owned()]);

    let programs = match program.as_str() {
        "" => PROGRAMS.to_vec(),
        program => vec![program],
    };
    let spec = |program: &str| Spec {
        name: program.rsplit('/').next().unwrap_or(program).to_owned(),
        program: program.to_owned(),
        args: args.clone(),
        stdin: Vec::new(),
        package: PACKAGE,
        mask: Mask::default(),
    };
    Ok(Plan {
        describe: format!("rpicam {camera} {width}x{height} {codec} {fps} fps"),
        origin: origin.clone(),
        specs: programs.into_iter().map(spec).collect(),
        cut,
        full: lowered.then_some(full),
        patience: patience(*fps),
        snapshots: None,
        ends: false,
    })
}

/// `--name` of `--name` and `--name=value`.
fn option(arg: &str) -> &str {
    arg.split_once('=').map_or(arg, |(name, _)| name)
}

/// The value of `--name value` or `--name=value` in `args`.
fn value_of<'a>(name: &str, args: &'a [String]) -> Option<&'a str> {
    let at = args.iter().position(|arg| option(arg) == name)?;
    match args.get(at)?.split_once('=') {
        Some((_, value)) => Some(value),
        None => args.get(at + 1).map(String::as_str),
    }
}

/// No JPEG of this size is larger: three bytes a pixel and its headers.
fn picture_limit(width: u32, height: u32) -> usize {
    (width as usize * height as usize * 3).max(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(extra: &[&str]) -> Result<Vec<String>, String> {
        let config =
            RpicamConfig { extra_args: extra.iter().map(|s| (*s).to_owned()).collect(), ..RpicamConfig::default() };
        plan(&config, None).map(|plan| plan.specs[0].args.clone()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_is_what_rpicam_vid_takes() {
        assert_eq!(
            args(&["--hflip"]).unwrap().join(" "),
            "--timeout 0 --camera 0 --width 640 --height 480 --framerate 15 --codec mjpeg --quality 90 --nopreview --flush \
             --verbose=0 --hflip --output -"
        );
    }

    #[test]
    fn a_lowered_picture_keeps_the_field_of_view() {
        let config = RpicamConfig { width: 1640, height: 1232, ..RpicamConfig::default() };
        assert_eq!(config.capture_sizes(false), [[1230, 924], [820, 616], [616, 462], [410, 308]]);
        let lowered = plan(&config, Some(820)).unwrap();
        let line = lowered.specs[0].args.join(" ");
        assert!(line.contains("--width 820 --height 616 ") && line.contains("--mode 1640:1232:12:P"), "{line}");
        assert_eq!((lowered.full, plan(&config, None).unwrap().full), (Some([1640, 1232]), None));

        let extra = |args: &[&str]| args.iter().map(|s| (*s).to_owned()).collect();
        let own_mode = RpicamConfig { extra_args: extra(&["--mode=1640:1232:10:U"]), ..config.clone() };
        let line = plan(&own_mode, Some(820)).unwrap().specs[0].args.join(" ");
        assert_eq!(line.matches("--mode").count(), 1, "{line}");
        let raw = RpicamConfig { extra_args: extra(&["--codec=yuv420"]), ..RpicamConfig::default() };
        assert_eq!(raw.capture_sizes(false)[0], [512, 384], "no camera pads its rows");
        let fixed = RpicamConfig { extra_args: extra(&["--width=1640"]), ..config };
        assert!(fixed.capture_sizes(false).is_empty());
    }

    #[test]
    fn options_of_the_user_replace_ours() {
        let line = args(&["--quality=50", "--verbose", "--codec", "yuv420"]).unwrap().join(" ");
        for once in ["--quality", "--verbose", "--codec"] {
            assert_eq!(line.matches(once).count(), 1, "{line}");
        }
        assert!(!args(&["--codec", "yuv420"]).unwrap().contains(&"--quality".to_owned()));
    }

    #[test]
    fn what_could_not_be_read_is_refused() {
        assert!(args(&["--codec", "h264"]).unwrap_err().contains("only mjpeg and yuv420"));
        assert!(args(&["-o", "x.mjpeg"]).unwrap_err().contains("elsewhere"));
        let padded = RpicamConfig { width: 800, extra_args: vec!["--codec=yuv420".into()], ..RpicamConfig::default() };
        assert!(plan(&padded, None).unwrap_err().to_string().contains("divides by 128"));
    }

    #[test]
    fn both_names_of_the_program_are_tried() {
        let plan = plan(&RpicamConfig::default(), None).unwrap();
        let programs: Vec<_> = plan.specs.iter().map(|s| s.program.as_str()).collect();
        assert_eq!(programs, ["rpicam-vid", "libcamera-vid"]);
    }
}
