//! One frame's objects out of what a detector found in its tiles.
//!
//! A detector finds an object that a tile cuts as far as it can see it: the box ends at the seam. Suppression by intersection over union
//! leaves both halves, and by intersection over the smaller box (SAHI) also takes the child in front of its mother. So only a box that
//! ends at a seam gives way to one that it mostly lies in, and two that meet at a seam become one box around both.

use crate::frame::{Detection, Tile, overlap};

/// Objects that are compared with each other at most, the most confident ones: it bounds the quadratic part.
const MOST: usize = 1000;

/// A box whose edge is nearer to a seam than this share of the tile's side ends there.
const NEAR_SEAM: f32 = 0.03;

/// A box that ends at a seam is a part of the one that more than this share of it lies in.
const PART: f32 = 0.5;

/// Two boxes that meet at a seam are of one object where their extents along it have more than this share in common.
const ALONG: f32 = 0.5;

/// Objects of a `[width, height]` frame, most confident first, out of what was found in each of its tiles, in pixels of that tile.
///
/// Boxes are cut at their tile; those without a finite size or score are left out. Of boxes of one label that overlap by more than `iou`
/// (intersection over union) one is left. What is below `min_score` joins no other and takes nothing away. Boxes alone are moved: an
/// object with key points, outlines or corners would be torn.
pub fn merge(
    frame: [u32; 2],
    found: impl IntoIterator<Item = (Tile, Vec<Detection>)>,
    iou: f32,
    min_score: f32,
) -> Vec<Detection> {
    let mut all: Vec<Piece> = Vec::new();
    for (number, (tile, detections)) in found.into_iter().enumerate() {
        all.extend(detections.into_iter().filter_map(|detection| Piece::new(frame, number, tile, detection)));
    }
    all.sort_by(|a, b| b.detection.score.total_cmp(&a.detection.score));
    all.truncate(MOST);
    let (sure, faint): (Vec<Piece>, Vec<Piece>) = all.into_iter().partition(|piece| piece.detection.score >= min_score);
    let (whole, parts): (Vec<Piece>, Vec<Piece>) = sure.into_iter().partition(|piece| !piece.is_cut());
    let mut kept: Vec<Piece> = Vec::new();
    for piece in whole {
        if !kept.iter().any(|one| one.is_same(&piece, iou)) {
            kept.push(piece);
        }
    }
    let parts: Vec<Piece> =
        parts.into_iter().filter(|part| !kept.iter().any(|one| one.is_same(part, iou) || one.has(part))).collect();
    let mut parts = joined(parts);
    // The largest first, since the others may be parts of it.
    parts.sort_by(|a, b| area(b.detection.bbox).total_cmp(&area(a.detection.bbox)));
    for part in parts {
        match kept.iter_mut().find(|one| one.is_same(&part, iou) || one.has(&part)) {
            Some(one) => one.detection.score = one.detection.score.max(part.detection.score),
            None => kept.push(part),
        }
    }
    for piece in faint {
        if !kept.iter().any(|one| one.is_same(&piece, iou) || piece.is_cut() && one.has(&piece)) {
            kept.push(piece);
        }
    }
    kept.sort_by(|a, b| b.detection.score.total_cmp(&a.detection.score));
    kept.into_iter().map(|piece| piece.detection).collect()
}

/// An object as one tile or several show it.
struct Piece {
    /// Numbers of the tiles, a bit each.
    tiles: u64,
    /// In pixels of the frame.
    detection: Detection,
    /// Sides that end at a seam: left, top, right, bottom.
    cut: [bool; 4],
}

impl Piece {
    fn new(frame: [u32; 2], number: usize, tile: Tile, mut detection: Detection) -> Option<Piece> {
        let mut cut = [false; 4];
        for axis in [0, 1] {
            let (start, side) = (tile.start(axis) as f32, tile.side(axis) as f32);
            let near = NEAR_SEAM * side;
            let [first, last] = [axis, axis + 2].map(|edge| detection.bbox[edge].clamp(0.0, side));
            cut[axis] = tile.start(axis) > 0 && first <= near;
            cut[axis + 2] = tile.start(axis).saturating_add(tile.side(axis)) < frame[axis] && side - last <= near;
            (detection.bbox[axis], detection.bbox[axis + 2]) = (start + first, start + last);
        }
        let [x1, y1, x2, y2] = detection.bbox;
        let tiles = 1_u64.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0);
        (detection.score.is_finite() && x2 > x1 && y2 > y1).then_some(Piece { tiles, detection, cut })
    }

    fn is_cut(&self) -> bool {
        self.cut.contains(&true)
    }

    fn is_like(&self, other: &Piece) -> bool {
        self.detection.label == other.detection.label
    }

    /// True if both boxes are of one object.
    fn is_same(&self, other: &Piece, iou: f32) -> bool {
        self.is_like(other) && overlap(self.detection.bbox, other.detection.bbox) > iou
    }

    /// True if `part`, which ends at a seam, mostly lies in this box.
    fn has(&self, part: &Piece) -> bool {
        let (a, b) = (self.detection.bbox, part.detection.bbox);
        let common = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
        self.is_like(part) && area(common) > PART * area(b)
    }

    /// True if both are parts of one object: along an axis this one ends at a seam behind the begin of `next`, which begins at one. What one tile
    /// shows as two objects are two.
    fn goes_on_in(&self, next: &Piece) -> bool {
        let (a, b) = (self.detection.bbox, next.detection.bbox);
        let meets = |axis: usize| {
            let (end, along) = (axis + 2, 1 - axis);
            let common = a[along + 2].min(b[along + 2]) - a[along].max(b[along]);
            let both = a[along + 2].max(b[along + 2]) - a[along].min(b[along]);
            let follows = a[axis] < b[axis] && b[axis] <= a[end] && a[end] < b[end];
            self.cut[end] && next.cut[axis] && follows && common > ALONG * both
        };
        self.is_like(next) && self.tiles & next.tiles == 0 && (meets(0) || meets(1))
    }

    /// Becomes the box around both.
    fn join(&mut self, other: Piece) {
        let (a, b) = (self.detection.bbox, other.detection.bbox);
        for side in 0..4 {
            let further_out = if side < 2 { b[side] < a[side] } else { b[side] > a[side] };
            if further_out {
                (self.detection.bbox[side], self.cut[side]) = (b[side], other.cut[side]);
            }
        }
        self.tiles |= other.tiles;
        self.detection.score = self.detection.score.max(other.detection.score);
    }
}

/// Parts with those that go on in each other made one.
fn joined(mut parts: Vec<Piece>) -> Vec<Piece> {
    let mut done: Vec<Piece> = Vec::new();
    while !parts.is_empty() {
        let mut piece = parts.remove(0);
        // What has grown may meet what it did not meet before.
        while let Some(next) = parts.iter().position(|next| piece.goes_on_in(next) || next.goes_on_in(&piece)) {
            piece.join(parts.remove(next));
        }
        done.push(piece);
    }
    done
}

/// Area of a box, 0 for one that is turned inside out.
fn area([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [u32; 2] = [180, 180];
    const WHOLE: Tile = Tile { x: 0, y: 0, width: 180, height: 180 };
    /// 2 x 2 tiles of 100 pixels, 20 of them in common.
    const TILES: [Tile; 4] = [tile(0, 0), tile(80, 0), tile(0, 80), tile(80, 80)];

    const fn tile(x: u32, y: u32) -> Tile {
        Tile { x, y, width: 100, height: 100 }
    }

    /// Part of this box of the frame that a detector finds in a tile: as much as is there.
    fn seen(tile: Tile, label: &str, score: f32, bbox: [f32; 4]) -> Option<Detection> {
        let at = |axis: usize, edge: usize| (bbox[edge] - tile.start(axis) as f32).clamp(0.0, tile.side(axis) as f32);
        let bbox = [at(0, 0), at(1, 1), at(0, 2), at(1, 3)];
        (area(bbox) > 0.0).then(|| Detection::new(label.into(), score, bbox))
    }

    /// Merges what each of `tiles` shows of the objects.
    fn merged(tiles: &[Tile], objects: &[(&str, f32, [f32; 4])]) -> Vec<(String, f32, [f32; 4])> {
        let show = |tile: &Tile| (*tile, objects.iter().filter_map(|(l, s, b)| seen(*tile, l, *s, *b)).collect());
        told(merge(FRAME, tiles.iter().map(show), 0.45, 0.5))
    }

    fn told(all: Vec<Detection>) -> Vec<(String, f32, [f32; 4])> {
        all.into_iter().map(|d| (d.label.to_string(), d.score, d.bbox)).collect()
    }

    fn one(label: &str, score: f32, bbox: [f32; 4]) -> Vec<(String, f32, [f32; 4])> {
        vec![(label.into(), score, bbox)]
    }

    #[test]
    fn an_object_on_a_seam_is_told_once() {
        let car = ("car", 0.8, [40.0, 20.0, 150.0, 60.0]);
        assert_eq!(merged(&TILES, &[car]), one("car", 0.8, car.2), "from two halves");
        assert_eq!(merged(&[WHOLE, TILES[0], TILES[1]], &[car]), one("car", 0.8, car.2), "whole and in halves");
        let tall = ("car", 0.8, [20.0, 30.0, 60.0, 170.0]);
        assert_eq!(merged(&TILES, &[tall]), one("car", 0.8, tall.2));
        // In one tile it is whole, in the other hardly to be seen.
        let mostly = ("car", 0.9, [50.0, 20.0, 97.0, 60.0]);
        assert_eq!(merged(&[TILES[1], TILES[0]], &[mostly]), one("car", 0.9, mostly.2));
        // In the common part it is whole in both.
        let common = ("car", 0.7, [83.5, 20.0, 96.0, 60.0]);
        assert_eq!(merged(&TILES, &[common]), one("car", 0.7, common.2));
    }

    #[test]
    fn an_object_on_four_corners_is_told_once() {
        for bbox in [[30.0, 30.0, 150.0, 150.0], [60.0, 30.0, 170.0, 140.0], [10.0, 50.0, 170.0, 130.0]] {
            assert_eq!(merged(&TILES, &[("car", 0.8, bbox)]), one("car", 0.8, bbox), "{bbox:?}");
        }
        // Three columns, none of which sees an end of both sides.
        let columns = [0, 40, 80].map(|x| Tile { x, y: 0, width: 50, height: 180 });
        let long = ("car", 0.8, [10.0, 60.0, 120.0, 100.0]);
        assert_eq!(merged(&columns, &[long]), one("car", 0.8, long.2));
    }

    #[test]
    fn the_score_of_a_joined_object_is_the_best_of_its_parts() {
        let halves = [
            (TILES[0], vec![Detection::new("car".into(), 0.6, [40.0, 20.0, 100.0, 60.0])]),
            (TILES[1], vec![Detection::new("car".into(), 0.9, [0.0, 22.0, 70.0, 60.0])]),
        ];
        assert_eq!(told(merge(FRAME, halves, 0.45, 0.5)), one("car", 0.9, [40.0, 20.0, 150.0, 60.0]));
    }

    #[test]
    fn neighbours_stay_two() {
        let check = |tiles: &[Tile], a: [f32; 4], b: [f32; 4]| {
            let found = merged(tiles, &[("person", 0.9, a), ("person", 0.8, b)]);
            let mut boxes: Vec<[f32; 4]> = found.iter().map(|(_, _, bbox)| *bbox).collect();
            boxes.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert_eq!(boxes, [a, b]);
        };
        // On the two sides of a seam.
        check(&TILES, [50.0, 20.0, 78.0, 60.0], [102.0, 20.0, 130.0, 60.0]);
        // Both on it, one above the other.
        check(&TILES, [40.0, 5.0, 140.0, 30.0], [41.0, 40.0, 140.0, 70.0]);
        // Both on it, partly above each other.
        check(&TILES, [40.0, 10.0, 140.0, 50.0], [44.0, 38.0, 136.0, 77.0]);
        // A child in front of an adult, in one tile.
        check(&[WHOLE, TILES[0]], [10.0, 10.0, 50.0, 75.0], [20.0, 45.0, 40.0, 75.0]);
    }

    #[test]
    fn labels_stay_apart() {
        let bbox = [40.0, 20.0, 150.0, 60.0];
        assert_eq!(merged(&TILES, &[("car", 0.9, bbox), ("truck", 0.8, bbox)]).len(), 2);
        let halves = [
            (TILES[0], vec![Detection::new("car".into(), 0.9, [40.0, 20.0, 100.0, 60.0])]),
            (TILES[1], vec![Detection::new("truck".into(), 0.8, [0.0, 20.0, 70.0, 60.0])]),
        ];
        assert_eq!(merge(FRAME, halves, 0.45, 0.5).len(), 2);
    }

    #[test]
    fn what_one_tile_shows_as_two_is_not_joined_over_it() {
        // Two cars behind each other at the right end of the left tile, one of which goes on in the right one.
        let halves = [
            (
                TILES[0],
                vec![
                    Detection::new("car".into(), 0.9, [40.0, 20.0, 100.0, 60.0]),
                    Detection::new("car".into(), 0.8, [70.0, 24.0, 100.0, 64.0]),
                ],
            ),
            (TILES[1], vec![Detection::new("car".into(), 0.7, [0.0, 20.0, 70.0, 60.0])]),
        ];
        let found = told(merge(FRAME, halves, 0.45, 0.5));
        assert_eq!(found[0].2, [40.0, 20.0, 150.0, 60.0]);
    }

    #[test]
    fn faint_objects_change_nothing_that_is_sure() {
        // A faint box around a sure half: neither is the other's.
        let found = [
            (WHOLE, vec![Detection::new("person".into(), 0.2, [20.0, 20.0, 160.0, 100.0])]),
            (TILES[0], vec![Detection::new("person".into(), 0.8, [60.0, 30.0, 100.0, 80.0])]),
        ];
        let all = told(merge(FRAME, found, 0.45, 0.5));
        assert_eq!(all.iter().map(|d| d.1).collect::<Vec<_>>(), [0.8, 0.2]);
        // A faint half of a sure object is not told.
        let found = [
            (WHOLE, vec![Detection::new("person".into(), 0.8, [60.0, 30.0, 140.0, 80.0])]),
            (TILES[0], vec![Detection::new("person".into(), 0.2, [60.0, 30.0, 100.0, 80.0])]),
        ];
        assert_eq!(merge(FRAME, found, 0.45, 0.5).len(), 1);
    }

    #[test]
    fn what_no_box_can_be_is_left_out() {
        let bad = [
            [f32::NAN, 0.0, 10.0, 10.0],
            [0.0, 0.0, f32::INFINITY, f32::NAN],
            [10.0, 10.0, 10.0, 20.0],
            [20.0, 10.0, 10.0, 20.0],
            [-50.0, 0.0, -10.0, 20.0],
            [150.0, 0.0, 190.0, 20.0],
        ];
        let mut all: Vec<Detection> = bad.map(|bbox| Detection::new("car".into(), 0.9, bbox)).to_vec();
        all.push(Detection::new("car".into(), f32::NAN, [0.0, 0.0, 10.0, 10.0]));
        // Beyond its tile it is cut.
        all.push(Detection::new("car".into(), 0.9, [-5.0, 10.0, 300.0, 40.0]));
        assert_eq!(told(merge(FRAME, [(TILES[0], all)], 0.45, 0.5)), one("car", 0.9, [0.0, 10.0, 100.0, 40.0]));
        let many = vec![Detection::new("car".into(), 0.9, [1.0, 1.0, 9.0, 9.0]); 5000];
        assert_eq!(merge(FRAME, vec![(TILES[0], many); 100], 0.45, 0.5).len(), 1);
    }
}
