//! Windows that slide over pictures, and means and greatest values over whole axes.

use tract_onnx::pb::NodeProto;

use super::net::Try;
use super::search::{Draft, Search};
use crate::int8::graph::{Op, Pool, Quant, TensorId};
use crate::onnx::node;

/// A window on one axis, after every way of padding has become numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sliding {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
    /// As much as the last window asks for.
    pub after: usize,
    /// Part of `after` that lies beyond the padding that the file asks for (`ceil_mode`).
    pub beyond: usize,
}

impl Sliding {
    /// True if some window covers no element of `dim`.
    fn has_empty_window(&self, dim: usize, out: usize) -> bool {
        (0..out).any(|o| {
            let first = o * self.stride;
            !(0..self.kernel).any(|k| (self.before..self.before + dim).contains(&(first + k * self.dilation)))
        })
    }
}

/// The windows of a node over spatial dimensions `dims` that make `out`.
pub(super) fn sliding(node: &NodeProto, kernel: &[usize], dims: &[usize], out: &[usize]) -> Try<Vec<Sliding>> {
    let rank = kernel.len();
    if dims.len() != rank || out.len() != rank {
        return Err("its window has other dimensions than its input".into());
    }
    if let Some(own) = node::ints(node, "kernel_shape")?
        && !own.iter().copied().eq(kernel.iter().map(|&k| k as i64))
    {
        return Err(format!("its kernel_shape {own:?} differs from {kernel:?}"));
    }
    let strides = node::window(node, "strides", rank, 1, 1)?;
    let dilations = node::window(node, "dilations", rank, 1, 1)?;
    let pads = node::window(node, "pads", 2 * rank, 0, 0)?;
    let auto_pad = node::text(node, "auto_pad", "NOTSET")?;
    let ceil = node::int(node, "ceil_mode", 0)? != 0;
    (0..rank)
        .map(|axis| {
            let (dim, out) = (dims[axis], out[axis]);
            let (kernel, stride, dilation) = (kernel[axis], strides[axis], dilations[axis]);
            // So far below the largest number that sums of a few of them fit, on 32-bit processors too.
            const REACH: usize = if usize::BITS > 40 { 1 << 40 } else { 1 << 28 };
            let reach = |count: usize, step: usize| (count - 1).checked_mul(step).filter(|r| *r < REACH);
            let asked = reach(out, stride).zip(reach(kernel, dilation)).map(|(a, b)| a + b + 1);
            let needed = asked.ok_or("its window is too large")?;
            let total = needed.saturating_sub(dim);
            let (before, after) = match auto_pad {
                "NOTSET" | "" => (pads[axis], pads[axis + rank]),
                "VALID" => (0, 0),
                "SAME_UPPER" => (total / 2, total - total / 2),
                "SAME_LOWER" => (total - total / 2, total / 2),
                other => return Err(format!("its auto_pad {other:?} is not known")),
            };
            let have = dim + before + after;
            let beyond = needed.saturating_sub(have);
            if (beyond > 0 && (!ceil || beyond >= stride)) || have.saturating_sub(needed) >= stride {
                return Err(format!("{out} windows do not fit a dimension of {dim}"));
            }
            Ok(Sliding { kernel, stride, dilation, before, after: needed.saturating_sub(dim + before), beyond })
        })
        .collect()
}

/// A tensor of one to three spatial axes as a picture: its shape `[N, C, H, W]`.
pub(super) fn picture(shape: &[usize]) -> Try<[usize; 4]> {
    match *shape {
        [n, c, w] => Ok([n, c, 1, w]),
        [n, c, h, w] => Ok([n, c, h, w]),
        _ => Err(format!("only windows over one or two axes have an integer form, its input has shape {shape:?}")),
    }
}

/// One number for rows and one for columns: 1-D windows have one row.
pub(super) fn pair(values: &[Sliding], get: impl Fn(&Sliding) -> usize, single: usize) -> [usize; 2] {
    match values {
        [columns] => [single, get(columns)],
        [rows, columns, ..] => [get(rows), get(columns)],
        [] => [single, single],
    }
}

/// Kernel, strides, dilations and pads of a pooling node.
fn window(node: &NodeProto, shape: &[usize], out: &[usize]) -> Try<(Pool, bool)> {
    let rank = shape.len().saturating_sub(2);
    let kernel = node::window(node, "kernel_shape", rank, 1, 0)?;
    if kernel.contains(&0) || rank == 0 || out.len() != shape.len() || out[..2] != shape[..2] {
        return Err("its window does not fit its input".into());
    }
    let slides = sliding(node, &kernel, &shape[2..], &out[2..])?;
    if slides.iter().zip(&shape[2..]).zip(&out[2..]).any(|((s, &dim), &out)| s.has_empty_window(dim, out)) {
        return Err("a window of it lies in the padding altogether".into());
    }
    let [top, left] = pair(&slides, |s| s.before, 0);
    let [bottom, right] = pair(&slides, |s| s.after, 0);
    let pool = Pool {
        kernel: pair(&slides, |s| s.kernel, 1),
        strides: pair(&slides, |s| s.stride, 1),
        dilations: pair(&slides, |s| s.dilation, 1),
        pads: [top, left, bottom, right],
        count_pads: false,
    };
    Ok((pool, slides.iter().any(|s| s.beyond > 0)))
}

impl<'a> Search<'a> {
    /// `MaxPool`.
    pub(super) fn max_pool(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        x: TensorId,
        out: &[usize],
    ) -> Try<TensorId> {
        let shape = self.shape(x).to_vec();
        let (pool, _) = window(node, &shape, out)?;
        self.pooled(draft, x, Op::MaxPool(pool), out, None)
    }
    /// Runs a pooling operator on a tensor made into pictures.
    fn pooled(&mut self, draft: &mut Draft, x: TensorId, op: Op, out: &[usize], quant: Option<Quant>) -> Try<TensorId> {
        let shape = picture(self.shape(x))?;
        let x = self.reshape(draft, x, shape.to_vec());
        let quant = quant.unwrap_or(self.quant(x));
        let y = self.step(draft, op, vec![x], picture(out)?.to_vec(), quant);
        Ok(self.reshape(draft, y, out.to_vec()))
    }
    /// `AveragePool`, to be quantised with `quant`.
    pub(super) fn average(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        x: TensorId,
        out: &[usize],
        quant: Quant,
    ) -> Try<TensorId> {
        let shape = self.shape(x).to_vec();
        let (mut pool, beyond) = window(node, &shape, out)?;
        pool.count_pads = node::int(node, "count_include_pad", 0)? != 0 && pool.pads != [0; 4];
        if !(pool.count_pads && beyond) {
            return self.pooled(draft, x, Op::AveragePool(pool), out, Some(quant));
        }
        // The padding counts, what lies beyond it does not: the padding becomes part of the picture.
        let rank = shape.len() - 2;
        let slides = sliding(node, &node::window(node, "kernel_shape", rank, 1, 0)?, &shape[2..], &out[2..])?;
        let around = |get: fn(&Sliding) -> usize| [0, 0].into_iter().chain(slides.iter().map(get)).collect::<Vec<_>>();
        let (before, after) = (around(|s| s.before), around(|s| s.after - s.beyond));
        let value = i8::try_from(self.quant(x).zero_point).map_err(|_| "its zero point is not a byte")?;
        let padded = shape.iter().zip(before.iter().zip(&after)).map(|(d, (b, a))| d + b + a).collect();
        let own = self.quant(x);
        let x = self.step(draft, Op::Pad { before, after, value }, vec![x], padded, own);
        let [bottom, right] = pair(&slides, |s| s.beyond, 0);
        pool.pads = [0, 0, bottom, right];
        pool.count_pads = false;
        self.pooled(draft, x, Op::AveragePool(pool), out, Some(quant))
    }
    /// The axes of a reducing node, sorted.
    pub(super) fn reduced_axes(&self, node: &NodeProto, rank: usize) -> Try<Vec<usize>> {
        let axes = self.net.ints_at(node, 1, "axes")?.unwrap_or_default();
        if axes.is_empty() && node::int(node, "noop_with_empty_axes", 0)? != 0 {
            return Err("it reduces nothing".into());
        }
        let axes: Try<Vec<usize>> = axes.into_iter().map(|a| Ok(node::axis(a, rank)?)).collect();
        let mut axes = axes?;
        if axes.is_empty() {
            axes = (0..rank).collect();
        }
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }
    /// One pooling operator over all of `axes`; the result has the shape `out`.
    pub(super) fn over_axes(
        &mut self,
        draft: &mut Draft,
        x: TensorId,
        axes: &[usize],
        out: &[usize],
        op: fn(Pool) -> Op,
        quant: Quant,
    ) -> Try<TensorId> {
        let shape = self.shape(x).to_vec();
        let kept: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
        let size = |axes: &[usize]| axes.iter().map(|&a| shape[a]).product::<usize>();
        if size(&kept) != out.iter().product::<usize>() {
            return Err(format!("its result cannot have shape {out:?}"));
        }
        let y = if shape.len() == 4 && axes.iter().all(|&a| a >= 2) {
            let dim = |a: usize| if axes.contains(&a) { shape[a] } else { 1 };
            let kernel = [dim(2), dim(3)];
            let made = vec![shape[0], shape[1], shape[2] / kernel[0], shape[3] / kernel[1]];
            self.step(draft, op(whole(kernel)), vec![x], made, quant)
        } else {
            // The reduced axes go to the end, and become the columns of one row.
            let y = self.transpose(draft, x, kept.iter().chain(axes).copied().collect());
            let y = self.reshape(draft, y, vec![1, size(&kept), 1, size(axes)]);
            self.step(draft, op(whole([1, size(axes)])), vec![y], vec![1, size(&kept), 1, 1], quant)
        };
        self.same_elements(draft, y, out)
    }
    /// `GlobalMaxPool`.
    pub(super) fn global_max(&mut self, draft: &mut Draft, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let axes: Vec<usize> = (2..self.shape(x).len()).collect();
        let quant = self.quant(x);
        self.over_axes(draft, x, &axes, out, Op::MaxPool, quant)
    }
    /// `ReduceMax`.
    pub(super) fn reduce_max(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        x: TensorId,
        out: &[usize],
    ) -> Try<TensorId> {
        let axes = self.reduced_axes(node, self.shape(x).len())?;
        let quant = self.quant(x);
        self.over_axes(draft, x, &axes, out, Op::MaxPool, quant)
    }
}

/// A window as large as the picture.
fn whole(kernel: [usize; 2]) -> Pool {
    Pool { kernel, strides: [1, 1], dilations: [1, 1], pads: [0; 4], count_pads: false }
}
