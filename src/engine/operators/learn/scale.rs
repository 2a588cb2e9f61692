//! `Scaler`, `Normalizer`, `Binarizer`, `Imputer`: one number or one row at a time.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::{floats_of, samples};
use crate::onnx::node;
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{doubles, floats, ints, of_doubles, of_floats, required};

#[derive(Debug)]
struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

/// `(x − offset) · scale`, by feature.
pub(in crate::operators) fn scaler(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Scaler { offset: floats_of(node, "offset")?, scale: floats_of(node, "scale")? }))
}

fn same_shape(inputs: &[Option<Known>], dtype: Option<DatumType>) -> TractResult<Outputs> {
    let x = required(inputs, 0)?;
    Ok(Some(vec![(dtype.unwrap_or(x.dtype), x.shape.clone())]))
}

/// One value for each feature, or one for all.
fn of_feature(values: &[f32], features: usize, default: f32) -> TractResult<Vec<f32>> {
    match values {
        [] => Ok(vec![default; features]),
        [one] => Ok(vec![*one; features]),
        many if many.len() == features => Ok(many.to_vec()),
        many => bail!("it has {} values for {features} features", many.len()),
    }
}

impl Kernel for Scaler {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        same_shape(inputs, Some(DatumType::F32))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (_, features) = samples(x.shape())?;
        let (offset, scale) = (of_feature(&self.offset, features, 0.0)?, of_feature(&self.scale, features, 1.0)?);
        let mut values = floats(x)?;
        for row in values.chunks_mut(features.max(1)) {
            row.iter_mut().zip(&offset).zip(&scale).for_each(|((x, offset), scale)| *x = (*x - offset) * scale);
        }
        Ok(vec![of_floats(x.shape(), &values)?])
    }
}

#[derive(Debug)]
struct Normalizer(String);

/// Rows divided by their norm.
pub(in crate::operators) fn normalizer(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let norm = node::text(node, "norm", "MAX")?;
    ensure!(matches!(norm, "MAX" | "L1" | "L2"), "its norm is {norm:?}, allowed are MAX, L1 and L2");
    Ok(Arc::new(Normalizer(norm.to_owned())))
}

impl Kernel for Normalizer {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        same_shape(inputs, Some(DatumType::F32))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (_, features) = samples(x.shape())?;
        let mut values = floats(x)?;
        for row in values.chunks_mut(features.max(1)) {
            let norm = match self.0.as_str() {
                "L1" => row.iter().map(|x| x.abs()).sum(),
                "L2" => row.iter().map(|x| x * x).sum::<f32>().sqrt(),
                _ => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            };
            if norm != 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        Ok(vec![of_floats(x.shape(), &values)?])
    }
}

#[derive(Debug)]
struct Binarizer(f32);

/// 1 above a threshold, else 0.
pub(in crate::operators) fn binarizer(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Binarizer(node::float(node, "threshold", 0.0)?)))
}

impl Kernel for Binarizer {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        same_shape(inputs, None)
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let over: Vec<f64> = doubles(x)?.iter().map(|&x| f64::from(x > f64::from(self.0))).collect();
        Ok(vec![of_doubles(x.datum_type(), x.shape(), &over)?])
    }
}

/// Numbers that stand for missing ones.
#[derive(Debug)]
enum Imputer {
    Floats { values: Vec<f32>, replaced: f32 },
    Integers { values: Vec<i64>, replaced: i64 },
}

/// Missing numbers replaced, by feature.
pub(in crate::operators) fn imputer(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let values = floats_of(node, "imputed_value_floats")?;
    if !values.is_empty() {
        let replaced = node::float(node, "replaced_value_float", 0.0)?;
        return Ok(Arc::new(Imputer::Floats { values, replaced }));
    }
    let values = node::ints(node, "imputed_value_int64s")?.unwrap_or_default().to_vec();
    ensure!(!values.is_empty(), "it has no imputed values");
    Ok(Arc::new(Imputer::Integers { values, replaced: node::int(node, "replaced_value_int64", 0)? }))
}

impl Kernel for Imputer {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        same_shape(inputs, None)
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (_, features) = samples(x.shape())?;
        let made = match self {
            Imputer::Floats { values, replaced } => {
                let by_feature = of_feature(values, features, 0.0)?;
                let mut numbers = floats(x)?;
                for (index, number) in numbers.iter_mut().enumerate() {
                    if *number == *replaced || replaced.is_nan() && number.is_nan() {
                        *number = by_feature[index % features.max(1)];
                    }
                }
                of_floats(x.shape(), &numbers)?
            }
            Imputer::Integers { values, replaced } => {
                ensure!(
                    values.len() == 1 || values.len() == features,
                    "it has {} values for {features} features",
                    values.len()
                );
                let mut numbers = ints(x)?;
                for (index, number) in numbers.iter_mut().enumerate().filter(|(_, number)| **number == *replaced) {
                    *number = values[if values.len() == 1 { 0 } else { index % features.max(1) }];
                }
                Tensor::from_shape(x.shape(), &numbers)?
            }
        };
        Ok(vec![made.cast_to_dt(x.datum_type())?.into_owned()])
    }
}
