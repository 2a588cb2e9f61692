//! `QuantizeLinear` and `DequantizeLinear` nodes: names for bytes, and bytes looked up where parameters change.

use std::sync::Arc;

use tract_onnx::prelude::DatumType;

use super::moves::PadDomain;
use super::net::Try;
use super::params::{self, Params};
use super::search::{Origin, Role, Search, View, table_of};
use crate::int8::graph::{Op, Quant};
use crate::onnx::{node, operators};

impl Search<'_> {
    /// A `DequantizeLinear`: the same bytes as reals.
    pub fn dequantize(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let (quant, unsigned) = Params::of(&self.net, node)?.per_tensor()?;
        let (from, to) = (node::required_input(node, 0)?, node::only_output(node)?);
        let tensor = match self.view(from) {
            Some(View::Bytes { tensor, .. }) => tensor,
            Some(_) => return Err("its input is not of bytes".into()),
            None => {
                let shape = self.net.shape(from)?;
                let tensor = self.outside(from, shape, quant, Origin::Outside { name: from, unsigned });
                self.views.insert(from, View::Bytes { tensor, unsigned });
                tensor
            }
        };
        if self.quant(tensor) == quant {
            self.name(to, View::Real { tensor })?;
            self.roles[index] = Some(Role::View);
            return Ok(());
        }
        // Read with other parameters than it was written with: the bytes stay, what they mean changes.
        let mut draft = self.draft(index);
        let shape = self.shape(tensor).to_vec();
        let same = Op::Lookup(Arc::new(std::array::from_fn(|byte| byte as u8 as i8)));
        let read = self.step(&mut draft, same, vec![tensor], shape, quant);
        self.finish_moved(draft, node, &[read], &View::Real { tensor: read })
    }

    /// A `QuantizeLinear` that is not the end of an item: of reals that are bytes already, of a function, or of floats.
    pub fn quantize(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let (quant, unsigned) = Params::of(&self.net, node)?.per_tensor()?;
        let (from, to) = (node::required_input(node, 0)?, node::only_output(node)?);
        let (tensor, table) = match self.view(from) {
            Some(View::Real { tensor }) if self.quant(tensor) == quant => {
                self.name(to, View::Bytes { tensor, unsigned })?;
                self.roles[index] = Some(Role::View);
                return Ok(());
            }
            Some(View::Real { tensor }) => (tensor, table_of(self.quant(tensor))),
            Some(View::Function { tensor, table }) => (tensor, table),
            Some(View::Bytes { .. }) => return Err("it quantises bytes".into()),
            Some(View::Floats { tensor }) if matches!(self.tensors[tensor].origin, Origin::Item(_)) => {
                return self.quantize_floats(index, tensor, quant, unsigned);
            }
            None if self.net.dtype(from) != Some(DatumType::F32) => return Err("its input is not of floats".into()),
            None if self.quantize_before(index, quant, unsigned).is_ok() => return Ok(()),
            None | Some(View::Floats { .. }) => {
                let shape = self.net.shape(from)?;
                let origin = Origin::Quantised { floats: from, node: index, bytes: to, unsigned };
                let tensor = self.outside(to, shape, quant, origin);
                self.name(to, View::Bytes { tensor, unsigned })?;
                self.roles[index] = Some(Role::View);
                return Ok(());
            }
        };
        // The last computing node in front of it, which is what a reader looks for, gives its name.
        let mut draft = self.draft(index);
        if let Some(maker) = self.net.producer(from).filter(|&m| self.net.node(m).op_type != "DequantizeLinear") {
            draft.name = &self.net.node(maker).name;
        }
        let shape = self.shape(tensor).to_vec();
        let lookup = Op::Lookup(Arc::new(table.map(|real| params::quantise(quant, real))));
        let looked_up = self.step(&mut draft, lookup, vec![tensor], shape, quant);
        self.finish_moved(draft, node, &[looked_up], &View::Bytes { tensor: looked_up, unsigned })
    }

    /// A `QuantizeLinear` of floats that were only given another shape or order: quantised before that instead.
    fn quantize_before(&mut self, index: usize, quant: Quant, unsigned: bool) -> Try<()> {
        const MAX_HOPS: usize = 8;
        let node = self.net.node(index);
        let (mut from, mut nodes) = (node::required_input(node, 0)?, Vec::new());
        while let Some(maker) = self.net.producer(from)
            && nodes.len() < MAX_HOPS
            && self.net.consumers(from).len() == 1
            && !self.net.is_kept(from)
            && operators::keeps_elements(self.net.node(maker))
        {
            nodes.push(maker);
            from = node::required_input(self.net.node(maker), 0)?;
        }
        if nodes.is_empty() || self.net.dtype(from) != Some(DatumType::F32) {
            return Err("its floats are computed".into());
        }
        let shape = self.net.shape(from)?;
        let mut x = self.outside(from, shape, quant, Origin::Floats { name: from });
        let mut draft = self.draft(index);
        for &maker in nodes.iter().rev() {
            let node = self.net.node(maker);
            draft.name = &node.name;
            x = *self.apply(&mut draft, node, x, PadDomain::Real)?.first().ok_or("it makes nothing")?;
        }
        let output = node::only_output(node)?;
        if draft.steps.is_empty() {
            return Err("its floats are not moved".into());
        }
        self.name(output, View::Bytes { tensor: x, unsigned })?;
        self.close(draft, &nodes, false);
        Ok(())
    }
}
