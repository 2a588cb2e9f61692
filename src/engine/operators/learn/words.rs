//! `TfIdfVectorizer`: how often runs of integers occur in a row.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::floats_of;
use crate::onnx::node;
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{ints, of_floats, required};

/// Largest number of outputs, length of a run, and number of elements that are left out between two of a run.
const MAX_COLUMNS: i64 = 1 << 24;
const MAX_LENGTH: i64 = 1 << 10;
const MAX_SKIPPED: i64 = 1 << 16;

/// Weight of a count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Count,
    Presence,
    Weighted,
}

#[derive(Debug)]
struct TfIdfVectorizer {
    mode: Mode,
    /// Column of each run.
    runs: HashMap<Vec<i64>, usize>,
    /// Lengths of runs that are counted.
    lengths: (usize, usize),
    skipped: usize,
    columns: usize,
    /// One for each column; empty for 1.
    weights: Vec<f32>,
}

pub(in crate::operators) fn tf_idf(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let mode = match node::text(node, "mode", "")? {
        "TF" => Mode::Count,
        "IDF" => Mode::Presence,
        "TFIDF" => Mode::Weighted,
        other => bail!("its mode is {other:?}, allowed are TF, IDF and TFIDF"),
    };
    ensure!(
        node::attribute(node, "pool_strings").is_none(),
        "tensors of text are not supported (its pool_strings are)"
    );
    let size = |name: &str, least: i64, most: i64| -> TractResult<usize> {
        let found = node::int(node, name, least - 1)?;
        ensure!((least..=most).contains(&found), "its {name} is {found}, allowed is {least} to {most}");
        Ok(found as usize)
    };
    let lengths = (size("min_gram_length", 1, MAX_LENGTH)?, size("max_gram_length", 1, MAX_LENGTH)?);
    ensure!(lengths.0 <= lengths.1, "its min_gram_length {} is above its max_gram_length {}", lengths.0, lengths.1);
    let list = |name: &str| -> TractResult<Vec<i64>> { Ok(node::ints(node, name)?.unwrap_or_default().to_vec()) };
    let (pool, starts, indexes) = (list("pool_int64s")?, list("ngram_counts")?, list("ngram_indexes")?);
    let good = indexes.iter().all(|index| (0..MAX_COLUMNS).contains(index));
    ensure!(good && !indexes.is_empty(), "its ngram_indexes are none, or one is out of range");
    let columns = indexes.iter().max().map_or(0, |most| *most as usize + 1);
    let weights = floats_of(node, "weights")?;
    ensure!(weights.is_empty() || weights.len() >= columns, "it has {} weights for {columns} columns", weights.len());
    let mut ends = starts.iter().skip(1).copied().chain([pool.len() as i64]);
    let (mut runs, mut next) = (HashMap::new(), 0);
    for (length, &start) in (1..).zip(&starts) {
        let range = usize::try_from(start)?..usize::try_from(ends.next().unwrap_or_default())?;
        let part = pool.get(range).with_context(|| format!("its ngram_counts {starts:?} do not fit its pool"))?;
        ensure!(part.len() % length == 0, "its pool has {} elements for runs of {length}", part.len());
        for run in part.chunks(length) {
            let column = *indexes.get(next).context("it has fewer ngram_indexes than runs in its pool")?;
            next += 1;
            if (lengths.0..=lengths.1).contains(&length) {
                runs.insert(run.to_vec(), column as usize);
            }
        }
    }
    Ok(Arc::new(TfIdfVectorizer {
        mode,
        runs,
        lengths,
        skipped: size("max_skip_count", 0, MAX_SKIPPED)?,
        columns,
        weights,
    }))
}

impl TfIdfVectorizer {
    /// Output of a row of so many elements.
    fn shape(&self, x: &[usize]) -> TractResult<Vec<usize>> {
        match *x {
            [] | [_] => Ok(vec![self.columns]),
            [rows, _] => Ok(vec![rows, self.columns]),
            _ => bail!("its input has shape {x:?}, expected is a row, or a list of rows"),
        }
    }

    fn count(&self, row: &[i64], counts: &mut [f32]) {
        let mut run = Vec::with_capacity(self.lengths.1);
        for step in 1..=self.skipped + 1 {
            // Nothing is left out of a single element.
            let shortest = if step == 1 { self.lengths.0 } else { self.lengths.0.max(2) };
            for length in shortest..=self.lengths.1 {
                let reach = (length - 1) * step;
                for start in 0..row.len().saturating_sub(reach) {
                    run.clear();
                    run.extend(row[start..=start + reach].iter().step_by(step));
                    if let Some(&column) = self.runs.get(&run) {
                        counts[column] += 1.0;
                    }
                }
            }
        }
    }
}

impl Kernel for TfIdfVectorizer {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        Ok(Some(vec![(DatumType::F32, self.shape(&required(inputs, 0)?.shape)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let shape = self.shape(x.shape())?;
        let (values, rows) = (ints(x)?, if x.rank() == 2 { x.shape()[0] } else { 1 });
        let width = values.len() / rows.max(1);
        let mut made = vec![0f32; shape.iter().product()];
        for (row, counts) in made.chunks_mut(self.columns).enumerate() {
            self.count(&values[row * width..][..width], counts);
            for (column, count) in counts.iter_mut().enumerate() {
                let weight = self.weights.get(column).copied().unwrap_or(1.0);
                match self.mode {
                    Mode::Count => {}
                    Mode::Presence => *count = if *count > 0.0 { weight } else { 0.0 },
                    Mode::Weighted => *count *= weight,
                }
            }
        }
        Ok(vec![of_floats(&shape, &made)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::NodeBuilder;

    fn counted(mode: &str, skipped: i64, weights: Option<&[f32]>, x: &Tensor) -> Vec<f32> {
        let mut node = NodeBuilder::new("TfIdfVectorizer", ["x"])
            .text("mode", mode)
            .int("min_gram_length", 1)
            .int("max_gram_length", 2)
            .int("max_skip_count", skipped)
            .ints("pool_int64s", &[7, 8, 7, 8, 8, 7])
            .ints("ngram_counts", &[0, 2])
            .ints("ngram_indexes", &[3, 0, 1, 2])
            .named("n", ["y"]);
        if let Some(weights) = weights {
            let kind = tract_onnx::pb::attribute_proto::AttributeType::Floats as i32;
            let (name, floats) = ("weights".into(), weights.to_vec());
            node.attribute.push(tract_onnx::pb::AttributeProto { name, r#type: kind, floats, ..Default::default() });
        }
        let made = tf_idf(&node, 9).unwrap().run(&[Some(x)]).unwrap();
        made[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
    }

    #[test]
    fn runs_are_counted_with_and_without_elements_left_out() {
        let x = tensor1(&[7i64, 8, 8, 7]);
        // Columns: 8; 7 8; 8 7; 7.
        assert_eq!(counted("TF", 0, None, &x), [2.0, 1.0, 1.0, 2.0]);
        assert_eq!(counted("TF", 1, None, &x), [2.0, 2.0, 2.0, 2.0]);
        assert_eq!(counted("TFIDF", 0, Some(&[0.5, 2.0, 3.0, 4.0]), &x), [1.0, 2.0, 3.0, 8.0]);
        assert_eq!(
            counted("IDF", 0, Some(&[0.5, 2.0, 3.0, 4.0]), &tensor2(&[[7i32, 7], [8, 7]])),
            [0.0, 0.0, 0.0, 4.0, 0.5, 0.0, 3.0, 4.0]
        );
    }
}
