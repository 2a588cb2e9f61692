//! Operator by operator: values for which it is defined.

use std::collections::HashSet;

use super::{View, range_length};
use crate::model::budget::MAX_TENSOR_BYTES;

/// Most elements that a shape may ask for.
const MAX_ELEMENTS: f64 = MAX_TENSOR_BYTES as f64;
/// Most elements that are put before or behind in one dimension.
const MAX_PADDING: f64 = (1 << 24) as f64;
/// Largest factor by which a picture is made larger or smaller.
const MAX_SCALE: f64 = 4096.0;
/// Largest `hidden_size` of a recurrent operator, `blocksize`, `num_heads` and the like.
const MAX_SIZE: i64 = 1 << 16;

impl View<'_> {
    pub(super) fn check(&self) -> Result<(), String> {
        self.sizes()?;
        match self.operands.operator() {
            "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" => self.convolution(),
            "MaxPool" | "AveragePool" | "LpPool" => self.pool(),
            "MatMul" | "MatMulInteger" => self.product(0, 1),
            "QLinearMatMul" => self.product(0, 3),
            "Gemm" => self.gemm(),
            "Transpose" => self.permutation(),
            "Reshape" => self.shape(1, -1.0),
            "Expand" => self.shape(1, 0.0),
            "ConstantOfShape" => self.shape(0, 0.0),
            "Tile" => self.tile(),
            "Range" => self.range(),
            "Resize" | "Upsample" => self.resize(),
            "Split" => self.split(),
            "Pad" => self.pad(),
            "Slice" => self.slice(),
            "OneHot" => self.one_hot(),
            "TopK" => self.top_k(),
            "Gather" => self.gather(),
            "GatherND" => self.batch_dims(),
            "DepthToSpace" | "SpaceToDepth" => self.blocks(),
            "BatchNormalization" | "InstanceNormalization" => self.per_channel(),
            "Squeeze" => self.axes(1, "axes", self.rank(0)),
            "Unsqueeze" => self.unsqueeze(),
            "CumSum" => self.axes(1, "", self.rank(0)),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
            | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceSumSquare" => self.axes(1, "axes", self.rank(0)),
            "Softmax" | "LogSoftmax" | "Hardmax" | "ArgMax" | "ArgMin" | "Concat" | "GatherElements"
            | "ScatterElements" | "Scatter" | "LayerNormalization" | "LpNormalization" => self.axis(self.rank(0)),
            // The axis may stand behind the last one.
            "Flatten" => self.axis(self.rank(0).map(|rank| rank + 1)),
            _ => Ok(()),
        }
    }

    /// Attributes that are sizes whatever the operator.
    fn sizes(&self) -> Result<(), String> {
        for name in
            ["hidden_size", "blocksize", "num_heads", "kv_num_heads", "num_groups", "size", "num_outputs", "group"]
        {
            if let Some(found) = self.int(name).filter(|v| !(1..=MAX_SIZE).contains(v)) {
                return Err(format!("its {name} is {found}, allowed is 1 to {MAX_SIZE}"));
            }
        }
        if let Some(shape) = self.ints("shape").filter(|_| self.operands.operator() != "Constant") {
            self.elements("shape", &shape.iter().map(|&d| d as f64).collect::<Vec<_>>(), 0.0)?;
        }
        Ok(())
    }

    /// A shape: dimensions from `least`, at most one of −1, and no more elements than can be.
    fn elements(&self, what: &str, dims: &[f64], least: f64) -> Result<(), String> {
        if let Some(bad) = dims.iter().find(|d| !d.is_finite() || **d < least) {
            return Err(format!("its {what} {dims:?} has a dimension of {bad}, allowed are numbers from {least}"));
        }
        if dims.iter().filter(|d| **d < 0.0).count() > 1 {
            return Err(format!("its {what} {dims:?} leaves more than one dimension open"));
        }
        let count: f64 = dims.iter().map(|d| d.max(1.0)).product();
        if count > MAX_ELEMENTS {
            return Err(format!(
                "its {what} {dims:?} asks for {count:.3e} elements, allowed are up to {MAX_ELEMENTS:.3e}"
            ));
        }
        Ok(())
    }

    fn shape(&self, slot: usize, least: f64) -> Result<(), String> {
        self.one_dimensional(slot, "shape")?;
        self.either(slot, "shape").map_or(Ok(()), |dims| self.elements("shape", &dims, least))
    }

    fn one_dimensional(&self, slot: usize, what: &str) -> Result<(), String> {
        match self.rank(slot) {
            Some(rank) if rank > 1 => Err(format!("its {what} has {rank} dimensions, expected is a list")),
            _ => Ok(()),
        }
    }

    /// The attribute `axis`.
    fn axis(&self, rank: Option<usize>) -> Result<(), String> {
        self.int("axis").map_or(Ok(()), |axis| in_rank(axis as f64, rank))
    }

    /// Axes of operand `slot` or attribute `name`, each one once.
    fn axes(&self, slot: usize, name: &str, rank: Option<usize>) -> Result<(), String> {
        let (Some(axes), Some(rank)) = (self.either(slot, name), rank) else { return Ok(()) };
        let mut seen = HashSet::new();
        for &axis in &axes {
            in_rank(axis, Some(rank))?;
            if !seen.insert((if axis < 0.0 { axis + rank as f64 } else { axis }) as i64) {
                return Err(format!("its axes {axes:?} name an axis twice"));
            }
        }
        Ok(())
    }

    fn unsqueeze(&self) -> Result<(), String> {
        let added = self.either(1, "axes").map(|axes| axes.len());
        self.axes(1, "axes", self.rank(0).zip(added).map(|(rank, added)| rank + added))
    }

    fn permutation(&self) -> Result<(), String> {
        let Some(perm) = self.ints("perm") else { return Ok(()) };
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..perm.len() as i64) {
            return Err(format!(
                "its perm {perm:?} is no permutation: each axis from 0 to {} once",
                perm.len().max(1) - 1
            ));
        }
        match self.rank(0) {
            Some(rank) if rank != perm.len() => {
                Err(format!("its perm {perm:?} has {} axes, its input has {rank}", perm.len()))
            }
            _ => Ok(()),
        }
    }

    fn tile(&self) -> Result<(), String> {
        let Some(repeats) = self.values(1) else { return Ok(()) };
        match self.rank(0) {
            Some(rank) if rank != repeats.len() => {
                return Err(format!("its repeats {repeats:?} are {}, its input has {rank} dimensions", repeats.len()));
            }
            _ => {}
        }
        self.elements("repeats", &repeats, 0.0)
    }

    fn range(&self) -> Result<(), String> {
        let scalar = |slot| self.values(slot).and_then(|v: Vec<f64>| v.first().copied());
        let (start, limit, delta) = (scalar(0), scalar(1), scalar(2));
        if let Some(bad) = [start, limit, delta].into_iter().flatten().find(|v| !v.is_finite()) {
            return Err(format!("one of its ends is {bad}"));
        }
        if delta == Some(0.0) {
            return Err("its step is 0".into());
        }
        if let (Some(start), Some(limit), Some(delta)) = (start, limit, delta) {
            self.elements("length", &[range_length(start, limit, delta)], 0.0)?;
        }
        Ok(())
    }

    fn resize(&self) -> Result<(), String> {
        // The oldest version has scales where later ones have a region.
        let old = self.operands.operator() == "Upsample" || self.operands.slots.len() == 2;
        let scales = self.values(if old { 1 } else { 2 }).filter(|v| !v.is_empty());
        if let Some(scales) = &scales {
            let good = |s: &f64| s.is_finite() && *s > 0.0 && *s <= MAX_SCALE;
            if !scales.iter().all(good) {
                return Err(format!("its scales are {scales:?}, allowed are numbers above 0 and up to {MAX_SCALE}"));
            }
        }
        let sizes = if old { None } else { self.values(3).filter(|v| !v.is_empty()) };
        if let Some(sizes) = &sizes {
            self.elements("sizes", sizes, 1.0)?;
        }
        let axes = self.ints("axes").map(<[i64]>::len);
        let (Some(rank), Some(found)) = (axes.or(self.rank(0)), scales.or(sizes).map(|v| v.len())) else {
            return Ok(());
        };
        if found == rank { Ok(()) } else { Err(format!("it has {found} scales or sizes for {rank} dimensions")) }
    }

    fn split(&self) -> Result<(), String> {
        self.axis(self.rank(0))?;
        let (Some(parts), Some(dims)) = (self.either(1, "split"), self.dims(0)) else { return Ok(()) };
        if let Some(bad) = parts.iter().find(|p| **p < 0.0) {
            return Err(format!("its split {parts:?} has a part of {bad}, allowed are numbers from 0"));
        }
        if parts.len() != self.operands.outputs {
            return Err(format!("its split {parts:?} has {} parts for {} outputs", parts.len(), self.operands.outputs));
        }
        let axis = self.int("axis").unwrap_or(0);
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let (sum, whole) = (parts.iter().sum::<f64>(), dims.get(axis as usize).copied().flatten());
        match whole {
            Some(whole) if whole as f64 != sum => {
                Err(format!("its split {parts:?} makes {sum} of dimension {axis}, which is {whole}"))
            }
            _ => Ok(()),
        }
    }

    fn pad(&self) -> Result<(), String> {
        let Some(pads) = self.either(1, "pads") else { return Ok(()) };
        if let Some(bad) = pads.iter().find(|p| p.is_nan() || p.abs() > MAX_PADDING) {
            return Err(format!("one of its pads is {bad}, allowed are up to {MAX_PADDING}"));
        }
        let axes = self.values(3).map(|axes| axes.len()).or(self.rank(0));
        match axes {
            Some(axes) if pads.len() != 2 * axes => {
                Err(format!("its pads {pads:?} are {}, for {axes} dimensions it takes {}", pads.len(), 2 * axes))
            }
            _ => Ok(()),
        }
    }

    fn slice(&self) -> Result<(), String> {
        let (starts, ends) = (self.either(1, "starts"), self.either(2, "ends"));
        let axes = self.either(3, "axes");
        let steps = self.values(4);
        let lengths = [&starts, &ends, &axes, &steps].into_iter().flatten().map(Vec::len).collect::<HashSet<_>>();
        if lengths.len() > 1 {
            return Err("its starts, ends, axes and steps are not equally many".into());
        }
        if steps.iter().flatten().any(|step| *step == 0.0) {
            return Err("one of its steps is 0".into());
        }
        self.axes(3, "axes", self.rank(0))?;
        match (self.rank(0), starts) {
            (Some(rank), Some(starts)) if starts.len() > rank => {
                Err(format!("it cuts {} dimensions, its input has {rank}", starts.len()))
            }
            _ => Ok(()),
        }
    }

    fn one_hot(&self) -> Result<(), String> {
        self.axis(self.rank(0).map(|rank| rank + 1))?;
        let depth = self.values(1).and_then(|v| v.first().copied());
        match depth {
            Some(depth) if !(1.0..=MAX_PADDING).contains(&depth) => {
                Err(format!("its depth is {depth}, allowed is 1 to {MAX_PADDING}"))
            }
            _ => Ok(()),
        }
    }

    fn top_k(&self) -> Result<(), String> {
        self.axis(self.rank(0))?;
        let k = self.either(1, "k").and_then(|v| v.first().copied());
        let (Some(k), Some(dims)) = (k, self.dims(0)) else { return Ok(()) };
        let axis = self.int("axis").unwrap_or(-1);
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let most = dims.get(axis as usize).copied().flatten().map_or(MAX_ELEMENTS, |d| d as f64);
        if (0.0..=most).contains(&k) { Ok(()) } else { Err(format!("its k is {k}, allowed is 0 to {most}")) }
    }

    fn gather(&self) -> Result<(), String> {
        self.axis(self.rank(0))?;
        let (Some(indices), Some(dims)) = (self.values(1), self.dims(0)) else { return Ok(()) };
        let axis = self.int("axis").unwrap_or(0);
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let Some(len) = dims.get(axis as usize).copied().flatten() else { return Ok(()) };
        let range = -(len as f64)..len as f64;
        match indices.iter().find(|i| !range.contains(i)) {
            Some(bad) => Err(format!("it takes element {bad} of dimension {axis}, which is {len}")),
            None => Ok(()),
        }
    }

    fn batch_dims(&self) -> Result<(), String> {
        let batch = self.int("batch_dims").unwrap_or(0);
        let most = [self.rank(0), self.rank(1)].into_iter().flatten().min().map_or(8, |rank| rank as i64 - 1);
        if (0..=most).contains(&batch) {
            Ok(())
        } else {
            Err(format!("its batch_dims is {batch}, allowed is 0 to {most}"))
        }
    }

    fn blocks(&self) -> Result<(), String> {
        let Some(block) = self.int("blocksize") else { return Err("it has no blocksize".into()) };
        let Some(dims) = self.dims(0) else { return Ok(()) };
        if dims.len() != 4 {
            return Err(format!("its input has {} dimensions, expected are 4", dims.len()));
        }
        let into_depth = self.operands.operator() == "SpaceToDepth";
        let (first, by) = if into_depth { (2..4, block) } else { (1..2, block * block) };
        match dims[first].iter().flatten().find(|d| **d % by != 0) {
            Some(dim) => Err(format!("a dimension of {dim} is no multiple of {by}")),
            None => Ok(()),
        }
    }

    /// Scale, shift, mean and variance: one for each channel.
    fn per_channel(&self) -> Result<(), String> {
        let Some(dims) = self.dims(0) else { return Ok(()) };
        let Some(&channels) = dims.get(1) else {
            return Err(format!("its input has {} dimensions, the channels are the second", dims.len()));
        };
        for slot in 1..self.operands.slots.len() {
            let Some(parameter) = self.dims(slot) else { continue };
            let fits = matches!(parameter[..], [len] if len.is_none() || channels.is_none() || len == channels);
            if !fits {
                return Err(format!("its operand {slot} has shape {parameter:?} for {channels:?} channels"));
            }
        }
        Ok(())
    }
}

/// Checks that an axis is one of `rank`.
fn in_rank(axis: f64, rank: Option<usize>) -> Result<(), String> {
    match rank {
        Some(rank) if !(-(rank as f64)..rank as f64).contains(&axis) => {
            Err(format!("its axis is {axis}, its input has {rank} dimensions"))
        }
        _ => Ok(()),
    }
}
