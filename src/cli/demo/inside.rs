//! Events of this process for its own screen: the messages that others get, and the latest picture.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::blocks::Picture;
use crate::frame::{Emission, Incoming, Output, Payload, Sink};
use crate::preprocess;
use crate::publish::{Message, Publisher, Stats};

/// Messages that wait to be taken in; beyond, they are dropped and counted. The screen takes them ten times a second.
const WAITING: usize = 512;
/// Time between two pictures.
const PICTURE_EVERY: Duration = Duration::from_millis(200);

/// A publisher whose messages stay in the process.
pub struct Inside {
    messages: SyncSender<Incoming>,
    missed: AtomicU64,
}

impl Inside {
    /// A publisher, and the end at which its messages come out.
    pub fn new() -> (Arc<Inside>, Receiver<Incoming>) {
        let (messages, taken) = sync_channel(WAITING);
        (Arc::new(Inside { messages, missed: AtomicU64::new(0) }), taken)
    }
}

impl Publisher for Inside {
    fn publish(&self, message: Message) {
        let Message { topic, payload, .. } = message;
        if self.messages.try_send(Incoming { topic, payload, retain: false }).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }

    fn stats(&self) -> Stats {
        Stats { dropped: self.missed.load(Relaxed), ..Stats::default() }
    }

    fn flush(&self, _deadline: Instant) -> bool {
        true
    }
}

/// The latest picture of one pipeline.
pub struct Camera {
    pipeline: String,
    /// `[x, y, width, height]` of the part that is shown, in pixels.
    part: [f32; 4],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Option<Arc<Output>>,
    due: Option<Instant>,
}

impl Camera {
    /// The `part` of the pictures of `pipeline`.
    pub fn new(pipeline: &str, part: [f32; 4]) -> Camera {
        Camera { pipeline: pipeline.into(), part, state: Mutex::default() }
    }

    /// The latest picture, if there is one since the last call.
    pub fn take(&self) -> Option<Picture> {
        let output = lock(&self.state).waiting.take()?;
        let frame = output.frame.as_deref()?;
        let Payload::Image(image) = &frame.payload else { return None };
        let mut rgb = Vec::new();
        let size = preprocess::shared_to_rgb(frame, image, &mut rgb).ok()?;
        // The part is that of the whole picture, of which a capture may be a smaller copy.
        let full = image.full.unwrap_or(size);
        let scale = [0, 1].map(|axis: usize| size[axis] as f32 / full[axis].max(1) as f32);
        let [x, y, width, height] = self.part;
        Some(Picture::part(&rgb, size, [x * scale[0], y * scale[1], width * scale[0], height * scale[1]]))
    }
}

impl Sink for Camera {
    fn take(&self, emission: &Emission) {
        let Emission::Output(output) = emission else { return };
        if output.frame.is_some() && *output.pipeline == *self.pipeline {
            let mut state = lock(&self.state);
            (state.waiting, state.due) = (Some(output.clone()), Some(Instant::now() + PICTURE_EVERY));
        }
    }

    fn wants_frames(&self, pipeline: &str) -> bool {
        pipeline == self.pipeline && lock(&self.state).due.is_none_or(|due| Instant::now() >= due)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
