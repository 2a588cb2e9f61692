//! Objects by labels: average precision and recall by the rules of COCO.
//!
//! Boxes are matched picture by picture when they are added, for every threshold and range of areas; what is kept of a box is its score and
//! whether it was right.

use std::collections::BTreeMap;

use serde::Serialize;

/// Thresholds of IoU, 0.50 to 0.95.
const THRESHOLDS: usize = 10;
/// Places of the curve of precision over recall, 0.00 to 1.00.
const RECALLS: usize = 101;
/// Boxes of one class in one picture that count.
const MOST: usize = 100;
/// Ranges of areas in square pixels, both ends included: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// Right box of one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Index of its class.
    pub class: usize,
    /// `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Area in square pixels; of an outline, where there is one.
    pub area: f64,
    /// Many objects in one box, of which each may be found any number of times.
    pub crowd: bool,
}

/// Box that a model found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Index of its class.
    pub class: usize,
    /// `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Score; higher is more certain.
    pub score: f64,
}

/// Record of a box: a bit for each threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Verdict {
    matched: u16,
    ignored: u16,
}

#[derive(Clone, Copy, Debug)]
struct Judged {
    picture: u32,
    /// Place in its picture and class by score.
    rank: u8,
    score: f64,
    by_area: [Verdict; AREAS.len()],
}

#[derive(Clone, Debug, Default)]
struct Class {
    found: Vec<Judged>,
    /// Objects that count, by picture and range of areas.
    wanted: Vec<(u32, [u32; AREAS.len()])>,
}

/// Boxes of a detector beside the right ones.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pictures: u32,
    classes: BTreeMap<usize, Class>,
}

/// Figures of COCO, 0 to 1 each; `None` where there is no object of the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Precision {
    /// Average precision over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// At IoU 0.50.
    pub ap50: Option<f64>,
    /// At IoU 0.75.
    pub ap75: Option<f64>,
    /// Of objects up to 32 × 32 pixels.
    pub ap_small: Option<f64>,
    /// Of objects up to 96 × 96 pixels.
    pub ap_medium: Option<f64>,
    /// Of larger ones.
    pub ap_large: Option<f64>,
    /// Average recall with 1 box a class and picture.
    pub ar1: Option<f64>,
    /// With 10.
    pub ar10: Option<f64>,
    /// With 100.
    pub ar100: Option<f64>,
}

/// Boxes at IoU 0.50 from some score on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AtScore {
    /// Objects that were found.
    pub right: u64,
    /// Boxes that are none of the objects.
    pub wrong: u64,
    /// Objects that were not found.
    pub missed: u64,
}

impl Objects {
    /// Adds a picture.
    pub fn add(&mut self, truths: &[Truth], found: &[Found]) {
        let picture = self.pictures;
        self.pictures += 1;
        let mut parts: BTreeMap<usize, (Vec<Truth>, Vec<Found>)> = BTreeMap::new();
        truths.iter().for_each(|truth| parts.entry(truth.class).or_default().0.push(*truth));
        found.iter().for_each(|found| parts.entry(found.class).or_default().1.push(*found));
        for (class, (truths, mut found)) in parts {
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(MOST);
            let kept = self.classes.entry(class).or_default();
            let mut judged: Vec<Judged> = Vec::with_capacity(found.len());
            for (rank, found) in found.iter().enumerate() {
                judged.push(Judged { picture, rank: rank as u8, score: found.score, by_area: Default::default() });
            }
            let mut wanted = [0; AREAS.len()];
            for (area, range) in AREAS.iter().enumerate() {
                wanted[area] = judge(&truths, &found, *range, |index, verdict| judged[index].by_area[area] = verdict);
            }
            kept.found.append(&mut judged);
            kept.wanted.push((picture, wanted));
        }
    }

    /// Pictures that were added.
    pub fn pictures(&self) -> usize {
        self.pictures as usize
    }

    /// The figures.
    pub fn precision(&self) -> Precision {
        let all = self.curves(0, MOST, None);
        let at = |threshold: usize| mean(all.iter().map(|class| class[threshold].0));
        let whole = |area| mean(self.curves(area, MOST, None).iter().flatten().map(|(precision, _)| *precision));
        let recall = |most| mean(self.curves(0, most, None).iter().flatten().map(|(_, recall)| *recall));
        Precision {
            ap: mean(all.iter().flatten().map(|(precision, _)| *precision)),
            ap50: at(0),
            ap75: at(5),
            ap_small: whole(1),
            ap_medium: whole(2),
            ap_large: whole(3),
            ar1: recall(1),
            ar10: recall(10),
            ar100: recall(MOST),
        }
    }

    /// Average precision over IoU 0.50 to 0.95 with each picture taken as often as `weights` says, 0 to 1.
    pub fn weighted(&self, weights: &[u32]) -> Option<f64> {
        mean(self.curves(0, MOST, Some(weights)).iter().flatten().map(|(precision, _)| *precision))
    }

    /// Average precision of each class over IoU 0.50 to 0.95 with its objects: `(class, objects, precision)`.
    pub fn each(&self) -> Vec<(usize, u64, f64)> {
        let one = |(class, kept): (&usize, &Class)| {
            let objects = kept.wanted.iter().map(|(_, wanted)| u64::from(wanted[0])).sum();
            let curve = curve(kept, 0, MOST, None)?;
            Some((*class, objects, mean(curve.iter().map(|(precision, _)| *precision))?))
        };
        self.classes.iter().filter_map(one).collect()
    }

    /// Boxes at IoU 0.50 with a score of at least `least`.
    pub fn at_score(&self, least: f64) -> AtScore {
        let mut sum = AtScore::default();
        let mut wanted = 0;
        for class in self.classes.values() {
            wanted += class.wanted.iter().map(|(_, wanted)| u64::from(wanted[0])).sum::<u64>();
            for one in class.found.iter().filter(|one| one.score >= least && one.by_area[0].ignored & 1 == 0) {
                let right = one.by_area[0].matched & 1 == 1;
                sum.right += u64::from(right);
                sum.wrong += u64::from(!right);
            }
        }
        sum.missed = wanted - sum.right;
        sum
    }

    fn curves(&self, area: usize, most: usize, weights: Option<&[u32]>) -> Vec<[(f64, f64); THRESHOLDS]> {
        self.classes.values().filter_map(|class| curve(class, area, most, weights)).collect()
    }
}

/// Matches the boxes of one class in one picture, the best first; returns how many objects count.
fn judge(truths: &[Truth], found: &[Found], range: [f64; 2], mut give: impl FnMut(usize, Verdict)) -> u32 {
    let within = |area: f64| area >= range[0] && area <= range[1];
    // Those that do not count come last: a box is theirs only where no other object is.
    let mut truths: Vec<(&Truth, bool)> =
        truths.iter().map(|truth| (truth, truth.crowd || !within(truth.area))).collect();
    truths.sort_by_key(|(_, ignored)| *ignored);
    let mut taken = vec![0_u16; truths.len()];
    for (index, one) in found.iter().enumerate() {
        let overlaps: Vec<f64> = truths.iter().map(|(truth, _)| overlap(one, truth)).collect();
        let mut verdict = Verdict::default();
        for threshold in 0..THRESHOLDS {
            let (bit, mut best, mut at) = (1 << threshold, iou_of(threshold).min(1.0 - 1e-10), None);
            for (place, (truth, ignored)) in truths.iter().enumerate() {
                if taken[place] & bit != 0 && !truth.crowd {
                    continue;
                }
                if at.is_some_and(|at: usize| !truths[at].1) && *ignored {
                    break;
                }
                if overlaps[place] >= best {
                    (best, at) = (overlaps[place], Some(place));
                }
            }
            match at {
                Some(at) => {
                    taken[at] |= bit;
                    verdict.matched |= bit;
                    verdict.ignored |= if truths[at].1 { bit } else { 0 };
                }
                None if !within(one.bbox[2] * one.bbox[3]) => verdict.ignored |= bit,
                None => {}
            }
        }
        give(index, verdict);
    }
    truths.iter().filter(|(_, ignored)| !ignored).count() as u32
}

fn iou_of(threshold: usize) -> f64 {
    0.5 + threshold as f64 * ((0.95 - 0.5) / (THRESHOLDS - 1) as f64)
}

/// Intersection over union; over the box's own area for a crowd.
fn overlap(found: &Found, truth: &Truth) -> f64 {
    let ([x, y, w, h], [tx, ty, tw, th]) = (found.bbox, truth.bbox);
    let width = (x + w).min(tx + tw) - x.max(tx);
    let height = (y + h).min(ty + th) - y.max(ty);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let common = width * height;
    common / if truth.crowd { w * h } else { w * h + tw * th - common }
}

/// Average precision and highest recall of one class at each threshold; `None` without objects.
fn curve(class: &Class, area: usize, most: usize, weights: Option<&[u32]>) -> Option<[(f64, f64); THRESHOLDS]> {
    let weight = |picture: u32| weights.map_or(1, |weights| weights[picture as usize]);
    let wanted: u64 = class.wanted.iter().map(|(picture, wanted)| u64::from(wanted[area] * weight(*picture))).sum();
    if wanted == 0 {
        return None;
    }
    let mut order: Vec<&Judged> =
        class.found.iter().filter(|one| usize::from(one.rank) < most && weight(one.picture) > 0).collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut curves = [(0.0, 0.0); THRESHOLDS];
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(order.len());
    for (threshold, out) in curves.iter_mut().enumerate() {
        let bit = 1 << threshold;
        let (mut right, mut wrong) = (0_u64, 0_u64);
        points.clear();
        for one in &order {
            let verdict = one.by_area[area];
            if verdict.ignored & bit == 0 {
                let times = u64::from(weight(one.picture));
                if verdict.matched & bit != 0 { right += times } else { wrong += times }
            }
            let (right, all) = (right as f64, (right + wrong) as f64);
            points.push((right / wanted as f64, right / (all + f64::EPSILON)));
        }
        out.1 = points.last().map_or(0.0, |last| last.0);
        // Precision never rises again with recall.
        let mut highest = 0.0_f64;
        for point in points.iter_mut().rev() {
            highest = highest.max(point.1);
            point.1 = highest;
        }
        let at = |step: usize| {
            let recall = step as f64 * (1.0 / (RECALLS - 1) as f64);
            points.get(points.partition_point(|point| point.0 < recall)).map_or(0.0, |point| point.1)
        };
        out.0 = (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64;
    }
    Some(curves)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
