//! A camera behind a child process that writes pictures to a pipe: what `rpicam` and `rtsp` have in common.
//!
//! ```text
//!            spawned                closed, or no whole picture for too long
//! waiting ───────────▶ running ──────────────────────────────────────────────▶ waiting (longer each time)
//!    ▲                    │ pictures: each one is given as it comes; the slot behind the source keeps the newest
//!    └── another size ────┘
//! ```
//!
//! A child that ends without a picture does not show if its camera refuses a smaller size or is not there: the
//! size before is tried next, and only when that gives pictures the smaller one counts as refused.

mod cut;

use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::backoff::Backoff;
use super::contract::{Next, Source, SourceError};
use crate::frame::Frame;
use crate::sys::child::{Child, Read, SpawnError, Spec};
pub(super) use cut::{Cut, Mjpeg, Raw};

/// Plan of a kind of camera for its child.
#[derive(Debug)]
pub(super) struct Plan {
    /// For people: `rtsp rtsp://***@10.0.0.5/s0 640x480 5 fps`.
    pub(super) describe: String,
    /// Origin of frames and errors.
    pub(super) origin: String,
    /// Programs to try, in this order.
    pub(super) specs: Vec<Spec>,
    /// Cutter of its output into pictures.
    pub(super) cut: Cut,
    /// `[width, height]` in pixels that pictures of a lowered size would have otherwise.
    pub(super) full: Option<[u32; 2]>,
    /// Without a whole picture for so long the child is taken for hung and started again. Longer each time that this does not
    /// help: the camera is slower than it was said to be, and not hung.
    pub(super) patience: Duration,
    /// A child that ends well after one picture is no loss but the nature of the address (a snapshot): the next one is started so
    /// long after it.
    pub(super) snapshots: Option<Duration>,
    /// Status 0 means that there is no more (a file was read to its end), not that something broke.
    pub(super) ends: bool,
}

/// Longest wait of one call.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Pictures per second of the slowest camera: one picture in a quarter of an hour or so.
pub(super) const LEAST_FPS: f64 = 0.001;

/// The longest patience that a slow camera brings about.
const MOST_PATIENCE: Duration = Duration::from_secs(900);

/// Makes the plan for pictures with a longer side of so many pixels; `None` = as configured.
pub(super) type Planner = Box<dyn Fn(Option<u32>) -> Result<Plan, SourceError> + Send>;

/// The source.
pub(super) struct Piped {
    planner: Planner,
    plan: Plan,
    size: Size,
    child: Option<Running>,
    backoff: Backoff,
    /// Stops for want of pictures, one after the other.
    hangs: u32,
    /// Due time of the next snapshot.
    due: Option<Instant>,
    why: String,
}

/// Longer sides of pictures in pixels; `None` = as configured.
#[derive(Debug, Default)]
struct Size {
    /// The size that is asked for.
    wanted: Option<u32>,
    /// The size of the plan.
    planned: Option<u32>,
    /// The size of the last picture.
    proved: Option<u32>,
    /// Ended without a picture; whether that is its fault shows when another size is tried.
    doubted: Option<u32>,
    /// Sizes that do not work.
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
    started: Instant,
    /// Pictures that came of it.
    pictures: u64,
    /// Time of its first picture.
    since: Option<Instant>,
    /// Time of its newest picture, or of its start.
    progress: Instant,
}

impl Piped {
    /// Nothing is started before the first call of `next`.
    ///
    /// # Errors
    /// Those of the planner for the configured size.
    pub(super) fn new(planner: Planner) -> Result<Self, SourceError> {
        let (plan, backoff) = (planner(None)?, Backoff::default());
        Ok(Piped {
            planner,
            plan,
            size: Size::default(),
            child: None,
            backoff,
            hangs: 0,
            due: None,
            why: "starting".into(),
        })
    }

    /// Makes the next child give pictures with a longer side of `side` pixels.
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
                    return Ok(Running { child, started: now, pictures: 0, since: None, progress: now });
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

    /// Handles the end of a child that may never have given a picture; schedules the next attempt.
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

    /// Longest wait for a picture by now.
    fn patience(&self) -> Duration {
        let longer = self.plan.patience.saturating_mul(1 << self.hangs.min(16));
        longer.min(MOST_PATIENCE.max(self.plan.patience))
    }

    /// Notes that a picture came at `now`.
    fn came(&mut self, running: &mut Running, now: Instant) {
        let since = *running.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= Backoff::HEALTHY {
            self.backoff.worked();
        }
        // Pictures that follow each other closely are those of a camera that is not slow.
        if running.pictures > 0 && now.saturating_duration_since(running.progress) < self.plan.patience / 2 {
            self.hangs = 0;
        }
        running.pictures += 1;
        running.progress = now;
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

impl Piped {
    /// [`Source::next`], which returns within about this time.
    ///
    /// # Errors
    /// As there.
    pub(super) fn poll(&mut self, frame: &mut Frame, within: Duration) -> Result<Next, SourceError> {
        let deadline = Instant::now() + within;
        let mut running = match self.child.take() {
            Some(running) => running,
            None => {
                if let Some(left) = self.backoff.remaining(Instant::now()) {
                    std::thread::sleep(left.min(within));
                    return Ok(Next::Idle(self.why.clone()));
                }
                let now = Instant::now();
                if let Some(left) =
                    self.due.map(|due| due.saturating_duration_since(now)).filter(|left| !left.is_zero())
                {
                    std::thread::sleep(left.min(within));
                    return Ok(Next::Idle("waiting for the next picture's time".into()));
                }
                self.due = None;
                self.start()?
            }
        };
        loop {
            match self.plan.cut.take(frame) {
                Some(Ok(())) => {
                    let now = Instant::now();
                    self.came(&mut running, now);
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
            if quiet >= self.patience() {
                running.child.stop();
                self.hangs += 1;
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
                    if let Some(interval) = self.plan.snapshots.filter(|_| exit.success && running.pictures == 1) {
                        self.backoff.worked();
                        self.due = running.started.checked_add(interval);
                        return Ok(Next::Idle("waiting for the next picture's time".into()));
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
}

impl Source for Piped {
    fn describe(&self) -> String {
        self.plan.describe.clone()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        self.poll(frame, TICK)
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

/// Longest wait for a picture at `fps` before the child is taken for hung: three pictures, but never under 15 s (a
/// network camera may take that long to answer and to send its first key frame).
pub(super) fn patience(fps: f64) -> Duration {
    Duration::from_secs_f64((3.0 / fps.max(LEAST_FPS)).max(15.0))
}

#[cfg(test)]
mod tests;
