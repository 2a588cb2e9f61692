//! A pipeline with its input looked up in the configuration.

use std::time::Duration;

use super::config::Config;
use super::input::{Crops, Input};
use super::misfit::{Misfit, misfit};
use super::motion;
use super::sample::Sample;
use crate::frame::{PixelFormat, SourceName, Spec, TaskKind};
use crate::preprocess::Region;
use crate::source;

/// Side in pixels of the picture that inferences on crops are timed with.
const CROP_SIDE: u32 = 224;

/// A pipeline whose input has been looked up in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// As configured.
    pub config: Config,
    /// Its input.
    pub feed: Feed,
}

/// Input of a pipeline, looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// A source.
    Source {
        /// The name under which pipelines share it; `None` = it belongs to one pipeline.
        name: Option<SourceName>,
        /// As configured.
        source: source::Config,
    },
    /// Crops of another pipeline's detections.
    Crops {
        /// As configured.
        crops: Crops,
        /// The source at the head of the chain of pipelines.
        head: source::Config,
    },
}

impl Resolved {
    /// A pipeline with a source of its own; `None` where another table has to be looked up.
    pub fn inline(config: Config) -> Option<Resolved> {
        match &config.source {
            Input::Inline(source) => {
                let feed = Feed::Source { name: None, source: source.clone() };
                Some(Resolved { config, feed })
            }
            Input::Named(_) | Input::Crops(_) => None,
        }
    }
}

impl Feed {
    /// The source that frames come from in the end.
    pub fn source(&self) -> &source::Config {
        match self {
            Feed::Source { source, .. } => source,
            Feed::Crops { head, .. } => head,
        }
    }

    /// Time between two frames at full work; zero where it is not known.
    pub fn frame_interval(&self) -> Duration {
        self.source().kind().frame_interval()
    }

    /// True if a pipeline whose task is of this kind looks only while something moves. Where the configuration does not say it, that is
    /// a detector on a camera: other tasks are expected to answer regularly, and what is in a file is to be looked at.
    pub fn is_gated(&self, motion: &motion::Config, kind: TaskKind) -> bool {
        let Feed::Source { source, .. } = self else { return false };
        let source = source.kind();
        let usual = kind.has_objects() && source.is_camera();
        motion.enabled.unwrap_or(usual) && !source.frames().are_windows()
    }

    /// Output that a model, whose items have `item_len` values, cannot take, as far as that is known before the first frame.
    pub fn misfit(&self, spec: &Spec, item_len: usize) -> Option<Misfit> {
        match (self, spec) {
            (Feed::Source { source, .. }, _) => misfit(source, spec, item_len),
            (Feed::Crops { .. }, Spec::Image(_)) => None,
            (Feed::Crops { .. }, Spec::Window(_) | Spec::Readings) => {
                let reason = "crops are pictures, and readings are wanted".into();
                Some(Misfit { key: "source", reason })
            }
        }
    }

    /// Kind and size of the frames; where the size is not known, no smaller than `least`, `[width, height]`.
    pub(crate) fn sample(&self, regions: &[Region], least: [u32; 2]) -> Sample {
        match self {
            Feed::Source { source, .. } => Sample::of(source, regions, least),
            Feed::Crops { .. } => Sample::Picture(PixelFormat::Rgb8, [CROP_SIDE; 2]),
        }
    }

    /// `[width, height]` of the smaller pictures that a pipeline with `regions` can ask for, largest first. Crops are out of
    /// what the other pipeline asks for.
    pub(crate) fn capture_sizes(&self, regions: &[Region]) -> Vec<[u32; 2]> {
        match self {
            Feed::Source { source, .. } => source.kind().capture_sizes(!regions.is_empty()),
            Feed::Crops { .. } => Vec::new(),
        }
    }
}
