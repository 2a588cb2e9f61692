//! A camera behind a child process that can decode less while nothing moves, and changes over without a gap.
//!
//! ```text
//!                       a picture of the successor                       a picture of the successor
//!   all frames ──────▶ both children run ──────▶ key frames only ──────▶ both children run ──────▶ all frames
//!          set_idle(true)                                 set_idle(false)
//! ```
//!
//! What a child decodes is fixed when it is started, and one that is started needs a connection and the stream's next key frame, seconds
//! in which nothing would be seen. So the one before goes on until its successor has given a picture. A camera that has no second connection to
//! give is started anew for all frames, and stays with them for a while where key frames were wanted.

use std::time::{Duration, Instant};

use super::contract::{Next, Source, SourceError};
use super::piped::{Piped, TICK};
use crate::frame::Frame;

/// Key frames that are further apart than this are too few to see by whether anything moves.
const MOST_APART: Duration = Duration::from_secs(4);
/// A change to key frames that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// Wait for one child while the other one runs too.
const TURN: Duration = Duration::from_millis(20);
/// A successor without a picture for this long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Opens the camera for key frames only (`true`), or for all frames.
pub(super) type Opener = Box<dyn Fn(bool) -> Result<Piped, SourceError> + Send>;

/// The source.
pub(super) struct Relay {
    open: Opener,
    current: Piped,
    /// `current` gives key frames only.
    keys_only: bool,
    successor: Option<(Piped, Instant)>,
    /// Key frames are enough.
    idle: bool,
    /// Longer side of the pictures that are asked for.
    side: Option<u32>,
    /// Time of the newest picture.
    newest: Option<Instant>,
    /// A change to key frames is not tried before this.
    not_before: Option<Instant>,
    /// Key frames are too rare.
    refused: bool,
}

impl Relay {
    /// Begins with all frames.
    ///
    /// # Errors
    /// Those of `open`.
    pub(super) fn new(open: Opener) -> Result<Relay, SourceError> {
        let current = open(false)?;
        Ok(Relay {
            open,
            current,
            keys_only: false,
            successor: None,
            idle: false,
            side: None,
            newest: None,
            not_before: None,
            refused: false,
        })
    }

    /// Decides on a successor at `now`.
    fn plan(&mut self, now: Instant) {
        if self.keys_only
            && !self.refused
            && self.newest.is_some_and(|at| now.saturating_duration_since(at) > MOST_APART)
        {
            tracing::info!("{}: key frames are too rare, all frames are decoded from now on", self.current.describe());
            self.refused = true;
        }
        let wanted = self.idle && !self.refused;
        if wanted == self.keys_only {
            self.successor = None;
            return;
        }
        let waits = wanted && (self.newest.is_none() || self.not_before.is_some_and(|at| now < at));
        if self.successor.is_none() && !waits {
            match (self.open)(wanted) {
                Ok(mut piped) => {
                    piped.set_capture(self.side);
                    self.successor = Some((piped, now));
                }
                Err(error) => self.failed(&error.to_string(), now),
            }
        }
    }

    /// The successor gives nothing.
    fn failed(&mut self, reason: &str, now: Instant) {
        self.successor = None;
        if !self.keys_only {
            self.not_before = Some(now + AGAIN);
            tracing::debug!(reason, "{}: no second connection for key frames", self.current.describe());
            return;
        }
        if let Ok(mut piped) = (self.open)(false) {
            tracing::debug!(reason, "{}: started anew for all frames", self.current.describe());
            piped.set_capture(self.side);
            (self.current, self.keys_only) = (piped, false);
            self.not_before = Some(now + AGAIN);
        }
    }

    /// Polls the successor; `true` if it gave a picture and took over.
    fn takes_over(&mut self, frame: &mut Frame) -> bool {
        let Some((mut successor, since)) = self.successor.take() else { return false };
        let now = Instant::now();
        match successor.poll(frame, TURN) {
            Ok(Next::Frame) => {
                (self.current, self.keys_only) = (successor, !self.keys_only);
                self.newest = Some(Instant::now());
                return true;
            }
            Ok(Next::Idle(_)) | Err(SourceError::Bad { .. }) if now.saturating_duration_since(since) < PATIENCE => {
                self.successor = Some((successor, since));
            }
            Ok(_) | Err(SourceError::Bad { .. }) => self.failed("no picture came", now),
            Err(error) => self.failed(&error.to_string(), now),
        }
        false
    }
}

impl Source for Relay {
    fn describe(&self) -> String {
        self.current.describe()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let until = Instant::now() + TICK;
        self.plan(Instant::now());
        while self.successor.is_some() {
            if self.takes_over(frame) {
                return Ok(Next::Frame);
            }
            match self.current.poll(frame, TURN) {
                Ok(Next::Idle(_)) if Instant::now() < until => {}
                answer => return self.told(answer),
            }
        }
        let answer = self.current.poll(frame, TICK);
        self.told(answer)
    }

    fn set_capture(&mut self, side: Option<u32>) {
        self.side = side;
        self.successor = None;
        self.current.set_capture(side);
    }

    fn set_idle(&mut self, idle: bool) {
        self.idle = idle;
    }
}

impl Relay {
    fn told(&mut self, answer: Result<Next, SourceError>) -> Result<Next, SourceError> {
        match answer {
            Ok(Next::Frame) => self.newest = Some(Instant::now()),
            // It is away for whatever it decodes: the time since the newest picture says nothing of key frames.
            Err(SourceError::Lost { .. }) => self.newest = None,
            _ => {}
        }
        answer
    }
}
