//! Tensors as a pipeline sees them: element type, shape, quantisation, and views on elements that a model owns.

use serde::Serialize;

/// Element type of a tensor that a pipeline can read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit float.
    F32,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
}

/// Affine quantisation, `real = scale × (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quant {
    /// Real value of one step; finite and above 0.
    pub scale: f32,
    /// The integer that stands for 0.0.
    pub zero_point: i32,
}

/// Name, element type and concrete shape of one model input or output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorSpec {
    /// Name in the ONNX graph.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Concrete shape, batch first.
    pub shape: Vec<usize>,
    /// Quantisation, where the graph defines it.
    pub quant: Option<Quant>,
}

/// Borrowed elements of a tensor.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Unsigned bytes.
    U8(&'a [u8]),
    /// 32-bit integers.
    I32(&'a [i32]),
    /// 64-bit integers.
    I64(&'a [i64]),
}

/// Mutably borrowed elements of a tensor.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// 32-bit floats.
    F32(&'a mut [f32]),
    /// Signed bytes.
    I8(&'a mut [i8]),
    /// Unsigned bytes.
    U8(&'a mut [u8]),
    /// 32-bit integers.
    I32(&'a mut [i32]),
    /// 64-bit integers.
    I64(&'a mut [i64]),
}

impl ElementsMut<'_> {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            ElementsMut::F32(_) => DType::F32,
            ElementsMut::I8(_) => DType::I8,
            ElementsMut::U8(_) => DType::U8,
            ElementsMut::I32(_) => DType::I32,
            ElementsMut::I64(_) => DType::I64,
        }
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        match self {
            ElementsMut::F32(v) => v.len(),
            ElementsMut::I8(v) => v.len(),
            ElementsMut::U8(v) => v.len(),
            ElementsMut::I32(v) => v.len(),
            ElementsMut::I64(v) => v.len(),
        }
    }
}

/// A read-only view of one tensor, row-major.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Name, shape and quantisation.
    pub spec: &'a TensorSpec,
    /// The values; as many as the product of `spec.shape`.
    pub data: Elements<'a>,
}

impl TensorView<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self.data {
            Elements::F32(v) => v.len(),
            Elements::I8(v) => v.len(),
            Elements::U8(v) => v.len(),
            Elements::I32(v) => v.len(),
            Elements::I64(v) => v.len(),
        }
    }

    /// `true` when there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as reals (`scale × (q − zero_point)` where the tensor is quantised), in place of the content of `out`.
    pub fn dequantize_into(&self, out: &mut Vec<f32>) {
        out.clear();
        let Quant { scale, zero_point } = self.spec.quant.unwrap_or(Quant { scale: 1.0, zero_point: 0 });
        match self.data {
            Elements::F32(v) => out.extend_from_slice(v),
            Elements::I8(v) => out.extend(v.iter().map(|&q| scale * (i32::from(q) - zero_point) as f32)),
            Elements::U8(v) => out.extend(v.iter().map(|&q| scale * (i32::from(q) - zero_point) as f32)),
            Elements::I32(v) => out.extend(v.iter().map(|&q| scale * (i64::from(q) - i64::from(zero_point)) as f32)),
            Elements::I64(v) => out.extend(v.iter().map(|&q| scale * q.saturating_sub(i64::from(zero_point)) as f32)),
        }
    }
}

/// A writable view of one tensor, row-major.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    /// Name, shape and quantisation.
    pub spec: &'a TensorSpec,
    /// The values; as many as the product of `spec.shape`.
    pub data: ElementsMut<'a>,
}
