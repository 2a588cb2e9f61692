//! The tiles of a frame: each through the model by itself, what is found joined into one frame's objects.
//!
//! Running and joining are apart: whoever finds what is in a tile, [`Tiling::add`] takes it, in pixels of the tile, as a model gives it for a
//! picture that is that tile. `stages` runs them.

use crate::frame::{Detection, Outcome, TaskKind, Tile};
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

    /// Inferences for a frame at most.
    pub(super) fn most_runs(&self) -> u32 {
        self.tiles.most_runs()
    }

    /// Takes a `[width, height]` frame as the present one, for a model whose input is `[height, width]` pixels.
    pub(super) fn begin(&mut self, picture: [u32; 2], input: [usize; 2]) {
        self.picture = picture;
        self.parts = self.tiles.of(picture, input);
        self.found.clear();
    }

    /// Parts of the present frame, the whole of it first; none where there is no frame.
    pub(super) fn parts(&self) -> &[Tile] {
        &self.parts
    }

    /// Forgets what was found in the present frame.
    pub(super) fn find_anew(&mut self) {
        self.found.clear();
    }

    /// Takes what was found in a part of the present frame, in pixels of that part.
    pub(super) fn add(&mut self, tile: Tile, found: Vec<Detection>) {
        self.found.push((tile, found));
    }

    /// Takes no frame as the present one: the model's input is written by other means.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.found.clear();
    }

    /// Joins what was found in the present frame, which is none any more.
    pub(super) fn joined(&mut self) -> TaskOutput {
        let mut detections = join::merge_tiles(self.picture, self.found.drain(..), self.iou, self.min_score);
        detections.truncate(self.most);
        let faint = detections.split_off(detections.partition_point(|d| d.score >= self.min_score));
        let outcome = Outcome::objects(TaskKind::Detect, detections, self.picture);
        self.parts.clear();
        TaskOutput { faint, ..outcome.into() }
    }
}
