//! Boxes that are left of many, in a fixed number: as TensorFlow Lite's reference kernels choose them.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{floats, required};
use crate::onnx::node;

/// A box: its upper, left, lower and right edges.
type Edges = [f32; 4];

/// Share of two boxes' union that both cover; 0 where either is empty.
fn overlap(a: &Edges, b: &Edges) -> f32 {
    let area = |e: &Edges| (e[2] - e[0]) * (e[3] - e[1]);
    let (own, other) = (area(a), area(b));
    if own <= 0.0 || other <= 0.0 {
        return 0.0;
    }
    let side = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    let both = side(0) * side(1);
    both / (own + other - both)
}

/// Indices by falling value; of equal ones the first comes first.
fn falling(values: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

/// `DetectionPostProcess`: encodings `[1, N, 4…]`, scores `[1, N, classes]`, anchors `[N, 4]` to boxes `[1, D, 4]`, classes and scores
/// `[1, D]` and their number `[1]`.
pub(super) fn post_process(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let count = |name: &str| -> TractResult<usize> {
        let value = node::int(node, name, 0)?;
        ensure!((1..=1 << 16).contains(&value), "its {name} is {value}, allowed are 1 to 65536");
        Ok(value as usize)
    };
    let mut scales = [1.0; 4];
    for (scale, name) in scales.iter_mut().zip(["y_scale", "x_scale", "h_scale", "w_scale"]) {
        *scale = node::float(node, name, 1.0)?;
        ensure!(scale.is_finite() && *scale != 0.0, "its {name} is {scale}");
    }
    let kernel = PostProcess {
        most: count("max_detections")?,
        classes_each: count("max_classes_per_detection")?,
        most_of_class: count("detections_per_class")?,
        classes: count("num_classes")?,
        regular: node::flag(node, "regular")?,
        score_threshold: node::float(node, "score_threshold", 0.0)?,
        iou_threshold: node::float(node, "iou_threshold", 0.5)?,
        scales,
    };
    ensure!(kernel.most * kernel.classes_each <= 1 << 16, "it gives out too many boxes");
    Ok(Arc::new(kernel))
}

#[derive(Debug)]
struct PostProcess {
    most: usize,
    classes_each: usize,
    most_of_class: usize,
    classes: usize,
    /// Boxes of each class are chosen among themselves, not by their best class.
    regular: bool,
    score_threshold: f32,
    iou_threshold: f32,
    /// Divisors of the encoded centre's y and x, height and width.
    scales: [f32; 4],
}

/// A box that was chosen.
#[derive(Clone, Copy)]
struct Chosen {
    /// Its place in the result.
    place: usize,
    row: usize,
    class: usize,
    score: f32,
}

impl PostProcess {
    /// Rows that are left of one class, by falling score.
    fn left(&self, edges: &[Edges], scores: &[f32], most: usize) -> Vec<usize> {
        let rows: Vec<usize> = (0..scores.len()).filter(|&row| scores[row] >= self.score_threshold).collect();
        let kept: Vec<f32> = rows.iter().map(|&row| scores[row]).collect();
        let mut chosen: Vec<usize> = Vec::new();
        for place in falling(&kept) {
            if chosen.len() >= most {
                break;
            }
            let row = rows[place];
            if chosen.iter().all(|&other| overlap(&edges[other], &edges[row]) <= self.iou_threshold) {
                chosen.push(row);
            }
        }
        chosen
    }

    /// Chosen boxes with several classes each, and the number of boxes.
    fn by_best_class(&self, edges: &[Edges], score: impl Fn(usize, usize) -> f32) -> (Vec<Chosen>, usize) {
        let row_scores = |row: usize| (0..self.classes).map(|class| score(row, class)).collect::<Vec<f32>>();
        let best: Vec<f32> =
            (0..edges.len()).map(|row| row_scores(row).into_iter().fold(f32::NEG_INFINITY, f32::max)).collect();
        let mut chosen = Vec::new();
        let rows = self.left(edges, &best, self.most);
        for (index, &row) in rows.iter().enumerate() {
            let scores = row_scores(row);
            let classes = falling(&scores).into_iter().take(self.classes_each).enumerate();
            let place = index * self.classes_each;
            chosen.extend(classes.map(|(rank, class)| Chosen {
                place: place + rank,
                row,
                class,
                score: scores[class],
            }));
        }
        (chosen, rows.len())
    }

    fn by_each_class(&self, edges: &[Edges], score: impl Fn(usize, usize) -> f32) -> (Vec<Chosen>, usize) {
        let mut chosen: Vec<Chosen> = Vec::new();
        for class in 0..self.classes {
            let scores: Vec<f32> = (0..edges.len()).map(|row| score(row, class)).collect();
            let rows = self.left(edges, &scores, self.most_of_class.min(self.most));
            chosen.extend(rows.into_iter().map(|row| Chosen { place: 0, row, class, score: scores[row] }));
            chosen.sort_by(|a, b| b.score.total_cmp(&a.score));
            chosen.truncate(self.most);
        }
        chosen.iter_mut().enumerate().for_each(|(place, one)| one.place = place);
        let count = chosen.len();
        (chosen, count)
    }
}

impl Kernel for PostProcess {
    fn outputs(&self, _: &[Option<Known>]) -> TractResult<Outputs> {
        let boxes = self.most * self.classes_each;
        let shapes = [vec![1, boxes, 4], vec![1, boxes], vec![1, boxes], vec![1]];
        Ok(Some(shapes.into_iter().map(|shape| (DatumType::F32, shape)).collect()))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (encodings, scores, anchors) = (*required(inputs, 0)?, *required(inputs, 1)?, *required(inputs, 2)?);
        let (&[1, rows, coordinates], &[1, same, wide], &[other, 4]) =
            (encodings.shape(), scores.shape(), anchors.shape())
        else {
            bail!("its inputs are no boxes, scores and anchors of one picture");
        };
        ensure!(rows == same && rows == other && coordinates >= 4, "its inputs are of other numbers of boxes");
        ensure!(wide == self.classes || wide == self.classes + 1, "{wide} scores do not fit {} classes", self.classes);
        let (encodings, scores, anchors) = (floats(encodings)?, floats(scores)?, floats(anchors)?);
        let decoded = |row: usize| -> Edges {
            let (e, a) = (&encodings[row * coordinates..][..4], &anchors[row * 4..][..4]);
            let centre = |axis: usize| e[axis] / self.scales[axis] * a[axis + 2] + a[axis];
            let half = |axis: usize| 0.5 * (e[axis + 2] / self.scales[axis + 2]).exp() * a[axis + 2];
            let (y, x, h, w) = (centre(0), centre(1), half(0), half(1));
            [y - h, x - w, y + h, x + w]
        };
        let edges: Vec<Edges> = (0..rows).map(decoded).collect();
        // A background class comes first where there is one.
        let score = |row: usize, class: usize| scores[row * wide + wide - self.classes + class];
        let (chosen, count) =
            if self.regular { self.by_each_class(&edges, score) } else { self.by_best_class(&edges, score) };
        let most = self.most * self.classes_each;
        let (mut boxes, mut classes, mut found) = (vec![0.0; 4 * most], vec![0.0; most], vec![0.0; most]);
        for one in &chosen {
            boxes[4 * one.place..][..4].copy_from_slice(&edges[one.row]);
            (classes[one.place], found[one.place]) = (one.class as f32, one.score);
        }
        Ok(vec![
            Tensor::from_shape(&[1, most, 4], &boxes)?,
            Tensor::from_shape(&[1, most], &classes)?,
            Tensor::from_shape(&[1, most], &found)?,
            Tensor::from_shape(&[1], &[count as f32])?,
        ])
    }
}

/// `PaddedNonMaxSuppression`: boxes `[N, 4]` by two corners, scores `[N]`, the overlap and the score from which on boxes are dropped or
/// kept, and perhaps how fast scores fall with overlap; to indices `[count]`, scores `[count]`, and their number.
pub(super) fn suppression(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let count = node::int(node, "count", 0)?;
    ensure!((1..=1 << 16).contains(&count), "its count is {count}, allowed are 1 to 65536");
    Ok(Arc::new(Suppression { count: count as usize }))
}

#[derive(Debug)]
struct Suppression {
    count: usize,
}

impl Kernel for Suppression {
    fn outputs(&self, _: &[Option<Known>]) -> TractResult<Outputs> {
        let (indices, scores) = ((DatumType::I32, vec![self.count]), (DatumType::F32, vec![self.count]));
        Ok(Some(vec![indices, scores, (DatumType::I32, vec![])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (corners, scores) = (floats(required(inputs, 0)?)?, floats(required(inputs, 1)?)?);
        let limit = |index: usize| -> TractResult<f32> {
            let Some(Some(limit)) = inputs.get(index) else { return Ok(0.0) };
            floats(limit)?.first().copied().context("a limit is empty")
        };
        let (iou, least, sigma) = (limit(2)?, limit(3)?, limit(4)?);
        ensure!(corners.len() == 4 * scores.len(), "{} scores for {} coordinates", scores.len(), corners.len());
        let edges: Vec<Edges> =
            corners.chunks(4).map(|c| [c[0].min(c[2]), c[1].min(c[3]), c[0].max(c[2]), c[1].max(c[3])]).collect();
        // Candidates by rising score, the last one being the next; each with the number of chosen ones it was held against.
        let mut candidates: Vec<(usize, f32, usize)> =
            (0..scores.len()).filter(|&row| scores[row] > least).map(|row| (row, scores[row], 0)).collect();
        candidates.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let mut chosen: Vec<(usize, f32)> = Vec::new();
        while chosen.len() < self.count {
            let Some((row, before, seen)) = candidates.pop() else { break };
            let (mut score, mut dropped) = (before, false);
            for (other, _) in chosen[seen..].iter().rev() {
                let share = overlap(&edges[row], &edges[*other]);
                if share >= iou {
                    dropped = true;
                    break;
                }
                if sigma > 0.0 {
                    score *= (-0.5 / sigma * share * share).exp();
                }
                if score <= least {
                    break;
                }
            }
            if dropped {
                continue;
            }
            if score == before {
                chosen.push((row, score));
            } else if score > least {
                // It stands behind those that are better now, and is held against what is chosen from here on.
                let place = candidates
                    .partition_point(|c| c.1.total_cmp(&score).then(row.cmp(&c.0)) == std::cmp::Ordering::Less);
                candidates.insert(place, (row, score, chosen.len()));
            }
        }
        let (mut indices, mut left) = (vec![0i32; self.count], vec![0.0f32; self.count]);
        for (place, (row, score)) in chosen.iter().enumerate() {
            (indices[place], left[place]) = (*row as i32, *score);
        }
        Ok(vec![tensor1(&indices), tensor1(&left), tensor0(chosen.len() as i32)])
    }
}
