//! A look at one frame of a source.

use std::time::{Duration, Instant};

use crate::draw::{self, Canvas, Format};
use crate::frame::{Frame, Payload, PixelFormat};
use crate::preprocess;
use crate::source::{self, Next, SourceError};
use crate::sys::Roots;

/// Longest time for a source to give its first frame: a camera that wakes up needs seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// A frame of a source.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// For people.
    pub what: String,
    /// `[width, height]` in pixels of a picture.
    pub picture: Option<[u32; 2]>,
    /// A picture as JPEG.
    pub jpeg: Option<Vec<u8>>,
    /// Channels of a reading.
    pub channels: Vec<String>,
}

/// No frame came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// Another process has the device open.
    #[error("{0}")]
    Busy(String),
    /// The source cannot be opened, ended, or gave nothing in time.
    #[error("{0}")]
    NoFrame(String),
}

impl From<String> for LookError {
    /// Sources pass the system's words on; EBUSY has the same ones in every libc.
    fn from(reason: String) -> Self {
        if reason.contains("busy") { LookError::Busy(reason) } else { LookError::NoFrame(reason) }
    }
}

/// Takes one frame, in bounded time.
///
/// # Errors
/// [`LookError`] when none comes.
pub fn look(config: &source::Config, roots: Roots) -> Result<Seen, LookError> {
    let context = source::Context { roots, ..source::Context::default() };
    let mut source = source::open(config, context).map_err(|error| error.to_string())?;
    let end = Instant::now() + PATIENCE;
    let mut frame = Frame::empty();
    let mut why = "nothing came".to_owned();
    while Instant::now() < end {
        match source.next(&mut frame) {
            Ok(Next::Frame) => return seen(&source.describe(), &frame),
            Ok(Next::Idle(reason)) => why = reason,
            Ok(Next::End) => return Err("it ended without a frame".to_owned().into()),
            Err(SourceError::Fatal { reason, .. }) => return Err(reason.into()),
            Err(SourceError::Bad { reason, .. } | SourceError::Lost { reason, .. }) => why = reason,
        }
    }
    Err(format!("no frame within {} s: {why}", PATIENCE.as_secs()).into())
}

fn seen(source: &str, frame: &Frame) -> Result<Seen, LookError> {
    let image = match &frame.payload {
        Payload::Window(window) => {
            let what = format!("{source}: {} channels: {}", window.channels.len(), window.channels.join(", "));
            return Ok(Seen { what, channels: window.channels.to_vec(), ..Seen::default() });
        }
        Payload::Image(image) => image,
    };
    let mut rgb = Vec::new();
    let [width, height] = preprocess::to_rgb(image, &mut rgb).map_err(|error| error.to_string())?;
    let mean = rgb.iter().map(|v| u64::from(*v)).sum::<u64>() / rgb.len().max(1) as u64;
    let jpeg = match image.format {
        PixelFormat::Jpeg => Some(image.data.clone()),
        _ => draw::encode(&Canvas::new([width, height], rgb), Format::Jpeg).ok(),
    };
    let dark = if mean < 10 { ", nearly black: is the lens covered, is there light?" } else { "" };
    let what = format!("{source}: a picture of {width}x{height}{dark}");
    Ok(Seen { what, picture: Some([width, height]), jpeg, channels: Vec::new() })
}
