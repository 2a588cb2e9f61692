//! `LabelEncoder`, `OneHotEncoder`, `ArrayFeatureExtractor`, `FeatureVectorizer`: numbers to numbers, columns to columns.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::samples;
use crate::onnx::{node, tensor};
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{doubles, floats, ints, of_doubles, of_floats, required};

/// Keys and what stands for them.
#[derive(Debug)]
struct LabelEncoder {
    keys: Vec<f64>,
    values: Vec<f64>,
    default: f64,
    dtype: DatumType,
}

const TEXT: &str = "tensors of text are not supported";

/// From the attributes of one side: numbers, and the type of what they are.
fn side(node: &NodeProto, what: &str) -> TractResult<(Vec<f64>, DatumType)> {
    if let Some(proto) = node::tensor(node, &format!("{what}_tensor"))? {
        let read = tensor::read(proto).context(TEXT)?;
        return Ok((doubles(&read)?, read.datum_type()));
    }
    if let Some(numbers) = node::ints(node, &format!("{what}_int64s"))? {
        return Ok((numbers.iter().map(|&n| n as f64).collect(), DatumType::I64));
    }
    match node::floats(node, &format!("{what}_floats"))? {
        Some(numbers) => Ok((numbers.iter().map(|&n| f64::from(n)).collect(), DatumType::F32)),
        None => bail!("{TEXT} (its {what} are)"),
    }
}

pub(in crate::operators) fn label_encoder(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let ((keys, _), (values, dtype)) = (side(node, "keys")?, side(node, "values")?);
    ensure!(keys.len() == values.len(), "it has {} keys and {} values", keys.len(), values.len());
    let default = match (node::tensor(node, "default_tensor")?, dtype) {
        (Some(proto), _) => doubles(&tensor::read(proto).context(TEXT)?)?.first().copied().unwrap_or(0.0),
        (None, DatumType::I64) => node::int(node, "default_int64", -1)? as f64,
        (None, _) => f64::from(node::float(node, "default_float", -0.0)?),
    };
    Ok(Arc::new(LabelEncoder { keys, values, default, dtype }))
}

impl Kernel for LabelEncoder {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        Ok(Some(vec![(self.dtype, required(inputs, 0)?.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let place = |x: &f64| self.keys.iter().position(|key| key == x || key.is_nan() && x.is_nan());
        let values = doubles(x)?;
        let made: Vec<f64> = values.iter().map(|x| place(x).map_or(self.default, |at| self.values[at])).collect();
        Ok(vec![of_doubles(self.dtype, x.shape(), &made)?])
    }
}

/// Categories that are numbers.
#[derive(Debug)]
struct OneHotEncoder {
    categories: Vec<i64>,
    /// An unknown number gives zeros instead of an error.
    zeros: bool,
}

pub(in crate::operators) fn one_hot(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let categories = node::ints(node, "cats_int64s")?.unwrap_or_default().to_vec();
    ensure!(!categories.is_empty(), "{TEXT} (its categories are)");
    Ok(Arc::new(OneHotEncoder { categories, zeros: node::int(node, "zeros", 1)? != 0 }))
}

impl Kernel for OneHotEncoder {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let mut shape = required(inputs, 0)?.shape.clone();
        shape.push(self.categories.len());
        Ok(Some(vec![(DatumType::F32, shape)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let numbers = ints(x)?;
        let count = self.categories.len();
        let mut made = vec![0.0; numbers.len() * count];
        for (index, number) in numbers.iter().enumerate() {
            match self.categories.iter().position(|category| category == number) {
                Some(at) => made[index * count + at] = 1.0,
                None => ensure!(self.zeros, "{number} is none of its categories"),
            }
        }
        let shape: Vec<usize> = x.shape().iter().copied().chain([count]).collect();
        Ok(vec![of_floats(&shape, &made)?])
    }
}

/// Columns of the last axis, by index.
#[derive(Debug)]
struct ArrayFeatureExtractor;

pub(in crate::operators) fn extractor(_: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(ArrayFeatureExtractor))
}

fn extracted(shape: &[usize], count: usize) -> TractResult<Vec<usize>> {
    match shape {
        [_] => Ok(vec![1, count]),
        [outer @ .., _] => Ok(outer.iter().copied().chain([count]).collect()),
        [] => bail!("its input is a scalar"),
    }
}

impl Kernel for ArrayFeatureExtractor {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, indices) = (required(inputs, 0)?, required(inputs, 1)?);
        Ok(Some(vec![(x.dtype, extracted(&x.shape, indices.shape.iter().product())?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, indices) = (*required(inputs, 0)?, ints(required(inputs, 1)?)?);
        let width = x.shape().last().copied().context("its input is a scalar")?;
        let beyond = indices.iter().find(|&&i| i < 0 || i as usize >= width);
        if let Some(index) = beyond {
            bail!("it takes column {index} of {width}");
        }
        let shape = extracted(x.shape(), indices.len())?;
        let size = x.datum_type().size_of();
        let mut made = Tensor::zero_dt(x.datum_type(), &shape)?;
        let mut out = made.as_bytes_mut().chunks_exact_mut(size);
        for row in x.as_bytes().chunks_exact((width * size).max(1)) {
            for &index in &indices {
                if let Some(out) = out.next() {
                    out.copy_from_slice(&row[index as usize * size..][..size]);
                }
            }
        }
        Ok(vec![made])
    }
}

/// Columns of several inputs, one behind the other.
#[derive(Debug)]
struct FeatureVectorizer(Vec<usize>);

pub(in crate::operators) fn vectorizer(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let widths = node::ints(node, "inputdimensions")?.unwrap_or_default();
    Ok(Arc::new(FeatureVectorizer(widths.iter().map(|&w| usize::try_from(w)).collect::<Result<_, _>>()?)))
}

impl FeatureVectorizer {
    /// Columns of input `index`, of those that it has.
    fn width(&self, index: usize, features: usize) -> usize {
        self.0.get(index).copied().unwrap_or(features)
    }
}

impl Kernel for FeatureVectorizer {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (count, _) = samples(&required(inputs, 0)?.shape)?;
        let mut width = 0;
        for (index, input) in inputs.iter().flatten().enumerate() {
            width += self.width(index, samples(&input.shape)?.1);
        }
        Ok(Some(vec![(DatumType::F32, vec![count, width])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (count, _) = samples(required(inputs, 0)?.shape())?;
        let mut columns = Vec::new();
        for (index, input) in inputs.iter().flatten().enumerate() {
            let (rows, features) = samples(input.shape())?;
            ensure!(rows == count, "its inputs have {count} and {rows} samples");
            columns.push((features, self.width(index, features), floats(input)?));
        }
        let mut made = Vec::new();
        for row in 0..count {
            for (features, width, values) in &columns {
                // A column that the input does not have is 0.
                made.extend((0..*width).map(|c| if c < *features { values[row * features + c] } else { 0.0 }));
            }
        }
        let width = columns.iter().map(|(_, width, _)| width).sum();
        Ok(vec![of_floats(&[count, width], &made)?])
    }
}
