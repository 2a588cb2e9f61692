//! Figures of trackers against the truth: CLEAR MOT (Bernardin, Stiefelhagen: Evaluating multiple object tracking performance, 2008) and
//! IDF1 (Ristani et al.: Performance measures and a data set for multi-target, multi-camera tracking, 2016).

use std::collections::BTreeMap;

use super::assign::assign;

/// Least overlap (IoU) of a box with the true one.
pub const OVERLAP: f32 = 0.5;

/// A box with a number.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    pub id: u64,
    pub bbox: [f32; 4],
}

/// A true object in one frame.
#[derive(Clone, Copy, Debug)]
pub struct True {
    pub id: u64,
    pub bbox: [f32; 4],
    /// Hardly visible: neither a miss if it is not followed, nor false if it is.
    pub ignored: bool,
}

/// Intersection over union of two boxes.
pub fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let both = intersection(a, b);
    let all = area(a) + area(b) - both;
    if all > 0.0 { both / all } else { 0.0 }
}

fn intersection(a: [f32; 4], b: [f32; 4]) -> f32 {
    (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0)
}

fn area([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

/// Sums over the frames of one or more sequences; sequences are added up by [`Sums::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Boxes of true objects.
    pub truth: u64,
    /// Boxes that were given.
    pub given: u64,
    pub matches: u64,
    /// Sum of the overlaps of all matches.
    pub overlap: f64,
    pub misses: u64,
    pub false_boxes: u64,
    pub switches: u64,
    pub fragmentations: u64,
    /// Boxes with the number that fits their object's best over the whole sequence.
    pub identity_true: u64,
}

impl Sums {
    /// 1 less the share of misses, false boxes and switches of the true boxes; may be below 0.
    pub fn mota(&self) -> f64 {
        1.0 - (self.misses + self.false_boxes + self.switches) as f64 / self.truth.max(1) as f64
    }

    /// Mean overlap of matches.
    pub fn motp(&self) -> f64 {
        self.overlap / self.matches.max(1) as f64
    }

    /// F1 of boxes with the right number.
    pub fn idf1(&self) -> f64 {
        2.0 * self.identity_true as f64 / (self.truth + self.given).max(1) as f64
    }

    pub fn add(&mut self, other: &Sums) {
        self.truth += other.truth;
        self.given += other.given;
        self.matches += other.matches;
        self.overlap += other.overlap;
        self.misses += other.misses;
        self.false_boxes += other.false_boxes;
        self.switches += other.switches;
        self.fragmentations += other.fragmentations;
        self.identity_true += other.identity_true;
    }
}

/// The frames of one sequence as they come.
#[derive(Debug, Default)]
pub struct Accumulator {
    sums: Sums,
    /// The number that each true object had last.
    last: BTreeMap<u64, u64>,
    /// True objects that had been followed and now are not.
    lost: BTreeMap<u64, bool>,
    /// Frames in which a true object and a number overlap.
    together: BTreeMap<(u64, u64), u64>,
    /// Matches of each number with each true object, those that are ignored too.
    votes: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// Frames of each number.
    frames: BTreeMap<u64, u64>,
}

impl Accumulator {
    pub fn frame(&mut self, truth: &[True], given: &[Numbered]) {
        let pairs = self.matched(truth, given);
        let mut of_truth = vec![None; truth.len()];
        let mut counts = vec![true; given.len()];
        for &(t, g) in &pairs {
            of_truth[t] = Some(g);
            *self.votes.entry(given[g].id).or_default().entry(truth[t].id).or_default() += 1;
            counts[g] = !truth[t].ignored;
        }
        let taken: Vec<bool> = (0..given.len()).map(|g| pairs.iter().any(|pair| pair.1 == g)).collect();
        for (g, box_) in given.iter().enumerate() {
            *self.frames.entry(box_.id).or_default() += 1;
            let mostly_on = |t: &True| t.ignored && intersection(t.bbox, box_.bbox) >= 0.5 * area(box_.bbox);
            counts[g] = counts[g] && (taken[g] || !truth.iter().any(mostly_on));
        }
        let kept: Vec<&Numbered> = given.iter().zip(&counts).filter(|(_, counts)| **counts).map(|(g, _)| g).collect();
        self.sums.given += kept.len() as u64;
        self.sums.false_boxes +=
            taken.iter().zip(&counts).filter(|(taken, counts)| !**taken && **counts).count() as u64;
        for (object, match_) in truth.iter().zip(of_truth) {
            if let Some(g) = match_ {
                let before = self.last.insert(object.id, given[g].id);
                self.sums.switches += u64::from(before.is_some_and(|before| before != given[g].id));
            }
            if object.ignored {
                continue;
            }
            self.sums.truth += 1;
            match match_ {
                Some(g) => {
                    self.sums.matches += 1;
                    self.sums.overlap += f64::from(iou(object.bbox, given[g].bbox));
                    self.sums.fragmentations += u64::from(self.lost.insert(object.id, false) == Some(true));
                }
                None => {
                    self.sums.misses += 1;
                    // Before its first match an object has nothing to lose.
                    self.lost.entry(object.id).and_modify(|lost| *lost = true);
                }
            }
            for box_ in kept.iter().filter(|g| iou(object.bbox, g.bbox) >= OVERLAP) {
                *self.together.entry((object.id, box_.id)).or_default() += 1;
            }
        }
    }

    /// Pairs of places in `truth` and `given`: first those that held before, then the best of the others.
    fn matched(&self, truth: &[True], given: &[Numbered]) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let mut free: Vec<bool> = vec![true; given.len()];
        let mut open = Vec::new();
        for (t, object) in truth.iter().enumerate() {
            let before = self.last.get(&object.id);
            let same = given.iter().position(|g| Some(&g.id) == before);
            match same.filter(|g| free[*g] && iou(object.bbox, given[*g].bbox) >= OVERLAP) {
                Some(g) => {
                    free[g] = false;
                    pairs.push((t, g));
                }
                None => open.push(t),
            }
        }
        let free: Vec<usize> = (0..given.len()).filter(|g| free[*g]).collect();
        /// More than any sum of distances.
        const FAR: f64 = 1e6;
        let cost: Vec<Vec<f64>> = open
            .iter()
            .map(|t| {
                let distance = |g: &usize| match iou(truth[*t].bbox, given[*g].bbox) {
                    overlap if overlap >= OVERLAP => 1.0 - f64::from(overlap),
                    _ => FAR,
                };
                free.iter().map(distance).collect()
            })
            .collect();
        for (row, column) in assign(&cost).into_iter().enumerate() {
            if let Some(column) = column.filter(|column| cost[row][*column] < FAR) {
                pairs.push((open[row], free[column]));
            }
        }
        pairs
    }

    /// The true object that a number was matched with most often, if it was in at least half of its frames.
    pub fn object_of(&self, number: u64) -> Option<u64> {
        let (object, count) = self.votes.get(&number)?.iter().max_by_key(|(_, count)| **count)?;
        (2 * count >= *self.frames.get(&number)?).then_some(*object)
    }

    /// The sums of the sequence.
    pub fn finish(&self) -> Sums {
        let mut objects: Vec<u64> = self.together.keys().map(|key| key.0).collect();
        objects.dedup();
        let mut numbers: Vec<u64> = self.together.keys().map(|key| key.1).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let count = |object: &u64, number: &u64| self.together.get(&(*object, *number)).copied().unwrap_or(0);
        let cost: Vec<Vec<f64>> =
            objects.iter().map(|o| numbers.iter().map(|n| -(count(o, n) as f64)).collect()).collect();
        let pairs = assign(&cost).into_iter().enumerate();
        let identity_true = pairs.filter_map(|(o, n)| Some(count(&objects[o], &numbers[n?]))).sum();
        Sums { identity_true, ..self.sums }
    }
}
