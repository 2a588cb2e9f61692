//! `Resize` and `Upsample`: which elements of the input an element of the result is made of.

use tract_onnx::pb::NodeProto;

use super::net::Try;
use super::search::{Draft, Search};
use crate::int8::graph::{Op, Quant, Tap, TensorId};
use crate::onnx::{node, operators};

/// Attributes and parameters of a node.
struct Resizing<'n> {
    linear: bool,
    /// Mapping from the middle of an element of the result to the input.
    coordinates: &'n str,
    /// Choice of the nearest neighbour.
    rounding: &'n str,
    /// Factor for each axis, if the file says it.
    scales: Option<Vec<f32>>,
    /// First and last element for each axis as parts of its length, for `tf_crop_and_resize`.
    crop: Option<Vec<(f32, f32)>>,
}

fn read<'n>(search: &Search, node: &'n NodeProto, rank: usize) -> Try<Resizing<'n>> {
    let mode = node::text(node, "mode", "nearest")?;
    // Upsample, and Resize of operator set 10, know one way only.
    let old = node.op_type == "Upsample" || search.net.opset < 11;
    if node::int(node, "antialias", 0)? != 0 {
        return Err("antialias has no integer form here".into());
    }
    if node::text(node, "keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err("its keep_aspect_ratio_policy has no integer form here".into());
    }
    let scales = match (node::input(node, if old { 1 } else { 2 }), node::input(node, 3)) {
        (Some(name), _) => Some(search.net.floats(name)?).filter(|s| !s.is_empty()),
        (None, _) if node.op_type == "Upsample" => node::floats(node, "scales")?.map(<[f32]>::to_vec),
        (None, _) => None,
    };
    let axes = match node::ints(node, "axes")? {
        Some(axes) => axes.iter().map(|&a| Ok(node::axis(a, rank)?)).collect::<Try<Vec<usize>>>()?,
        None => (0..rank).collect(),
    };
    let scales = match scales {
        None => None,
        Some(given) if given.len() == axes.len() && given.iter().all(|s| s.is_finite() && *s > 0.0) => {
            let mut scales = vec![1.0; rank];
            axes.iter().zip(given).for_each(|(&axis, scale)| scales[axis] = scale);
            Some(scales)
        }
        Some(given) => return Err(format!("its scales {given:?} do not fit")),
    };
    let coordinates =
        if old { "asymmetric" } else { node::text(node, "coordinate_transformation_mode", "half_pixel")? };
    let crop = match node::input(node, 1) {
        Some(name) if coordinates == "tf_crop_and_resize" => {
            let parts = search.net.floats(name)?;
            if parts.len() != 2 * axes.len() {
                return Err("its region does not fit its axes".into());
            }
            let mut crop = vec![(0.0, 1.0); rank];
            for (k, &axis) in axes.iter().enumerate() {
                crop[axis] = (parts[k], parts[k + axes.len()]);
            }
            Some(crop)
        }
        _ => None,
    };
    let rounding = if old { "outwards" } else { node::text(node, "nearest_mode", "round_prefer_floor")? };
    let linear = match mode {
        "nearest" => false,
        "linear" | "bilinear" => true,
        other => return Err(format!("its mode {other:?} has no integer form here")),
    };
    Ok(Resizing { linear, coordinates, rounding, scales, crop })
}

impl Resizing<'_> {
    /// Inputs of each of `out` elements along an axis, in 32-bit floats as onnxruntime computes it.
    fn taps(&self, axis: usize, dim: usize, out: usize) -> Try<Vec<Tap>> {
        let scale = self.scales.as_ref().and_then(|s| s.get(axis).copied()).unwrap_or(out as f32 / dim as f32);
        let (last_in, last_out) = ((dim - 1) as f32, (out - 1) as f32);
        let coordinate = |at: usize| -> Try<f32> {
            let at = at as f32;
            Ok(match self.coordinates {
                "half_pixel" => (at + 0.5) / scale - 0.5,
                "pytorch_half_pixel" => {
                    if out > 1 {
                        (at + 0.5) / scale - 0.5
                    } else {
                        0.0
                    }
                }
                "half_pixel_symmetric" => {
                    let adjustment = out as f32 / (scale * dim as f32);
                    let offset = dim as f32 / 2.0 * (1.0 - adjustment);
                    offset + (at + 0.5) / scale - 0.5
                }
                "align_corners" => {
                    if out > 1 {
                        at * last_in / last_out
                    } else {
                        0.0
                    }
                }
                "asymmetric" => at / scale,
                "tf_half_pixel_for_nn" => (at + 0.5) / scale,
                "tf_crop_and_resize" => {
                    let crop = self.crop.as_ref().and_then(|c| c.get(axis).copied());
                    let (start, end) = crop.ok_or("its region is missing")?;
                    let x = if out > 1 {
                        start * last_in + at * (end - start) * last_in / last_out
                    } else {
                        0.5 * (start + end) * last_in
                    };
                    // Outside there is a value of its own.
                    if !(0.0..=last_in).contains(&x) {
                        return Err("its region leaves its input".into());
                    }
                    x
                }
                other => return Err(format!("its coordinates {other:?} have no integer form here")),
            })
        };
        (0..out)
            .map(|at| {
                let x = coordinate(at)?;
                if !self.linear {
                    let index = self.nearest(x, scale)?.clamp(0.0, last_in) as usize;
                    return Ok(Tap { first: index, second: index, share: 0.0 });
                }
                let x = x.clamp(0.0, last_in);
                let first = (x as usize).min(dim - 1);
                let second = (first + 1).min(dim - 1);
                let share = if first == second { 0.0 } else { x - first as f32 };
                Ok(Tap { first, second, share })
            })
            .collect()
    }

    fn nearest(&self, x: f32, scale: f32) -> Try<f32> {
        Ok(match self.rounding {
            // As onnxruntime has it where the file cannot say.
            "outwards" if scale < 1.0 => x.ceil(),
            "outwards" => x.floor(),
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            other => return Err(format!("its nearest_mode {other:?} is not known")),
        })
    }
}

impl<'a> Search<'a> {
    /// Taps for every axis.
    fn all_taps(&self, node: &NodeProto, shape: &[usize], out: &[usize]) -> Try<Vec<Vec<Tap>>> {
        if shape.len() != out.len() {
            return Err("its result has other dimensions".into());
        }
        let resizing = read(self, node, shape.len())?;
        (0..shape.len())
            .map(|axis| {
                let (dim, out) = (shape[axis], out[axis]);
                let unscaled = resizing.scales.as_ref().is_none_or(|s| s.get(axis) == Some(&1.0));
                if dim == out && unscaled && resizing.crop.is_none() {
                    return Ok((0..dim).map(|at| Tap { first: at, second: at, share: 0.0 }).collect());
                }
                resizing.taps(axis, dim, out)
            })
            .collect()
    }
    /// A `Resize` that takes single elements.
    pub(super) fn nearest(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId, out: &[usize]) -> Try<TensorId> {
        if !operators::is_nearest(node) {
            return Err("its result is not quantised".into());
        }
        let shape = self.shape(x).to_vec();
        let mut taps = self.all_taps(node, &shape, out)?;
        let rest_stays = taps.len() == 4 && is_identity(&taps[0], shape[0]) && is_identity(&taps[1], shape[1]);
        if rest_stays && let (Some(cols), Some(rows)) = (taps.pop(), taps.pop()) {
            if is_identity(&rows, shape[2]) && is_identity(&cols, shape[3]) {
                return Ok(x);
            }
            let quant = self.quant(x);
            return Ok(self.step(draft, Op::Resize { rows, cols }, vec![x], out.to_vec(), quant));
        }
        let mut y = x;
        for (axis, taps) in taps.iter().enumerate() {
            y = self.take(draft, y, axis, taps.iter().map(|t| t.first).collect())?;
        }
        Ok(y)
    }
    /// A `Resize` that mixes neighbours, to be quantised with `quant`.
    pub(super) fn linear(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        x: TensorId,
        out: &[usize],
        quant: Quant,
    ) -> Try<TensorId> {
        self.net.check_parameters(node)?;
        let shape = self.shape(x).to_vec();
        let taps = self.all_taps(node, &shape, out)?;
        let moving: Vec<usize> = (0..shape.len()).filter(|&a| !is_identity(&taps[a], shape[a])).collect();
        // The (at most two, adjacent or one) axes that change become rows and columns.
        match (shape.len(), &moving[..]) {
            (4, axes) if axes.iter().all(|&a| a >= 2) => {
                let (rows, cols) = (taps[2].clone(), taps[3].clone());
                Ok(self.step(draft, Op::Resize { rows, cols }, vec![x], out.to_vec(), quant))
            }
            (3, axes) if axes.iter().all(|&a| a == 2) => {
                let [n, c, w] = [shape[0], shape[1], shape[2]];
                let y = self.reshape(draft, x, vec![n, c, 1, w]);
                let rows = vec![Tap { first: 0, second: 0, share: 0.0 }];
                let op = Op::Resize { rows, cols: taps[2].clone() };
                let y = self.step(draft, op, vec![y], vec![n, c, 1, out[2]], quant);
                Ok(self.reshape(draft, y, out.to_vec()))
            }
            (4, axes) if axes.iter().all(|&a| a == 1 || a == 2) => {
                // [N, H, W, C], as converted programs for channels-last frameworks have it.
                let y = self.transpose(draft, x, vec![0, 3, 1, 2]);
                let (rows, cols) = (taps[1].clone(), taps[2].clone());
                let made = vec![out[0], out[3], out[1], out[2]];
                let y = self.step(draft, Op::Resize { rows, cols }, vec![y], made, quant);
                Ok(self.transpose(draft, y, vec![0, 2, 3, 1]))
            }
            _ => Err(format!("it mixes along axes {moving:?}, not rows and columns")),
        }
    }
}

fn is_identity(taps: &[Tap], dim: usize) -> bool {
    taps.len() == dim && taps.iter().enumerate().all(|(at, t)| t.first == at && (t.second == at || t.share == 0.0))
}
