//! From an integer graph to a flat list of steps over one block of memory.

mod arena;
mod dense;
mod error;
mod float;
mod float_dense;
mod float_recurrent;
mod fuse;
mod hints;
mod hybrid;
mod lower;
mod matmul;
mod normalize;
mod pack;
mod phases;
mod quantised;
mod simple;
#[cfg(test)]
mod tests;
mod transposed;
mod view;
mod window;

use std::sync::Arc;

use super::graph::{Constant, Format, Graph, Port};
use super::kernels::executor::Program;
use super::kernels::float::FloatKernels;
use super::kernels::{AlignedBytes, Kernels, SLACK};
use arena::Buffer;
use lower::Lowering;

pub use error::PlanError;

/// A graph planned for one set of kernels: any number of executors run it.
#[derive(Debug)]
pub struct PartitionPlan {
    /// Steps, memory, kernels.
    pub program: Arc<Program>,
    /// Outer type and shape of every input.
    pub inputs: Vec<(Format, Vec<usize>)>,
    /// Outer type and shape of every output.
    pub outputs: Vec<(Format, Vec<usize>)>,
}

impl PartitionPlan {
    /// Plans a graph for one set of kernels.
    ///
    /// # Errors
    /// [`PlanError`] naming the node.
    pub fn new(graph: &Graph, kernels: &'static dyn Kernels) -> Result<PartitionPlan, PlanError> {
        Self::with_floats(graph, kernels, super::kernels::float::best())
    }

    /// As [`PartitionPlan::new`], with a set of kernels for floats as well.
    ///
    /// # Errors
    /// As there.
    pub fn with_floats(
        graph: &Graph,
        kernels: &'static dyn Kernels,
        floats: &'static dyn FloatKernels,
    ) -> Result<PartitionPlan, PlanError> {
        let Lowering { mut steps, buffers, constants, packing, .. } = Lowering::run(graph, kernels, floats)?;
        packing.finish(&mut steps);
        let mut lives: Vec<Buffer> = buffers.iter().map(|&len| Buffer { len, first: usize::MAX, last: 0 }).collect();
        for (index, step) in steps.iter().enumerate() {
            let (reads, write) = step.work.places();
            for place in reads.into_iter().chain(write) {
                let life = &mut lives[place.buffer];
                (life.first, life.last) = (life.first.min(index), life.last.max(index));
            }
        }
        for (buffer, _) in &constants {
            (lives[*buffer].first, lives[*buffer].last) = (0, steps.len());
        }
        let (starts, arena_len) = arena::lay_out(&lives);
        for step in &mut steps {
            for place in step.work.places_mut() {
                place.offset += starts[place.buffer];
            }
        }
        let constants = constants.into_iter().map(|(buffer, values)| (starts[buffer], bytes(&values))).collect();
        let ports = |ports: &[Port]| ports.iter().map(|p| (p.format, graph.tensors[p.tensor].shape.clone())).collect();
        Ok(PartitionPlan {
            program: Arc::new(Program { steps, arena_len: arena_len + SLACK, constants, kernels, floats }),
            inputs: ports(&graph.inputs),
            outputs: ports(&graph.outputs),
        })
    }

    /// Bytes that one run needs for the values between its steps, constants among them included.
    pub fn arena_bytes(&self) -> usize {
        self.program.arena_len
    }
}

/// A constant as it lies in memory.
fn bytes(constant: &Constant) -> Arc<AlignedBytes> {
    let mut bytes;
    match constant {
        Constant::Bytes(values) => {
            bytes = AlignedBytes::zeroed(values.len());
            bytes.put_i8(0, values.iter().copied());
        }
        Constant::Floats(values) => {
            bytes = AlignedBytes::zeroed(4 * values.len());
            bytes.put_f32(0, values.iter().copied());
        }
    }
    Arc::new(bytes)
}
