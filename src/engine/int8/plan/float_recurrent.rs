//! Lowering of recurrent layers.

use std::sync::Arc;

use super::super::graph::{Cell, Node, Recurrent, RecurrentWeights};
use super::super::kernels::GemmWeights;
use super::super::kernels::float::{FloatGemmWeights, PackedFloatGemm};
use super::super::kernels::step::{FloatWork, Layer, Recurrence, Work};
use super::error::PlanError;
use super::lower::{Lowering, dense_strides, no_halo, place, row_major};
use super::view::{FLOAT, View};

impl Lowering<'_> {
    pub(super) fn recurrent(&mut self, node: &Node, layer: &Recurrent) -> Result<(), PlanError> {
        let [steps, batch, width] = *self.shape(node.inputs[0]) else {
            return Err(self.error("its operand is no [steps, sequences, gates]"));
        };
        let gates = layer.cell.gates();
        let units = width / gates;
        let input = self.row_major_floats(node.inputs[0])?;
        let initial = node.inputs[1..].iter().map(|&id| Ok(place(&self.row_major_floats(id)?)));
        let initial = initial.collect::<Result<Vec<_>, PlanError>>()?;
        let own = self.allocate(node.output, &[0, 1, 2]);
        let direct = own.strides == dense_strides(&own.shape, FLOAT);
        let y = if direct { own.clone() } else { self.fresh_of(FLOAT, &own.shape, &[0, 1, 2], &no_halo(3)) };
        let scratch = self.fresh_of(FLOAT, &[batch * units * (gates + 2)], &[0], &no_halo(1));
        let pack = |weights: &[f32], rows: std::ops::Range<usize>| -> PackedFloatGemm {
            self.floats.pack_gemm(&FloatGemmWeights {
                n: rows.len(),
                segments: 1,
                segment: units,
                data: &weights[rows.start * units..rows.end * units],
                bias: &layer.bias[rows],
            })
        };
        let (packed, hidden) = match (&layer.weights, &layer.cell) {
            (RecurrentWeights::Floats(weights), Cell::Gru { linear: false }) => {
                (Recurrence::Floats(pack(weights, 0..2 * units)), Some(pack(weights, 2 * units..3 * units)))
            }
            (RecurrentWeights::Floats(weights), _) => (Recurrence::Floats(pack(weights, 0..width)), None),
            (RecurrentWeights::Bytes(matmul), _) => {
                let packed = self.kernels.pack_gemm(&GemmWeights {
                    n: width,
                    segments: 1,
                    segment: units,
                    data: &matmul.weights,
                    zeros: &matmul.weight_zeros,
                    bias: &[],
                    scale: &matmul.weight_scales,
                    x_zero: 0,
                    floats: Some(&layer.bias),
                });
                (Recurrence::Bytes(packed), None)
            }
        };
        let peepholes = match &layer.cell {
            Cell::Lstm { peepholes } => peepholes.clone(),
            Cell::Gru { .. } => None,
        };
        let (clip, reverse) = (layer.clip, layer.reverse);
        let work = FloatWork::Recurrent {
            layer: Arc::new(Layer { units, peepholes, gates, packed, hidden, clip, reverse }),
            dims: [steps, batch],
            input: place(&input),
            initial,
            scratch: place(&scratch),
            output: place(&y),
        };
        let macs = (steps * batch * width * units) as u64;
        self.push(macs, y.len() * FLOAT, Work::Float(work));
        self.back(&y, (!direct).then_some(own));
        Ok(())
    }

    /// A tensor that lies row-major; a copy where it does not.
    fn row_major_floats(&mut self, id: usize) -> Result<View, PlanError> {
        let x = self.view(id)?;
        let same = |(axis, (&have, want)): (usize, (&usize, usize))| have == want || x.shape[axis] == 1;
        if x.strides.iter().zip(dense_strides(&x.shape, FLOAT)).enumerate().all(same) {
            return Ok(x);
        }
        let plain = self.fresh_of(FLOAT, &x.shape, &row_major(x.shape.len()), &no_halo(x.shape.len()));
        self.copy(&x, &plain, None);
        Ok(plain)
    }
}
