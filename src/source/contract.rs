//! The contract between a source and its thread.

use std::sync::mpsc::Receiver;

use crate::frame::{Frame, Incoming};
use crate::sys::Roots;

/// A producer of frames.
pub trait Source: Send {
    /// The input, for people: `v4l2 /dev/video0 640x480 MJPG`.
    fn describe(&self) -> String;

    /// Fills `frame` with the next picture or window, overwriting what it held and reusing its buffers, and sets
    /// `captured`, `time`, `truth`, `origin` and `payload` (`seq` is set by the caller).
    ///
    /// Returns within 500 ms, with [`Next::Idle`] when there is nothing yet, so that its thread can be stopped and the
    /// watchdog knows why nothing comes. A source paces itself: a camera by its driver, a file by `fps`.
    ///
    /// # Errors
    /// [`SourceError::Bad`] for one frame that could not be read (the caller counts it and goes on);
    /// [`SourceError::Lost`] when the device or child went away (the source itself reopens it with back-off in later
    /// calls, answering `Idle` in between); [`SourceError::Fatal`] when it can never work again.
    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError>;

    /// True for a source that does not wait for its reader: an untaken frame gives way to a newer one. A file that is read
    /// as fast as it is taken waits, and loses nothing.
    fn live(&self) -> bool {
        true
    }

    /// Asks for pictures of another size from the next frame on: `side` is the longer side in pixels of one of
    /// [`SourceKind::capture_sizes`](super::SourceKind::capture_sizes), `None` = as configured. Such pictures hold their
    /// configured size in `full`. A size that the device refuses leaves the present one and is logged once. Sources that
    /// cannot do it ignore it.
    fn set_capture(&mut self, side: Option<u32>) {
        let _ = side;
    }

    /// Nothing moves (`true`), as far as the readers can tell: pictures may come more rarely, where that costs less, but without a gap when
    /// it changes. Sources that cannot do it ignore it.
    fn set_idle(&mut self, idle: bool) {
        let _ = idle;
    }

    /// Number of frames that newer ones replaced before [`Source::next`] could give them, since the last call.
    fn take_replaced(&mut self) -> u64 {
        0
    }
}

/// Result of [`Source::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// Nothing to give at the moment, and why: `waiting for the next frame`, `/dev/video0 is not there`.
    Idle(String),
    /// There will be no more (a file without `loop` was read to its end).
    End,
}

/// Failure of a source, by what its thread may do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// One frame was unreadable; the next may be fine.
    #[error("{origin}: {reason}")]
    Bad {
        /// The file, device or topic.
        origin: String,
        /// The fault of the frame.
        reason: String,
    },
    /// The device or child process went away; the source reopens it by itself.
    #[error("{origin}: {reason}")]
    Lost {
        /// The device or child.
        origin: String,
        /// The event.
        reason: String,
    },
    /// It can never work: nothing a retry would mend.
    #[error("{origin}: {reason}")]
    Fatal {
        /// The file, device or child.
        origin: String,
        /// The fault.
        reason: String,
    },
}

/// Things that a source is given beside its configuration.
#[derive(Debug, Default)]
pub struct Context {
    /// Roots of `/proc`, `/sys` and `/dev`.
    pub roots: Roots,
    /// Messages of the [subscription](super::SourceKind::subscription) that was made for the source. Bounded: when it is
    /// full, the newest is dropped and counted by the sender.
    pub incoming: Option<Receiver<Incoming>>,
    /// Waits for a file, FIFO or directory that is not there, as for a camera always; else it is an error of
    /// [`SourceKind::open`](super::SourceKind::open).
    pub waits: bool,
    /// Readings with a gap are passed on where the configuration does not say what becomes of them: the reader looks for gaps.
    pub gaps: bool,
    /// Channels that the model names, which a source of numbers gives by these names; empty = it names none, or there is no
    /// model.
    pub channels: Vec<String>,
}
