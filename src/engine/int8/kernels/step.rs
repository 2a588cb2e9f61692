//! The steps of a plan: what to compute and where in the arena, everything settled beforehand.

mod float;
mod hybrid;
mod matmul;
mod normalize;
mod place;

use std::sync::Arc;

pub use float::{FloatWork, Layer, Map, Recurrence};
pub use hybrid::{HybridWork, Range};
pub use matmul::MatMul;
pub use normalize::Normalize;
pub use place::{Address, Pixels, Windows};

use super::{AddParams, Loops, PackedDepthwise, PackedGemm, Requant};

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the ONNX node.
    pub name: String,
    /// Operator type, for profiles.
    pub op: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes written, about: what tells whether several threads are worth it.
    pub bytes: usize,
    /// Work of the step.
    pub work: Work,
    /// Applied to every byte of a product or sum as soon as it is there.
    pub table: Option<Arc<[i8; 256]>>,
}

/// Conversion of a window to its mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// The input's scale and zero point.
    pub from: (f32, i32),
    /// The output's.
    pub to: (f32, i32),
    /// Divisor of a sum; `None` for the number of pixels in the window.
    pub divisor: Option<usize>,
}

/// Last step of a product.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Bytes: rounding and activation.
    Bytes(Requant),
    /// Floats, of bytes that were quantised in the same run.
    Floats {
        /// Scale and zero point of the operand ([`HybridWork::Range`]).
        range: Address,
        /// Least result.
        low: f32,
        /// Greatest.
        high: f32,
    },
    /// Floats, of rows of bytes each of which has a range of its own. The product makes `acc · scale[c]` of a sum, and its row
    /// `clamp(x_scale · (acc · scale[c] − x_zero · sums[c]) + bias[c], low, high)` of that.
    Rows {
        /// Scale and zero point of every row of the operand ([`HybridWork::Items`]).
        ranges: Address,
        /// `Σ (w[c] − zero[c]) · scale[c]`.
        sums: Arc<[f32]>,
        /// As many.
        bias: Arc<[f32]>,
        /// Least result.
        low: f32,
        /// Greatest.
        high: f32,
    },
}

impl Ending {
    /// Addresses of the operand's scales and zero points, which are found in the run.
    fn ranges(&self) -> Option<Address> {
        match self {
            Ending::Bytes(_) => None,
            Ending::Floats { range, .. } | Ending::Rows { ranges: range, .. } => Some(*range),
        }
    }

    /// The same, to be moved.
    pub fn ranges_mut(&mut self) -> Option<&mut Address> {
        match self {
            Ending::Bytes(_) => None,
            Ending::Floats { range, .. } | Ending::Rows { ranges: range, .. } => Some(range),
        }
    }
}

/// Work of a step.
#[derive(Clone, Debug)]
pub enum Work {
    /// A dense convolution or matrix product.
    Gemm {
        /// Weights.
        packed: Arc<PackedGemm>,
        /// Applied to each sum.
        ending: Ending,
        /// From a pixel to the segments of its input.
        offsets: Vec<usize>,
        /// Start of the windows.
        input: Pixels,
        /// Start of the results.
        output: Pixels,
        /// Images, rows, columns of the output.
        dims: [usize; 3],
    },
    /// A depthwise convolution.
    Depthwise {
        /// Weights.
        packed: Arc<PackedDepthwise>,
        /// Applied to each sum.
        ending: Ending,
        /// Bytes from a tap to the one below and to the one on the right.
        taps: [usize; 2],
        /// Start of the windows.
        input: Pixels,
        /// Start of the results.
        output: Pixels,
        /// Images, rows, columns of the output.
        dims: [usize; 3],
    },
    /// A sum of two tensors.
    Add {
        /// Factors.
        params: AddParams,
        /// `a`, `b`, result.
        places: [Address; 3],
        /// Over `a`, `b`, result.
        loops: Loops<3>,
    },
    /// A product of two tensors.
    Mul {
        /// Zero points of `a` and `b`.
        zeros: [i32; 2],
        /// Their scales' product over the result's.
        scale: f32,
        /// Rounding and activation.
        requant: Requant,
        /// `a`, `b`, result.
        places: [Address; 3],
        /// Over `a`, `b`, result.
        loops: Loops<3>,
    },
    /// A function of one variable, or a copy.
    Lookup {
        /// The function; `None` for a copy.
        table: Option<Arc<[i8; 256]>>,
        /// Operand and result.
        places: [Address; 2],
        /// Over operand and result.
        loops: Loops<2>,
    },
    /// Bytes of one value: the border around a tensor.
    Fill {
        /// The value.
        value: i8,
        /// The buffer.
        place: Address,
        /// Start, from the place, and length of every run.
        runs: Vec<(usize, usize)>,
    },
    /// The greatest of every window.
    MaxPool {
        /// Input rows of each output row.
        rows: Windows,
        /// Input columns of each output column.
        cols: Windows,
        /// Bytes of a pixel.
        channels: usize,
        /// The input.
        input: Pixels,
        /// The output.
        output: Pixels,
        /// Images.
        images: usize,
    },
    /// The mean of every window.
    AveragePool {
        /// Input rows of each output row.
        rows: Windows,
        /// Input columns of each output column.
        cols: Windows,
        /// Bytes of a pixel.
        channels: usize,
        /// The input.
        input: Pixels,
        /// The output.
        output: Pixels,
        /// Images.
        images: usize,
        /// Quantisation on both sides.
        means: Means,
    },
    /// Rows and columns made of two each.
    Resize {
        /// First and second input row, share of the second in 1/2048.
        rows: Vec<(usize, usize, i32)>,
        /// As `rows`.
        cols: Vec<(usize, usize, i32)>,
        /// Bytes of a pixel.
        channels: usize,
        /// The input.
        input: Pixels,
        /// The output.
        output: Pixels,
        /// Images.
        images: usize,
        /// The input's zero point.
        x_zero: i32,
        /// Input scale over output scale.
        ratio: f32,
        /// Rounding.
        requant: Requant,
        /// True if every share is 0 and nothing is requantised: pixels are copied.
        copy: bool,
    },
    /// Elements by index along one axis.
    Gather {
        /// Byte offsets into the operand, one for each index.
        offsets: Vec<usize>,
        /// Bytes from a result to the next along the axis.
        step: usize,
        /// Operand and result.
        places: [Address; 2],
        /// Over the other axes of operand and result.
        loops: Loops<2>,
    },
    /// Exponentials that add up to one.
    Softmax {
        /// `exp(−d · scale)` for a distance of `d` bytes from the greatest.
        table: Arc<[f32; 256]>,
        /// One over the result's scale.
        inverse: f32,
        /// Rounding.
        requant: Requant,
        /// Elements along the axis.
        len: usize,
        /// Bytes between them in operand and result.
        steps: [usize; 2],
        /// Operand and result.
        places: [Address; 2],
        /// Over the other axes.
        loops: Loops<2>,
    },
    /// Products of two tensors.
    MatMul(MatMul),
    /// Rows less their mean, over their standard deviation.
    Normalize(Normalize),
    /// A tensor from outside, row-major there.
    Load {
        /// Index of the port.
        port: usize,
        /// For floats: their quantisation.
        quant: (f32, i32),
        /// The result.
        place: Address,
        /// Over the outside and the result.
        loops: Loops<2>,
    },
    /// A tensor to the outside.
    Store {
        /// Index of the port.
        port: usize,
        /// For floats: their quantisation.
        quant: (f32, i32),
        /// The operand.
        place: Address,
        /// Over the operand and the outside.
        loops: Loops<2>,
    },
    /// A step on floats.
    Float(FloatWork),
    /// Floats quantised as they come.
    Hybrid(HybridWork),
}

impl Work {
    /// Places in the arena that the step reads, and the one that it writes.
    pub fn places(&self) -> (Vec<Address>, Option<Address>) {
        match self {
            Work::Gemm { ending, input, output, .. } | Work::Depthwise { ending, input, output, .. } => {
                ([input.place].into_iter().chain(ending.ranges()).collect(), Some(output.place))
            }
            Work::MaxPool { input, output, .. }
            | Work::AveragePool { input, output, .. }
            | Work::Resize { input, output, .. } => (vec![input.place], Some(output.place)),
            Work::Add { places, .. } | Work::Mul { places, .. } => (vec![places[0], places[1]], Some(places[2])),
            Work::MatMul(matmul) => (matmul.places[..2].to_vec(), Some(matmul.places[2])),
            Work::Normalize(norm) => (vec![norm.places[0]], Some(norm.places[1])),
            Work::Lookup { places, .. } | Work::Gather { places, .. } | Work::Softmax { places, .. } => {
                (vec![places[0]], Some(places[1]))
            }
            Work::Fill { place, .. } | Work::Load { place, .. } => (vec![], Some(*place)),
            Work::Store { place, .. } => (vec![*place], None),
            Work::Float(work) => work.places(),
            Work::Hybrid(work) => work.places(),
        }
    }

    /// Every place, to be moved to where its buffer was put.
    pub fn places_mut(&mut self) -> Vec<&mut Address> {
        match self {
            Work::Gemm { ending, input, output, .. } | Work::Depthwise { ending, input, output, .. } => {
                [&mut input.place, &mut output.place].into_iter().chain(ending.ranges_mut()).collect()
            }
            Work::MaxPool { input, output, .. }
            | Work::AveragePool { input, output, .. }
            | Work::Resize { input, output, .. } => vec![&mut input.place, &mut output.place],
            Work::Add { places, .. } | Work::Mul { places, .. } => places.iter_mut().collect(),
            Work::MatMul(matmul) => matmul.places.iter_mut().collect(),
            Work::Normalize(norm) => norm.places.iter_mut().collect(),
            Work::Lookup { places, .. } | Work::Gather { places, .. } | Work::Softmax { places, .. } => {
                places.iter_mut().collect()
            }
            Work::Fill { place, .. } | Work::Load { place, .. } | Work::Store { place, .. } => vec![place],
            Work::Float(work) => work.places_mut(),
            Work::Hybrid(work) => work.places_mut(),
        }
    }
}
