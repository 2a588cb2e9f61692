//! The steps of a plan that have floats among their operands or as their result.

use super::super::Loops;
use super::Address;

/// Work of a step on floats. All distances are in bytes, and every float lies at a multiple of 4.
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
    /// Floats in another place or order.
    Copy {
        /// Operand and result.
        places: [Address; 2],
        /// Over operand and result.
        loops: Loops<2>,
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
    /// Floats rounded to bytes.
    Quantize {
        /// Scale and zero point.
        quant: (f32, i32),
        /// Operand and result.
        places: [Address; 2],
        /// Over operand and result.
        loops: Loops<2>,
    },
    /// Bytes as floats.
    Dequantize {
        /// Scale and zero point.
        quant: (f32, i32),
        /// Operand and result.
        places: [Address; 2],
        /// Over operand and result.
        loops: Loops<2>,
    },
}

impl FloatWork {
    /// Places in the arena that the step reads, and the one that it writes.
    pub fn places(&self) -> (Vec<Address>, Option<Address>) {
        match self {
            FloatWork::Copy { places, .. }
            | FloatWork::Quantize { places, .. }
            | FloatWork::Dequantize { places, .. } => (vec![places[0]], Some(places[1])),
            FloatWork::Fill { place, .. } | FloatWork::Load { place, .. } => (vec![], Some(*place)),
            FloatWork::Store { place, .. } => (vec![*place], None),
        }
    }

    /// Every place, to be moved to where its buffer was put.
    pub fn places_mut(&mut self) -> Vec<&mut Address> {
        match self {
            FloatWork::Copy { places, .. }
            | FloatWork::Quantize { places, .. }
            | FloatWork::Dequantize { places, .. } => places.iter_mut().collect(),
            FloatWork::Fill { place, .. } | FloatWork::Load { place, .. } | FloatWork::Store { place, .. } => {
                vec![place]
            }
        }
    }
}
