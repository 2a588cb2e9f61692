//! Answers of one model beside what is right, and the figures that they make.

use super::dataset::{Data, Truth};
use super::names::Names;
use crate::evaluate::{Calibration, Classes, Found, Interval, Objects, Readings, auc, bootstrap, share};
use crate::frame::{Label, MeterReading, Outcome, Quality, Reading, Scored};

/// Draws of a bootstrap; an average precision takes longer.
const DRAWS: usize = 2000;
const DRAWS_OF_OBJECTS: usize = 300;
/// Tenths of a turn within which a position is right.
const NEAR: f64 = 0.3;

/// One answer beside what is right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// A class; `ranking` has the best first, `second` the score of class 1 where there are two.
    Class { truth: usize, ranking: Vec<usize>, score: f64, second: Option<f64> },
    /// A reading.
    Reading { truth: String, read: Option<String> },
    /// A position in tenths of a turn.
    Position { truth: f64, read: Option<f64> },
    /// A score that is higher for what is not as usual.
    Score { anomalous: bool, score: f64 },
    /// Objects.
    Objects { truths: Vec<crate::evaluate::Truth>, found: Vec<Found> },
}

/// Sum of the answers of one model.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Names of its classes.
    pub names: Names,
    /// Its answers by class.
    pub classes: Classes,
    /// Class of the model for each category of the data; `None` for one that it does not know.
    pub categories: Vec<Option<usize>>,
    calibration: Calibration,
    binary: Vec<(f64, bool)>,
    scores: Vec<(f64, bool)>,
    readings: Readings,
    positions: Positions,
    objects: Objects,
    min_score: Option<f32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Positions {
    inputs: u64,
    right: u64,
    unread: u64,
    error: f64,
}

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// 0 to 1, shown as percent.
    Share,
    /// As it is.
    Number,
    /// A whole number.
    Count,
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    /// Key in JSON.
    pub key: &'static str,
    /// Words in the table.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Its value, with an interval of 95 % where there is one.
    pub value: f64,
    /// The interval.
    pub interval: Option<Interval>,
}

impl Tally {
    /// Of a model with these labels, on this data.
    pub fn new(labels: &[Label], min_score: Option<f32>, data: &Data) -> Tally {
        let names = Names::new(labels).said(&data.names);
        Tally {
            categories: data.categories.iter().map(|name| names.class(name)).collect(),
            names,
            classes: Classes::default(),
            calibration: Calibration::default(),
            binary: Vec::new(),
            scores: Vec::new(),
            readings: Readings::default(),
            positions: Positions::default(),
            objects: Objects::default(),
            min_score,
        }
    }

    /// The answers in the outcomes of one file.
    ///
    /// # Errors
    /// Reason for which what is right says nothing of them.
    pub fn answers(&self, truth: &Truth, outcomes: &[Outcome]) -> Result<Vec<Answer>, String> {
        if let Some(Outcome::Anomaly { .. } | Outcome::Channels { .. }) = outcomes.first() {
            return scored(truth, outcomes).map(|answer| vec![answer]);
        }
        outcomes.iter().map(|outcome| self.answer(truth, outcome)).collect()
    }

    fn answer(&self, truth: &Truth, outcome: &Outcome) -> Result<Answer, String> {
        let name = match (truth, outcome) {
            (Truth::Objects { size, boxes }, Outcome::Detect { detections, source_width, source_height, .. }) => {
                let found = [*source_width, *source_height];
                if let Some(said) = size.filter(|said| *said != found) {
                    return Err(format!("the picture is {found:?} pixels, the annotations are of {said:?}"));
                }
                let truths = boxes.iter().filter_map(|one| {
                    let class = *self.categories.get(one.category)?.as_ref()?;
                    Some(crate::evaluate::Truth { class, bbox: one.bbox, area: one.area, crowd: one.crowd })
                });
                let found = detections.iter().filter_map(|one| {
                    let class = self.names.class(&one.label).filter(|class| self.categories.contains(&Some(*class)))?;
                    let [x1, y1, x2, y2] = one.bbox.map(f64::from);
                    Some(Found { class, bbox: [x1, y1, x2 - x1, y2 - y1], score: f64::from(one.score) })
                });
                return Ok(Answer::Objects { truths: truths.collect(), found: found.collect() });
            }
            (Truth::Objects { .. }, _) => return Err("boxes are right here, and the model finds no objects".into()),
            (Truth::Name(name), _) => name,
        };
        Ok(match outcome {
            Outcome::Classify { top, .. } => self.class(name, top)?,
            Outcome::Reading(reading) => Answer::Reading { truth: name.clone(), read: read_of(reading) },
            Outcome::Meter(reading) => Answer::Reading { truth: name.clone(), read: metered(reading) },
            Outcome::Text { text, .. } => Answer::Reading { truth: name.clone(), read: text.clone() },
            Outcome::Position { positions } => {
                let truth = name.parse().map_err(|_| format!("{name:?} is no position in tenths of a turn"))?;
                let read = positions.first().and_then(|read| read.position).map(f64::from);
                Answer::Position { truth, read }
            }
            Outcome::Detect { .. } => return Err("a name is right here, and objects want COCO annotations".into()),
            Outcome::Semantic { .. } => {
                return Err(
                    "a name is right here, and areas are compared with those of another model alone (--against)".into(),
                );
            }
            _ => {
                return Err(
                    "the model gives bare values: a bundle that says what they mean is made by leptond model add"
                        .into(),
                );
            }
        })
    }

    fn class(&self, name: &str, top: &[Scored]) -> Result<Answer, String> {
        let truth = self.names.class(name).ok_or_else(|| format!("{name:?} is no class of the model"))?;
        let ranking: Vec<usize> = top.iter().filter_map(|scored| self.names.class(&scored.label)).collect();
        let second = (top.len() == 2).then(|| {
            let second = ranking.iter().position(|class| *class == 1);
            second.and_then(|at| top.get(at)).map_or(0.0, |scored| f64::from(scored.score))
        });
        let score = top.first().map_or(0.0, |best| f64::from(best.score));
        Ok(Answer::Class { truth, ranking, score, second })
    }

    /// Adds an answer; says whether it is right, where it is that or not.
    pub fn add(&mut self, answer: &Answer) -> Option<bool> {
        match answer {
            Answer::Class { truth, ranking, score, second } => {
                let right = self.classes.add(*truth, ranking);
                self.calibration.add(*score, right);
                if let Some(second) = second {
                    self.binary.push((*second, *truth == 1));
                }
                Some(right)
            }
            Answer::Reading { truth, read } => Some(self.readings.add(truth, read.as_deref())),
            Answer::Position { truth, read } => {
                let sum = &mut self.positions;
                sum.inputs += 1;
                let Some(read) = read else {
                    sum.unread += 1;
                    return Some(false);
                };
                let error = ((read - truth + 5.0).rem_euclid(10.0) - 5.0).abs();
                sum.error += error;
                sum.right += u64::from(error <= NEAR);
                Some(error <= NEAR)
            }
            Answer::Score { anomalous, score } => {
                self.scores.push((*score, *anomalous));
                None
            }
            Answer::Objects { truths, found } => {
                self.objects.add(truths, found);
                None
            }
        }
    }

    /// The figures, those that there are, the one to judge by first.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        let mut put = |key, name, unit, value: Option<f64>, interval: Option<Interval>| {
            figures.extend(value.map(|value| Figure { key, name, unit, value, interval }));
        };
        let classes = &self.classes;
        if classes.inputs() > 0 {
            put("top1", "top-1", Unit::Share, classes.top1(), share(classes.right(), classes.inputs()));
            if classes.classes().len() > 5 {
                put("top5", "top-5", Unit::Share, classes.top5(), None);
            }
            put("balanced_accuracy", "mean recall of classes", Unit::Share, classes.balanced(), None);
            put("auc", "ROC AUC", Unit::Number, self.binary_auc(None), self.auc_interval(&self.binary));
            put("ece", "calibration error (ECE)", Unit::Number, self.calibration.error(), None);
            put("overconfidence", "mean score - share right", Unit::Number, self.calibration.bias(), None);
        }
        let scores = &self.scores;
        put("auc", "ROC AUC", Unit::Number, auc(scores, None), self.auc_interval(scores));
        let Readings { inputs, exact, near, wrong, unread, places, places_right, .. } = self.readings;
        if inputs > 0 {
            let part = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
            put("exact", "read exactly", Unit::Share, part(exact, inputs), share(exact, inputs));
            put("near", "read to one of the last place", Unit::Share, part(near, inputs), share(near, inputs));
            put("wrong", "read wrong", Unit::Share, part(wrong, inputs), share(wrong, inputs));
            put("unread", "not read", Unit::Share, part(unread, inputs), share(unread, inputs));
            put("digits", "places right", Unit::Share, part(places_right, places), None);
            put("mean_error", "mean error of the number", Unit::Number, self.readings.mean_error(), None);
        }
        let Positions { inputs, right, unread, error } = self.positions;
        if inputs > 0 {
            let all = inputs as f64;
            put("exact", "within 0.3 tenths of a turn", Unit::Share, Some(right as f64 / all), share(right, inputs));
            put("unread", "not read", Unit::Share, Some(unread as f64 / all), share(unread, inputs));
            let mean = (inputs > unread).then(|| error / (inputs - unread) as f64);
            put("mean_error", "mean error in tenths of a turn", Unit::Number, mean, None);
        }
        if self.objects.pictures() > 0 {
            let figures = self.objects.precision();
            put("ap", "AP at IoU 0.50:0.95", Unit::Number, figures.ap, self.objects_interval(figures.ap));
            put("ap50", "AP at IoU 0.50", Unit::Number, figures.ap50, None);
            put("ap75", "AP at IoU 0.75", Unit::Number, figures.ap75, None);
            put("ap_small", "AP, objects up to 32x32", Unit::Number, figures.ap_small, None);
            put("ap_medium", "AP, objects up to 96x96", Unit::Number, figures.ap_medium, None);
            put("ap_large", "AP, larger objects", Unit::Number, figures.ap_large, None);
            put("ar1", "AR, 1 box a picture", Unit::Number, figures.ar1, None);
            put("ar10", "AR, 10 boxes", Unit::Number, figures.ar10, None);
            put("ar100", "AR, 100 boxes", Unit::Number, figures.ar100, None);
            if let Some(least) = self.min_score {
                let at = self.objects.at_score(f64::from(least));
                put("boxes_right", "boxes right at its least score", Unit::Count, Some(at.right as f64), None);
                put("boxes_wrong", "boxes wrong", Unit::Count, Some(at.wrong as f64), None);
                put("boxes_missed", "objects missed", Unit::Count, Some(at.missed as f64), None);
            }
        }
        figures
    }

    /// Average precision of each class, the best first: name, objects, precision.
    pub fn objects_by_class(&self) -> Vec<(String, u64, f64)> {
        let mut each: Vec<_> = self
            .objects
            .each()
            .into_iter()
            .map(|(class, objects, ap)| (self.names.label(class), objects, ap))
            .collect();
        each.sort_by(|a, b| b.2.total_cmp(&a.2));
        each
    }

    fn binary_auc(&self, weights: Option<&[u32]>) -> Option<f64> {
        (self.binary.len() as u64 == self.classes.inputs()).then(|| auc(&self.binary, weights)).flatten()
    }

    fn auc_interval(&self, scores: &[(f64, bool)]) -> Option<Interval> {
        bootstrap(auc(scores, None)?, scores.len(), DRAWS, |weights| auc(scores, Some(weights)))
    }

    fn objects_interval(&self, ap: Option<f64>) -> Option<Interval> {
        bootstrap(ap?, self.objects.pictures(), DRAWS_OF_OBJECTS, |weights| self.objects.weighted(weights))
    }

    /// Interval of the difference of a figure to that of `other` on the same inputs by the bootstrap; `None` for figures of another kind.
    pub fn difference(&self, other: &Tally, key: &str) -> Option<Interval> {
        match key {
            "auc" => {
                let pick = |tally: &'_ Tally| {
                    if tally.scores.is_empty() { tally.binary.clone() } else { tally.scores.clone() }
                };
                let (a, b) = (pick(self), pick(other));
                if a.len() != b.len() {
                    return None;
                }
                let value = auc(&a, None)? - auc(&b, None)?;
                bootstrap(value, a.len(), DRAWS, |weights| Some(auc(&a, Some(weights))? - auc(&b, Some(weights))?))
            }
            "ap" => {
                let value = self.objects.precision().ap? - other.objects.precision().ap?;
                let draw = |weights: &[u32]| Some(self.objects.weighted(weights)? - other.objects.weighted(weights)?);
                bootstrap(value, self.objects.pictures(), DRAWS_OF_OBJECTS, draw)
            }
            _ => None,
        }
    }
}

/// The score of a file: the mean of those of its windows.
fn scored(truth: &Truth, outcomes: &[Outcome]) -> Result<Answer, String> {
    let Truth::Name(name) = truth else { return Err("boxes are right here, and the model gives scores".into()) };
    let anomalous = is_anomaly(name).ok_or_else(|| format!("{name:?} is neither normal nor anomaly"))?;
    let scores: Vec<f64> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Anomaly { score, .. } | Outcome::Channels { score: Some(score), .. } => Some(f64::from(*score)),
            _ => None,
        })
        .collect();
    if scores.is_empty() {
        return Err("no score came of it".into());
    }
    Ok(Answer::Score { anomalous, score: scores.iter().sum::<f64>() / scores.len() as f64 })
}

/// Names of what is usual and of what is not.
pub(super) const USUAL: [&str; 2] = ["normal", "anomaly"];

/// Test for a name that means what is not as usual.
pub(super) fn is_anomaly(name: &str) -> Option<bool> {
    match name.to_lowercase().as_str() {
        "normal" | "good" | "ok" | "quiet" | "false" | "0" => Some(false),
        "anomaly" | "anomalous" | "abnormal" | "bad" | "defect" | "fault" | "busy" | "true" | "1" => Some(true),
        _ => None,
    }
}

/// This picture's reading, where it is certain.
fn read_of(reading: &Reading) -> Option<String> {
    let certain = matches!(reading.quality, Quality::Good | Quality::Unconfirmed);
    let labels = reading.regions.iter().map(|region| region.label.as_deref());
    certain.then(|| labels.collect::<Option<String>>()).flatten()
}

/// This picture's number, where it is believed.
fn metered(reading: &MeterReading) -> Option<String> {
    if reading.quality == Quality::Good && !reading.held {
        return reading.label.clone();
    }
    reading.raw_value.filter(|_| reading.quality == Quality::Unconfirmed).map(|value| value.to_string())
}
