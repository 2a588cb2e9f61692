//! One picture of the first camera of this board that works.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;

use super::picture::{look, save};
use crate::board::LinuxBoard;
use crate::cli::output::tell;
use crate::cli::source_pairs::source_of_pairs;
use crate::cli::{Failure, say};
use crate::diagnose::machine;
use crate::diagnose::survey::Report;
use crate::frame::{Frame, Payload, rfc3339};
use crate::source::{self, Next, SourceError};

/// Time that all cameras together have.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Takes a picture and saves it into `dir`, or into the present directory.
///
/// # Errors
/// [`Failure`] with the reason of each camera, where none gives a picture in time.
pub fn run(dir: Option<PathBuf>) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    let report = Report::gather(&mut LinuxBoard::new(machine::roots(None)), None);
    let mut reasons: Vec<String> = Vec::new();
    let cameras = cameras(&report, &mut reasons);
    for (at, pairs) in cameras.iter().enumerate() {
        // Each has its share of the time that is left.
        let share = end.saturating_duration_since(Instant::now()) / (cameras.len() - at) as u32;
        let source = source_of_pairs(pairs).map_err(Failure::Usage)?;
        match picture(&source, Instant::now() + share) {
            Ok(frame) => return kept(&frame, dir, &source.kind().describe()),
            Err(reason) => reasons.push(format!("{}: {reason}", source.kind().describe())),
        }
    }
    for reason in &reasons {
        tell(&format!("  {reason}"));
    }
    let advice = "name another source, for instance: leptond capture type=rtsp url=rtsp://HOST/PATH -n 1 --out .";
    let what =
        if cameras.is_empty() { "this board has no camera that can be used" } else { "no camera gave a picture" };
    Err(anyhow!("{what}; {advice}").into())
}

/// The cameras that can be tried, and why others cannot.
fn cameras(report: &Report, reasons: &mut Vec<String>) -> Vec<Vec<String>> {
    let mut cameras = Vec::new();
    for camera in report.cameras.iter().filter(|camera| !camera.processor) {
        if camera.planes || camera.permitted == Some(false) {
            reasons.push(format!("{} {}", camera.device, camera.describe()));
        } else {
            cameras.push(vec!["type=v4l2".into(), format!("device={}", camera.device)]);
        }
    }
    for line in &report.csi_cameras {
        let number = line.split_once(" : ").map_or("0", |(number, _)| number.trim());
        cameras.push(vec!["type=rpicam".into(), format!("camera={number}")]);
    }
    let absent = report.absent.iter().filter(|absent| matches!(absent.what, "video4linux camera" | "rpicam-vid"));
    reasons.extend(absent.map(|absent| format!("{}: {}", absent.what, absent.meaning)));
    cameras
}

/// The first picture of `config`, or why none came by `end`.
fn picture(config: &source::Config, end: Instant) -> Result<Frame, String> {
    let mut source = source::open(config, source::Context::default()).map_err(|error| error.to_string())?;
    let mut frame = Frame::empty();
    let mut trouble = "no picture came in time".to_owned();
    while Instant::now() < end {
        match source.next(&mut frame) {
            Ok(Next::Frame) => match &frame.payload {
                // A damaged one may be followed by a good one.
                Payload::Image(image) => match look(image, &mut Vec::new()) {
                    Ok(_) => return Ok(frame),
                    Err(error) => trouble = error.to_string(),
                },
                Payload::Window(_) => return Err("it gives readings, no pictures".into()),
            },
            Ok(Next::Idle(reason)) => trouble = reason,
            Ok(Next::End) => return Err("it ended without a picture".into()),
            Err(SourceError::Bad { reason, .. } | SourceError::Lost { reason, .. }) => trouble = reason,
            Err(error @ SourceError::Fatal { .. }) => return Err(error.to_string()),
        }
    }
    Err(trouble)
}

/// Saves the picture under a name of its own, and says where.
fn kept(frame: &Frame, dir: Option<PathBuf>, camera: &str) -> Result<(), Failure> {
    let Payload::Image(image) = &frame.payload else { return Err(anyhow!("{camera}: no picture").into()) };
    let mut rgb = Vec::new();
    let look = look(image, &mut rgb).map_err(anyhow::Error::from)?;
    let stamp: String = rfc3339(SystemTime::now()).chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let path = save(&dir.unwrap_or_default(), &format!("capture-{stamp}"), image, &look, &rgb)?;
    say(&format!("{}: {} × {} pixels of {camera}", path.display(), look.width, look.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_or_the_reason_for_none() {
        let end = || Instant::now() + Duration::from_secs(5);
        let source =
            |pairs: &[&str]| source_of_pairs(&pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>()).unwrap();
        let frame = picture(&source(&["type=synthetic", "width=64", "height=48"]), end()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        kept(&frame, Some(dir.path().to_owned()), "a camera").unwrap();
        let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert!(file.display().to_string().contains("capture-20") && file.extension().is_some_and(|e| e == "jpg"));
        let begun = Instant::now();
        let absent = source(&["type=v4l2", "device=/dev/video-none"]);
        let reason = picture(&absent, begun + Duration::from_millis(300)).unwrap_err();
        assert!(reason.contains("video-none"), "{reason}");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
}
