//! Agreement of two models over many inputs.

use serde::Serialize;

use super::agreement::Agreement;
use super::difference::Difference;

/// Sum of the agreements over many inputs; each kind of outcome fills its own part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreements {
    inputs: u64,
    incomparable: u64,
    decisions: u64,
    same: u64,
    score_difference: f64,
    boxes: Boxes,
    places: u64,
    places_same: u64,
    numbers: Numbers,
    values: Difference,
    value_inputs: u64,
    largest: u64,
    same_largest: u64,
    is_reading: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Boxes {
    inputs: u64,
    matched: u64,
    lost: u64,
    added: u64,
    overlap: f64,
    keypoint_error: f64,
    keypoints: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Numbers {
    count: u64,
    relative: f64,
    verdicts: u64,
    same: u64,
}

/// Figure that says how far two models agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Name of what is measured, such as `same top-1 class`.
    pub name: &'static str,
    /// 0 (nothing in common) to 1 (all the same).
    pub share: f64,
    /// Number of what it is a share of: decisions, boxes, places or inputs.
    pub of: u64,
}

impl Agreements {
    /// Adds one input.
    pub fn add(&mut self, one: &Agreement) {
        self.inputs += 1;
        match one {
            Agreement::Class { same, score_difference } => {
                self.decisions += 1;
                self.same += u64::from(*same);
                self.score_difference += score_difference;
            }
            Agreement::Boxes { matched, lost, added, overlap, keypoints } => {
                let sum = &mut self.boxes;
                sum.inputs += 1;
                sum.matched += matched;
                sum.lost += lost;
                sum.added += added;
                sum.overlap += overlap;
                sum.keypoint_error += keypoints.0;
                sum.keypoints += keypoints.1;
            }
            Agreement::Reading { same, places_same, places } => {
                self.is_reading = true;
                self.decisions += 1;
                self.same += u64::from(*same);
                self.places_same += places_same;
                self.places += places;
            }
            Agreement::Number { reference, other, same_verdict } => {
                let sum = &mut self.numbers;
                let size = reference.abs().max(other.abs());
                let relative = if size > 0.0 { (reference - other).abs() / size } else { 0.0 };
                sum.count += 1;
                sum.relative += if relative.is_finite() { relative.min(1.0) } else { 1.0 };
                sum.verdicts += u64::from(same_verdict.is_some());
                sum.same += u64::from(*same_verdict == Some(true));
            }
            Agreement::Places { same, places } => {
                self.places += places;
                self.places_same += same;
            }
            Agreement::Values { difference, same_largest } => {
                self.value_inputs += 1;
                self.values.add(difference);
                self.largest += u64::from(same_largest.is_some());
                self.same_largest += u64::from(*same_largest == Some(true));
            }
            Agreement::Incomparable => self.incomparable += 1,
        }
    }

    /// Adds the inputs of `more`.
    pub fn join(&mut self, more: &Agreements) {
        self.inputs += more.inputs;
        self.incomparable += more.incomparable;
        self.decisions += more.decisions;
        self.same += more.same;
        self.score_difference += more.score_difference;
        self.boxes.inputs += more.boxes.inputs;
        self.boxes.matched += more.boxes.matched;
        self.boxes.lost += more.boxes.lost;
        self.boxes.added += more.boxes.added;
        self.boxes.overlap += more.boxes.overlap;
        self.boxes.keypoint_error += more.boxes.keypoint_error;
        self.boxes.keypoints += more.boxes.keypoints;
        self.places += more.places;
        self.places_same += more.places_same;
        self.numbers.count += more.numbers.count;
        self.numbers.relative += more.numbers.relative;
        self.numbers.verdicts += more.numbers.verdicts;
        self.numbers.same += more.numbers.same;
        self.values.add(&more.values);
        self.value_inputs += more.value_inputs;
        self.largest += more.largest;
        self.same_largest += more.same_largest;
        self.is_reading |= more.is_reading;
    }

    /// Inputs that were added.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Inputs whose outcomes were of other kinds or shapes.
    pub fn incomparable(&self) -> u64 {
        self.incomparable
    }

    /// The one figure to judge by, where there is something to compare; an input that is not comparable counts as nothing in common.
    ///
    /// - classes: share of inputs with the same top-1 class;
    /// - objects: F1 of the boxes, `2 × matched / (2 × matched + lost + added)`, which is 1 where neither model finds any;
    /// - readings, texts, positions: share of inputs that are read the same;
    /// - areas: share of places with the same class;
    /// - scores of anomalies: 1 less the mean relative difference;
    /// - bare values: share of the signal's energy that is kept, `1 − noise / signal`.
    pub fn measure(&self) -> Option<Measure> {
        let part = |name, same: f64, of: u64| (of > 0).then(|| (name, same / of as f64, of));
        let boxes = &self.boxes;
        let found = boxes.matched + boxes.lost + boxes.added;
        let (name, share, of) = if boxes.inputs > 0 {
            let sum = boxes.matched + found;
            let f1 = if sum == 0 { 1.0 } else { (2 * boxes.matched) as f64 / sum as f64 };
            ("boxes in common at IoU 0.5 (F1)", f1, found)
        } else if self.decisions > 0 {
            let name = if self.is_reading { "same reading" } else { "same top-1 class" };
            part(name, self.same as f64, self.decisions)?
        } else if self.places > 0 {
            part("places of the same class", self.places_same as f64, self.places)?
        } else if self.numbers.count > 0 {
            let count = self.numbers.count;
            part("same score (1 - mean relative difference)", count as f64 - self.numbers.relative, count)?
        } else if self.value_inputs > 0 {
            ("energy of the outputs kept (1 - noise / signal)", self.values.kept()?, self.value_inputs)
        } else {
            return (self.incomparable > 0).then_some(Measure {
                name: "comparable outcomes",
                share: 0.0,
                of: self.inputs,
            });
        };
        let comparable = (self.inputs - self.incomparable) as f64 / self.inputs.max(1) as f64;
        Some(Measure { name, share: share * comparable, of })
    }

    /// Figures beside [`Agreements::measure`], those that there are.
    pub fn details(&self) -> Vec<(&'static str, f64)> {
        let mut details = Vec::new();
        let mut share = |name, part: f64, of: u64| {
            if of > 0 {
                details.push((name, part / of as f64));
            }
        };
        let boxes = &self.boxes;
        let reference = boxes.matched + boxes.lost;
        share("boxes lost, share of the reference's", boxes.lost as f64, reference);
        share("boxes added, share of the other's", boxes.added as f64, boxes.matched + boxes.added);
        share("mean IoU of matched boxes", boxes.overlap, boxes.matched);
        share("mean key point distance / box diagonal", boxes.keypoint_error, boxes.keypoints);
        if self.is_reading {
            share("places read the same", self.places_same as f64, self.places);
        } else {
            share("mean difference of the best score", self.score_difference, self.decisions);
        }
        share("same verdict", self.numbers.same as f64, self.numbers.verdicts);
        share("largest value at the same place", self.same_largest as f64, self.largest);
        if let Some(db) = self.values.sqnr_db().filter(|db| db.is_finite()) {
            details.push(("SQNR of the outputs in dB", db));
        }
        details
    }

    /// Boxes as `(matched, lost, added)`; all 0 for other outcomes.
    pub fn boxes(&self) -> (u64, u64, u64) {
        (self.boxes.matched, self.boxes.lost, self.boxes.added)
    }

    /// Share of the reference's boxes that the other lacks, 0 to 1; `None` where the reference has none.
    pub fn lost_share(&self) -> Option<f64> {
        let all = self.boxes.matched + self.boxes.lost;
        (all > 0).then(|| self.boxes.lost as f64 / all as f64)
    }

    /// Difference of bare values over all inputs.
    pub fn values(&self) -> &Difference {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[Agreement]) -> Agreements {
        let mut sum = Agreements::default();
        all.iter().for_each(|one| sum.add(one));
        sum
    }

    fn boxes(matched: u64, lost: u64, added: u64) -> Agreement {
        Agreement::Boxes { matched, lost, added, overlap: 0.8 * matched as f64, keypoints: (0.0, 0) }
    }

    #[test]
    fn boxes_are_summed_before_they_are_divided() {
        let sum = of(&[boxes(8, 1, 0), boxes(0, 1, 2), boxes(0, 0, 0)]);
        let measure = sum.measure().unwrap();
        assert_eq!((measure.share, measure.of), (16.0 / 20.0, 12));
        assert_eq!(sum.lost_share(), Some(0.2));
        assert!((sum.details()[2].1 - 0.8).abs() < 1e-12);
        assert_eq!(of(&[boxes(0, 0, 0)]).measure().unwrap().share, 1.0, "both find nothing");
    }

    #[test]
    fn what_cannot_be_compared_is_no_agreement() {
        let same = Agreement::Class { same: true, score_difference: 0.0 };
        assert_eq!(of(&[same.clone(), Agreement::Incomparable]).measure().unwrap().share, 0.5);
        assert_eq!(of(&[Agreement::Incomparable]).measure().unwrap().share, 0.0);
        assert_eq!(of(&[]).measure(), None);
    }

    #[test]
    fn numbers_differ_by_what_they_are_apart() {
        let number = |reference, other| Agreement::Number { reference, other, same_verdict: None };
        assert_eq!(of(&[number(2.0, 1.0), number(0.0, 0.0)]).measure().unwrap().share, 0.75);
        assert_eq!(of(&[number(f64::NAN, 1.0)]).measure().unwrap().share, 0.0);
    }

    #[test]
    fn parts_join_to_the_whole() {
        let all = [boxes(1, 2, 3), Agreement::Incomparable, boxes(4, 0, 1)];
        let mut parts = of(&all[..1]);
        parts.join(&of(&all[1..]));
        assert_eq!(parts.measure(), of(&all).measure());
    }
}
