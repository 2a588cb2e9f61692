//! Answers of other nodes, read as what the task of this pipeline would have said. Nothing in them is believed unchecked: labels are the
//! model's own, scores are scores, boxes are inside the picture.

use serde::Deserialize;

use crate::frame::{Detection, Keypoint, Label, Outcome, Scored, TaskKind, Unreadable};
use crate::task::TaskOutput;

/// Objects of one answer at most.
const MOST: usize = 4096;
/// Pixels that a box may be beyond the edge of the picture: it was rounded.
const SLACK: f32 = 1.0;

/// A class as another node says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    task: TaskKind,
    label: String,
    score: f32,
    #[serde(default)]
    top: Vec<Place>,
    #[serde(default)]
    unreadable: Option<Unreadable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    label: String,
    score: f32,
}

/// Objects as another node says them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Objects {
    task: TaskKind,
    detections: Vec<Object>,
    #[serde(default)]
    faint: Vec<Object>,
    source_width: u32,
    source_height: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    label: String,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    #[serde(default)]
    keypoints: Vec<[f32; 3]>,
    #[serde(default)]
    polygons: Vec<Vec<[f32; 2]>>,
    #[serde(default)]
    corners: Option<[[f32; 2]; 4]>,
}

/// True for a task whose answers can be read.
pub(super) fn is_readable(kind: TaskKind) -> bool {
    kind == TaskKind::Classify || kind.has_objects()
}

/// Reads the answer of a task of `kind` whose model has these `labels`.
///
/// # Errors
/// The first fault.
pub(super) fn read(text: &str, kind: TaskKind, labels: &[Label]) -> Result<TaskOutput, String> {
    if kind == TaskKind::Classify {
        let Class { task, label, score, top, unreadable } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        is_of(task, kind)?;
        if !label.is_empty() {
            known(&label, labels)?;
        }
        let scored =
            |Place { label, score }| Ok::<_, String>(Scored { label: known(&label, labels)?, score: is_score(score)? });
        let top = top.into_iter().map(scored).collect::<Result<_, _>>()?;
        return Ok(Outcome::Classify { label, score: is_score(score)?, top, unreadable }.into());
    }
    let objects: Objects = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let Objects { task, detections, faint, source_width, source_height } = objects;
    is_of(task, kind)?;
    if detections.len() + faint.len() > MOST {
        return Err(format!("more than {MOST} objects"));
    }
    let size = [source_width, source_height];
    let all = |objects: Vec<Object>| -> Result<Vec<Detection>, String> {
        let found: Vec<Detection> =
            objects.into_iter().map(|object| detection(object, labels, size)).collect::<Result<_, _>>()?;
        let falls = found.is_sorted_by(|a, b| a.score >= b.score);
        if falls { Ok(found) } else { Err("the objects do not come by falling score".into()) }
    };
    let (detections, faint) = (all(detections)?, all(faint)?);
    let outcome = Outcome::objects(task, detections, size);
    Ok(TaskOutput { faint, ..outcome.into() })
}

fn is_of(task: TaskKind, kind: TaskKind) -> Result<(), String> {
    if task == kind { Ok(()) } else { Err(format!("of the task {}, not {}", task.word(), kind.word())) }
}

fn is_score(score: f32) -> Result<f32, String> {
    if (0.0..=1.0).contains(&score) { Ok(score) } else { Err(format!("a score of {score}")) }
}

/// The label as the model has it; without labels it is a number.
fn known(label: &str, labels: &[Label]) -> Result<Label, String> {
    match labels.iter().find(|known| ***known == *label) {
        Some(known) => Ok(known.clone()),
        None if labels.is_empty() && label.parse::<u32>().is_ok() => Ok(label.into()),
        None => Err("a label that the model does not have".into()),
    }
}

fn detection(object: Object, labels: &[Label], [width, height]: [u32; 2]) -> Result<Detection, String> {
    let Object { label, score, bbox, keypoints, polygons, corners } = object;
    let [x1, y1, x2, y2] = bbox;
    let inside = |low: f32, high: f32, size: u32| low < high && low >= -SLACK && high <= size as f32 + SLACK;
    if !inside(x1, x2, width) || !inside(y1, y2, height) {
        return Err(format!("a box of {bbox:?} in a picture of {width}x{height}"));
    }
    let points = keypoints.iter().flatten().chain(polygons.iter().flatten().flatten());
    if !points.chain(corners.iter().flatten().flatten()).all(|value| value.is_finite()) {
        return Err("a place that is no number".into());
    }
    let mut detection = Detection::new(known(&label, labels)?, is_score(score)?, bbox);
    detection.keypoints = keypoints.into_iter().map(|[x, y, score]| Keypoint { x, y, score }).collect();
    (detection.polygons, detection.corners) = (polygons, corners);
    Ok(detection)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn labels() -> Vec<Label> {
        ["person", "car"].map(Label::from).into()
    }

    fn answer() -> Value {
        json!({
            "task": "detect",
            "detections": [{ "label": "person", "score": 0.9, "box": [1.5, 2.0, 30.0, 40.0] }],
            "faint": [{ "label": "car", "score": 0.2, "box": [5.0, 5.0, 9.0, 9.0] }],
            "source_width": 64,
            "source_height": 48,
        })
    }

    fn fault(change: impl FnOnce(&mut Value)) -> String {
        let mut answer = answer();
        change(&mut answer);
        read(&answer.to_string(), TaskKind::Detect, &labels()).unwrap_err()
    }

    #[test]
    fn an_answer_is_read_as_what_was_written() {
        let read = read(&answer().to_string(), TaskKind::Detect, &labels()).unwrap();
        let Outcome::Detect { detections, source_width, .. } = &read.outcome else { panic!("objects") };
        assert_eq!(detections, &[Detection::new("person".into(), 0.9, [1.5, 2.0, 30.0, 40.0])]);
        assert_eq!((read.faint.len(), *source_width), (1, 64));
    }

    #[test]
    fn whatever_no_model_would_say_is_refused() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 11] = [
            (|a| a["task"] = "classify".into(), "of the task classify"),
            (|a| a["detections"][0]["label"] = "dog".into(), "does not have"),
            (|a| a["detections"][0]["score"] = 1.5.into(), "a score of 1.5"),
            (|a| a["detections"][0]["box"] = json!([0, 0, 80, 10]), "a box of"),
            (|a| a["detections"][0]["box"] = json!([9, 0, 8, 10]), "a box of"),
            (|a| a["detections"][0]["box"] = json!([0, 0, 8]), "invalid length"),
            (|a| a["detections"][0]["track_id"] = 1.into(), "unknown field"),
            (|a| a["zones"] = json!({}), "unknown field"),
            (|a| a["detections"][0]["keypoints"] = json!([[1e300, 0, 0]]), "a place that is no number"),
            (|a| a["detections"] = json!([a["faint"][0], a["detections"][0]]), "falling score"),
            (|a| a["detections"] = vec![a["faint"][0].clone(); MOST + 1].into(), "more than"),
        ];
        for (change, words) in cases {
            let fault = fault(change);
            assert!(fault.contains(words), "{fault} / {words}");
        }
    }

    #[test]
    fn a_class_is_read_with_the_labels_of_the_model() {
        let class = |label: &str, labels: &[Label]| {
            let text =
                json!({ "task": "classify", "label": label, "score": 0.5, "top": [{ "label": label, "score": 0.5 }] });
            read(&text.to_string(), TaskKind::Classify, labels).map(|output| output.outcome)
        };
        assert!(matches!(class("car", &labels()).unwrap(), Outcome::Classify { label, .. } if label == "car"));
        assert!(class("7", &[]).is_ok() && class("7", &labels()).is_err() && class("x", &[]).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC*") {
            let _ = read(&text, TaskKind::Detect, &labels());
            let _ = read(&text, TaskKind::Classify, &labels());
        }

        /// Numbers come through JSON as they were.
        #[test]
        fn boxes_and_scores_keep_every_bit(score in 0.0f32..=1.0, low in 0.0f32..30.0, more in 0.001f32..30.0) {
            let before = Detection::new("car".into(), score, [low, low, low + more, low + more]);
            prop_assume!(low < low + more);
            let value = json!({
                "task": "detect", "detections": [serde_json::to_value(&before).unwrap()],
                "source_width": 64, "source_height": 64,
            });
            let output = read(&value.to_string(), TaskKind::Detect, &labels()).unwrap();
            let Outcome::Detect { detections, .. } = output.outcome else { panic!("objects") };
            prop_assert_eq!(detections, vec![before]);
        }
    }
}
