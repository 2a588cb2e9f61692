//! The outputs of a detector by what they hold: told by their shapes, and by their names where shapes leave a choice.
//!
//! Both who recognises a head and who reads it ask here.

use super::tensor::{DType, TensorSpec};

/// Distances in pixels of the cells of which detectors have a feature map.
pub const STRIDES: [usize; 5] = [4, 8, 16, 32, 64];

/// The strides, at least two that follow each other, whose cells over an input of `[height, width]` are `rows` with `per_cell` rows for each.
pub fn strides([height, width]: [usize; 2], rows: usize, per_cell: usize) -> Option<&'static [usize]> {
    let cells = |stride: &usize| height.div_ceil(*stride) * width.div_ceil(*stride);
    let ranges = (0..STRIDES.len()).flat_map(|first| (first + 2..=STRIDES.len()).map(move |end| first..end));
    ranges
        .map(|range| &STRIDES[range])
        .find(|strides| rows > 0 && strides.iter().map(cells).sum::<usize>().checked_mul(per_cell) == Some(rows))
}

/// Boxes and scores in outputs of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index of the output `[N, R, 4]` or `[N, R, 1, 4]`.
    pub boxes: usize,
    /// Index of the output of scores.
    pub scores: usize,
    /// Possible objects.
    pub rows: usize,
    /// Scores of each.
    pub classes: usize,
    /// True if the scores are `[N, classes, R]`.
    pub planes: bool,
    /// True if the boxes are `[N, R, 1, 4]`.
    pub wide: bool,
}

/// Boxes and scores, of two outputs, or of more that are named as DETR's are.
pub fn pair(outputs: &[&TensorSpec]) -> Option<Pair> {
    let all: Vec<usize> = match outputs.len() {
        2 => vec![0, 1],
        3.. => vec![
            outputs.iter().position(|o| is_named(o, &["pred_boxes"]))?,
            outputs.iter().position(|o| is_named(o, &["logits"]))?,
        ],
        _ => return None,
    };
    let rows_of = |index: usize| match outputs[index].shape[..] {
        [_, rows, 4] => Some((rows, false)),
        [_, rows, 1, 4] => Some((rows, true)),
        _ => None,
    };
    let named = |index: &usize| rows_of(*index).is_some() && is_named(outputs[*index], &["box", "dets", "loc"]);
    let boxes = all.iter().copied().find(named).or(all.iter().copied().find(|index| rows_of(*index).is_some()))?;
    let (rows, wide) = rows_of(boxes)?;
    let scores = all.into_iter().find(|index| *index != boxes)?;
    let (classes, planes) = match outputs[scores].shape[..] {
        [_, r, classes] if r == rows => (classes, false),
        [_, classes, r] if r == rows => (classes, true),
        _ => return None,
    };
    (rows > 0 && classes > 0).then_some(Pair { boxes, scores, rows, classes, planes, wide })
}

/// Boxes, class numbers and scores of objects that the network selected itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Index of the output `[N, R, 4]` or `[R, 4]`.
    pub boxes: usize,
    /// Indices of class numbers and scores, `[N, R]` or `[R]`.
    pub flat: [usize; 2],
    /// True if `flat` is class numbers, then scores; false where only the values tell which is which.
    pub sure: bool,
    /// Index of the output that tells how many rows count.
    pub count: Option<usize>,
    /// True if class numbers or the count are of an integer type, or there is no count: others than TensorFlow's.
    pub whole: bool,
}

/// Outputs of [`Chosen`] in any order.
pub fn chosen(outputs: &[&TensorSpec]) -> Option<Chosen> {
    let boxes = outputs.iter().position(|o| matches!(o.shape[..], [.., 4]) && (2..=3).contains(&o.shape.len()))?;
    let rows = outputs[boxes].shape[outputs[boxes].shape.len() - 2];
    let batchless = outputs[boxes].shape.len() == 2;
    let others: Vec<usize> = (0..outputs.len()).filter(|index| *index != boxes).collect();
    let is_flat = |index: &usize| match outputs[*index].shape[..] {
        [_, r] if !batchless => r == rows,
        [r] => r == rows && (batchless || rows > 1),
        _ => false,
    };
    let count = match others[..] {
        [_, _] => None,
        [_, _, _] => {
            let one = |index: &usize| outputs[*index].shape.iter().product::<usize>() == 1;
            let named = |index: &usize| one(index) && is_named(outputs[*index], &["num", "count"]);
            let alone = |index: &usize| one(index) && !is_flat(index);
            Some(others.iter().copied().find(named).or(others.iter().copied().find(alone))?)
        }
        _ => return None,
    };
    let flat: Vec<usize> = others.into_iter().filter(|index| Some(*index) != count).collect();
    let &[a, b] = flat.as_slice() else { return None };
    if ![a, b].iter().all(is_flat) {
        return None;
    }
    let is_whole = |index: usize| !matches!(outputs[index].dtype, DType::F32) && outputs[index].quant.is_none();
    let classes = |index: &usize| is_whole(*index) || names_classes(outputs[*index]);
    let scores = |index: &usize| is_named(outputs[*index], &["score", "conf", "prob"]) || names_scores(outputs[*index]);
    let first = [a, b].into_iter().find(classes).or([a, b].into_iter().find(|i| scores(&(a + b - i))));
    let flat = match first {
        Some(classes) => [classes, a + b - classes],
        None => [a, b],
    };
    let whole = count.is_none() || is_whole(flat[0]) || count.is_some_and(is_whole);
    Some(Chosen { boxes, flat, sure: first.is_some(), count, whole })
}

/// Name of the output of TensorFlow's operator, whose number says what it holds.
const POST_PROCESS: &str = "tflite_detection_postprocess:";

fn names_classes(output: &TensorSpec) -> bool {
    let name = output.name.to_ascii_lowercase();
    is_named(output, &["class", "label"]) || name.strip_prefix(POST_PROCESS) == Some("1")
}

fn names_scores(output: &TensorSpec) -> bool {
    output.name.to_ascii_lowercase().strip_prefix(POST_PROCESS) == Some("2")
}

/// True if the name of `output` holds one of these words.
pub fn is_named(output: &TensorSpec, words: &[&str]) -> bool {
    let name = output.name.to_ascii_lowercase();
    words.iter().any(|word| name.contains(word))
}

/// One stride's outputs of a head that has several for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Distance of the cells in pixels.
    pub stride: usize,
    /// Cells in a row.
    pub columns: usize,
    /// Indices of its outputs, in the order in which they were asked for.
    pub outputs: Vec<usize>,
}

/// Outputs of levels over an input of `[height, width]`: for every stride, with `per_cell` rows for each cell, one output with each of
/// these numbers of `columns`. Those with equally many stay in the order of the file.
pub fn levels(outputs: &[&TensorSpec], size: [usize; 2], columns: &[usize], per_cell: usize) -> Option<Vec<Level>> {
    if columns.is_empty() || !outputs.len().is_multiple_of(columns.len()) || outputs.len() < 2 * columns.len() {
        return None;
    }
    let wanted = outputs.len() / columns.len();
    let [height, width] = size;
    let mut levels = Vec::new();
    let mut used = vec![false; outputs.len()];
    for stride in STRIDES.iter().chain(&[128]).copied() {
        let cells = height.div_ceil(stride) * width.div_ceil(stride);
        // A small input has one cell of several strides: the outputs are of the first.
        let is_of_level = |index: &usize| {
            matches!(outputs[*index].shape[..], [.., rows, _] if rows == cells * per_cell) && !used[*index]
        };
        let mut of_level: Vec<usize> = (0..outputs.len()).filter(is_of_level).collect();
        if of_level.len() != columns.len() {
            continue;
        }
        let mut ordered = Vec::new();
        for &wanted in columns {
            let place = of_level.iter().position(|index| outputs[*index].shape.last() == Some(&wanted))?;
            used[of_level[place]] = true;
            ordered.push(of_level.remove(place));
        }
        levels.push(Level { stride, columns: width.div_ceil(stride), outputs: ordered });
    }
    (levels.len() == wanted).then_some(levels)
}

/// Scores and distances of [`Head::PicoDet`](super::Head::PicoDet) for each stride, and their columns; the longer rows are the distances
/// unless `classes` says otherwise.
pub fn distributions(
    outputs: &[&TensorSpec],
    size: [usize; 2],
    classes: Option<usize>,
) -> Option<(Vec<Level>, [usize; 2])> {
    let mut columns: Vec<usize> = outputs.iter().filter_map(|output| output.shape.last().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    let &[a, b] = columns.as_slice() else { return None };
    // Eight bins for each side, as both networks have.
    let is_distances = |columns: usize, other: usize| match classes {
        Some(classes) => other == classes && columns.is_multiple_of(4),
        None => columns == 4 * BINS,
    };
    let columns = match (is_distances(b, a), is_distances(a, b)) {
        (true, _) => [a, b],
        (false, true) => [b, a],
        _ => return None,
    };
    Some((levels(outputs, size, &columns, 1)?, columns))
}

/// Bins of a distribution of distances where only the shape tells.
pub const BINS: usize = 8;

/// Class, objectness, boxes and points of [`Head::YuNet`](super::Head::YuNet) for each stride.
pub fn yunet(outputs: &[&TensorSpec], size: [usize; 2]) -> Option<Vec<Level>> {
    levels(outputs, size, &[1, 1, 4, 10], 1)
}

/// Scores, boxes and, where there are any, points of [`Head::Scrfd`](super::Head::Scrfd) for each stride.
pub fn scrfd(outputs: &[&TensorSpec], size: [usize; 2]) -> Option<Vec<Level>> {
    levels(outputs, size, &[1, 4, 10], 2).or_else(|| levels(outputs, size, &[1, 4], 2))
}

/// Outputs of [`Head::MediaPipe`](super::Head::MediaPipe).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Index of the output of boxes and key points.
    pub boxes: usize,
    /// Index of the output of logits.
    pub scores: usize,
    /// Values of a box and its key points.
    pub columns: usize,
    /// Stride and anchors of a cell, layer by layer.
    pub layers: &'static [(usize, usize)],
}

/// The layers of MediaPipe's detectors.
const LAYERS: [&[(usize, usize)]; 4] =
    [&[(8, 2), (16, 6)], &[(8, 2), (16, 2), (32, 6)], &[(16, 2), (32, 6)], &[(4, 1)]];

/// Boxes with key points and one logit each, as many as a detector of MediaPipe has anchors.
pub fn mediapipe(outputs: &[&TensorSpec], [height, width]: [usize; 2]) -> Option<Anchored> {
    let [first, second] = outputs else { return None };
    let (boxes, scores) = if first.shape.last() == Some(&1) { (1, 0) } else { (0, 1) };
    let (&[_, rows, columns], &[_, scored, 1]) = (&outputs[boxes].shape[..], &[first, second][scores].shape[..]) else {
        return None;
    };
    let anchors = |layers: &&&[(usize, usize)]| {
        let each = |(stride, each): &(usize, usize)| height.div_ceil(*stride) * width.div_ceil(*stride) * each;
        layers.iter().map(each).sum::<usize>() == rows
    };
    let layers = LAYERS.iter().find(anchors)?;
    (rows == scored && columns > 4 && columns % 2 == 0).then_some(Anchored { boxes, scores, columns, layers })
}

/// A network that finds the key points of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landmarks {
    /// Index of the output of points.
    pub points: usize,
    /// Index of the output that tells whether the object is there.
    pub presence: usize,
    /// Key points that are given; those behind them are for the next picture.
    pub count: usize,
    /// Values of a point: x, y, z and, with 5, logits of being seen and of being there.
    pub values: usize,
    /// Presence is a logit.
    pub logit: bool,
}

/// Columns, key points and values of each, and whether presence is a logit: of bodies, hands and faces.
const LANDMARKS: [(usize, usize, usize, bool); 3] = [(195, 33, 5, false), (63, 21, 3, false), (1404, 468, 3, true)];

/// Outputs of [`Head::Landmarks`](super::Head::Landmarks); of several with one form, the first.
pub fn landmarks(outputs: &[&TensorSpec]) -> Option<Landmarks> {
    let columns = |output: &TensorSpec| match output.shape[..] {
        [_, columns] | [_, 1, 1, columns] => columns,
        _ => 0,
    };
    let place = |wanted: usize| outputs.iter().position(|output| columns(output) == wanted);
    LANDMARKS.into_iter().find_map(|(columns, count, values, logit)| {
        Some(Landmarks { points: place(columns)?, presence: place(1)?, count, values, logit })
    })
}

/// Strides of [`Head::RetinaFace`](super::Head::RetinaFace) with the sides in pixels of the two anchors of a cell.
pub const FACE_ANCHORS: [(usize, [f32; 2]); 3] = [(8, [16.0, 32.0]), (16, [64.0, 128.0]), (32, [256.0, 512.0])];

/// Indices of boxes, scores and points of [`Head::RetinaFace`](super::Head::RetinaFace).
pub fn retinaface(outputs: &[&TensorSpec], [height, width]: [usize; 2]) -> Option<[usize; 3]> {
    let cells = |(stride, _): &(usize, [f32; 2])| height.div_ceil(*stride) * width.div_ceil(*stride) * 2;
    let rows: usize = FACE_ANCHORS.iter().map(cells).sum();
    let of = |columns: usize| {
        outputs.iter().position(|output| matches!(output.shape[..], [_, r, c] if r == rows && c == columns))
    };
    (outputs.len() == 3).then_some([of(4)?, of(2)?, of(10)?])
}

/// Rows, columns and the pixels between two places of a map of probabilities over an input of `[height, width]`.
pub fn probabilities(outputs: &[&TensorSpec], [height, width]: [usize; 2]) -> Option<[usize; 3]> {
    let [only] = outputs else { return None };
    let [_, 1, rows, columns] = only.shape[..] else { return None };
    let stride = height.checked_div(rows)?;
    (stride > 0 && [rows * stride, columns * stride] == [height, width]).then_some([rows, columns, stride])
}

/// Indices of the rows `[R, 6]` and of their number for each item, of [`Head::Paddle`](super::Head::Paddle).
pub fn paddle(outputs: &[&TensorSpec]) -> Option<(usize, Option<usize>)> {
    let rows = outputs.iter().position(|output| matches!(output.shape[..], [_, 6]))?;
    let count = outputs.iter().position(|output| output.shape.len() == 1 && output.dtype != DType::F32);
    (outputs.len() == 1 || count.is_some()).then_some((rows, count))
}

/// Indices of the rows `[N, R, 5]` and of their class numbers, of [`Head::MmDet`](super::Head::MmDet).
pub fn mmdet(outputs: &[&TensorSpec]) -> Option<[usize; 2]> {
    let rows = outputs.iter().position(|output| matches!(output.shape[..], [_, _, 5]))?;
    let count = outputs[rows].shape[1];
    let classes = outputs.iter().position(|output| matches!(output.shape[..], [_, n] if n == count))?;
    (outputs[classes].dtype != DType::F32 || is_named(outputs[classes], &["label", "class"])).then_some([rows, classes])
}

/// Persons that MoveNet finds at most; more rows of this length are another network's.
const MOST_PERSONS: usize = 16;

/// True for the outputs of [`Head::MoveNet`](super::Head::MoveNet).
pub fn is_movenet(outputs: &[&TensorSpec]) -> bool {
    matches!(outputs, [only] if matches!(only.shape[..], [_, 1, 17, 3] | [_, 1..=MOST_PERSONS, 56]))
}
