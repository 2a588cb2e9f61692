//! Elements moved, counted and looked at in another way.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{around, axis, doubles, ints, of_doubles, optional, required};
use crate::onnx::{node, tensor};

/// `ReverseSequence`: the beginning of each sequence turned round, as long as it is.
pub(super) fn reverse_sequence(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(ReverseSequence { batch: node::int(node, "batch_axis", 1)?, time: node::int(node, "time_axis", 0)? }))
}

#[derive(Debug)]
struct ReverseSequence {
    batch: i64,
    time: i64,
}

impl Kernel for ReverseSequence {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        Ok(Some(vec![(x.dtype, x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, lengths) = (*required(inputs, 0)?, ints(required(inputs, 1)?)?);
        let shape = x.shape();
        ensure!(shape.len() >= 2, "its input has shape {shape:?}");
        let (batch, time) = (axis(self.batch, shape.len())?, axis(self.time, shape.len())?);
        ensure!(batch + time == 1, "its axes are {batch} and {time}, allowed are 0 and 1");
        ensure!(lengths.len() == shape[batch], "it has {} lengths for {} sequences", lengths.len(), shape[batch]);
        let row = x.datum_type().size_of() * shape[2..].iter().product::<usize>();
        let mut made = x.clone();
        let (from, to) = (x.as_bytes(), made.as_bytes_mut());
        for (sequence, &length) in lengths.iter().enumerate() {
            let length = usize::try_from(length).ok().filter(|length| *length <= shape[time]);
            let length = length.with_context(|| format!("a length is none of 0 to {}", shape[time]))?;
            let at =
                |step: usize| row * if batch == 0 { sequence * shape[1] + step } else { step * shape[1] + sequence };
            for step in 0..length {
                to[at(step)..][..row].copy_from_slice(&from[at(length - 1 - step)..][..row]);
            }
        }
        Ok(vec![made])
    }
}

/// `Unique`: the different elements, or slices along an axis.
pub(super) fn unique(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let along = match node::attribute(node, "axis") {
        Some(_) => Some(node::int(node, "axis", 0)?),
        None => None,
    };
    Ok(Arc::new(Unique { along, sorted: node::int(node, "sorted", 1)? != 0 }))
}

#[derive(Debug)]
struct Unique {
    along: Option<i64>,
    sorted: bool,
}

impl Kernel for Unique {
    fn outputs(&self, _: &[Option<Known>]) -> TractResult<Outputs> {
        Ok(None)
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let values = doubles(x)?;
        let (outer, count, inner) = match self.along {
            Some(along) => around(x.shape(), axis(along, x.rank())?),
            None => (1, values.len(), 1),
        };
        let slice = |index: usize| -> Vec<f64> {
            let parts = (0..outer).flat_map(|o| values[(o * count + index) * inner..][..inner].iter());
            parts.copied().collect()
        };
        let slices: Vec<Vec<f64>> = (0..count).map(slice).collect();
        let order = |a: &Vec<f64>, b: &Vec<f64>| {
            a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        };
        let mut by_value: Vec<usize> = (0..count).collect();
        by_value.sort_by(|&a, &b| order(&slices[a], &slices[b]).then(a.cmp(&b)));
        // Groups of equal slices, each with its first index in front.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for index in by_value {
            match groups.last_mut().filter(|group| order(&slices[group[0]], &slices[index]).is_eq()) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        if !self.sorted {
            groups.sort_by_key(|group| group[0]);
        }
        let mut inverse = vec![0i64; count];
        for (group, members) in groups.iter().enumerate() {
            members.iter().for_each(|&member| inverse[member] = group as i64);
        }
        let mut made = Vec::with_capacity(groups.len() * outer * inner);
        for o in 0..outer {
            for group in &groups {
                made.extend_from_slice(&slices[group[0]][o * inner..][..inner]);
            }
        }
        let mut shape = match self.along {
            Some(_) => x.shape().to_vec(),
            None => vec![0],
        };
        shape[self.along.map_or(Ok(0), |along| axis(along, x.rank()))?] = groups.len();
        let list = |values: Vec<i64>| Tensor::from_shape(&[values.len()], &values);
        Ok(vec![
            of_doubles(x.datum_type(), &shape, &made)?,
            list(groups.iter().map(|group| group[0] as i64).collect())?,
            list(inverse)?,
            list(groups.iter().map(|group| group.len() as i64).collect())?,
        ])
    }
}

/// `BitCast`: the same bits as another type of the same size.
pub(super) fn bit_cast(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let to = i32::try_from(node::int(node, "to", 0)?)?;
    Ok(Arc::new(BitCast(
        tensor::datum_type(to).with_context(|| format!("type {} is not supported", tensor::type_name(to)))?,
    )))
}

#[derive(Debug)]
struct BitCast(DatumType);

impl Kernel for BitCast {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        ensure!(x.dtype.size_of() == self.0.size_of(), "{:?} and {:?} have different sizes", x.dtype, self.0);
        Ok(Some(vec![(self.0, x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let mut made = Tensor::zero_dt(self.0, x.shape())?;
        ensure!(made.as_bytes().len() == x.as_bytes().len(), "the types have different sizes");
        made.as_bytes_mut().copy_from_slice(x.as_bytes());
        if self.0 == DatumType::Bool {
            made.as_bytes_mut().iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
        }
        Ok(vec![made])
    }
}

/// `TensorScatter`: new rows of a cache in place of old ones.
pub(super) fn tensor_scatter(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let circular = match node::text(node, "mode", "linear")? {
        "linear" => false,
        "circular" => true,
        other => bail!("its mode is {other:?}, allowed are linear and circular"),
    };
    Ok(Arc::new(TensorScatter { axis: node::int(node, "axis", -2)?, circular }))
}

#[derive(Debug)]
struct TensorScatter {
    axis: i64,
    circular: bool,
}

impl Kernel for TensorScatter {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        Ok(Some(vec![(x.dtype, x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (cache, update) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let axis = axis(self.axis, cache.rank())?;
        let (outer, len, inner) = around(cache.shape(), axis);
        let new_len = update.shape().get(axis).copied().unwrap_or(0);
        let fits = update.datum_type() == cache.datum_type() && update.len() == outer * new_len * inner;
        ensure!(fits && new_len <= len, "its update of shape {:?} does not fit {:?}", update.shape(), cache.shape());
        let items = cache.shape()[0].max(1);
        let starts = optional(inputs, 2).map_or(Ok(vec![0; items]), |starts| ints(starts))?;
        ensure!(axis > 0 && starts.len() == items, "it has {} places for {items} items", starts.len());
        let row = inner * cache.datum_type().size_of();
        let mut made = cache.clone();
        let (from, to) = (update.as_bytes(), made.as_bytes_mut());
        for lane in 0..outer {
            let start = usize::try_from(starts[lane / (outer / items).max(1)]).ok();
            let start = start.context("one of its places is below 0")?;
            for step in 0..new_len {
                let place = if self.circular { (start + step) % len.max(1) } else { start + step };
                ensure!(place < len, "it writes row {place} of {len}");
                to[(lane * len + place) * row..][..row].copy_from_slice(&from[(lane * new_len + step) * row..][..row]);
            }
        }
        Ok(vec![made])
    }
}

/// `CenterCropPad`: the middle of a tensor, or zeros around it.
pub(super) fn center_crop_pad(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(CenterCropPad { axes: node::ints(node, "axes")?.map(<[i64]>::to_vec) }))
}

#[derive(Debug)]
struct CenterCropPad {
    axes: Option<Vec<i64>>,
}

impl CenterCropPad {
    fn output(&self, x: &[usize], wanted: &[i64]) -> TractResult<Vec<usize>> {
        let all: Vec<i64> = (0..x.len() as i64).collect();
        let axes = self.axes.as_ref().unwrap_or(&all);
        ensure!(axes.len() == wanted.len(), "it has {} sizes for {} axes", wanted.len(), axes.len());
        let mut shape = x.to_vec();
        for (&along, &size) in axes.iter().zip(wanted) {
            shape[axis(along, x.len())?] = usize::try_from(size)?;
        }
        Ok(shape)
    }
}

impl Kernel for CenterCropPad {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, size) = (required(inputs, 0)?, required(inputs, 1)?);
        let Some(size) = &size.value else { return Ok(None) };
        Ok(Some(vec![(x.dtype, self.output(&x.shape, &ints(size)?)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let shape = self.output(x.shape(), &ints(required(inputs, 1)?)?)?;
        let size = x.datum_type().size_of();
        let bytes = shape.iter().try_fold(size, |sum, dim| sum.checked_mul(*dim)).filter(|bytes| *bytes <= 1 << 30);
        ensure!(bytes.is_some(), "its shape {shape:?} is too large");
        let mut made = Tensor::zero_dt(x.datum_type(), &shape)?;
        let (from_strides, to_strides) = (super::values::strides(x.shape()), super::values::strides(&shape));
        let common: Vec<usize> = x.shape().iter().zip(&shape).map(|(a, b)| *a.min(b)).collect();
        if common.contains(&0) {
            return Ok(vec![made]);
        }
        let start = |a: usize, b: usize| a.saturating_sub(b) / 2;
        let (from, to) = (x.as_bytes(), made.as_bytes_mut());
        let mut index = vec![0; common.len()];
        loop {
            let mut places = (0, 0);
            for (axis, &at) in index.iter().enumerate() {
                places.0 += (at + start(x.shape()[axis], shape[axis])) * from_strides[axis];
                places.1 += (at + start(shape[axis], x.shape()[axis])) * to_strides[axis];
            }
            to[places.1 * size..][..size].copy_from_slice(&from[places.0 * size..][..size]);
            if !super::values::advance(&mut index, &common) {
                return Ok(vec![made]);
            }
        }
    }
}

/// `Col2Im`: columns of windows added up to a picture.
pub(super) fn col2im(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let lists = ["strides", "dilations", "pads"].map(|name| node::ints(node, name).map(|v| v.map(<[i64]>::to_vec)));
    let [strides, dilations, pads] = lists;
    let (strides, dilations, pads) = (strides?, dilations?, pads?);
    let bad = [&strides, &dilations, &pads].into_iter().flatten().flatten().any(|v| !(0..=1 << 16).contains(v));
    ensure!(!bad, "one of its strides, dilations or pads is out of range");
    Ok(Arc::new(Col2Im { strides, dilations, pads }))
}

#[derive(Debug)]
struct Col2Im {
    strides: Option<Vec<i64>>,
    dilations: Option<Vec<i64>>,
    pads: Option<Vec<i64>>,
}

impl Col2Im {
    /// Sizes of the picture and of the window, held against the columns; gives the output's shape.
    fn output(&self, x: &[usize], picture: &[i64], window: &[i64]) -> TractResult<Vec<usize>> {
        let (axes, &[n, rows, columns]) = (picture.len(), x) else { bail!("its input has shape {x:?}") };
        ensure!(window.len() == axes && axes > 0, "its window {window:?} does not fit {picture:?}");
        let good = picture.iter().chain(window).all(|size| (1..=1 << 16).contains(size));
        ensure!(good, "its picture {picture:?} or window {window:?} is out of range");
        let positions: i64 = window.iter().product();
        let places: i64 = (0..axes).map(|axis| self.steps(axis, axes, picture, window)).product();
        let fits = rows % positions as usize == 0 && columns as i64 == places;
        ensure!(fits, "its {rows} rows and {columns} columns do not fit a window {window:?} on {picture:?}");
        let sizes = picture.iter().map(|&size| size as usize);
        Ok([n, rows / positions as usize].into_iter().chain(sizes).collect())
    }

    fn stride(&self, axis: usize) -> i64 {
        self.strides.as_ref().and_then(|s| s.get(axis).copied()).unwrap_or(1).max(1)
    }

    fn dilation(&self, axis: usize) -> i64 {
        self.dilations.as_ref().and_then(|d| d.get(axis).copied()).unwrap_or(1)
    }

    fn pad(&self, index: usize) -> i64 {
        self.pads.as_ref().and_then(|p| p.get(index).copied()).unwrap_or(0)
    }

    fn steps(&self, axis: usize, axes: usize, picture: &[i64], window: &[i64]) -> i64 {
        let reach = self.dilation(axis) * (window[axis] - 1) + 1;
        ((picture[axis] + self.pad(axis) + self.pad(axis + axes) - reach) / self.stride(axis) + 1).max(0)
    }
}

impl Kernel for Col2Im {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        let (picture, window) = (&required(inputs, 1)?.value, &required(inputs, 2)?.value);
        let (Some(picture), Some(window)) = (picture, window) else { return Ok(None) };
        Ok(Some(vec![(x.dtype, self.output(&x.shape, &ints(picture)?, &ints(window)?)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (picture, window) = (ints(required(inputs, 1)?)?, ints(required(inputs, 2)?)?);
        let shape = self.output(x.shape(), &picture, &window)?;
        let axes = picture.len();
        let size: usize = shape[2..].iter().product();
        let steps: Vec<i64> = (0..axes).map(|axis| self.steps(axis, axes, &picture, &window)).collect();
        let (positions, places) = (window.iter().product::<i64>(), steps.iter().product::<i64>());
        let strides = super::values::strides(&shape[2..]);
        let values = doubles(x)?;
        let mut made = vec![0.0; shape.iter().product()];
        for plane in 0..shape[0] * shape[1] {
            for position in 0..positions {
                for place in 0..places {
                    let (mut p, mut s, mut at) = (position, place, Some(0));
                    for axis in (0..axes).rev() {
                        let start = s % steps[axis] * self.stride(axis) - self.pad(axis);
                        let index = start + p % window[axis] * self.dilation(axis);
                        let inside = (0..picture[axis]).contains(&index);
                        at = at.filter(|_| inside).map(|at| at + index as usize * strides[axis]);
                        (p, s) = (p / window[axis], s / steps[axis]);
                    }
                    if let Some(at) = at {
                        let from = (plane as i64 * positions + position) * places + place;
                        made[plane * size + at] += values[from as usize];
                    }
                }
            }
        }
        Ok(vec![of_doubles(x.datum_type(), &shape, &made)?])
    }
}
