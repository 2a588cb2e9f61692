//! The steps that quantise floats as they come.

use super::super::Loops;
use super::place::Address;

/// Work on floats whose quantisation is found in the run.
#[derive(Clone, Debug)]
pub enum HybridWork {
    /// Scale (f32) and zero point (i32, of signed bytes) of a tensor, as `DynamicQuantizeLinear` defines them.
    Range {
        /// The floats.
        input: Address,
        /// Over them.
        loops: Loops<1>,
        /// Eight bytes.
        range: Address,
    },
    /// Bytes for floats.
    Quantize {
        /// Scale and zero point.
        range: Address,
        /// Result and operand.
        places: [Address; 2],
        /// Over result and operand.
        loops: Loops<2>,
        /// The result's buffer.
        buffer: Address,
        /// Start and length of what is no part of the result in its buffer, where the zero point goes.
        border: Vec<(usize, usize)>,
    },
    /// Bytes for floats, each item by a range of its own: both at once, item after item.
    Items {
        /// A scale and a zero point for each item, one behind the other.
        ranges: Address,
        /// Result and operand.
        places: [Address; 2],
        /// Over the items of result and operand.
        items: Loops<2>,
        /// Over the elements of an item.
        inside: Loops<2>,
        /// Start of the result's buffer.
        buffer: Address,
        /// Bytes from an item's part of that buffer to the next.
        pitch: usize,
        /// As of [`HybridWork::Quantize`], in the part of one item.
        border: Vec<(usize, usize)>,
    },
}

/// Scale and zero point of a part of an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// A float.
    pub scale: f32,
    /// A signed byte.
    pub zero: i32,
}

impl Range {
    /// Bytes that one takes in the arena.
    pub const BYTES: usize = 8;
}

impl HybridWork {
    /// Places in the arena that the step reads (or writes besides), and the one that it writes.
    pub fn places(&self) -> (Vec<Address>, Option<Address>) {
        match self {
            HybridWork::Range { input, range, .. } => (vec![*input], Some(*range)),
            HybridWork::Quantize { range, places, .. } => (vec![*range, places[1]], Some(places[0])),
            HybridWork::Items { ranges, places, .. } => (vec![*ranges, places[1]], Some(places[0])),
        }
    }

    /// Every place, to be moved to where its buffer was put.
    pub fn places_mut(&mut self) -> Vec<&mut Address> {
        match self {
            HybridWork::Range { input, range, .. } => vec![input, range],
            HybridWork::Quantize { range, places: [out, x], buffer, .. }
            | HybridWork::Items { ranges: range, places: [out, x], buffer, .. } => vec![range, out, x, buffer],
        }
    }
}
