//! A camera behind a child process that writes pictures to a pipe: what `rpicam` and `rtsp` have in common.
//!
//! ```text
//!            spawned                closed, or no whole picture for too long
//! waiting ───────────▶ running ──────────────────────────────────────────────▶ waiting (longer each time)
//!    ▲                    │ pictures: each one is given as it comes; the slot behind the source keeps the newest
//!    └── another size ────┘
//! ```
//!
//! Whether a camera does not like a smaller size or is not there cannot be told by a child that ends without a picture: the
//! size before is tried next, and only when that gives pictures the smaller one counts as refused.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::backoff::Backoff;
use super::mjpeg::{Found, Walker};
use super::{Next, Source, SourceError};
use crate::frame::{Frame, Image, PixelFormat};
use crate::sys::child::{Child, Read, SpawnError, Spec};

/// What a kind of camera says about its child.
#[derive(Debug)]
pub(super) struct Plan {
    /// For people: `rtsp rtsp://***@10.0.0.5/s0 640x480 5 fps`.
    pub(super) describe: String,
    /// Origin of frames and errors.
    pub(super) origin: String,
    /// Programs to try, in this order.
    pub(super) specs: Vec<Spec>,
    /// How its output is cut into pictures.
    pub(super) cut: Cut,
    /// `[width, height]` in pixels that pictures of a lowered size would have otherwise.
    pub(super) full: Option<[u32; 2]>,
    /// Without a whole picture for so long the child is taken for hung and started again.
    pub(super) patience: Duration,
    /// Status 0 means that there is no more (a file was read to its end), not that something broke.
    pub(super) ends: bool,
}

/// How a stream is cut into pictures.
#[derive(Debug)]
pub(super) enum Cut {
    /// JPEG pictures, one behind the other.
    Mjpeg(Mjpeg),
    /// Raw pictures of one size.
    Raw(Raw),
}

/// Cuts JPEG pictures by their structure.
#[derive(Debug)]
pub(super) struct Mjpeg {
    walker: Walker,
    /// What was read: `chunk[at..end]` is still to be walked.
    chunk: Vec<u8>,
    at: usize,
    end: usize,
    picture: Vec<u8>,
    /// The picture is whole and waits to be taken.
    whole: bool,
    /// Most bytes that a picture may have.
    most: usize,
    /// Bytes walked since the last picture.
    walked: usize,
    /// Bytes outside of pictures are the rest of a broken one, which was told already.
    broken: bool,
}

/// Cuts raw I420 pictures by their size, reading straight into the buffer that the frame will own.
#[derive(Debug)]
pub(super) struct Raw {
    width: u32,
    height: u32,
    filling: Vec<u8>,
    have: usize,
}

/// How long one call may wait.
const TICK: Duration = Duration::from_millis(250);

/// Bytes read at a time, as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

impl Mjpeg {
    /// For pictures of up to `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Mjpeg {
            walker: Walker::default(),
            chunk: vec![0; CHUNK],
            at: 0,
            end: 0,
            picture: Vec::new(),
            whole: false,
            most,
            walked: 0,
            broken: false,
        }
    }

    /// Copies the next whole picture to `out`, or says what is wrong with the bytes at hand; `None` = more are needed.
    fn take(&mut self, out: &mut Vec<u8>) -> Option<Result<(), String>> {
        loop {
            if self.whole {
                out.clear();
                out.extend_from_slice(&self.picture);
                self.picture.clear();
                self.whole = false;
                return Some(Ok(()));
            }
            let bytes = self.chunk.get(self.at..self.end).filter(|bytes| !bytes.is_empty())?;
            let (used, found) = self.walker.walk(bytes, &mut self.picture);
            self.at += used;
            self.walked += used;
            match found {
                Found::Picture => {
                    self.whole = true;
                    let strays = self.strays();
                    self.broken = false;
                    if let Some(error) = strays {
                        return Some(Err(error));
                    }
                }
                Found::Broken(reason) => {
                    self.picture.clear();
                    self.broken = true;
                    // The start of the next one may be what broke it.
                    self.walked = if self.walker.is_inside() { 2 } else { 0 };
                    return Some(Err(format!("broken JPEG: {reason}")));
                }
                Found::Nothing if self.picture.len() > self.most => {
                    self.picture.clear();
                    self.walker.reset();
                    self.broken = true;
                    self.walked = 0;
                    return Some(Err(format!("JPEG of more than {} bytes", self.most)));
                }
                Found::Nothing if self.picture.is_empty() && self.walked > self.most => {
                    if let Some(error) = self.strays() {
                        return Some(Err(error));
                    }
                }
                Found::Nothing => {}
            }
        }
    }

    /// What to say of the bytes outside of pictures.
    fn strays(&mut self) -> Option<String> {
        let strays = std::mem::take(&mut self.walked).saturating_sub(self.picture.len());
        (strays > 0 && !self.broken).then(|| format!("{strays} bytes that belong to no picture"))
    }
}

impl Raw {
    /// For I420 of so many pixels; chroma planes of odd sizes are rounded up, as `ffmpeg` writes them.
    pub(super) fn i420(width: u32, height: u32) -> Self {
        Raw { width, height, filling: Vec::new(), have: 0 }
    }

    fn size(&self) -> usize {
        let (w, h) = (self.width as usize, self.height as usize);
        w * h + 2 * w.div_ceil(2) * h.div_ceil(2)
    }
}

impl Cut {
    /// Where to read to; all that was read before is used up.
    fn room(&mut self) -> &mut [u8] {
        match self {
            Cut::Mjpeg(mjpeg) => &mut mjpeg.chunk,
            Cut::Raw(raw) => {
                raw.filling.resize(raw.size(), 0);
                raw.filling.get_mut(raw.have..).unwrap_or_default()
            }
        }
    }

    /// `n` bytes of the room were filled.
    fn filled(&mut self, n: usize) {
        match self {
            Cut::Mjpeg(mjpeg) => (mjpeg.at, mjpeg.end) = (0, n),
            Cut::Raw(raw) => raw.have += n,
        }
    }

    /// Moves the next whole picture into `frame`, or says what is wrong with the bytes at hand; `None` = more are needed.
    fn take(&mut self, frame: &mut Frame) -> Option<Result<(), String>> {
        match self {
            Cut::Mjpeg(mjpeg) => {
                let image = frame.image_mut();
                let taken = mjpeg.take(&mut image.data)?;
                (image.format, image.width, image.height, image.stride) = (PixelFormat::Jpeg, 0, 0, 0);
                Some(taken)
            }
            Cut::Raw(raw) => {
                if raw.have < raw.size() {
                    return None;
                }
                let image: &mut Image = frame.image_mut();
                std::mem::swap(&mut image.data, &mut raw.filling);
                (image.format, image.width, image.height, image.stride) =
                    (PixelFormat::I420, raw.width, raw.height, raw.width);
                raw.have = 0;
                Some(Ok(()))
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Cut::Mjpeg(mjpeg) => *mjpeg = Mjpeg::new(mjpeg.most),
            Cut::Raw(raw) => raw.have = 0,
        }
    }
}

/// Makes the plan for pictures with a longer side of so many pixels; `None` = as configured.
pub(super) type Planner = Box<dyn Fn(Option<u32>) -> Result<Plan, SourceError> + Send>;

/// The source.
pub(super) struct Piped {
    planner: Planner,
    plan: Plan,
    size: Size,
    child: Option<Running>,
    backoff: Backoff,
    why: String,
}

/// Longer sides of pictures in pixels; `None` = as configured.
#[derive(Debug, Default)]
struct Size {
    /// What is asked for.
    wanted: Option<u32>,
    /// What the plan gives.
    planned: Option<u32>,
    /// What came last.
    proved: Option<u32>,
    /// Ended without a picture; whether that is its fault shows when another size is tried.
    doubted: Option<u32>,
    /// What does not work.
    refused: Vec<u32>,
}

impl Size {
    /// The child ended without a picture: the size to try next.
    fn failed(&mut self) -> Option<u32> {
        if self.doubted.take().is_some() {
            // The other one does not work either: it is not the size.
            return self.wanted;
        }
        if self.planned == self.proved {
            return self.planned;
        }
        self.doubted = self.planned;
        self.proved
    }

    /// A picture came: the size that is refused, as it turns out.
    fn worked(&mut self) -> Option<u32> {
        self.proved = self.planned;
        let refused = self.doubted.take()?;
        self.refused.push(refused);
        self.wanted = self.planned;
        Some(refused)
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// When its first picture came.
    since: Option<Instant>,
    /// When its newest picture came, or when it was started.
    progress: Instant,
}

impl Piped {
    /// Nothing is started before the first call of `next`.
    ///
    /// # Errors
    /// Those of the planner for the configured size.
    pub(super) fn new(planner: Planner) -> Result<Self, SourceError> {
        let (plan, backoff) = (planner(None)?, Backoff::default());
        Ok(Piped { planner, plan, size: Size::default(), child: None, backoff, why: "starting".into() })
    }

    /// What is started next gives pictures with a longer side of `side` pixels.
    fn plan_for(&mut self, side: Option<u32>) {
        if side == self.size.planned {
            return;
        }
        match (self.planner)(side) {
            Ok(plan) => (self.plan, self.size.planned) = (plan, side),
            Err(error) => {
                tracing::warn!("{}: pictures of another size are not possible: {error}", self.plan.describe);
                self.size.refused.extend(side);
            }
        }
    }

    fn start(&mut self) -> Result<Running, SourceError> {
        let mut missing = None;
        for spec in &self.plan.specs {
            match Child::spawn(spec) {
                Ok(child) => {
                    let now = Instant::now();
                    self.plan.cut.clear();
                    tracing::info!(program = spec.program, pid = child.id(), "started {}", self.plan.describe);
                    return Ok(Running { child, since: None, progress: now });
                }
                Err(error @ SpawnError::Missing { .. }) => missing = missing.or(Some(error)),
                Err(error @ SpawnError::Denied { .. }) => return Err(self.fatal(&error)),
                Err(error @ SpawnError::Failed { .. }) => return Err(self.lost(error.to_string())),
            }
        }
        Err(match missing {
            Some(error) => self.fatal(&error),
            None => self.lost("no program to start".into()),
        })
    }

    fn fatal(&self, error: &SpawnError) -> SourceError {
        SourceError::Fatal { origin: self.plan.origin.clone(), reason: error.to_string() }
    }

    /// What to do when a child that may never have given a picture has ended; schedules the next attempt.
    fn ended(&mut self, first_picture: Option<Instant>, reason: String) -> SourceError {
        if first_picture.is_none() {
            let next = self.size.failed();
            self.plan_for(next);
        }
        self.lost(reason)
    }

    /// Schedules the next attempt.
    fn lost(&mut self, reason: String) -> SourceError {
        let delay = self.backoff.failed(Instant::now());
        self.why = format!("{reason}; will be started again");
        SourceError::Lost {
            origin: self.plan.origin.clone(),
            reason: format!("{reason}; next attempt in {:.1} s", delay.as_secs_f32()),
        }
    }

    fn read(&mut self, running: &mut Running, deadline: Instant) -> io::Result<Read> {
        let left = deadline.saturating_duration_since(Instant::now());
        let read = running.child.read(self.plan.cut.room(), left)?;
        if let Read::Data(n) = read {
            self.plan.cut.filled(n);
        }
        Ok(read)
    }
}

impl Source for Piped {
    fn describe(&self) -> String {
        self.plan.describe.clone()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let deadline = Instant::now() + TICK;
        let mut running = match self.child.take() {
            Some(running) => running,
            None => {
                if let Some(left) = self.backoff.remaining(Instant::now()) {
                    std::thread::sleep(left.min(TICK));
                    return Ok(Next::Idle(self.why.clone()));
                }
                self.start()?
            }
        };
        loop {
            match self.plan.cut.take(frame) {
                Some(Ok(())) => {
                    let now = Instant::now();
                    let since = *running.since.get_or_insert(now);
                    if now.saturating_duration_since(since) >= Backoff::HEALTHY {
                        self.backoff.worked();
                    }
                    running.progress = now;
                    if let Some(side) = self.size.worked() {
                        tracing::warn!(
                            "{}: no pictures with a side of {side} pixels come; the size stays",
                            self.plan.describe
                        );
                    }
                    frame.image_mut().full = self.plan.full;
                    frame.captured = now;
                    frame.time = SystemTime::now();
                    frame.truth = None;
                    frame.origin.clone_from(&self.plan.origin);
                    self.child = Some(running);
                    return Ok(Next::Frame);
                }
                Some(Err(reason)) => {
                    self.child = Some(running);
                    return Err(SourceError::Bad { origin: self.plan.origin.clone(), reason });
                }
                None => {}
            }
            let quiet = running.progress.elapsed();
            if quiet >= self.plan.patience {
                running.child.stop();
                let reason = format!("no picture for {} s, stopped", quiet.as_secs());
                return Err(self.ended(running.since, reason));
            }
            match self.read(&mut running, deadline) {
                // Data that never makes a picture must not hold the thread either.
                Ok(Read::Data(_)) if Instant::now() < deadline => {}
                Ok(Read::Data(_) | Read::Quiet) => {
                    let waiting = if running.since.is_none() {
                        "waiting for the first picture"
                    } else {
                        "waiting for the next picture"
                    };
                    self.child = Some(running);
                    return Ok(Next::Idle(waiting.into()));
                }
                Ok(Read::Closed) => {
                    let exit = running.child.finish();
                    if exit.success && self.plan.ends {
                        return Ok(Next::End);
                    }
                    return Err(self.ended(running.since, exit.words));
                }
                Err(error) => {
                    running.child.stop();
                    return Err(self.ended(running.since, format!("reading its output: {error}")));
                }
            }
        }
    }

    fn set_capture(&mut self, side: Option<u32>) {
        if side == self.size.wanted || side.is_some_and(|side| self.size.refused.contains(&side)) {
            return;
        }
        (self.size.wanted, self.size.doubted) = (side, None);
        if side == self.size.planned {
            return;
        }
        self.plan_for(side);
        if let Some(running) = self.child.take() {
            running.child.stop();
        }
    }
}

/// How long to wait for a picture at `fps` before the child is taken for hung: three pictures, but never under 15 s (a
/// network camera may take that long to answer and to send its first key frame).
pub(super) fn patience(fps: f64) -> Duration {
    Duration::from_secs_f64((3.0 / fps.max(0.01)).max(15.0))
}

#[cfg(test)]
mod tests;
