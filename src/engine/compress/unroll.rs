//! Layers with constant weights as matrix products: rows of the input that each output place multiplies its weights with.
//!
//! `Conv`, `ConvTranspose`, `Gemm` and `MatMul` all become, for each group, `outputs = rows · weightsᵀ`. A row of a convolution is one window in the
//! order of its weights (channels of the group, then the kernel's axes); a row of a `ConvTranspose` is one input pixel, whose products are spread
//! over the output afterwards.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::tract_ndarray::{Array2, ArrayViewMut2};

use crate::onnx::{OnnxError, node};

/// A layer as matrix products over one shape of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrolled {
    /// Number of groups, each with its own product.
    pub groups: usize,
    /// Elements of a row of one group.
    pub width: usize,
    /// Rows of the weights of one group: output channels, times the kernel's elements for `ConvTranspose`.
    pub outputs: usize,
    /// Rows of the input of one group: output places of the whole batch, input pixels for `ConvTranspose`.
    pub places: usize,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Windows of a batch of channels.
    Windows(Windows),
    /// Pixels of a batch of channels.
    Pixels { channels: usize, pixels: usize },
    /// Rows of a matrix, which lie one behind the other unless the input is `transposed`.
    Rows { transposed: bool, weights_by_column: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Windows {
    channels: usize,
    input: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    before: Vec<usize>,
    output: Vec<usize>,
}

/// Reason why a layer is no matrix product with constant weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnrollError {
    /// Another operator than `Conv`, `ConvTranspose`, `Gemm` and `MatMul`.
    #[error("{0} is no product with constant weights")]
    Operator(String),
    /// An attribute that cannot be.
    #[error(transparent)]
    Attribute(#[from] OnnxError),
    /// Weights of another shape than the input asks for.
    #[error("weights of shape {weights:?} do not fit an input of shape {input:?}")]
    Shapes {
        /// Shape of the weights.
        weights: Vec<usize>,
        /// Shape of the input.
        input: Vec<usize>,
    },
}

impl Unrolled {
    /// A layer over an input of a shape (batch first for convolutions); weights are its second input.
    ///
    /// # Errors
    /// [`UnrollError`] for other operators, bad attributes, and shapes that do not fit.
    pub fn new(layer: &NodeProto, weights: &[usize], input: &[usize]) -> Result<Self, UnrollError> {
        let unfit = || UnrollError::Shapes { weights: weights.to_vec(), input: input.to_vec() };
        match layer.op_type.as_str() {
            "Conv" => Self::conv(layer, weights, input)?.ok_or_else(unfit),
            "ConvTranspose" => {
                let groups = node::int(layer, "group", 1)?.max(1) as usize;
                let fits = input.len() >= 2 && weights.len() == input.len() && weights[0] == input[1];
                if !fits || !weights[0].is_multiple_of(groups) {
                    return Err(unfit());
                }
                let pixels = input[2..].iter().product();
                let outputs = weights[1..].iter().product();
                let form = Form::Pixels { channels: input[1], pixels };
                Ok(Unrolled { groups, width: input[1] / groups, outputs, places: input[0] * pixels, form })
            }
            "Gemm" | "MatMul" => {
                let gemm = layer.op_type == "Gemm";
                let transposed = gemm && node::flag(layer, "transA")?;
                let weights_by_column = !(gemm && node::flag(layer, "transB")?);
                let (&[first, second], Some(&last)) = (weights, input.last()) else { return Err(unfit()) };
                let (width, outputs) = if weights_by_column { (first, second) } else { (second, first) };
                let elements: usize = input.iter().product();
                let own = if transposed { input[0] } else { last };
                if own != width || width == 0 || (gemm && input.len() != 2) {
                    return Err(unfit());
                }
                let form = Form::Rows { transposed, weights_by_column };
                Ok(Unrolled { groups: 1, width, outputs, places: elements / width, form })
            }
            other => Err(UnrollError::Operator(other.to_owned())),
        }
    }

    fn conv(layer: &NodeProto, weights: &[usize], input: &[usize]) -> Result<Option<Self>, UnrollError> {
        let groups = node::int(layer, "group", 1)?.max(1) as usize;
        if input.len() < 3
            || weights.len() != input.len()
            || weights[1] * groups != input[1]
            || !weights[0].is_multiple_of(groups)
        {
            return Ok(None);
        }
        let kernel = weights[2..].to_vec();
        let axes = kernel.len();
        let strides = node::window(layer, "strides", axes, 1, 1)?;
        let dilations = node::window(layer, "dilations", axes, 1, 1)?;
        let mut pads = node::window(layer, "pads", 2 * axes, 0, 0)?;
        let auto = node::text(layer, "auto_pad", "NOTSET")?;
        let spans: Vec<usize> = (0..axes).map(|a| (kernel[a].max(1) - 1) * dilations[a] + 1).collect();
        for axis in 0..axes {
            let size = input[2 + axis];
            match auto {
                "SAME_UPPER" | "SAME_LOWER" => {
                    let needed = (size.div_ceil(strides[axis]).max(1) - 1) * strides[axis] + spans[axis];
                    let all = needed.saturating_sub(size);
                    let before = if auto == "SAME_UPPER" { all / 2 } else { all.div_ceil(2) };
                    (pads[axis], pads[axes + axis]) = (before, all - before);
                }
                "VALID" => (pads[axis], pads[axes + axis]) = (0, 0),
                _ => {}
            }
        }
        let mut output = Vec::with_capacity(axes);
        for axis in 0..axes {
            let padded = input[2 + axis] + pads[axis] + pads[axes + axis];
            let Some(free) = padded.checked_sub(spans[axis]) else { return Ok(None) };
            output.push(free / strides[axis] + 1);
        }
        pads.truncate(axes);
        let places = input[0] * output.iter().product::<usize>();
        let width = weights[1] * kernel.iter().product::<usize>();
        let channels = input[1];
        let windows =
            Windows { channels, input: input[2..].to_vec(), kernel, strides, dilations, before: pads, output };
        Ok(Some(Unrolled { groups, width, outputs: weights[0] / groups, places, form: Form::Windows(windows) }))
    }

    /// Elements of a row that belong to one input channel: the kernel's size for `Conv`, else 1.
    pub fn taps(&self) -> usize {
        match &self.form {
            Form::Windows(windows) => windows.kernel.iter().product(),
            Form::Pixels { .. } | Form::Rows { .. } => 1,
        }
    }

    /// Multiplications and additions of the whole layer.
    pub fn macs(&self) -> u64 {
        (self.groups * self.width * self.outputs) as u64 * self.places as u64
    }

    /// Writes the rows of some places of a group; `rows` has a row for each place. Places count through the batch.
    ///
    /// # Panics
    /// When `input` is smaller than the shape that the layer was unrolled for, or a place lies outside.
    pub fn rows(&self, input: &[f32], group: usize, places: &[usize], mut rows: ArrayViewMut2<'_, f64>) {
        for (&place, mut row) in places.iter().zip(rows.rows_mut()) {
            let Some(row) = row.as_slice_mut() else { continue };
            match &self.form {
                Form::Windows(windows) => windows.fill(input, group * self.width / self.taps(), place, row),
                Form::Pixels { channels, pixels } => {
                    let start = (place / pixels * channels + group * self.width) * pixels + place % pixels;
                    row.iter_mut().enumerate().for_each(|(i, to)| *to = f64::from(input[start + i * pixels]));
                }
                Form::Rows { transposed: false, .. } => {
                    let from = &input[place * self.width..][..self.width];
                    row.iter_mut().zip(from).for_each(|(to, &from)| *to = f64::from(from));
                }
                Form::Rows { transposed: true, .. } => {
                    row.iter_mut().enumerate().for_each(|(i, to)| *to = f64::from(input[i * self.places + place]));
                }
            }
        }
    }

    /// Weights of a group as a matrix `outputs × width`.
    ///
    /// # Panics
    /// When there are fewer weights than the shape that the layer was unrolled for.
    pub fn matrix(&self, weights: &[f32], group: usize) -> Array2<f64> {
        Array2::from_shape_fn((self.outputs, self.width), |at| f64::from(weights[self.index(group, at)]))
    }

    /// Writes a matrix `outputs × width` as the weights of a group.
    ///
    /// # Panics
    /// When the matrix or the weights are smaller than the layer's.
    pub fn store(&self, matrix: &Array2<f64>, group: usize, weights: &mut [f32]) {
        for output in 0..self.outputs {
            for column in 0..self.width {
                weights[self.index(group, (output, column))] = matrix[(output, column)] as f32;
            }
        }
    }

    fn index(&self, group: usize, (output, column): (usize, usize)) -> usize {
        match self.form {
            Form::Windows(_) => (group * self.outputs + output) * self.width + column,
            Form::Pixels { .. } | Form::Rows { weights_by_column: true, .. } => {
                (group * self.width + column) * self.outputs + output
            }
            Form::Rows { weights_by_column: false, .. } => output * self.width + column,
        }
    }
}

impl Windows {
    /// Writes the window of a place: `row.len()` elements of channels from `first` on.
    fn fill(&self, input: &[f32], first: usize, place: usize, row: &mut [f64]) {
        let axes = self.kernel.len();
        let places: usize = self.output.iter().product();
        let pixels: usize = self.input.iter().product();
        let taps: usize = self.kernel.iter().product();
        let mut rest = place % places;
        let mut corner = vec![0isize; axes];
        for axis in (0..axes).rev() {
            corner[axis] = (rest % self.output[axis] * self.strides[axis]) as isize - self.before[axis] as isize;
            rest /= self.output[axis];
        }
        let start = (place / places * self.channels + first) * pixels;
        for tap in 0..taps {
            let (mut rest, mut offset, mut scale) = (tap, Some(0usize), 1);
            for axis in (0..axes).rev() {
                let at = corner[axis] + (rest % self.kernel[axis] * self.dilations[axis]) as isize;
                rest /= self.kernel[axis];
                let inside = usize::try_from(at).ok().filter(|at| *at < self.input[axis]);
                offset = offset.zip(inside).map(|(offset, at)| offset + at * scale);
                scale *= self.input[axis];
            }
            for (channel, to) in row.iter_mut().skip(tap).step_by(taps).enumerate() {
                *to = offset.map_or(0.0, |offset| f64::from(input[start + channel * pixels + offset]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::tract_ndarray::Array2;

    use super::*;
    use crate::onnx::build::NodeBuilder;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    /// Outputs by rows and weights, group by group: `[group][place][output]`.
    fn product(layer: &Unrolled, input: &[f32], weights: &[f32]) -> Vec<Array2<f64>> {
        let places: Vec<usize> = (0..layer.places).collect();
        let of = |group| {
            let mut rows = Array2::zeros((layer.places, layer.width));
            layer.rows(input, group, &places, rows.view_mut());
            rows.dot(&layer.matrix(weights, group).t())
        };
        (0..layer.groups).map(of).collect()
    }

    #[test]
    fn a_convolution_is_its_definition() {
        let node = NodeBuilder::new("Conv", ["x", "w"])
            .ints("strides", &[2, 1])
            .ints("dilations", &[1, 2])
            .ints("pads", &[1, 2, 0, 1])
            .int("group", 2)
            .named("c", ["y"]);
        let (shape, weights_shape) = ([2, 4, 5, 6], [6, 2, 3, 2]);
        let layer = Unrolled::new(&node, &weights_shape, &shape).unwrap();
        let (input, weights) = (numbers(2 * 4 * 30, 1), numbers(6 * 2 * 6, 2));
        let found = product(&layer, &input, &weights);
        let (height, width) = ((5 + 1 - 3) / 2 + 1, 6 + 3 - 3 + 1);
        assert_eq!((layer.places, layer.macs()), (2 * height * width, (2 * height * width * 6 * 12) as u64));
        for batch in 0..2 {
            for output in 0..6 {
                for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                    let mut sum = 0.0;
                    for channel in 0..2 {
                        for (ky, kx) in (0..3).flat_map(|ky| (0..2).map(move |kx| (ky, kx))) {
                            let (iy, ix) = ((y * 2 + ky).wrapping_sub(1), (x + kx * 2).wrapping_sub(2));
                            if iy < 5 && ix < 6 {
                                let at = ((batch * 4 + output / 3 * 2 + channel) * 5 + iy) * 6 + ix;
                                let weight = weights[((output * 2 + channel) * 3 + ky) * 2 + kx];
                                sum += f64::from(input[at]) * f64::from(weight);
                            }
                        }
                    }
                    let place = (batch * height + y) * width + x;
                    assert!((found[output / 3][(place, output % 3)] - sum).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn padding_by_name_is_that_of_the_specification() {
        for (name, size, before) in [("SAME_UPPER", 3, 0), ("SAME_LOWER", 3, 1), ("VALID", 2, 0)] {
            let node = NodeBuilder::new("Conv", ["x", "w"]).text("auto_pad", name).ints("strides", &[2]);
            let layer = Unrolled::new(&node.named("c", ["y"]), &[1, 1, 2], &[1, 1, 5]).unwrap();
            let Form::Windows(windows) = &layer.form else { panic!("no windows") };
            assert_eq!((layer.places, windows.before[0]), (size, before), "{name}");
        }
    }

    #[test]
    fn matrices_are_read_as_they_lie() {
        let input = numbers(6, 3);
        let weights = numbers(12, 4);
        let plain = NodeBuilder::new("MatMul", ["x", "w"]).named("m", ["y"]);
        let found = product(&Unrolled::new(&plain, &[3, 4], &[2, 3]).unwrap(), &input, &weights);
        let turned = NodeBuilder::new("Gemm", ["x", "w"]).int("transA", 1).int("transB", 1).named("g", ["y"]);
        let layer = Unrolled::new(&turned, &[4, 3], &[3, 2]).unwrap();
        let input_turned: Vec<f32> = (0..6).map(|i| input[i % 2 * 3 + i / 2]).collect();
        let weights_turned: Vec<f32> = (0..12).map(|i| weights[i % 3 * 4 + i / 3]).collect();
        assert_eq!(found, product(&layer, &input_turned, &weights_turned));
        let expected: f64 = (0..3).map(|k| f64::from(input[3 + k]) * f64::from(weights[k * 4 + 2])).sum();
        assert!((found[0][(1, 2)] - expected).abs() < 1e-12);
    }

    #[test]
    fn pixels_of_a_transposed_convolution() {
        let node = NodeBuilder::new("ConvTranspose", ["x", "w"]).int("group", 2).named("c", ["y"]);
        let layer = Unrolled::new(&node, &[4, 3, 2, 2], &[2, 4, 3, 3]).unwrap();
        let (input, weights) = (numbers(2 * 4 * 9, 5), numbers(4 * 3 * 4, 6));
        let found = product(&layer, &input, &weights);
        let (batch, group, pixel, output) = (1, 1, 5, 7);
        let sum: f64 =
            (2..4).map(|c| f64::from(input[(batch * 4 + c) * 9 + pixel]) * f64::from(weights[c * 12 + output])).sum();
        assert!((found[group][(9 + pixel, output)] - sum).abs() < 1e-9);
    }

    #[test]
    fn stored_weights_are_read_again() {
        let conv = NodeBuilder::new("Conv", ["x", "w"]).int("group", 3).named("c", ["y"]);
        let transposed = NodeBuilder::new("ConvTranspose", ["x", "w"]).int("group", 3).named("c", ["y"]);
        let matrix = NodeBuilder::new("MatMul", ["x", "w"]).named("m", ["y"]);
        for (node, weights, input) in [
            (conv, vec![6, 2, 2], vec![1, 6, 4]),
            (transposed, vec![6, 2, 2], vec![1, 6, 4]),
            (matrix, vec![4, 6], vec![2, 4]),
        ] {
            let layer = Unrolled::new(&node, &weights, &input).unwrap();
            let before = numbers(24, 7);
            let mut after = vec![0.0; 24];
            for group in 0..layer.groups {
                layer.store(&layer.matrix(&before, group), group, &mut after);
            }
            assert_eq!(before, after, "{}", node.op_type);
        }
    }

    #[test]
    fn what_is_no_product_says_so() {
        let relu = NodeBuilder::new("Relu", ["x"]).named("r", ["y"]);
        assert_eq!(Unrolled::new(&relu, &[1], &[1]), Err(UnrollError::Operator("Relu".into())));
        let conv = NodeBuilder::new("Conv", ["x", "w"]).named("c", ["y"]);
        for (weights, input) in [([1, 2, 1], [1, 3, 4]), ([1, 3, 5], [1, 3, 4])] {
            let error = UnrollError::Shapes { weights: weights.to_vec(), input: input.to_vec() };
            assert_eq!(Unrolled::new(&conv, &weights, &input), Err(error));
        }
        let bad = NodeBuilder::new("Conv", ["x", "w"]).ints("strides", &[0]).named("c", ["y"]);
        assert!(matches!(Unrolled::new(&bad, &[1, 3, 1], &[1, 3, 4]), Err(UnrollError::Attribute(_))));
    }
}
