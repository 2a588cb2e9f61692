//! Lowering of products of two tensors that both depend on the input.

use super::super::graph::{Clamp, Node};
use super::super::kernels::Loops;
use super::super::kernels::step::MatMul;
use super::super::kernels::step::Work;
use super::error::PlanError;
use super::lower::{Lowering, no_halo, place, requant, row_major};
use super::view::View;

impl Lowering<'_> {
    pub(super) fn batch_matmul(&mut self, node: &Node, factor: f32, clamp: Clamp) -> Result<(), PlanError> {
        let shape = self.shape(node.output);
        let rank = shape.len();
        let [mut a, mut b] = [self.wide(node.inputs[0], rank)?, self.wide(node.inputs[1], rank)?];
        let (rows, columns, terms) = (rank - 2, rank - 1, a.shape[rank - 1]);
        let adjacent = |view: &View, axis: usize| view.strides[axis] == 1 || view.shape[axis] == 1;
        // Rows need their terms side by side. (A · B)ᵀ = Bᵀ · Aᵀ: where those of B's columns are, the columns may be the rows instead.
        let mut quants = [self.quant(node.inputs[0]), self.quant(node.inputs[1])];
        let turned = !adjacent(&a, columns) && adjacent(&b, rows);
        let mut order = row_major(rank);
        let turn = {
            let mut turn = order.clone();
            turn.swap(rows, columns);
            turn
        };
        if turned {
            (a, b) = (b.transposed(&turn), a.transposed(&turn));
            quants.swap(0, 1);
            order.clone_from(&turn);
        } else if !adjacent(&a, columns) {
            let plain = self.fresh(&a.shape, &row_major(rank), &no_halo(rank));
            self.copy(&a, &plain, None);
            a = plain;
        }
        let target = self.target(node);
        let mut out = self.allocate(target, &order);
        let mut elsewhere = None;
        if !adjacent(&out, if turned { rows } else { columns }) {
            let near = self.fresh(shape, &order, &no_halo(rank));
            elsewhere = Some((std::mem::replace(&mut out, near), self.table.take()));
        }
        let result = out.clone();
        if turned {
            out = out.transposed(&turn);
        }
        let (m, n) = (out.shape[rows], out.shape[columns]);
        // Operands of one product for several stand still.
        let steps = |view: &View| -> Vec<usize> {
            (0..rows).map(|axis| if view.shape[axis] == 1 { 0 } else { view.strides[axis] }).collect()
        };
        let batches = Loops::new(&out.shape[..rows], [&steps(&a), &steps(&b), &out.strides[..rows]]);
        let to = self.quant(node.output);
        let work = Work::MatMul(MatMul {
            m,
            k: terms,
            n,
            a_row: a.strides[rows],
            b_steps: [b.strides[rows], b.strides[columns]],
            out_row: out.strides[rows],
            zeros: quants.map(|quant| quant.zero_point),
            scale: quants[0].scale * quants[1].scale / to.scale * factor,
            requant: requant(to, clamp.low, clamp.high),
            places: [place(&a), place(&b), place(&out)],
            batches,
        });
        self.push((out.len() * terms) as u64, out.len(), work);
        if let Some((to, table)) = elsewhere {
            self.copy(&result, &to, table);
        }
        Ok(())
    }

    /// An operand with as many axes as the result.
    fn wide(&mut self, id: usize, rank: usize) -> Result<View, PlanError> {
        let view = self.view(id)?;
        let lead = rank.checked_sub(view.shape.len()).filter(|_| view.shape.len() >= 2);
        let lead = lead.ok_or_else(|| self.error("its operands are not matrices"))?;
        let mut wide = View { shape: vec![1; lead], strides: vec![0; lead], ..view.clone() };
        wide.shape.extend(&view.shape);
        wide.strides.extend(&view.strides);
        Ok(wide)
    }
}
