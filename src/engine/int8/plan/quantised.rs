//! Tensors of floats that the plan has quantised: their bytes and ranges.

use std::collections::HashMap;

use super::super::graph::TensorId;
use super::super::kernels::step::Address;
use super::view::View;

/// Tensors of floats that were quantised already, for the next reader.
#[derive(Default)]
pub(super) struct Hybrids {
    /// Addresses of their scales and zero points.
    pub(super) ranges: HashMap<TensorId, Address>,
    /// Their bytes, by the order of axes.
    pub(super) bytes: HashMap<(TensorId, Vec<usize>), View>,
    /// The same of those with a range for each item, and where these are.
    pub(super) items: HashMap<(TensorId, Vec<usize>), (View, Address)>,
}
