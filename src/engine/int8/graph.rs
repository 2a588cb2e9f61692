//! A part of a model: what the search for partitions finds, and what a [`PartitionPlan`](super::PartitionPlan) is made from.
//!
//! Shapes and axes are ONNX's (pictures are `[N, C, H, W]`); how values lie in memory is the plan's business. A tensor is of
//! signed bytes (for a `uint8` tensor, both values and zero point have had 128 taken from them) or of 32-bit floats.

mod dense;
mod element;
mod float;
mod hybrid;
mod weights;

use std::sync::Arc;

pub use dense::{Clamp, Conv, MatMul};
pub use element::{Constant, Element, Quant};
pub use float::{Cell, FloatConv, FloatMatMul, FloatOp, Norm, Recurrent, RecurrentWeights};
pub use hybrid::{Hybrid, Product, Ranges};
pub use weights::Weights;

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name in the file, or one made from it.
    pub name: String,
    /// Every dimension at least 1.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub element: Element,
    /// Meaning of bytes; [`Quant::UNIT`] for floats.
    pub quant: Quant,
    /// Its elements, if they depend on no input.
    pub constant: Option<Constant>,
}

/// A part of the model.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every tensor.
    pub tensors: Vec<Tensor>,
    /// In an order in which they can be computed.
    pub nodes: Vec<Node>,
    /// Inputs, each tensor once.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
}

/// One operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name of the ONNX node it stands for (the computing one of a QDQ pattern).
    pub name: String,
    /// Computation.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<TensorId>,
    /// The result. Written by this node alone.
    pub output: TensorId,
}

/// Input or output of a partition.
#[derive(Clone, Debug)]
pub struct Port {
    /// The tensor inside.
    pub tensor: TensorId,
    /// Name of the tensor outside.
    pub name: String,
    /// Element type outside.
    pub format: Format,
}

/// Element type on the outer side of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Floats: quantised on the way in and dequantised on the way out where the tensor inside is of bytes.
    F32,
    /// Signed bytes, as they are inside.
    I8,
    /// Unsigned bytes.
    U8,
}

/// A window that slides over `[N, C, H, W]`.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Rows and columns.
    pub strides: [usize; 2],
    /// Rows and columns.
    pub dilations: [usize; 2],
    /// Top, left, bottom, right; what lies there does not count.
    pub pads: [usize; 4],
    /// For averages: zeros in the padding count, so every window is divided by the kernel's size.
    pub count_pads: bool,
}

/// Mixture of input rows that makes an output row (or column) of a resized picture: `first · (1 − share) + second · share`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// Index of an input row.
    pub first: usize,
    /// Index of another; the same for nearest.
    pub second: usize,
    /// 0 to 1; 0 for nearest.
    pub share: f32,
}

/// Computation of a node. Unless said otherwise, the result is requantised to its tensor's [`Quant`], whatever the operands' are.
///
/// `MaxPool`, `AveragePool`, `Concat`, `Resize`, `Reshape`, `Transpose`, `Slice`, `Gather` and `Softmax` work on bytes or on floats, all operands and
/// the result alike; `Pad` as well, where its byte 0 stands for 0.0. The others up to there are of bytes.
#[derive(Clone, Debug)]
pub enum Op {
    /// One operand.
    Conv(Conv),
    /// One operand. Element `i` of the operand adds its products to elements `i · stride + tap · dilation − pad` of the result; padding
    /// is cut off.
    ConvTranspose(Conv),
    /// One operand.
    MatMul(MatMul),
    /// Two operands `[…, M, K]` and `[…, K, N]`, whose first axes are broadcast, to `[…, M, N]`: `a · b · factor`.
    BatchMatMul {
        /// Finite, not 0.
        factor: f32,
        /// Activation folded into the rounding.
        clamp: Clamp,
    },
    /// `a + b` or `a − b`, broadcast as in ONNX.
    Add {
        /// `a − b` instead.
        subtract: bool,
        /// Activation folded into the rounding.
        clamp: Clamp,
    },
    /// `a · b`, broadcast as in ONNX.
    Mul {
        /// Activation folded into the rounding.
        clamp: Clamp,
    },
    /// `out = table[x as u8]` for every element: any function of one variable, requantisation included.
    Lookup(Arc<[i8; 256]>),
    /// The greatest in each window. Input and output have the same quantisation.
    MaxPool(Pool),
    /// The mean of each window.
    AveragePool(Pool),
    /// Operands one behind the other along an axis; each is requantised where it differs.
    Concat {
        /// Below the rank.
        axis: usize,
    },
    /// `[N, C, H, W]`, rows and columns each made of two.
    Resize {
        /// One for each output row.
        rows: Vec<Tap>,
        /// One for each output column.
        cols: Vec<Tap>,
    },
    /// Bytes of one value around. Same quantisation on both sides.
    Pad {
        /// For every axis.
        before: Vec<usize>,
        /// For every axis.
        after: Vec<usize>,
        /// The byte.
        value: i8,
    },
    /// The same elements, row-major, under another shape (also for Squeeze, Unsqueeze, Flatten). Same quantisation.
    Reshape,
    /// Axis `i` of the result is axis `perm[i]` of the operand. Same quantisation.
    Transpose {
        /// A permutation.
        perm: Vec<usize>,
    },
    /// Every `step`-th element from `start` along one axis, as many as the result has. Same quantisation.
    Slice {
        /// Below the rank.
        axis: usize,
        /// First element.
        start: usize,
        /// At least 1.
        step: usize,
    },
    /// Elements by index along one axis, as for a channel shuffle. Same quantisation.
    Gather {
        /// Below the rank.
        axis: usize,
        /// Each below the operand's dimension.
        indices: Vec<usize>,
    },
    /// Rows along the last axis, as [`FloatOp::Norm`].
    LayerNorm(Norm),
    /// `exp(x) / Σ exp(x)` along one axis.
    Softmax {
        /// Below the rank.
        axis: usize,
    },
    /// An operator with floats among its operands or as its result.
    Float(FloatOp),
}

impl Op {
    /// Its name in profiles: ONNX's operator type.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "Conv",
            Op::ConvTranspose(_) => "ConvTranspose",
            Op::MatMul(_) | Op::BatchMatMul { .. } => "MatMul",
            Op::Add { .. } => "Add",
            Op::Mul { .. } => "Mul",
            Op::Lookup(_) => "Lookup",
            Op::MaxPool(_) => "MaxPool",
            Op::AveragePool(_) => "AveragePool",
            Op::Concat { .. } => "Concat",
            Op::Resize { .. } => "Resize",
            Op::Pad { .. } => "Pad",
            Op::Reshape => "Reshape",
            Op::Transpose { .. } => "Transpose",
            Op::Slice { .. } => "Slice",
            Op::Gather { .. } => "Gather",
            Op::LayerNorm(_) => "LayerNormalization",
            Op::Softmax { .. } => "Softmax",
            Op::Float(op) => op.name(),
        }
    }

    /// Type of the result's elements where the first operand's are of type `operand`.
    pub fn element(&self, operand: Element) -> Element {
        match self {
            Op::Conv(_)
            | Op::ConvTranspose(_)
            | Op::MatMul(_)
            | Op::BatchMatMul { .. }
            | Op::Add { .. }
            | Op::Mul { .. }
            | Op::Lookup(_)
            | Op::LayerNorm(_) => Element::Byte,
            Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::Concat { .. }
            | Op::Resize { .. }
            | Op::Pad { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Gather { .. }
            | Op::Softmax { .. } => operand,
            Op::Float(op) => op.element(),
        }
    }
}
