//! A source that cuts the detections of another pipeline out of the frames that they were found in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::cascade::{Job, JobQueue, Taken};
use crate::frame::{Frame, Parent, PipelineName, SharedFrame};
use crate::preprocess::Cropper;
use crate::source::{Next, Source, SourceError};

/// A source answers within 500 ms.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// Crops of another pipeline's detections.
///
/// It can wait, so that each crop of a frame is looked at; between the two pipelines the newest frame wins ([`JobQueue`]).
pub(super) struct Crops {
    parent: PipelineName,
    pad: f32,
    queue: Arc<JobQueue>,
    cropper: Cropper,
    /// The frame at work and what is left of it.
    frame: Option<Arc<SharedFrame>>,
    full: [u32; 2],
    left: VecDeque<(Parent, [f32; 4])>,
}

impl Crops {
    /// Crops of what `parent` leaves in `queue`, each widened by `pad` of its box on every side.
    pub(super) fn new(parent: PipelineName, pad: f32, queue: Arc<JobQueue>) -> Crops {
        Crops { parent, pad, queue, cropper: Cropper::default(), frame: None, full: [0; 2], left: VecDeque::new() }
    }

    /// Cuts the next crop of the frame at work into `frame`; `None` when nothing is left of it.
    fn cut(&mut self, frame: &mut Frame) -> Option<Result<Next, SourceError>> {
        let shared = self.frame.clone()?;
        loop {
            let Some((parent, bbox)) = self.left.pop_front() else {
                self.frame = None;
                return None;
            };
            match self.cropper.crop(&shared, bbox, self.pad, self.full, frame.image_mut()) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    self.left.clear();
                    return Some(Err(SourceError::Bad { origin: shared.origin.clone(), reason: error.to_string() }));
                }
            }
            (frame.captured, frame.time, frame.truth) = (shared.captured, shared.time, None);
            frame.origin.clone_from(&shared.origin);
            frame.parent = Some(parent);
            return Some(Ok(Next::Frame));
        }
    }
}

impl Source for Crops {
    fn describe(&self) -> String {
        format!("crops of pipeline {:?}", self.parent.as_str())
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        loop {
            if let Some(cut) = self.cut(frame) {
                return cut;
            }
            match self.queue.take(ANSWER_WITHIN) {
                Taken::Job(Job { frame, full, crops }) => {
                    (self.frame, self.full) = (Some(frame), full);
                    self.left = crops.into();
                }
                Taken::Nothing => {
                    return Ok(Next::Idle(format!("waiting for a detection of pipeline {:?}", self.parent.as_str())));
                }
                Taken::Closed => return Ok(Next::End),
            }
        }
    }

    fn live(&self) -> bool {
        false
    }

    fn take_replaced(&mut self) -> u64 {
        self.queue.take_replaced()
    }
}
