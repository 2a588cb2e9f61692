//! Pictures that were asked for: the next frame of a pipeline, with its results, as a JPEG.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::snapshots::picture::{PictureError, decoded};
use super::state::lock;
use crate::draw::{self, Corners};
use crate::frame::{Emission, Output, Sink};

/// A sink that takes the next frame of each pipeline that was asked for, and draws it on a thread of its own: one picture at a time; a pipeline
/// whose frame comes meanwhile waits for its next one.
#[derive(Clone)]
pub(super) struct SnapshotRequests(Arc<Inner>);

struct Inner {
    /// Pipelines whose next frame is wanted, with the regions that are drawn on it; one entry for each.
    wanted: Mutex<BTreeMap<String, Vec<Corners>>>,
    /// Pictures that were not fetched yet; at most one for each pipeline.
    taken: Mutex<BTreeMap<String, Taken>>,
    drawing: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// A picture, or the reason for which there is none.
pub(super) type Taken = Result<Picture, SnapshotError>;

/// A JPEG of a frame with its results.
#[derive(Debug)]
pub(super) struct Picture {
    /// The JPEG.
    pub(super) jpeg: Vec<u8>,
    /// Number of the frame in its source.
    pub(super) seq: u64,
    /// Time of capture.
    pub(super) time: std::time::SystemTime,
    /// `[width, height]` in pixels.
    pub(super) size: [i64; 2],
}

/// Reason for which there is no picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// The frame is no picture, or damaged: the next one may do.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The system gives no thread; later it may.
    #[error("no thread to draw it: {0}")]
    Thread(#[from] std::io::Error),
}

impl SnapshotRequests {
    /// No wishes yet; `wake` is called when a picture is there, and must not block.
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> SnapshotRequests {
        SnapshotRequests(Arc::new(Inner {
            wanted: Mutex::default(),
            taken: Mutex::default(),
            drawing: AtomicBool::new(false),
            wake: Box::new(wake),
        }))
    }

    /// Asks for the next frame of `pipeline`, with `regions` drawn on it.
    pub(super) fn ask(&self, pipeline: &str, regions: Vec<Corners>) {
        lock(&self.0.wanted).insert(pipeline.to_owned(), regions);
    }

    /// Takes back a wish.
    pub(super) fn forget(&self, pipeline: &str) {
        lock(&self.0.wanted).remove(pipeline);
        lock(&self.0.taken).remove(pipeline);
    }

    /// The pictures that are there, by pipeline; each is given once.
    pub(super) fn take(&self) -> BTreeMap<String, Taken> {
        std::mem::take(&mut *lock(&self.0.taken))
    }

    fn begin(&self, output: &Arc<Output>, regions: Vec<Corners>) {
        let (inner, output, pipeline) = (self.0.clone(), output.clone(), output.pipeline.to_string());
        let draw = move || {
            inner.put(output.pipeline.to_string(), drawn(&output, &regions));
            inner.drawing.store(false, Ordering::Release);
        };
        if let Err(error) = std::thread::Builder::new().name("snapshot".into()).spawn(draw) {
            self.0.put(pipeline, Err(error.into()));
            self.0.drawing.store(false, Ordering::Release);
        }
    }
}

impl Inner {
    fn put(&self, pipeline: String, taken: Taken) {
        lock(&self.taken).insert(pipeline, taken);
        (self.wake)();
    }
}

impl Sink for SnapshotRequests {
    fn take(&self, emission: &Emission) {
        let Emission::Output(output) = emission else { return };
        if output.frame.is_none() || !self.wants_frames(&output.pipeline) {
            return;
        }
        if self.0.drawing.swap(true, Ordering::AcqRel) {
            return;
        }
        match lock(&self.0.wanted).remove(output.pipeline.as_str()) {
            Some(regions) => self.begin(output, regions),
            None => self.0.drawing.store(false, Ordering::Release),
        }
    }

    fn wants_frames(&self, pipeline: &str) -> bool {
        lock(&self.0.wanted).contains_key(pipeline)
    }
}

/// The frame of `output` with its outcome. A reduced picture is drawn on as it was captured: boxes and regions, which are in pixels of the full
/// one, are scaled.
fn drawn(output: &Output, regions: &[Corners]) -> Taken {
    let (image, canvas) = decoded(output)?;
    let (size, mut regions) = (canvas.size(), regions.to_vec());
    if let Some(full) = image.full {
        let scale: [f32; 2] = std::array::from_fn(|axis| size[axis] as f32 / full[axis].max(1) as f32);
        let corners = regions.iter_mut().flatten();
        corners.for_each(|point| point.iter_mut().zip(scale).for_each(|(value, scale)| *value *= scale));
    }
    let canvas = draw::annotated(canvas, &draw::scaled(&output.outcome, size), &regions);
    let jpeg = draw::encode(&canvas, draw::Format::Jpeg).map_err(PictureError::from)?;
    Ok(Picture { jpeg, seq: output.stamp.seq, time: output.stamp.time, size: canvas.size() })
}
