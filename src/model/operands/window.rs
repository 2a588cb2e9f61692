//! Operators that slide a window over their input or multiply matrices: what must fit together.

use leptond_engine::onnx::operators;

use super::View;

/// Most positions of a window, and the largest of its strides, dilations and pads.
const MAX_WINDOW: i64 = 1 << 20;

/// Movement of a window, with one entry for each dimension that it moves in.
struct Window {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// First all before, then all behind.
    pads: Vec<i64>,
    /// True if pads follow from the input instead.
    automatic: bool,
}

impl View<'_> {
    /// Reads and checks the attributes of a window over `spatial` dimensions.
    fn window(&self, kernel: Vec<i64>) -> Result<Window, String> {
        let spatial = kernel.len();
        let list = |name: &str, default: i64, len: usize| -> Result<Vec<i64>, String> {
            let found = self.ints(name).map_or_else(|| vec![default; len], <[i64]>::to_vec);
            if found.len() != len {
                return Err(format!(
                    "its {name} {found:?} are {}, for {spatial} dimensions it takes {len}",
                    found.len()
                ));
            }
            if let Some(bad) = found.iter().find(|v| !(default..=MAX_WINDOW).contains(v)) {
                return Err(format!("its {name} are {found:?}: {bad} is not from {default} to {MAX_WINDOW}"));
            }
            Ok(found)
        };
        if kernel.iter().any(|k| !(1..=MAX_WINDOW).contains(k)) {
            return Err(format!("its window is {kernel:?}, allowed are numbers from 1 to {MAX_WINDOW}"));
        }
        let volume = kernel.iter().map(|&k| k as f64).product::<f64>();
        if volume > MAX_WINDOW as f64 {
            return Err(format!("its window {kernel:?} has {volume:.3e} positions, allowed are up to {MAX_WINDOW}"));
        }
        let auto_pad = self.text("auto_pad").unwrap_or("NOTSET");
        if !["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"].contains(&auto_pad) {
            return Err(format!("its auto_pad is {auto_pad:?}, allowed are NOTSET, SAME_UPPER, SAME_LOWER and VALID"));
        }
        let window = Window {
            strides: list("strides", 1, spatial)?,
            dilations: list("dilations", 1, spatial)?,
            pads: list("pads", 0, 2 * spatial)?,
            automatic: auto_pad.starts_with("SAME"),
            kernel,
        };
        let reach = window.reach();
        match reach.iter().find(|r| **r > MAX_WINDOW) {
            Some(reach) => {
                Err(format!("its window with dilations reaches over {reach}, allowed is up to {MAX_WINDOW}"))
            }
            None => Ok(window),
        }
    }

    /// Spatial dimensions of operand 0 behind batch and channels.
    fn spatial(&self) -> Result<Option<Vec<Option<i64>>>, String> {
        match self.dims(0) {
            Some(dims) if dims.len() < 3 => Err(format!(
                "its input has {} dimensions, expected are batch, channels and at least one more",
                dims.len()
            )),
            dims => Ok(dims.map(|d| d[2..].to_vec())),
        }
    }

    pub(super) fn pool(&self) -> Result<(), String> {
        let Some(kernel) = self.ints("kernel_shape") else { return Err("it has no kernel_shape".into()) };
        let spatial = self.spatial()?;
        if let Some(spatial) = spatial.as_ref().filter(|s| s.len() != kernel.len()) {
            return Err(format!(
                "its kernel_shape {kernel:?} does not fit an input of {} dimensions",
                spatial.len() + 2
            ));
        }
        let window = self.window(kernel.to_vec())?;
        let reach = window.reach();
        let half = reach.len();
        if let Some(axis) = (0..half).find(|&i| window.pads[i].max(window.pads[half + i]) >= reach[i]) {
            return Err(format!(
                "its pads {:?} reach beyond its window {:?} in dimension {axis}",
                window.pads, window.kernel
            ));
        }
        window.fits(&spatial.unwrap_or_default())
    }

    pub(super) fn convolution(&self) -> Result<(), String> {
        let transposed = self.operands.operator() == "ConvTranspose";
        let slot = operators::weights_input(self.operands.operator());
        let spatial = self.spatial()?;
        let Some(weights) = self.dims(slot) else { return Ok(()) };
        if weights.len() < 3 || self.rank(0).is_some_and(|rank| rank != weights.len()) {
            return Err(format!("its weights have shape {weights:?}, which does not fit its input"));
        }
        let Some(kernel) = weights[2..].iter().copied().collect::<Option<Vec<i64>>>() else { return Ok(()) };
        if let Some(said) = self.ints("kernel_shape").filter(|said| *said != kernel) {
            return Err(format!("its kernel_shape is {said:?}, its weights are {kernel:?}"));
        }
        let window = self.window(kernel)?;
        if let Some(extra) = self.ints("output_padding") {
            let good = extra.len() == window.kernel.len()
                && extra
                    .iter()
                    .zip(&window.strides)
                    .zip(&window.dilations)
                    .all(|((e, s), d)| (0..*s.max(d)).contains(e));
            if !good {
                return Err(format!("its output_padding {extra:?} does not fit strides {:?}", window.strides));
            }
        }
        let group = self.int("group").unwrap_or(1);
        let channels = self.dims(0).and_then(|dims| dims[1]);
        let (filters, each) = (weights[0], weights[1]);
        if filters.is_some_and(|f| f < 1 || f % group != 0) || each.is_some_and(|e| e < 1) {
            return Err(format!("its weights of shape {weights:?} cannot be put in {group} groups"));
        }
        let wanted = if transposed { filters } else { each.and_then(|e| e.checked_mul(group)) };
        if let (Some(channels), Some(wanted)) = (channels, wanted)
            && channels != wanted
        {
            return Err(format!("its input has {channels} channels, its weights in {group} groups take {wanted}"));
        }
        let made = if transposed { each.and_then(|e| e.checked_mul(group)) } else { filters };
        let bias = if slot == 3 { 8 } else { 2 };
        if self.operands.operator() != "ConvInteger"
            && let (Some(bias), Some(made)) = (self.dims(bias), made)
            && !matches!(bias[..], [len] if len.is_none_or(|len| len == made))
        {
            return Err(format!("its bias has shape {bias:?} for {made} filters"));
        }
        if transposed { Ok(()) } else { window.fits(&spatial.unwrap_or_default()) }
    }

    /// Checks that the common dimension of a matrix product is the same on both sides.
    pub(super) fn product(&self, left: usize, right: usize) -> Result<(), String> {
        let (Some(a), Some(b)) = (self.dims(left), self.dims(right)) else { return Ok(()) };
        if a.is_empty() || b.is_empty() {
            return Err("one of its operands is a single number".into());
        }
        let inner = if b.len() == 1 { b[0] } else { b[b.len() - 2] };
        match (a[a.len() - 1], inner) {
            (Some(a_inner), Some(b_inner)) if a_inner != b_inner => {
                Err(format!("it multiplies {a:?} by {b:?}: {a_inner} and {b_inner} do not fit"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn gemm(&self) -> Result<(), String> {
        let (Some(a), Some(b)) = (self.dims(0), self.dims(1)) else { return Ok(()) };
        let ([a0, a1], [b0, b1]) = (&a[..], &b[..]) else {
            return Err(format!("it multiplies {a:?} by {b:?}, expected are two matrices"));
        };
        let left = if self.int("transA").unwrap_or(0) != 0 { a0 } else { a1 };
        let right = if self.int("transB").unwrap_or(0) != 0 { b1 } else { b0 };
        match (left, right) {
            (Some(left), Some(right)) if left != right => {
                Err(format!("it multiplies {a:?} by {b:?}: {left} and {right} do not fit"))
            }
            _ => Ok(()),
        }
    }
}

impl Window {
    /// Extent of the window in each dimension, gaps included.
    fn reach(&self) -> Vec<i64> {
        self.kernel.iter().zip(&self.dilations).map(|(k, d)| (k - 1).saturating_mul(*d).saturating_add(1)).collect()
    }

    /// Checks that the window fits into the padded input at least once.
    fn fits(&self, spatial: &[Option<i64>]) -> Result<(), String> {
        if self.automatic {
            return Ok(());
        }
        let half = self.kernel.len();
        for (axis, (dim, reach)) in spatial.iter().zip(self.reach()).enumerate() {
            let Some(dim) = dim else { continue };
            let padded = dim + self.pads[axis] + self.pads[half + axis];
            if reach > padded {
                return Err(format!("its window reaches over {reach} in a dimension of {padded} with pads"));
            }
        }
        Ok(())
    }
}
