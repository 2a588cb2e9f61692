//! A Video4Linux camera, read through the driver's own buffers.
//!
//! ```text
//!          opened, format agreed, streaming          gone, faulty, or no picture for too long
//! waiting ─────────────────────────────────▶ running ───────────────────────────────────────▶ waiting (longer each time)
//!    ▲ not there, in use, no permission │
//!    └──────────────────────────────────┘
//! ```
//!
//! Another size takes the same way: the stream ends, the device is opened again and asked for it.
//!
//! A picture is copied once, out of the mapped buffer into the frame, and its buffer goes back to the driver before the
//! picture is looked at, so that a slow model never starves the camera.

mod config;
mod device;
mod negotiate;
mod sizes;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::backoff::Backoff;
use super::contract::{Context, Next, Source, SourceError};
use super::kind::{self, Frames, Paths, SourceKind, interval, shown};
use super::mjpeg;
use super::piped::patience;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::{Frame, PixelFormat};
use crate::sys::landlock;
use crate::sys::v4l2::{Node, Taken};
use device::Device;
use negotiate::{Agreed, NotStarted, busy_or, negotiate};

pub use config::{V4l2Config, V4l2Format};

impl SourceKind for V4l2Config {
    fn open(&self, _: Context) -> Result<Box<dyn Source>, SourceError> {
        let path = self.device.clone();
        let opener = Box::new(move || Ok(Box::new(Node::open(&path)?) as Box<dyn Device>));
        Ok(Box::new(V4l2::new(self.clone(), opener)))
    }

    fn describe(&self) -> String {
        format!("camera {}", self.device.display())
    }

    fn frames(&self) -> Frames<'_> {
        let format = match self.format {
            V4l2Format::Auto | V4l2Format::Mjpg => PixelFormat::Jpeg,
            V4l2Format::Yuyv => PixelFormat::Yuyv,
            V4l2Format::Nv12 => PixelFormat::Nv12,
            V4l2Format::Yu12 => PixelFormat::I420,
        };
        Frames::Pictures { format, size: Some([self.width, self.height]) }
    }

    fn frame_interval(&self) -> Duration {
        interval(self.fps)
    }

    /// The sizes that the device offers; none while it cannot be opened, and none for `regions`: no driver tells the field of
    /// view of a smaller picture.
    fn capture_sizes(&self, regions: bool) -> Vec<[u32; 2]> {
        if regions {
            return Vec::new();
        }
        Node::open(&self.device).map(|mut node| sizes::smaller(&mut node, self)).unwrap_or_default()
    }

    fn is_camera(&self) -> bool {
        true
    }

    fn exclusive_device(&self) -> Option<kind::Device> {
        Some(kind::Device { name: self.device.display().to_string(), key: "device" })
    }

    /// All of `/dev`: a camera that is plugged in again is a new device file.
    fn paths(&self) -> Paths {
        Paths { devices: vec!["/dev".into(), landlock::directory(&self.device)], ..Paths::default() }
    }

    fn check_files(&self) -> Vec<Diagnostic> {
        if self.device.exists() {
            return Vec::new();
        }
        let diagnostic = Diagnostic::warning("device", "is not there now; it is waited for");
        vec![diagnostic.found(shown(&self.device)).help("`leptond probe` lists the cameras")]
    }

    fn view(&self) -> Option<String> {
        Some(format!("{} {}x{}", self.device.display(), self.width, self.height))
    }
}

type Opener = Box<dyn FnMut() -> Result<Box<dyn Device>, Errno> + Send>;

/// The source.
struct V4l2 {
    config: V4l2Config,
    origin: String,
    opener: Opener,
    running: Option<Running>,
    backoff: Backoff,
    /// Reason for having no picture.
    waiting: String,
    /// The last agreement with the device, for people.
    describe: String,
    /// It gave a picture once: whatever is wrong with it now may pass.
    proved: bool,
    /// Longer side in pixels that is asked for; `None` = as configured.
    capture: Option<u32>,
    /// The one that was agreed on last.
    before: Option<u32>,
    /// Those that the device did not agree to.
    refused: Vec<u32>,
}

struct Running {
    device: Box<dyn Device>,
    agreed: Agreed,
    /// Time of its first picture.
    since: Option<Instant>,
    /// Time of its newest picture, or of the start of the stream.
    progress: Instant,
    /// `EIO` in a row.
    faults: u32,
    /// The driver's number of the newest picture.
    sequence: Option<u32>,
    /// Pictures that the driver had no buffer for.
    missed: u64,
}

/// Longest wait of one call.
const TICK: Duration = Duration::from_millis(250);
/// So many `EIO` in a row are no passing fault.
const MOST_FAULTS: u32 = 10;
/// A picture said to be older than this carries a wrong stamp.
const OLDEST: Duration = Duration::from_secs(5);

impl V4l2 {
    fn new(config: V4l2Config, opener: Opener) -> Self {
        let origin = config.device.display().to_string();
        let describe = format!("v4l2 {origin}");
        let waiting = "starting".into();
        V4l2 {
            config,
            origin,
            opener,
            running: None,
            backoff: Backoff::default(),
            waiting,
            describe,
            proved: false,
            capture: None,
            before: None,
            refused: Vec::new(),
        }
    }

    /// Agrees with the device on the size that is asked for, else on the one before.
    fn agree(&mut self, device: &mut dyn Device) -> Result<Agreed, NotStarted> {
        while let Some(side) = self.capture {
            let [width, height] = sizes::nearest(device, &self.config, side);
            let refusal = match negotiate(device, &V4l2Config { width, height, ..self.config.clone() }) {
                Ok(agreed) if [agreed.format.width, agreed.format.height] == [width, height] => return Ok(agreed),
                Ok(agreed) => format!("it gives {}", agreed.words()),
                Err(NotStarted::Never(reason)) => reason,
                Err(later) => return Err(later),
            };
            tracing::warn!("{}: pictures of {width}x{height} are refused, the size stays: {refusal}", self.describe);
            self.refused.push(side);
            self.capture = self.before.filter(|before| !self.refused.contains(before));
        }
        negotiate(device, &self.config)
    }

    fn start(&mut self) -> Result<Running, NotStarted> {
        let mut device = (self.opener)().map_err(|error| not_opened(&self.config.device, error))?;
        let agreed = self.agree(device.as_mut())?;
        let buffers = device.start(self.config.buffers).map_err(|error| busy_or(error, "cannot stream"))?;
        if buffers == 0 {
            return Err(NotStarted::Later("the driver gave no buffers".into()));
        }
        self.before = self.capture;
        self.describe = format!("v4l2 {} {}", self.origin, agreed.words());
        let V4l2Config { width, height, fps, .. } = self.config;
        tracing::info!(
            driver = agreed.driver,
            card = agreed.card,
            buffers,
            "{}: streaming; asked for {width}x{height} {fps} fps, {}",
            self.describe,
            agreed.rate_words()
        );
        let now = Instant::now();
        Ok(Running { device, agreed, since: None, progress: now, faults: 0, sequence: None, missed: 0 })
    }

    /// Waits for the next attempt because of `reason`, which is logged when it is a new one.
    fn wait(&mut self, reason: String) -> Next {
        let reason = landlock::told(reason);
        let delay = self.backoff.failed(Instant::now());
        if self.waiting != reason {
            tracing::warn!("{}: {reason}; next attempt in {:.1} s", self.describe, delay.as_secs_f32());
            self.waiting = reason;
        }
        Next::Idle(self.waiting.clone())
    }

    fn lost(&mut self, reason: String) -> SourceError {
        self.backoff.failed(Instant::now());
        self.waiting = format!("{reason}; waiting for it to return");
        SourceError::Lost { origin: self.origin.clone(), reason }
    }

    fn bad(&self, reason: String) -> SourceError {
        SourceError::Bad { origin: self.origin.clone(), reason }
    }

    /// Stamps the frame and checks that the picture is whole.
    fn finish(&mut self, running: &mut Running, taken: Taken, frame: &mut Frame) -> Result<Next, SourceError> {
        let now = Instant::now();
        running.faults = 0;
        if let Some(before) = running.sequence.replace(taken.sequence) {
            running.missed += u64::from(taken.sequence.wrapping_sub(before).saturating_sub(1).min(1000));
        }
        let agreed = &running.agreed;
        let image = frame.image_mut();
        (image.format, image.stride) = (agreed.pixels, agreed.format.stride);
        image.full = self.before.map(|_| [self.config.width, self.config.height]);
        (image.width, image.height) = match agreed.pixels {
            // The picture's own header tells.
            PixelFormat::Jpeg => (0, 0),
            _ => (agreed.format.width, agreed.format.height),
        };
        if taken.damaged {
            return Err(self.bad("the driver marked the picture as damaged".into()));
        }
        whole(agreed, &image.data).map_err(|reason| self.bad(reason))?;

        running.progress = now;
        let since = *running.since.get_or_insert(now);
        self.proved = true;
        if now.saturating_duration_since(since) >= Backoff::HEALTHY {
            self.backoff.worked();
        }
        let age = taken.age.filter(|age| *age <= OLDEST).unwrap_or_default();
        frame.captured = now.checked_sub(age).unwrap_or(now);
        frame.time = SystemTime::now().checked_sub(age).unwrap_or_else(SystemTime::now);
        frame.truth = None;
        frame.origin.clone_from(&self.origin);
        Ok(Next::Frame)
    }

    /// One attempt to get a picture out of a running device; whether it runs on is up to the result.
    fn advance(&mut self, running: &mut Running, frame: &mut Frame) -> Result<Next, SourceError> {
        let image = frame.image_mut();
        match running.device.take(TICK, &mut image.data) {
            Ok(Some(taken)) => self.finish(running, taken, frame),
            Ok(None) => {
                let quiet = running.progress.elapsed();
                if quiet >= patience(self.config.fps) {
                    return Err(self.lost(format!("no picture for {} s", quiet.as_secs())));
                }
                Ok(Next::Idle("waiting for the next picture".into()))
            }
            Err(Errno::IO) if running.faults < MOST_FAULTS => {
                running.faults += 1;
                Err(self.bad("the driver reports an input fault".into()))
            }
            Err(Errno::NODEV | Errno::NXIO) => Err(self.lost("the device is gone".into())),
            Err(error) => Err(self.lost(format!("the driver gives no more pictures: {error}"))),
        }
    }
}

impl Source for V4l2 {
    fn describe(&self) -> String {
        self.describe.clone()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => {
                if let Some(left) = self.backoff.remaining(Instant::now()) {
                    std::thread::sleep(left.min(TICK));
                    return Ok(Next::Idle(self.waiting.clone()));
                }
                match self.start() {
                    Ok(running) => running,
                    Err(NotStarted::Never(reason)) if !self.proved => {
                        return Err(SourceError::Fatal { origin: self.origin.clone(), reason });
                    }
                    // Another device may stand at this path for a while when several are plugged in.
                    Err(NotStarted::Later(reason) | NotStarted::Never(reason)) => return Ok(self.wait(reason)),
                }
            }
        };
        let result = self.advance(&mut running, frame);
        match result {
            // Dropping it ends the stream and closes the node.
            Err(SourceError::Lost { .. } | SourceError::Fatal { .. }) => {
                if running.missed > 0 {
                    tracing::warn!("{}: {} pictures were lost in the driver", self.origin, running.missed);
                }
            }
            Ok(_) | Err(SourceError::Bad { .. }) => self.running = Some(running),
        }
        result
    }

    fn set_capture(&mut self, side: Option<u32>) {
        if side != self.capture && !side.is_some_and(|side| self.refused.contains(&side)) {
            self.capture = side;
            self.running = None;
        }
    }
}

/// Checks that all of the picture is there.
fn whole(agreed: &Agreed, data: &[u8]) -> Result<(), String> {
    if agreed.pixels == PixelFormat::Jpeg {
        return mjpeg::check(data).map_err(|reason| format!("{reason} ({} bytes)", data.len()));
    }
    let needed = agreed.bytes();
    if data.len() < needed {
        return Err(format!("short picture: {} of {needed} bytes", data.len()));
    }
    Ok(())
}

fn not_opened(path: &Path, error: Errno) -> NotStarted {
    let path = path.display();
    NotStarted::Later(match error {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => format!("{path} is not there"),
        Errno::ACCESS | Errno::PERM => {
            format!("no permission to open {path}: the user that runs leptond must be in the group video")
        }
        Errno::BUSY => format!("{path} is in use by another program"),
        error => format!("{path} cannot be opened: {error}"),
    })
}

#[cfg(test)]
mod tests;
