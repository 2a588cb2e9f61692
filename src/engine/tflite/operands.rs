//! Operands of the nodes that are written: constants of the file, their axes put in order, and small ones that operators want.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::f16;

use super::constants::{onnx_type, permuted};
use super::graph::Quant;
use super::schema::ElementType;
use super::write::{Try, Writer};
use crate::onnx::build::{self, NodeBuilder};

/// Message for a file that expands beyond its allowance by repetition.
const SHARED: &str = "the file shares its parts more often than can be";

impl Writer<'_, '_> {
    /// Names of the scale and zero point of a tensor of bytes.
    pub fn parameters(&mut self, index: usize) -> Try<(String, String)> {
        let tensor = self.tensor(index);
        let quant = tensor.quant.as_ref().ok_or_else(|| format!("tensor {:?} has no scale", tensor.name))?;
        let (least, most) = tensor.kind.range().ok_or_else(|| {
            format!("tensor {:?} is of type {}, whose integers are no reals here", tensor.name, tensor.kind.name())
        })?;
        if let Some(zero_point) = quant.zero_points.iter().find(|&z| !(least..=most).contains(z)) {
            let kind = tensor.kind.name();
            return Err(format!("the zero point {zero_point} of tensor {:?} is no {kind}", tensor.name));
        }
        let dims: Vec<i64> = if quant.scales.len() == 1 { vec![] } else { vec![quant.scales.len() as i64] };
        let scales = quant.scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        let scale = self.initializer(DataType::Float, dims.clone(), scales)?;
        let width = tensor.kind.size_bytes().unwrap_or(1);
        let bytes = quant.zero_points.iter().flat_map(|z| z.to_le_bytes().into_iter().take(width)).collect();
        Ok((scale, self.initializer(onnx_type(tensor.kind)?, dims, bytes)?))
    }

    /// A constant of the file under shape `shape` with axes in `order`, as it is stored.
    pub fn constant(&mut self, index: usize, shape: &[usize], order: &[usize]) -> Try<String> {
        let key = (index, shape.to_vec(), order.to_vec());
        if let Some(name) = self.constants.large.get(&key) {
            return Ok(name.clone());
        }
        let tensor = self.tensor(index);
        let values = tensor.data.as_deref().ok_or_else(|| format!("tensor {:?} is no constant", tensor.name))?;
        let width = tensor.kind.size_bytes();
        let width = width.ok_or_else(|| format!("constant {:?} is of type {}", tensor.name, tensor.kind.name()))?;
        if shape.iter().product::<usize>() * width != values.len() {
            return Err(format!("constant {:?} does not fill shape {shape:?}", tensor.name));
        }
        self.spend(values.len())?;
        let mut bytes = permuted(values, shape, order, width);
        if tensor.kind == ElementType::F16 {
            self.spend(values.len())?;
            let wide = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32().to_le_bytes();
            bytes = bytes.chunks_exact(2).flat_map(wide).collect();
        }
        let dims = order.iter().map(|&axis| shape[axis] as i64).collect();
        let kind = if tensor.kind == ElementType::F16 { ElementType::F32 } else { tensor.kind };
        let name = self.fresh(index, "");
        self.push_initializer(name.clone(), onnx_type(kind)?, dims, bytes);
        self.constants.large.insert(key, name.clone());
        Ok(name)
    }

    /// [`Writer::constant`] as reals.
    pub fn real_constant(&mut self, index: usize, shape: &[usize], order: &[usize]) -> Try<String> {
        let stored = self.constant(index, shape, order)?;
        // Leading dimensions of 1 may have been added.
        let lead = shape.len().saturating_sub(self.tensor(index).shape.len());
        let order: Vec<usize> = order.iter().map(|&axis| axis.wrapping_sub(lead)).collect();
        self.dequantised(index, stored, Some(&order))
    }

    /// The integers of a constant.
    pub fn integers(&self, index: usize) -> Try<Vec<i64>> {
        let tensor = self.tensor(index);
        tensor.integers().ok_or_else(|| format!("its operand {:?} is not a few constant integers", tensor.name))
    }

    /// The 32-bit integers of constant `index` as reals with these scales: what is added to sums of products.
    pub fn terms(&mut self, index: usize, scales: &[f32]) -> Try<String> {
        let tensor = self.tensor(index);
        let stored = self.constant(index, &tensor.shape, &[0])?;
        let dims: Vec<i64> = if scales.len() == 1 { vec![] } else { vec![scales.len() as i64] };
        let bytes = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        let scale = self.initializer(DataType::Float, dims.clone(), bytes)?;
        let name = self.fresh(index, "real");
        let step = match tensor.kind {
            ElementType::I32 => {
                let zero_point = self.initializer(DataType::Int32, dims, vec![0; 4 * scales.len()])?;
                NodeBuilder::new("DequantizeLinear", [&stored, &scale, &zero_point]).size("axis", 0)
            }
            // Beside activations of 16 bits.
            ElementType::I64 => {
                let stored = self.extra(index, NodeBuilder::new("Cast", [&stored]).int("to", DataType::Float as i64));
                NodeBuilder::new("Mul", [&stored, &scale])
            }
            other => {
                return Err(format!("its bias {:?} is of type {}, expected INT32", tensor.name, other.name()));
            }
        };
        self.node(step, name.clone());
        Ok(name)
    }

    /// The one scale of an activation.
    pub fn scale(&self, index: usize) -> Try<f32> {
        match &self.tensor(index).quant {
            Some(Quant { scales, .. }) if scales.len() == 1 => Ok(scales[0]),
            _ => Err(format!("tensor {:?} has not one scale", self.tensor(index).name)),
        }
    }

    /// A shape as an operand, its first dimension left open with the batch.
    pub fn dims(&mut self, shape: &[usize]) -> Try<String> {
        let mut dims = build::dims(shape);
        if let (true, Some(first)) = (self.open, dims.first_mut()) {
            *first = -1;
        }
        self.longs(&dims)
    }

    /// Integers as an operand.
    pub fn longs(&mut self, values: &[i64]) -> Try<String> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(DataType::Int64, vec![values.len() as i64], bytes)
    }

    /// A number as an operand.
    pub fn number(&mut self, value: f32) -> Try<String> {
        self.initializer(DataType::Float, vec![], value.to_le_bytes().to_vec())
    }

    /// Numbers as an operand.
    pub fn numbers(&mut self, values: &[f32]) -> Try<String> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(DataType::Float, vec![values.len() as i64], bytes)
    }

    /// A number of type `kind` as an operand; infinities stand for the least and greatest of a type of integers.
    pub fn typed(&mut self, kind: ElementType, value: f64) -> Try<String> {
        let bytes = match kind {
            ElementType::F32 => (value as f32).to_le_bytes().to_vec(),
            ElementType::F64 => value.to_le_bytes().to_vec(),
            ElementType::I8 => (value as i8).to_le_bytes().to_vec(),
            ElementType::U8 => (value as u8).to_le_bytes().to_vec(),
            ElementType::I16 => (value as i16).to_le_bytes().to_vec(),
            ElementType::U16 => (value as u16).to_le_bytes().to_vec(),
            ElementType::I32 => (value as i32).to_le_bytes().to_vec(),
            ElementType::U32 => (value as u32).to_le_bytes().to_vec(),
            ElementType::I64 => (value as i64).to_le_bytes().to_vec(),
            ElementType::U64 => (value as u64).to_le_bytes().to_vec(),
            ElementType::Bool => vec![u8::from(value != 0.0)],
            other => return Err(format!("there are no numbers of type {} here", other.name())),
        };
        self.initializer(onnx_type(kind)?, vec![], bytes)
    }

    /// Values of type `kind` under shape `shape` as an operand.
    pub fn values(&mut self, kind: ElementType, shape: &[usize], bytes: Vec<u8>) -> Try<String> {
        self.initializer(onnx_type(kind)?, build::dims(shape), bytes)
    }

    fn initializer(&mut self, kind: DataType, dims: Vec<i64>, bytes: Vec<u8>) -> Try<String> {
        let key = (kind as i32, dims, bytes);
        if let Some(name) = self.constants.small.get(&key) {
            return Ok(name.clone());
        }
        self.spend(key.2.len())?;
        let name = self.unique(format!("constant_{}", self.constants.small.len()));
        self.push_initializer(name.clone(), kind, key.1.clone(), key.2.clone());
        self.constants.small.insert(key, name.clone());
        Ok(name)
    }

    fn push_initializer(&mut self, name: String, kind: DataType, dims: Vec<i64>, raw_data: Vec<u8>) {
        self.graph.initializer.push(build::tensor(name, kind, dims, raw_data));
    }

    /// Takes from what may still be written.
    pub fn spend(&mut self, bytes: usize) -> Try<()> {
        self.allowance = self.allowance.checked_sub(bytes).ok_or(SHARED)?;
        Ok(())
    }

    /// Fails where a list of so many integers is more than may still be written, before it is made.
    pub fn room(&self, count: usize) -> Try<()> {
        if count.saturating_mul(8) > self.allowance {
            Err(format!("a list of {count} places is too long"))
        } else {
            Ok(())
        }
    }

    /// Fails where more was written than the file can be worth.
    pub fn check(&self) -> Try<()> {
        if self.allowance == 0 { Err(SHARED.into()) } else { Ok(()) }
    }
}
