//! Graphs that operators name: put in place, or written as branches and bodies of their own.

use tract_onnx::pb;

use super::constants::Constants;
use super::layout::Layout;
use super::ops;
use super::write::{Try, Writer};

/// Most graphs inside one another.
const MAX_DEPTH: usize = 8;

impl<'n, 'a> Writer<'n, 'a> {
    /// Puts graph `index` in place, its inputs being what `inputs` name in the file's order of axes; names of its outputs.
    pub fn inlined(&mut self, index: usize, inputs: &[String]) -> Try<Vec<String>> {
        let mut inner = self.inner(index, inputs)?;
        inner.graph = std::mem::take(&mut self.graph);
        inner.constants.small = std::mem::take(&mut self.constants.small);
        let outputs = inner.fill();
        self.graph = std::mem::take(&mut inner.graph);
        self.constants.small = std::mem::take(&mut inner.constants.small);
        self.taken = std::mem::take(&mut inner.taken);
        self.allowance = inner.allowance;
        outputs
    }

    /// Graph `index` by itself, its inputs being what `inputs` name around it; `write` may add to it, and gets the names of its
    /// outputs.
    pub fn apart<T>(
        &mut self,
        index: usize,
        inputs: &[String],
        write: impl FnOnce(&mut Self, Vec<String>) -> Try<T>,
    ) -> Try<(pb::GraphProto, T)> {
        let mut inner = self.inner(index, inputs)?;
        inner.graph.name = inner.unique(format!("graph_{index}"));
        let made = inner.fill().and_then(|outputs| write(&mut inner, outputs));
        self.taken = std::mem::take(&mut inner.taken);
        self.allowance = inner.allowance;
        Ok((inner.graph, made?))
    }

    fn inner(&mut self, index: usize, inputs: &[String]) -> Try<Self> {
        let program = self.program;
        let net = program.graphs.get(index).filter(|_| index > 0);
        let net = net.ok_or_else(|| format!("graph {index}, which it names, is not in the file"))?;
        if self.depth >= MAX_DEPTH {
            return Err(format!("its graphs lie more than {MAX_DEPTH} deep in one another"));
        }
        if net.inputs.len() != inputs.len() {
            return Err(format!("graph {index} has {} inputs, {} are given", net.inputs.len(), inputs.len()));
        }
        // A graph costs what it is made of, however often it is put in place.
        self.spend(net.tensors.len())?;
        let mut inner = Writer::bare(program, net, false, self.allowance);
        inner.depth = self.depth + 1;
        inner.taken = std::mem::take(&mut self.taken);
        inner.constants = Constants::default();
        for (&tensor, name) in net.inputs.iter().zip(inputs) {
            inner.given(tensor, name.clone());
        }
        Ok(inner)
    }

    /// Writes what the outputs need; their names.
    fn fill(&mut self) -> Try<Vec<String>> {
        let place = self.program.graphs.iter().position(|g| std::ptr::eq(g, self.net)).unwrap_or(0);
        for &operator in self.program.live.get(place).into_iter().flatten() {
            let operator = &self.net.operators[operator];
            ops::write(self, operator)
                .and_then(|()| self.check())
                .map_err(|reason| format!("{} in graph {place}: {reason}", operator.name))?;
        }
        self.net.outputs.iter().map(|&output| self.stored(output, Layout::File)).collect()
    }
}
