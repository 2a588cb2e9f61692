//! Boxes that are left of many: operators of leptond's own, since ONNX has none of a fixed number of results.

use super::super::flex::Map;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::elementwise::real;
use super::node::Node;
use crate::onnx::build::NodeBuilder;
use crate::operators::{DETECTIONS, DOMAIN, SUPPRESSION};

/// Most boxes that are given out.
const MAX_BOXES: usize = 1 << 16;

/// `TFLite_Detection_PostProcess`: box encodings `[1, N, 4]`, scores `[1, N, classes]` with a background class perhaps, and
/// anchors `[N, 4]`.
pub fn post_process(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (encodings, scores, anchors) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let options = Map::read(node.operator.custom_options).ok_or("its options cannot be read")?;
    let number = |key: &str| options.get(key);
    let count = |key: &str, default: f64| {
        let value = number(key).unwrap_or(default);
        if (1.0..=MAX_BOXES as f64).contains(&value) {
            Ok(value as usize)
        } else {
            Err(format!("its {key} is {value}"))
        }
    };
    let float = |key: &str| {
        let value = number(key).ok_or_else(|| format!("its options lack {key}"))?;
        if value.is_finite() { Ok(value as f32) } else { Err(format!("its {key} is {value}")) }
    };
    let (most, each) = (count("max_detections", 0.0)?, count("max_classes_per_detection", 1.0)?);
    let classes = count("num_classes", 0.0)?;
    let (&[1, boxes, coordinates], &[1, same, wide], &[other, 4]) =
        (&w.tensor(encodings).shape[..], &w.tensor(scores).shape[..], &w.tensor(anchors).shape[..])
    else {
        return Err("its operands are no boxes, scores and anchors of one picture".into());
    };
    if boxes != same || boxes != other || coordinates < 4 || !(wide == classes || wide == classes + 1) {
        return Err(format!(
            "{boxes} boxes, {same} rows of {wide} scores and {other} anchors do not fit {classes} classes"
        ));
    }
    let outputs = &node.operator.outputs;
    if outputs.len() != 4 || outputs.iter().any(|&y| w.tensor(y).kind != ElementType::F32) {
        return Err("its results are not four of floats".into());
    }
    let names = [encodings, scores, anchors].map(|index| w.real(index, Layout::File));
    let [encodings, scores, anchors] = names;
    let mut step = NodeBuilder::new(DETECTIONS, [encodings?, scores?, anchors?])
        .domain(DOMAIN)
        .size("max_detections", most)
        .size("max_classes_per_detection", each)
        .size("detections_per_class", count("detections_per_class", 100.0)?)
        .size("num_classes", classes)
        .size("regular", usize::from(number("use_regular_nms").unwrap_or(0.0) != 0.0))
        .float("score_threshold", float("nms_score_threshold")?)
        .float("iou_threshold", float("nms_iou_threshold")?);
    for key in ["y_scale", "x_scale", "h_scale", "w_scale"] {
        let scale = float(key)?;
        if scale == 0.0 {
            return Err(format!("its {key} is 0"));
        }
        step = step.float(key, scale);
    }
    // The shapes of its results are often left out of files.
    let boxes = most.saturating_mul(each);
    if boxes > MAX_BOXES {
        return Err(format!("{boxes} boxes, allowed are up to {MAX_BOXES}"));
    }
    for (&y, shape) in outputs.iter().zip([vec![1, boxes, 4], vec![1, boxes], vec![1, boxes], vec![1]]) {
        w.reshape(y, shape);
    }
    w.several(outputs, Layout::File, step)
}

/// `NON_MAX_SUPPRESSION_V4`, and `NON_MAX_SUPPRESSION_V5`, which may lower scores instead.
pub fn suppress(w: &mut Writer<'_, '_>, node: Node<'_, '_>, soft: bool) -> Try<()> {
    let (boxes, scores, count) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let &[most] = &w.integers(count)?[..] else { return Err("its number of boxes is not one".into()) };
    let most = usize::try_from(most).ok().filter(|m| (1..=MAX_BOXES).contains(m));
    let most = most.ok_or_else(|| format!("its number of boxes is not in 1 to {MAX_BOXES}"))?;
    let rows = w.tensor(scores).len();
    if w.tensor(boxes).shape != [rows, 4] || w.tensor(scores).shape != [rows] {
        return Err("its operands are no boxes and scores".into());
    }
    let outputs = node.operator.outputs.clone();
    let (indices, found) = match (&outputs[..], soft) {
        (&[indices, found], false) => (indices, found),
        (&[indices, scores, found], true) => {
            w.reshape(scores, vec![most]);
            (indices, found)
        }
        _ => return Err("it has not as many results as it should".into()),
    };
    real(w, &[boxes], scores)?;
    w.reshape(indices, vec![most]);
    w.reshape(found, vec![]);
    let mut names = vec![w.real(boxes, Layout::File)?, w.real(scores, Layout::File)?];
    for place in if soft { 3..6 } else { 3..5 } {
        let limit = node.input(place)?;
        if w.tensor(limit).kind != ElementType::F32 || w.tensor(limit).len() != 1 {
            return Err("its limits are not one float each".into());
        }
        names.push(w.stored(limit, Layout::File)?);
    }
    let step = NodeBuilder::new(SUPPRESSION, names).domain(DOMAIN).size("count", most);
    if soft {
        return w.several(&outputs, Layout::File, step);
    }
    // The scores that are left are given out between the other two.
    let unused = w.fresh(found, "scores");
    w.between(step, [indices, found], unused)
}
