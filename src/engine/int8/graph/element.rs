//! Elements of tensors: bytes with a meaning, and floats.

use std::sync::Arc;

/// `real = (byte − zero_point) · scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    /// Finite and above 0.
    pub scale: f32,
    /// −128 to 127.
    pub zero_point: i32,
}

impl Quant {
    /// Values that stand for themselves: the quantisation that tensors of floats are said to have.
    pub const UNIT: Quant = Quant { scale: 1.0, zero_point: 0 };
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A signed byte.
    Byte,
    /// A 32-bit float.
    Float,
}

impl Element {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Element::Byte => 1,
            Element::Float => 4,
        }
    }
}

/// The elements of a tensor that depends on no input, row-major.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Of a tensor of bytes.
    Bytes(Arc<Vec<i8>>),
    /// Of a tensor of floats.
    Floats(Arc<Vec<f32>>),
}

impl Constant {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Constant::Bytes(bytes) => bytes.len(),
            Constant::Floats(floats) => floats.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
