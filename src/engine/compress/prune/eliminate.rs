//! Loss with each set of channels once the layers that read it are fitted anew: channels taken out of a family one by one, each time the one with
//! the least loss, as optimal brain surgeons do it, for blocks of weights.

use std::collections::HashMap;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::tract_ndarray::linalg::general_mat_mul;
use tract_onnx::prelude::tract_ndarray::{Array2, Axis};

use super::labels::Label;
use super::score::{Scores, weights_of};
use super::trace::Trace;
use crate::compress::gram::{Cholesky, Gram, spread};
use crate::compress::run::{CompressError, Executor, Samples, floats_of, graph_of, observe};
use crate::compress::unroll::Unrolled;
use crate::onnx::GraphView;

/// Elements of a row up to which a layer is looked at in this way.
const WIDEST: usize = 2560;
/// Rows for each element of a row, and the fewest of a layer.
const ROWS: (usize, usize) = (4, 2048);
/// Memory for the moments of one pass over the samples.
const MOMENTS_BYTES: usize = 256 << 20;
/// Damping of the moments, a share of their mean.
const DAMPING: f64 = 1e-3;

/// One group of a layer that reads a family.
struct Reader {
    /// Tensor that it reads, and how.
    input: String,
    unrolled: Unrolled,
    group: usize,
    weights: Array2<f64>,
    gram: Gram,
    /// Inverse of the moments of what is left.
    inverse: Array2<f64>,
    /// Variance of the outputs.
    energy: f64,
    columns: HashMap<Label, Vec<usize>>,
}

/// Scores of families by elimination; families with a reader that is too wide have none.
///
/// # Errors
/// Those of [`observe`], and [`CompressError::Node`] for weights that cannot be read.
pub fn eliminate(
    model: &ModelProto,
    trace: &Trace,
    shapes: &HashMap<String, Vec<usize>>,
    families: &[Vec<Label>],
    (executor, samples, indices): (&dyn Executor, &dyn Samples, &[usize]),
) -> Result<Scores, CompressError> {
    let mut scores = Scores::new();
    let mut waiting: Vec<(&[Label], Vec<Reader>)> = Vec::new();
    let mut bytes = 0;
    for (at, family) in families.iter().enumerate() {
        executor.progress("weighing channels", at, families.len());
        let Some(readers) = readers(model, trace, shapes, family)? else { continue };
        bytes += readers.iter().map(|reader| 2 * 8 * reader.unrolled.width.pow(2)).sum::<usize>();
        waiting.push((family, readers));
        if bytes > MOMENTS_BYTES || at + 1 == families.len() {
            bytes = 0;
            pass(model, &mut waiting, (executor, samples, indices))?;
            for (family, readers) in waiting.drain(..) {
                scores.extend(one_by_one(family, readers));
            }
        }
    }
    if !waiting.is_empty() {
        pass(model, &mut waiting, (executor, samples, indices))?;
        waiting.drain(..).for_each(|(family, readers)| scores.extend(one_by_one(family, readers)));
    }
    Ok(scores)
}

/// Layers that multiply a family, group by group; none where one is too wide or nothing reads it.
fn readers(
    model: &ModelProto,
    trace: &Trace,
    shapes: &HashMap<String, Vec<usize>>,
    family: &[Label],
) -> Result<Option<Vec<Reader>>, CompressError> {
    let view = GraphView::new(graph_of(model)?);
    let mut found = Vec::new();
    for layer in trace.layers.iter().filter(|layer| !layer.depthwise) {
        let Some(own) = &layer.input else { continue };
        let heads = trace.labels.heads(own);
        if !heads.iter().any(|head| family.binary_search(head).is_ok()) {
            continue;
        }
        let (unrolled, weights) = weights_of(&view, layer, shapes)?;
        if unrolled.width > WIDEST {
            return Ok(None);
        }
        let taps = unrolled.taps();
        for group in 0..unrolled.groups {
            let mut columns: HashMap<Label, Vec<usize>> = HashMap::new();
            for column in 0..unrolled.width {
                let head = heads[(group * unrolled.width + column) / taps];
                if family.binary_search(&head).is_ok() {
                    columns.entry(head).or_default().push(column);
                }
            }
            found.push(Reader {
                input: view.node(layer.node).input[0].clone(),
                weights: unrolled.matrix(&weights, group),
                gram: Gram::new(unrolled.width),
                inverse: Array2::zeros((0, 0)),
                energy: 0.0,
                unrolled: unrolled.clone(),
                group,
                columns,
            });
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Sums the moments of all readers over the samples.
fn pass(
    model: &ModelProto,
    waiting: &mut [(&[Label], Vec<Reader>)],
    (executor, samples, indices): (&dyn Executor, &dyn Samples, &[usize]),
) -> Result<(), CompressError> {
    let mut names: Vec<String> = waiting.iter().flat_map(|(_, readers)| readers).map(|r| r.input.clone()).collect();
    names.sort();
    names.dedup();
    let mut turn = 0;
    observe(executor, model, samples, indices, &names, &mut |_, values| {
        for reader in waiting.iter_mut().flat_map(|(_, readers)| readers) {
            let Ok(at) = names.binary_search(&reader.input) else { continue };
            let wanted = (ROWS.0 * reader.unrolled.width).max(ROWS.1).div_ceil(indices.len());
            let places = spread(reader.unrolled.places, wanted, turn);
            let mut rows = Array2::zeros((places.len(), reader.unrolled.width));
            reader.unrolled.rows(floats_of(&reader.input, &values[at])?, reader.group, &places, rows.view_mut());
            reader.gram.add(rows.view());
        }
        turn += 1;
        Ok(())
    })
}

impl Reader {
    /// Turns sums into what elimination needs; none where they are not finite.
    fn begin(&mut self) -> Option<()> {
        let mut moments = self.gram.moments(true);
        self.energy = (self.weights.dot(&moments) * &self.weights).sum().max(f64::MIN_POSITIVE);
        let width = moments.nrows();
        let damping = (DAMPING * moments.diag().sum() / width as f64).max(f64::MIN_POSITIVE.sqrt());
        moments.diag_mut().iter_mut().for_each(|v| *v += damping);
        self.inverse = inverse(moments)?;
        Some(())
    }

    /// Share of the outputs' variance that is lost with some columns.
    fn loss(&self, columns: &[usize]) -> Option<f64> {
        let block = inverse(self.block(columns))?;
        let weights = self.weights.select(Axis(1), columns);
        Some((weights.dot(&block) * &weights).sum() / self.energy)
    }

    fn block(&self, columns: &[usize]) -> Array2<f64> {
        self.inverse.select(Axis(0), columns).select(Axis(1), columns)
    }

    /// Takes columns out: the others take over what they can.
    fn remove(&mut self, columns: &[usize]) -> Option<()> {
        let across = self.inverse.select(Axis(0), columns);
        let spread = inverse(self.block(columns))?.dot(&across);
        let own = self.weights.select(Axis(1), columns);
        general_mat_mul(-1.0, &own, &spread, 1.0, &mut self.weights);
        general_mat_mul(-1.0, &across.t(), &spread, 1.0, &mut self.inverse);
        for &column in columns {
            self.inverse.row_mut(column).fill(0.0);
            self.inverse.column_mut(column).fill(0.0);
            self.weights.column_mut(column).fill(0.0);
        }
        Some(())
    }
}

/// Loss with each member as it comes to its turn, never less than that of the one before.
fn one_by_one(family: &[Label], mut readers: Vec<Reader>) -> Scores {
    let mut scores = Scores::new();
    if readers.iter_mut().any(|reader| reader.begin().is_none()) {
        return scores;
    }
    let mut left = family.to_vec();
    let mut least = 0.0f64;
    while !left.is_empty() {
        let loss = |label: &Label| {
            let each = readers.iter().filter_map(|reader| reader.loss(reader.columns.get(label)?));
            each.sum::<f64>()
        };
        let best = left.iter().enumerate().map(|(at, label)| (loss(label), at));
        let Some((loss, at)) = best.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        let label = left.swap_remove(at);
        least = least.max(loss);
        // Equal losses keep the order in which they came.
        least += least * 1e-12;
        scores.insert(label, least);
        for reader in &mut readers {
            let Some(columns) = reader.columns.get(&label).cloned() else { continue };
            if reader.remove(&columns).is_none() {
                return scores;
            }
        }
    }
    scores
}

/// Inverse of a symmetric positive matrix.
fn inverse(matrix: Array2<f64>) -> Option<Array2<f64>> {
    let size = matrix.nrows();
    if size == 1 {
        let value = matrix[(0, 0)];
        return (value > 0.0 && value.is_finite()).then(|| Array2::from_elem((1, 1), 1.0 / value));
    }
    let factor = Cholesky::new(matrix)?;
    let mut inverse = Array2::eye(size);
    for mut row in inverse.rows_mut() {
        let mut values = row.to_vec();
        factor.solve(&mut values);
        row.iter_mut().zip(values).for_each(|(to, from)| *to = from);
    }
    Some(inverse)
}
