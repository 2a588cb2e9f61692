//! The tiles of a frame: each through the model by itself, what is found joined into one frame's objects.
//!
//! Running and joining are apart: whoever finds what is in a tile, [`Stages::add_found`] takes it, in pixels of the tile, as a model gives it
//! for a picture that is that tile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::error::StageError;
use super::stages::Stages;
use crate::frame::{Detection, Frame, LabelCounts, Outcome, SharedFrame, Spec, TaskKind, Tile};
use crate::join;
use crate::preprocess::Tiles;
use crate::task::{self, TaskOutput};

/// Tiles of one pipeline's frames, with what was found in those of the present one.
pub(super) struct Tiling {
    tiles: Tiles,
    /// Boxes that overlap more than this are one object.
    iou: f32,
    /// Least score of an object.
    min_score: f32,
    /// Objects at most.
    most: usize,
    /// `[width, height]` of the present frame.
    picture: [u32; 2],
    /// Its parts; none while there is no frame.
    parts: Vec<Tile>,
    found: Vec<(Tile, Vec<Detection>)>,
}

impl Tiling {
    /// For a detector with these settings.
    pub(super) fn new(tiles: Tiles, objects: &task::DetectConfig) -> Tiling {
        Tiling {
            tiles,
            iou: objects.nms_iou(),
            min_score: objects.min_score(),
            most: objects.max_detections(),
            picture: [0; 2],
            parts: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Takes no frame as the present one: the model's input is written by other means.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.found.clear();
    }

    /// Joins what was found.
    fn joined(&mut self) -> TaskOutput {
        let [source_width, source_height] = self.picture;
        let mut detections = join::merge_tiles(self.picture, self.found.drain(..), self.iou, self.min_score);
        detections.truncate(self.most);
        let faint = detections.split_off(detections.partition_point(|d| d.score >= self.min_score));
        let outcome = Outcome::Detect {
            task: TaskKind::Detect,
            detections,
            counts: LabelCounts::new(),
            zones: BTreeMap::new(),
            lines: BTreeMap::new(),
            source_width,
            source_height,
        };
        TaskOutput { faint, ..outcome.into() }
    }
}

impl Stages {
    /// Inferences for one frame at most: more than one where it is looked at in tiles.
    pub fn most_runs(&self) -> u32 {
        self.tiling.as_ref().map_or(1, |tiling| tiling.tiles.most_runs())
    }

    /// Parts of the frame that was prepared, the whole of it first; none where frames are not looked at in tiles.
    pub fn tiles(&self) -> &[Tile] {
        self.tiling.as_ref().map_or(&[], |tiling| &tiling.parts)
    }

    /// Takes a frame as the one whose tiles are looked at; one with several readers (`shared`) is decoded at most once for all of them. False
    /// where frames are not looked at in tiles.
    ///
    /// # Errors
    /// [`StageError::Preprocess`]; there is no present frame then.
    pub(super) fn prepare_tiles(
        &mut self,
        frame: &Frame,
        shared: Option<&Arc<SharedFrame>>,
    ) -> Result<bool, StageError> {
        let Some(tiling) = &mut self.tiling else { return Ok(false) };
        tiling.clear();
        tiling.picture = self.preprocessor.hold(frame, shared)?;
        if let Spec::Image(spec) = &self.spec {
            tiling.parts = tiling.tiles.of(tiling.picture, [spec.height, spec.width]);
        }
        Ok(true)
    }

    /// Objects in one tile of the frame that was prepared, in pixels of the tile, with those that are too uncertain to be told.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn find_in(&mut self, tile: Tile) -> Result<Vec<Detection>, StageError> {
        let geometry = self.preprocessor.write_tile(tile, self.plan.input_mut(0))?;
        if let Some(kept) = self.geometry.first_mut() {
            kept.clear();
            kept.push(geometry);
        }
        self.plan.run_by(None)?;
        let output = self.with_input(0, Duration::ZERO, SystemTime::UNIX_EPOCH, |task, input| task.run(input))?;
        let mut found = match output.outcome {
            Outcome::Detect { detections, .. } => detections,
            _ => Vec::new(),
        };
        found.extend(output.faint);
        Ok(found)
    }

    /// Takes what was found in a tile of the frame that was prepared, in pixels of the tile.
    pub fn add_found(&mut self, tile: Tile, found: Vec<Detection>) {
        if let Some(tiling) = &mut self.tiling {
            tiling.found.push((tile, found));
        }
    }

    /// Runs the model over every tile of the frame that was prepared. False where there is none.
    ///
    /// # Errors
    /// [`StageError`].
    pub(super) fn infer_tiles(&mut self) -> Result<bool, StageError> {
        let Some(tiling) = &mut self.tiling else { return Ok(false) };
        tiling.found.clear();
        let parts = tiling.parts.clone();
        for tile in &parts {
            let found = self.find_in(*tile)?;
            self.add_found(*tile, found);
        }
        Ok(!parts.is_empty())
    }

    /// The objects of the frame out of what was found in its tiles; the frame is let go. `None` where there are no tiles.
    pub(super) fn join_tiles(&mut self) -> Option<TaskOutput> {
        let tiling = self.tiling.as_mut().filter(|tiling| !tiling.parts.is_empty())?;
        self.preprocessor.let_go();
        let joined = tiling.joined();
        tiling.clear();
        Some(joined)
    }
}
