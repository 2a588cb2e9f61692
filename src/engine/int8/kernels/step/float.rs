//! The steps of a plan that have floats among their operands or as their result.

use std::sync::Arc;

use super::super::float::{
    Binary, Epilogue, Function, GemmShape, PackedFloatDepthwise, PackedFloatGemm, Pool, Reduction,
};
use super::super::{Loops, PackedGemm};
use super::place::{Address, Pixels, Windows};

/// Work of a step on floats. Unless said otherwise, distances are in bytes; every float lies at a multiple of 4.
#[derive(Clone, Debug)]
pub enum FloatWork {
    /// Floats from outside, row-major there.
    Load {
        /// Index of the port.
        port: usize,
        /// The result.
        place: Address,
        /// Over the outside and the result.
        loops: Loops<2>,
    },
    /// Floats to the outside, row-major there.
    Store {
        /// Index of the port.
        port: usize,
        /// The operand.
        place: Address,
        /// Over the operand and the outside.
        loops: Loops<2>,
    },
    /// A function or copy of one operand.
    Map {
        /// Applied to each element.
        map: Map,
        /// Operand and result.
        places: [Address; 2],
        /// Over operand and result.
        loops: Loops<2>,
    },
    /// A function of two operands.
    Binary {
        /// The function.
        op: Binary,
        /// Applied to its result.
        after: Function,
        /// Operands and result.
        places: [Address; 3],
        /// Over operands and result.
        loops: Loops<3>,
    },
    /// Floats of one value.
    Fill {
        /// The value.
        value: f32,
        /// The first one.
        place: Address,
        /// Over all of them.
        loops: Loops<1>,
    },
    /// A dense convolution or matrix product.
    Gemm {
        /// Weights.
        packed: Arc<PackedFloatGemm>,
        /// Applied to each sum.
        epilogue: Epilogue,
        /// From a pixel to the segments of its input, in floats.
        offsets: Vec<usize>,
        /// Start of the windows.
        input: Pixels,
        /// Start of the results.
        output: Pixels,
        /// Start of what is added to them.
        residual: Option<Pixels>,
        /// Images, rows, columns of the output.
        dims: [usize; 3],
    },
    /// A depthwise convolution.
    Depthwise {
        /// Weights.
        packed: Arc<PackedFloatDepthwise>,
        /// Applied to each sum.
        function: Function,
        /// From a tap to the one below and to the one on the right.
        taps: [usize; 2],
        /// Start of the windows.
        input: Pixels,
        /// Start of the results.
        output: Pixels,
        /// Images, rows, columns of the output.
        dims: [usize; 3],
    },
    /// Right operands of products, packed.
    Pack {
        /// Sizes of each.
        shape: GemmShape,
        /// From a row to the next and from a column to the next.
        steps: [usize; 2],
        /// Operand and result.
        places: [Address; 2],
        /// Over operands and results.
        loops: Loops<2>,
    },
    /// Products of matrices, the right ones packed.
    Product {
        /// Sizes of the right operands.
        shape: GemmShape,
        /// Applied to each sum.
        function: Function,
        /// Rows of a product.
        rows: usize,
        /// From a row to the next in the left operand and in the result.
        steps: [usize; 2],
        /// Left operand, packed right operand, result.
        places: [Address; 3],
        /// Over left operands, packed right operands and results.
        loops: Loops<3>,
    },
    /// One number for each line.
    Reduce {
        /// Applied to each line.
        reduction: Reduction,
        /// Elements of a line.
        len: usize,
        /// From an element to the next.
        step: usize,
        /// Operand and result.
        places: [Address; 2],
        /// Over the lines of the operand and the results.
        loops: Loops<2>,
    },
    /// Exponentials that add up to one, or their logarithms.
    Softmax {
        /// Logarithms.
        log: bool,
        /// Elements of a line.
        len: usize,
        /// From an element to the next in operand and result.
        steps: [usize; 2],
        /// Operand and result.
        places: [Address; 2],
        /// Over the lines of operand and result.
        loops: Loops<2>,
    },
    /// Rows normalised.
    Norm {
        /// Added to the variance.
        epsilon: f32,
        /// Set where the mean is subtracted.
        centre: bool,
        /// `[len]`.
        scale: Option<Arc<Vec<f32>>>,
        /// `[len]`.
        bias: Option<Arc<Vec<f32>>>,
        /// Elements of a row, adjacent.
        len: usize,
        /// Operand and result.
        places: [Address; 2],
        /// Over the rows of operand and result.
        loops: Loops<2>,
    },
    /// One number for each channel of every window.
    Pool {
        /// Applied to each window.
        pool: Pool,
        /// Input rows of each output row.
        rows: Windows,
        /// Input columns of each output column.
        cols: Windows,
        /// Floats of a pixel.
        channels: usize,
        /// The input.
        input: Pixels,
        /// The output.
        output: Pixels,
        /// Images.
        images: usize,
    },
    /// Rows and columns made of two each.
    Resize {
        /// First and second input row, share of the second.
        rows: Vec<(usize, usize, f32)>,
        /// Floats to the left and to the right pixel, share of the right one.
        cols: Vec<(usize, usize, f32)>,
        /// Floats of a pixel.
        channels: usize,
        /// The input.
        input: Pixels,
        /// The output.
        output: Pixels,
        /// Images.
        images: usize,
        /// True if every share is 0: pixels are copied.
        copy: bool,
    },
    /// A recurrent layer. All tensors lie row-major.
    Recurrent {
        /// Kind and weights.
        layer: Arc<Layer>,
        /// Steps and sequences.
        dims: [usize; 2],
        /// Products of the sequences.
        input: Address,
        /// Initial states, hidden and cell.
        initial: Vec<Address>,
        /// Gates of all sequences, then hidden states: those that a GRU resets first, or the bytes of an LSTM's whose weights are bytes.
        scratch: Address,
        /// Hidden states, and the last cell state of an LSTM.
        output: Address,
    },
    /// Elements by index along one axis.
    Gather {
        /// Offsets into the operand, one for each index.
        offsets: Vec<usize>,
        /// From a result to the next along the axis.
        step: usize,
        /// Operand and result.
        places: [Address; 2],
        /// Over the other axes of operand and result.
        loops: Loops<2>,
    },
}

/// A recurrent layer, packed.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Units.
    pub units: usize,
    /// An LSTM's peepholes, `[3 · units]`.
    pub peepholes: Option<Arc<Vec<f32>>>,
    /// Gates of a unit: 4 of an LSTM, 3 of a GRU.
    pub gates: usize,
    /// Weights of all gates; of a GRU that resets first, of update and reset gate.
    pub packed: Recurrence,
    /// Weights of the hidden gate of a GRU that resets first.
    pub hidden: Option<PackedFloatGemm>,
    /// Bound of the gates.
    pub clip: f32,
    /// From the last step to the first.
    pub reverse: bool,
}

/// Packed weights of a hidden state.
#[derive(Clone, Debug)]
pub enum Recurrence {
    /// Floats.
    Floats(PackedFloatGemm),
    /// Bytes, for products that end in floats.
    Bytes(PackedGemm),
}

/// Function of each element of an operand.
#[derive(Clone, Debug)]
pub enum Map {
    /// The same float.
    Copy,
    /// A function of it.
    Function(Function),
    /// The byte for a float, by scale and zero point.
    Quantize(f32, i32),
    /// The float that a byte stands for, by scale and zero point.
    Dequantize(f32, i32),
    /// A float for each byte.
    Lookup(Arc<[f32; 256]>),
}

impl FloatWork {
    /// Places in the arena that the step reads, and the one that it writes.
    pub fn places(&self) -> (Vec<Address>, Option<Address>) {
        match self {
            FloatWork::Map { places, .. }
            | FloatWork::Pack { places, .. }
            | FloatWork::Reduce { places, .. }
            | FloatWork::Softmax { places, .. }
            | FloatWork::Norm { places, .. }
            | FloatWork::Gather { places, .. } => (vec![places[0]], Some(places[1])),
            FloatWork::Binary { places, .. } | FloatWork::Product { places, .. } => {
                (vec![places[0], places[1]], Some(places[2]))
            }
            FloatWork::Gemm { input, output, residual, .. } => {
                let added = residual.map(|pixels| pixels.place);
                ([input.place].into_iter().chain(added).collect(), Some(output.place))
            }
            FloatWork::Depthwise { input, output, .. }
            | FloatWork::Pool { input, output, .. }
            | FloatWork::Resize { input, output, .. } => (vec![input.place], Some(output.place)),
            FloatWork::Recurrent { input, initial, scratch, output, .. } => {
                ([*input, *scratch].iter().chain(initial).copied().collect(), Some(*output))
            }
            FloatWork::Fill { place, .. } | FloatWork::Load { place, .. } => (vec![], Some(*place)),
            FloatWork::Store { place, .. } => (vec![*place], None),
        }
    }

    /// Every place, to be moved to where its buffer was put.
    pub fn places_mut(&mut self) -> Vec<&mut Address> {
        match self {
            FloatWork::Map { places, .. }
            | FloatWork::Pack { places, .. }
            | FloatWork::Reduce { places, .. }
            | FloatWork::Softmax { places, .. }
            | FloatWork::Norm { places, .. }
            | FloatWork::Gather { places, .. } => places.iter_mut().collect(),
            FloatWork::Binary { places, .. } | FloatWork::Product { places, .. } => places.iter_mut().collect(),
            FloatWork::Gemm { input, output, residual, .. } => {
                let added = residual.as_mut().map(|pixels| &mut pixels.place);
                [&mut input.place, &mut output.place].into_iter().chain(added).collect()
            }
            FloatWork::Depthwise { input, output, .. }
            | FloatWork::Pool { input, output, .. }
            | FloatWork::Resize { input, output, .. } => vec![&mut input.place, &mut output.place],
            FloatWork::Recurrent { input, initial, scratch, output, .. } => {
                [input, scratch, output].into_iter().chain(initial).collect()
            }
            FloatWork::Fill { place, .. } | FloatWork::Load { place, .. } | FloatWork::Store { place, .. } => {
                vec![place]
            }
        }
    }
}
