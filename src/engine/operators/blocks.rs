//! `QuantizeLinear` and `DequantizeLinear` with a scale for each block of values along an axis (opset 21).

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{around, axis, doubles, of_doubles, optional, required};
use crate::onnx::{node, tensor};

#[derive(Debug)]
struct Blocks {
    axis: i64,
    size: usize,
    /// Type that the file names for the output.
    output: Option<DatumType>,
}

impl Blocks {
    fn of(node: &NodeProto) -> TractResult<Self> {
        let size = node::int(node, "block_size", 0)?;
        let size =
            usize::try_from(size).ok().filter(|size| *size > 0).with_context(|| format!("its block_size is {size}"))?;
        let output = match node::int(node, "output_dtype", 0)? {
            0 => None,
            named => {
                let kind = i32::try_from(named)?;
                let name = || format!("type {} is not supported", tensor::type_name(kind));
                Some(tensor::datum_type(kind).with_context(name)?)
            }
        };
        Ok(Blocks { axis: node::int(node, "axis", 1)?, size, output })
    }

    /// Holds the shapes of the values and of scales or zero points against each other.
    fn check(&self, x: &[usize], blocks: &[usize]) -> TractResult<()> {
        let along = axis(self.axis, x.len())?;
        let wanted = x.iter().enumerate().map(|(a, &dim)| if a == along { dim.div_ceil(self.size) } else { dim });
        let fits = blocks.iter().copied().eq(wanted);
        ensure!(fits, "its scales or zero points of shape {blocks:?} do not fit blocks of {} in {x:?}", self.size);
        Ok(())
    }

    /// `value(x, scale, zero point)` for every element.
    fn each(&self, inputs: &[Option<&Tensor>], value: impl Fn(f64, f64, f64) -> f64) -> TractResult<Vec<f64>> {
        let (x, scale, zero) = (*required(inputs, 0)?, *required(inputs, 1)?, optional(inputs, 2));
        self.check(x.shape(), scale.shape())?;
        zero.map_or(Ok(()), |zero| self.check(x.shape(), zero.shape()))?;
        let (scales, zeros) = (doubles(scale)?, zero.map(|zero| doubles(zero)).transpose()?);
        let bad = scales.iter().find(|scale| !scale.is_finite() || **scale <= 0.0);
        ensure!(bad.is_none(), "its scale is {}, allowed is a finite number above 0", bad.copied().unwrap_or(0.0));
        let (_, len, inner) = around(x.shape(), axis(self.axis, x.rank())?);
        let blocks = len.div_ceil(self.size);
        let made = doubles(x)?.into_iter().enumerate().map(|(index, x)| {
            let (outer, step, place) = (index / inner / len, index / inner % len, index % inner);
            let block = (outer * blocks + step / self.size) * inner + place;
            value(x, scales[block], zeros.as_ref().map_or(0.0, |zeros| zeros[block]))
        });
        Ok(made.collect())
    }
}

#[derive(Debug)]
struct Dequantize(Blocks);

pub(super) fn dequantize(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Dequantize(Blocks::of(node)?)))
}

impl Kernel for Dequantize {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, scale) = (required(inputs, 0)?, required(inputs, 1)?);
        self.0.check(&x.shape, &scale.shape)?;
        Ok(Some(vec![(self.0.output.unwrap_or(scale.dtype), x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, scale) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let made = self.0.each(inputs, |x, scale, zero| (x - zero) * scale)?;
        Ok(vec![of_doubles(self.0.output.unwrap_or(scale.datum_type()), x.shape(), &made)?])
    }
}

#[derive(Debug)]
struct Quantize(Blocks);

pub(super) fn quantize(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Quantize(Blocks::of(node)?)))
}

impl Quantize {
    fn dtype(&self, zero: Option<DatumType>) -> DatumType {
        zero.or(self.0.output).unwrap_or(DatumType::U8)
    }
}

impl Kernel for Quantize {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, scale) = (required(inputs, 0)?, required(inputs, 1)?);
        self.0.check(&x.shape, &scale.shape)?;
        Ok(Some(vec![(self.dtype(optional(inputs, 2).map(|zero| zero.dtype)), x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let dtype = self.dtype(optional(inputs, 2).map(|zero| zero.datum_type()));
        let (low, high) = match dtype {
            DatumType::I8 => (-128.0, 127.0),
            DatumType::U8 => (0.0, 255.0),
            DatumType::I16 => (-32768.0, 32767.0),
            DatumType::U16 => (0.0, 65535.0),
            other => bail!("quantised values of type {other:?} are not supported"),
        };
        // The quotient is one of single precision, as it is where one scale holds for all.
        let quotient = |x: f64, scale: f64| f64::from(x as f32 / scale as f32);
        let made = self.0.each(inputs, |x, scale, zero| {
            let rounded = quotient(x, scale).round_ties_even() + zero;
            if rounded.is_nan() { low } else { rounded.clamp(low, high) }
        })?;
        Ok(vec![of_doubles(dtype, x.shape(), &made)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::NodeBuilder;

    #[test]
    fn each_block_has_its_scale_and_the_last_may_be_short() {
        let node = NodeBuilder::new("Q", ["x", "s", "z"]).int("axis", 1).int("block_size", 2).named("q", ["y"]);
        let x = tensor2(&[[1.0f32, 2.0, 3.0], [-1.0, 300.0, 0.5]]);
        let (scale, zero) = (tensor2(&[[1.0f32, 2.0], [0.5, 0.25]]), tensor2(&[[0u8, 1], [10, 100]]));
        let q = quantize(&node, 21).unwrap().run(&[Some(&x), Some(&scale), Some(&zero)]).unwrap();
        assert_eq!(q[0], tensor2(&[[1u8, 2, 3], [8, 255, 102]]));
        let real = dequantize(&node, 21).unwrap().run(&[Some(&q[0]), Some(&scale), Some(&zero)]).unwrap();
        assert_eq!(real[0], tensor2(&[[1.0f32, 2.0, 4.0], [-1.0, 122.5, 0.5]]));
        let unfit = quantize(&node, 21).unwrap().run(&[Some(&x), Some(&zero), None]).unwrap_err().to_string();
        assert!(unfit.contains("its scale is 0"), "{unfit}");
        let unfit = quantize(&node, 21).unwrap().run(&[Some(&x), Some(&tensor2(&[[1.0f32], [1.0]])), None]);
        assert!(unfit.unwrap_err().to_string().contains("do not fit blocks of 2"));
    }
}
