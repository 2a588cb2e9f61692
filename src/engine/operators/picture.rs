//! Operators on pictures `[N, C, H, W]`: regions, deformed windows, grids.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{doubles, floats, ints, of_doubles, of_floats, optional, required};
use crate::onnx::node;

fn four(shape: &[usize]) -> TractResult<[usize; 4]> {
    shape.try_into().map_err(|_| format_err!("its input has shape {shape:?}, expected are four dimensions"))
}

/// A value between four neighbours; outside of the picture it is 0, or fades out over one pixel.
fn between(plane: &[f32], height: usize, width: usize, y: f32, x: f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let mut sum = 0.0;
    for (row, vertical) in [(top, 1.0 - (y - top)), (top + 1.0, y - top)] {
        for (column, horizontal) in [(left, 1.0 - (x - left)), (left + 1.0, x - left)] {
            let inside = row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
            if inside {
                sum += vertical * horizontal * plane[row as usize * width + column as usize];
            }
        }
    }
    sum
}

/// `RoiAlign`: regions of a picture at one size (He et al. 2017, Mask R-CNN).
pub(super) fn roi_align(node: &NodeProto, version: i64) -> TractResult<Arc<dyn Kernel>> {
    let size = |name: &str| -> TractResult<usize> {
        let size = node::int(node, name, 1)?;
        ensure!((1..=1 << 12).contains(&size), "its {name} is {size}");
        Ok(size as usize)
    };
    let default = if version < 16 { "output_half_pixel" } else { "half_pixel" };
    let half_pixel = node::text(node, "coordinate_transformation_mode", default)? == "half_pixel";
    let maximum = match node::text(node, "mode", "avg")? {
        "avg" => false,
        "max" => true,
        other => bail!("its mode is {other:?}, allowed are avg and max"),
    };
    let samples = node::int(node, "sampling_ratio", 0)?;
    ensure!((0..=64).contains(&samples), "its sampling_ratio is {samples}");
    Ok(Arc::new(RoiAlign {
        size: [size("output_height")?, size("output_width")?],
        scale: node::float(node, "spatial_scale", 1.0)?,
        samples: samples as usize,
        half_pixel,
        maximum,
    }))
}

#[derive(Debug)]
struct RoiAlign {
    size: [usize; 2],
    scale: f32,
    /// Points in each direction of a bin; 0 takes as many as it is pixels long.
    samples: usize,
    half_pixel: bool,
    maximum: bool,
}

/// Most points in one direction of a bin.
const MAX_POINTS: usize = 1 << 10;

impl Kernel for RoiAlign {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, regions) = (required(inputs, 0)?, required(inputs, 1)?);
        let [_, channels, ..] = four(&x.shape)?;
        let count = regions.shape.first().copied().context("its regions are a scalar")?;
        Ok(Some(vec![(x.dtype, vec![count, channels, self.size[0], self.size[1]])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let [items, channels, height, width] = four(x.shape())?;
        let (regions, of_item) = (floats(required(inputs, 1)?)?, ints(required(inputs, 2)?)?);
        ensure!(regions.len() == of_item.len() * 4, "its regions and their pictures are not equally many");
        let values = floats(x)?;
        let [rows, columns] = self.size;
        let mut made = vec![0.0; of_item.len() * channels * rows * columns];
        for (region, (corners, &item)) in regions.chunks_exact(4).zip(&of_item).enumerate() {
            let item = usize::try_from(item).ok().filter(|item| *item < items);
            let item = item.with_context(|| format!("a region is of none of {items} pictures"))?;
            let offset = if self.half_pixel { 0.5 } else { 0.0 };
            let at = |corner: usize| corners[corner] * self.scale - offset;
            let least = if self.half_pixel { 0.0 } else { 1.0 };
            let (bin_w, bin_h) =
                ((at(2) - at(0)).max(least) / columns as f32, (at(3) - at(1)).max(least) / rows as f32);
            let points = |bin: f32| if self.samples > 0 { self.samples } else { (bin.ceil() as usize).min(MAX_POINTS) };
            let (points_h, points_w) = (points(bin_h), points(bin_w));
            for channel in 0..channels {
                let plane = &values[(item * channels + channel) * height * width..][..height * width];
                for bin in 0..rows * columns {
                    let (row, column) = ((bin / columns) as f32, (bin % columns) as f32);
                    let (mut sum, mut most) = (0.0, f32::NEG_INFINITY);
                    for point in 0..points_h * points_w {
                        let (py, px) = ((point / points_w) as f32 + 0.5, (point % points_w) as f32 + 0.5);
                        let y = at(1) + row * bin_h + py * bin_h / points_h as f32;
                        let x = at(0) + column * bin_w + px * bin_w / points_w as f32;
                        let (value, largest) = self.point(plane, height, width, y, x);
                        sum += value;
                        most = most.max(largest);
                    }
                    let count = (points_h * points_w).max(1) as f32;
                    let most = if most.is_finite() { most } else { 0.0 };
                    made[(region * channels + channel) * rows * columns + bin] =
                        if self.maximum { most } else { sum / count };
                }
            }
        }
        let made = of_floats(&[of_item.len(), channels, rows, columns], &made)?;
        Ok(vec![made.cast_to_dt(x.datum_type())?.into_owned()])
    }
}

impl RoiAlign {
    /// The value at a point, and the largest of its four weighted neighbours.
    fn point(&self, plane: &[f32], height: usize, width: usize, y: f32, x: f32) -> (f32, f32) {
        if y < -1.0 || y > height as f32 || x < -1.0 || x > width as f32 || plane.is_empty() {
            return (0.0, 0.0);
        }
        let side = |at: f32, len: usize| {
            let at = at.max(0.0);
            let low = at as usize;
            if low >= len - 1 { (len - 1, len - 1, 0.0) } else { (low, low + 1, at - low as f32) }
        };
        let ((y0, y1, ly), (x0, x1, lx)) = (side(y, height), side(x, width));
        let corners = [
            (1.0 - ly) * (1.0 - lx) * plane[y0 * width + x0],
            (1.0 - ly) * lx * plane[y0 * width + x1],
            ly * (1.0 - lx) * plane[y1 * width + x0],
            ly * lx * plane[y1 * width + x1],
        ];
        (corners.iter().sum(), corners.into_iter().fold(f32::NEG_INFINITY, f32::max))
    }
}

/// `DeformConv` in two dimensions (Zhu et al. 2018, Deformable ConvNets v2).
pub(super) fn deform_conv(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let groups = |name: &str| -> TractResult<usize> {
        let groups = node::int(node, name, 1)?;
        ensure!((1..=1 << 16).contains(&groups), "its {name} is {groups}");
        Ok(groups as usize)
    };
    Ok(Arc::new(DeformConv {
        strides: node::window(node, "strides", 2, 1, 1)?,
        dilations: node::window(node, "dilations", 2, 1, 1)?,
        pads: node::window(node, "pads", 4, 0, 0)?,
        groups: groups("group")?,
        offset_groups: groups("offset_group")?,
    }))
}

#[derive(Debug)]
struct DeformConv {
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    groups: usize,
    offset_groups: usize,
}

impl DeformConv {
    fn output(&self, x: &[usize], w: &[usize], offsets: &[usize]) -> TractResult<[usize; 4]> {
        let ([n, channels, height, width], [filters, per_group, kh, kw]) = (four(x)?, four(w)?);
        let [offset_n, offset_channels, rows, columns] = four(offsets)?;
        let size = |axis: usize, len: usize, kernel: usize| {
            let reach = (kernel.max(1) - 1) * self.dilations[axis] + 1;
            let padded = len + self.pads[axis] + self.pads[axis + 2];
            padded.checked_sub(reach).map(|rest| rest / self.strides[axis] + 1)
        };
        let fits = channels == per_group * self.groups
            && filters % self.groups == 0
            && channels % self.offset_groups == 0
            && offset_n == n
            && offset_channels == self.offset_groups * kh * kw * 2
            && (size(0, height, kh), size(1, width, kw)) == (Some(rows), Some(columns));
        ensure!(fits, "its input {x:?}, weights {w:?} and offsets {offsets:?} do not fit");
        Ok([n, filters, rows, columns])
    }
}

impl Kernel for DeformConv {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, w, offsets) = (required(inputs, 0)?, required(inputs, 1)?, required(inputs, 2)?);
        Ok(Some(vec![(x.dtype, self.output(&x.shape, &w.shape, &offsets.shape)?.to_vec())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, w, offset) = (*required(inputs, 0)?, *required(inputs, 1)?, *required(inputs, 2)?);
        let [n, filters, rows, columns] = self.output(x.shape(), w.shape(), offset.shape())?;
        let ([_, channels, height, width], [_, per_group, kh, kw]) = (four(x.shape())?, four(w.shape())?);
        let (values, weights, offsets) = (floats(x)?, floats(w)?, floats(offset)?);
        let bias = optional(inputs, 3).map(|bias| floats(bias)).transpose()?;
        ensure!(bias.as_ref().is_none_or(|b| b.len() == filters), "its bias has not {filters} values");
        let mask = optional(inputs, 4).map(|mask| floats(mask)).transpose()?;
        let (positions, places) = (kh * kw, rows * columns);
        let wanted = n * self.offset_groups * positions * places;
        ensure!(mask.as_ref().is_none_or(|m| m.len() == wanted), "its mask has not {wanted} values");
        let mut made = vec![0.0; n * filters * places];
        // The deformed window of one place, all channels: shared by all filters.
        let mut window = vec![0.0; channels * positions];
        let filters_per_group = filters / self.groups;
        for item in 0..n {
            for place in 0..places {
                for channel in 0..channels {
                    let group = channel / (channels / self.offset_groups);
                    let plane = &values[(item * channels + channel) * height * width..][..height * width];
                    for position in 0..positions {
                        let base = (item * self.offset_groups + group) * positions + position;
                        let moved = |axis: usize| offsets[(base * 2 + axis) * places + place];
                        let start = |axis: usize, at: usize, k: usize| {
                            (at * self.strides[axis] + k * self.dilations[axis]) as f32 - self.pads[axis] as f32
                        };
                        let y = start(0, place / columns, position / kw) + moved(0);
                        let x = start(1, place % columns, position % kw) + moved(1);
                        let share = mask.as_ref().map_or(1.0, |mask| mask[base * places + place]);
                        window[channel * positions + position] = share * between(plane, height, width, y, x);
                    }
                }
                for filter in 0..filters {
                    let group = filter / filters_per_group;
                    let len = per_group * positions;
                    let (kernel, part) = (&weights[filter * len..][..len], &window[group * len..][..len]);
                    let sum: f32 = kernel.iter().zip(part).map(|(a, b)| a * b).sum();
                    made[(item * filters + filter) * places + place] =
                        sum + bias.as_ref().map_or(0.0, |bias| bias[filter]);
                }
            }
        }
        let made = of_floats(&[n, filters, rows, columns], &made)?;
        Ok(vec![made.cast_to_dt(x.datum_type())?.into_owned()])
    }
}

/// `AffineGrid`: sampling points `[N, H, W, 2]` (or three dimensions) under one linear map each.
pub(super) fn affine_grid(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(AffineGrid { corners: node::flag(node, "align_corners")? }))
}

#[derive(Debug)]
struct AffineGrid {
    /// −1 and 1 are the centres of the outer pixels, not their edges.
    corners: bool,
}

impl AffineGrid {
    fn output(&self, theta: &[usize], size: &[i64]) -> TractResult<Vec<usize>> {
        let &[n, axes, _] = theta else { bail!("its maps have shape {theta:?}") };
        let sizes: Vec<usize> = size.iter().skip(2).map(|&s| usize::try_from(s)).collect::<Result<_, _>>()?;
        ensure!(
            sizes.len() == axes && theta[2] == axes + 1 && matches!(axes, 2 | 3),
            "its size {size:?} does not fit {theta:?}"
        );
        Ok(std::iter::once(n).chain(sizes).chain([axes]).collect())
    }
}

impl Kernel for AffineGrid {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (theta, size) = (required(inputs, 0)?, required(inputs, 1)?);
        let Some(size) = &size.value else { return Ok(None) };
        Ok(Some(vec![(theta.dtype, self.output(&theta.shape, &ints(size)?)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let theta = *required(inputs, 0)?;
        let shape = self.output(theta.shape(), &ints(required(inputs, 1)?)?)?;
        let maps = doubles(theta)?;
        let (n, axes) = (shape[0], shape[shape.len() - 1]);
        let sizes = &shape[1..shape.len() - 1];
        let points: usize = sizes.iter().product();
        let place = |index: usize, len: usize| match self.corners {
            true if len == 1 => 0.0,
            true => 2.0 * index as f64 / (len - 1) as f64 - 1.0,
            false => (2.0 * index as f64 + 1.0) / len as f64 - 1.0,
        };
        let mut made = Vec::with_capacity(n * points * axes);
        for item in 0..n {
            let map = &maps[item * axes * (axes + 1)..][..axes * (axes + 1)];
            for point in 0..points {
                // x first, as the maps have it.
                let mut rest = point;
                let mut at = vec![1.0; axes + 1];
                for (axis, &len) in sizes.iter().rev().enumerate() {
                    at[axis] = place(rest % len, len);
                    rest /= len;
                }
                made.extend(map.chunks(axes + 1).map(|row| row.iter().zip(&at).map(|(a, b)| a * b).sum::<f64>()));
            }
        }
        Ok(vec![of_doubles(theta.datum_type(), &shape, &made)?])
    }
}

/// `MaxUnpool`: values back at the places that a pool took them from.
pub(super) fn max_unpool(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let kernel = node::ints(node, "kernel_shape")?.context("it has no kernel_shape")?.len();
    Ok(Arc::new(MaxUnpool {
        kernel: node::window(node, "kernel_shape", kernel, 1, 1)?,
        strides: node::window(node, "strides", kernel, 1, 1)?,
        pads: node::window(node, "pads", kernel * 2, 0, 0)?,
    }))
}

#[derive(Debug)]
struct MaxUnpool {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    pads: Vec<usize>,
}

impl MaxUnpool {
    /// The shape that was pooled.
    fn pooled(&self, x: &[usize]) -> TractResult<Vec<usize>> {
        ensure!(x.len() == self.kernel.len() + 2 && !x.contains(&0), "its input has shape {x:?}");
        let mut shape = x.to_vec();
        for (axis, kernel) in self.kernel.iter().enumerate() {
            let whole = (x[axis + 2] - 1) * self.strides[axis] + kernel;
            let pads = self.pads[axis] + self.pads[axis + self.kernel.len()];
            shape[axis + 2] = whole.checked_sub(pads).context("its pads are larger than its output")?;
        }
        Ok(shape)
    }
}

impl Kernel for MaxUnpool {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        let shape = match optional(inputs, 2) {
            Some(Known { value: Some(shape), .. }) => {
                ints(shape)?.into_iter().map(usize::try_from).collect::<Result<_, _>>()?
            }
            Some(_) => return Ok(None),
            None => self.pooled(&x.shape)?,
        };
        Ok(Some(vec![(x.dtype, shape)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, places) = (*required(inputs, 0)?, ints(required(inputs, 1)?)?);
        let pooled = self.pooled(x.shape())?;
        let shape: Vec<usize> = match optional(inputs, 2) {
            Some(shape) => ints(shape)?.into_iter().map(usize::try_from).collect::<Result<_, _>>()?,
            None => pooled.clone(),
        };
        let larger = shape.len() == pooled.len() && shape.iter().zip(&pooled).all(|(out, inner)| out >= inner);
        ensure!(larger && places.len() == x.len(), "its output of shape {shape:?} has no place for {pooled:?}");
        let (values, count) = (doubles(x)?, pooled.iter().product::<usize>());
        let mut made = Tensor::zero::<f64>(&shape)?;
        let strides = super::values::strides(&shape);
        let mut plain = made.try_as_plain_ram_mut()?;
        let out = plain.as_slice_mut::<f64>()?;
        for (value, place) in values.into_iter().zip(places) {
            let place = usize::try_from(place).ok().filter(|place| *place < count);
            let mut rest = place.with_context(|| format!("a place is none of {count}"))?;
            let mut at = 0;
            for axis in (0..pooled.len()).rev() {
                at += rest % pooled[axis] * strides[axis];
                rest /= pooled[axis];
            }
            out[at] = value;
        }
        Ok(vec![made.cast_to_dt(x.datum_type())?.into_owned()])
    }
}
