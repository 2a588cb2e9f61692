//! Operators with floats among their operands or as their result.

use std::sync::Arc;

use super::dense::MatMul;
use super::element::Element;
use super::hybrid::{Hybrid, Product};
use super::weights::Weights;
use crate::int8::kernels::float::{Binary, Epilogue, Function, Reduction};

/// A convolution. Operands: `[N, C, H, W]`, and what is added to the result if there is a second one.
#[derive(Clone, Debug)]
pub struct FloatConv {
    /// `[out channels, C / groups, kh, kw]`, row-major.
    pub weights: Weights<f32>,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// `[out channels]`.
    pub bias: Vec<f32>,
    /// Rows and columns.
    pub strides: [usize; 2],
    /// Rows and columns.
    pub dilations: [usize; 2],
    /// Top, left, bottom, right; zeros stand there.
    pub pads: [usize; 4],
    /// Divides input and output channels.
    pub groups: usize,
    /// Applied to each sum.
    pub epilogue: Epilogue,
}

/// A product with constant weights. Operands: `[…, K]`, and what is added to the result `[…, N]` if there is a second one.
#[derive(Clone, Debug)]
pub struct FloatMatMul {
    /// `[N][K]`.
    pub weights: Weights<f32>,
    /// `[N]`.
    pub bias: Vec<f32>,
    /// Applied to each sum.
    pub epilogue: Epilogue,
}

/// Normalisation of rows along the last axis: `(x − mean) / √(variance + epsilon) · scale + bias`.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f32,
    /// False for a root mean square: no mean is subtracted.
    pub centre: bool,
    /// One for each element of a row; `None` for 1.
    pub scale: Option<Arc<Vec<f32>>>,
    /// One for each element of a row; `None` for 0.
    pub bias: Option<Arc<Vec<f32>>>,
}

/// Kind of a recurrent layer.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Gates: input, output, forget, cell.
    Lstm {
        /// `[3 · H]` of input, output and forget gate.
        peepholes: Option<Arc<Vec<f32>>>,
    },
    /// Gates: update, reset, hidden.
    Gru {
        /// Set where the hidden state is reset behind its product, not before it.
        linear: bool,
    },
}

impl Cell {
    /// Gates of a unit.
    pub fn gates(&self) -> usize {
        match self {
            Cell::Lstm { .. } => 4,
            Cell::Gru { .. } => 3,
        }
    }
}

/// One direction of a recurrent layer with `H` units over `T` steps of `B` sequences. Operands: `[T, B, gates · H]`, the sequences times their weights
/// with biases; then, if there are any, the initial states `[B, H]`, of an LSTM hidden and cell state. Result: `[T, B, H]`, the hidden states; of
/// an LSTM `[T + 1, B, H]`, the last row being the last cell state.
#[derive(Clone, Debug)]
pub struct Recurrent {
    /// Kind.
    pub cell: Cell,
    /// Of the hidden state.
    pub weights: RecurrentWeights,
    /// `[gates · H]`, added to the products of the hidden state.
    pub bias: Vec<f32>,
    /// Gates are clipped to `±clip` before their functions; ∞ for none.
    pub clip: f32,
    /// From the last step to the first.
    pub reverse: bool,
}

/// Weights of a hidden state, `[gates · H][H]`.
#[derive(Clone, Debug)]
pub enum RecurrentWeights {
    /// Floats.
    Floats(Weights<f32>),
    /// Bytes, of an LSTM: the hidden states of all sequences together are quantised in every step, as by ONNX's `DynamicQuantizeLinear`.
    Bytes(MatMul),
}

impl RecurrentWeights {
    /// Number of weights.
    pub fn count(&self) -> usize {
        match self {
            RecurrentWeights::Floats(weights) => weights.len(),
            RecurrentWeights::Bytes(matmul) => matmul.weights.len(),
        }
    }
}

/// Computation of a node on 32-bit floats. Unless said otherwise, operands and result are of floats.
#[derive(Clone, Debug)]
pub enum FloatOp {
    /// One operand, or two.
    Conv(FloatConv),
    /// One operand, or two.
    MatMul(FloatMatMul),
    /// `[…, M, K]` by `[…, K, N]`, the leading axes broadcast; every operand has the result's rank.
    Product {
        /// Applied to each sum.
        function: Function,
    },
    /// A function of every element.
    Unary(Function),
    /// A function of every pair of elements, broadcast as in ONNX.
    Binary {
        /// The function.
        op: Binary,
        /// Applied to its result.
        after: Function,
    },
    /// One number of all elements along some axes, which the result keeps with length 1.
    Reduce {
        /// Applied to their elements.
        reduction: Reduction,
        /// Below the rank, ascending, at least one.
        axes: Vec<usize>,
    },
    /// Logarithm of the softmax along one axis.
    LogSoftmax {
        /// Below the rank.
        axis: usize,
    },
    /// Rows along the last axis.
    Norm(Norm),
    /// A recurrent layer.
    Recurrent(Recurrent),
    /// Floats of one value around.
    Pad {
        /// For every axis.
        before: Vec<usize>,
        /// For every axis.
        after: Vec<usize>,
        /// The value.
        value: f32,
    },
    /// Bytes, rounded to the result's [`Quant`](super::element::Quant).
    Quantize,
    /// The floats that bytes stand for.
    Dequantize,
    /// `table[x as u8]` for every byte: any function of one.
    Lookup(Arc<[f32; 256]>),
    /// A product in integers between floats.
    Hybrid(Box<Hybrid>),
}

impl FloatOp {
    /// Its name in profiles: ONNX's operator type.
    pub fn name(&self) -> &'static str {
        match self {
            FloatOp::Conv(_) => "Conv f32",
            FloatOp::MatMul(_) | FloatOp::Product { .. } => "MatMul f32",
            FloatOp::Unary(_) => "Function f32",
            FloatOp::Binary { op: Binary::Add, .. } => "Add f32",
            FloatOp::Binary { op: Binary::Mul, .. } => "Mul f32",
            FloatOp::Binary { .. } => "Binary f32",
            FloatOp::Reduce { .. } => "Reduce f32",
            FloatOp::LogSoftmax { .. } => "LogSoftmax f32",
            FloatOp::Norm(_) => "LayerNormalization f32",
            FloatOp::Recurrent(Recurrent { cell: Cell::Lstm { .. }, .. }) => "LSTM f32",
            FloatOp::Recurrent(_) => "GRU f32",
            FloatOp::Pad { .. } => "Pad f32",
            FloatOp::Quantize => "QuantizeLinear",
            FloatOp::Dequantize => "DequantizeLinear",
            FloatOp::Lookup(_) => "Lookup f32",
            FloatOp::Hybrid(hybrid) => match hybrid.product {
                Product::Conv(_) => "ConvInteger",
                Product::MatMul(_) => "MatMulInteger",
            },
        }
    }

    /// Type of the result's elements.
    pub fn element(&self) -> Element {
        match self {
            FloatOp::Quantize => Element::Byte,
            _ => Element::Float,
        }
    }
}
