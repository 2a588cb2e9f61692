//! Our own `QuantizeLinear` and `DequantizeLinear` with one scale per tensor, as the ONNX operator specification
//! (opset 13) defines them: `saturate(round_half_even(x / scale) + zero_point)` and `(q − zero_point) × scale`.
//!
//! tract multiplies by the reciprocal of the scale, which moves values that lie half way, overflows where it should
//! saturate, and cannot compile a `DequantizeLinear` on uint8 that is followed by a `QuantizeLinear` to int8 (as Keras
//! exports have at the input). Being operators of their own, these also keep tract from folding pairs into tables.

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_hir::tract_core::ops::math::{add, div, max, min, mul, round_half_to_even, sub};

/// Puts our operators in place of tract's.
pub fn register(onnx: &mut Onnx) {
    onnx.op_register.insert("QuantizeLinear", |_, node| parse(node, true));
    onnx.op_register.insert("DequantizeLinear", |_: &ParsingContext, node| parse(node, false));
}

fn parse(node: &NodeProto, quantize: bool) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let block_size: i64 = node.get_attr_opt("block_size")?.unwrap_or(0);
    ensure!(block_size == 0, "blocks of values with a scale each (block_size {block_size}) are not supported");
    let output: Option<DatumType> = if quantize { node.get_attr_opt("output_dtype")? } else { None };
    let op = Linear {
        quantize,
        has_zero_point: node.input.get(2).is_some_and(|i| !i.is_empty()),
        axis: node.get_attr_opt("axis")?.unwrap_or(1),
        output: output.unwrap_or(DatumType::U8),
    };
    Ok((expand(op), vec![]))
}

/// Either operator as it stands in the file.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Linear {
    quantize: bool,
    has_zero_point: bool,
    /// The axis that scales run along when there are several.
    axis: i64,
    /// Type after quantisation when no zero point says it.
    output: DatumType,
}

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        if self.quantize { "QuantizeLinear".into() } else { "DequantizeLinear".into() }
    }

    /// Not while shapes are inferred: weights would be held in floats, four times their size, before they are needed.
    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2 + usize::from(self.has_zero_point))?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[1].datum_type, f32::datum_type())?;
        s.equals(&inputs[0].shape, &outputs[0].shape)?;
        match (self.quantize, self.has_zero_point) {
            (true, true) => s.equals(&outputs[0].datum_type, &inputs[2].datum_type),
            (true, false) => s.equals(&outputs[0].datum_type, self.output),
            (false, zero_point) => {
                s.equals(&outputs[0].datum_type, f32::datum_type())?;
                if zero_point { s.equals(&inputs[0].datum_type, &inputs[2].datum_type) } else { Ok(()) }
            }
        }
    }

    fn wire(&self, prefix: &str, target: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let constant = |target: &TypedModel, index: usize, what: &str| {
            target.outlet_fact(inputs[index])?.konst.clone().with_context(|| format!("its {what} must be a constant"))
        };
        let scales = constant(target, 1, "scale")?;
        let scale_values = scales.try_as_plain_ram()?.as_slice::<f32>()?;
        for scale in scale_values {
            ensure!(scale.is_finite() && *scale > 0.0, "its scale is {scale}, allowed is a finite number above 0");
        }
        let zero_point = if self.has_zero_point { Some(constant(target, 2, "zero point")?) } else { None };
        let dtype = match (&zero_point, self.quantize) {
            (Some(zero_point), _) => zero_point.datum_type(),
            (None, true) => self.output,
            (None, false) => target.outlet_fact(inputs[0])?.datum_type,
        };
        ensure!(
            range(dtype).is_some() || (!self.quantize && dtype == DatumType::I32),
            "quantised values of type {dtype:?} are not supported"
        );
        let zero_points = match &zero_point {
            Some(t) => t.cast_to::<i32>()?.into_owned(),
            None => tensor1(&[0i32]),
        };
        let zero_values = zero_points.try_as_plain_ram()?.as_slice::<i32>()?;
        let (&[scale], &[zero_point]) = (scale_values, zero_values) else {
            return self.wire_per_axis(prefix, target, inputs[0], &scales, &zero_points, dtype);
        };
        let op: Box<dyn ElementWiseMiniOp> = if self.quantize {
            let mut x = inputs[0];
            if target.outlet_fact(x)?.datum_type != f32::datum_type() {
                let cast = tract_onnx::tract_hir::tract_core::ops::cast::cast(f32::datum_type());
                x = target.wire_node(format!("{prefix}.to_f32"), cast, &[x])?[0];
            }
            let op = ElementWiseOp(Box::new(Quantize { scale, zero_point, dtype }), None);
            return target.wire_node(prefix, op, &[x]);
        } else {
            Box::new(Dequantize { scale, zero_point })
        };
        target.wire_node(prefix, ElementWiseOp(op, None), &[inputs[0]])
    }
}

impl Linear {
    /// One scale per slice along `axis`, from operators that broadcast. Weights are constants and fold away.
    fn wire_per_axis(
        &self,
        prefix: &str,
        target: &mut TypedModel,
        x: OutletId,
        scales: &Tensor,
        zero_points: &Tensor,
        dtype: DatumType,
    ) -> TractResult<TVec<OutletId>> {
        use tract_onnx::tract_hir::tract_core::ops::cast::cast;
        let shape = target.outlet_fact(x)?.shape.clone();
        let rank = shape.rank();
        let axis = if self.axis < 0 { self.axis + rank as i64 } else { self.axis };
        ensure!((0..rank as i64).contains(&axis), "its axis {} does not fit {rank} dimensions", self.axis);
        let along = |param: &Tensor| -> TractResult<Tensor> {
            let count = param.len();
            ensure!(
                count == 1 || shape[axis as usize] == count.to_dim(),
                "it has {count} scales or zero points for a dimension of {}",
                shape[axis as usize]
            );
            let mut to = tvec![1; rank];
            to[axis as usize] = count;
            param.cast_to::<f32>()?.into_owned().into_shape(&to)
        };
        if !self.quantize
            && let Some(constant) = target.outlet_fact(x)?.konst.clone()
        {
            // Weights: folded here, since folding operator by operator would hold three copies of all of them at once.
            let folded = dequantize_constant(&constant, scales, zero_points, axis as usize)?;
            return Ok(tvec!(target.add_const(prefix, folded)?));
        }
        let scale = along(scales)?;
        let zero_point = along(zero_points)?;
        let scale = target.add_const(format!("{prefix}.scale"), scale)?;
        let zero_point = target.add_const(format!("{prefix}.zero_point"), zero_point)?;
        let x = target.wire_node(format!("{prefix}.to_f32"), cast(f32::datum_type()), &[x])?[0];
        if !self.quantize {
            let x = target.wire_node(format!("{prefix}.sub"), sub(), &[x, zero_point])?[0];
            return target.wire_node(prefix, mul(), &[x, scale]);
        }
        let (low, high) = range(dtype).context("not a quantised type")?;
        let low = tensor0(low).broadcast_into_rank(rank)?;
        let high = tensor0(high).broadcast_into_rank(rank)?;
        let low = target.add_const(format!("{prefix}.low"), low)?;
        let high = target.add_const(format!("{prefix}.high"), high)?;
        let x = target.wire_node(format!("{prefix}.div"), div(), &[x, scale])?[0];
        let x = target.wire_node(format!("{prefix}.round"), round_half_to_even(), &[x])?[0];
        let x = target.wire_node(format!("{prefix}.add"), add(), &[x, zero_point])?[0];
        let x = target.wire_node(format!("{prefix}.max"), max(), &[x, low])?[0];
        let x = target.wire_node(format!("{prefix}.min"), min(), &[x, high])?[0];
        target.wire_node(prefix, cast(dtype), &[x])
    }
}

/// `(q − zero_point) × scale` with parameters along `axis` (one or as many as the dimension has).
fn dequantize_constant(q: &Tensor, scales: &Tensor, zero_points: &Tensor, axis: usize) -> TractResult<Tensor> {
    let count = q.shape()[axis];
    for param in [scales, zero_points] {
        ensure!(param.len() == 1 || param.len() == count, "{} scales or zero points for {count} slices", param.len());
    }
    let inner = q.shape()[axis + 1..].iter().product::<usize>().max(1);
    let scales = scales.try_as_plain_ram()?.as_slice::<f32>()?;
    let zero_points = zero_points.try_as_plain_ram()?.as_slice::<i32>()?;
    let mut out = q.cast_to::<f32>()?.into_owned();
    let mut plain = out.try_as_plain_ram_mut()?;
    for (index, values) in plain.as_slice_mut::<f32>()?.chunks_mut(inner).enumerate() {
        let slice = index % count.max(1);
        let scale = scales[if scales.len() == 1 { 0 } else { slice }];
        let zero_point = zero_points[if zero_points.len() == 1 { 0 } else { slice }] as f32;
        values.iter_mut().for_each(|v| *v = (*v - zero_point) * scale);
    }
    Ok(out)
}

/// Lowest and highest value of a type that activations are quantised to.
fn range(dtype: DatumType) -> Option<(f32, f32)> {
    Some(match dtype {
        DatumType::I8 => (-128.0, 127.0),
        DatumType::U8 => (0.0, 255.0),
        DatumType::I16 => (-32768.0, 32767.0),
        DatumType::U16 => (0.0, 65535.0),
        _ => return None,
    })
}

/// Float to integer, one scale per tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantize {
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for 0.0.
    pub zero_point: i32,
    /// i8, u8, i16 or u16.
    pub dtype: DatumType,
}

impl Eq for Quantize {}

/// 1.5 × 2²³: adding it to a float of magnitude below 2²² rounds to the nearest integer, halves to even, and leaves
/// that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `saturate(round_half_even(x / scale) + zero_point)`; NaN becomes the lowest value. Written so that it vectorises.
fn quantize_slice<T>(xs: &[f32], out: &mut [T], op: &Quantize, store: impl Fn(i32) -> T) {
    let (low, high) = range(op.dtype).unwrap_or((0.0, 0.0));
    let (low, high) = (low - op.zero_point as f32, high - op.zero_point as f32);
    for (x, y) in xs.iter().zip(out) {
        let v = x / op.scale;
        let v = if v > low { v } else { low };
        let v = if v < high { v } else { high };
        let rounded = (v + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
        *y = store(rounded + op.zero_point);
    }
}

impl ElementWiseMiniOp for Quantize {
    fn name(&self) -> String {
        "Quantize".into()
    }

    fn output_type(&self, _input: DatumType) -> Option<DatumType> {
        Some(self.dtype)
    }

    fn eval_out_of_place(&self, t: &Tensor, _out: Option<DatumType>) -> TractResult<Tensor> {
        let xs = t.try_as_plain_ram()?.as_slice::<f32>()?;
        let mut out = Tensor::zero_dt(self.dtype, t.shape())?;
        {
            let mut plain = out.try_as_plain_ram_mut()?;
            match self.dtype {
                DatumType::I8 => quantize_slice(xs, plain.as_slice_mut::<i8>()?, self, |v| v as i8),
                DatumType::U8 => quantize_slice(xs, plain.as_slice_mut::<u8>()?, self, |v| v as u8),
                DatumType::I16 => quantize_slice(xs, plain.as_slice_mut::<i16>()?, self, |v| v as i16),
                DatumType::U16 => quantize_slice(xs, plain.as_slice_mut::<u16>()?, self, |v| v as u16),
                other => bail!("cannot quantise to {other:?}"),
            }
        }
        Ok(out)
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("scale {} zero point {} to {:?}", self.scale, self.zero_point, self.dtype)])
    }
}

/// Integer to float, one scale per tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Dequantize {
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for 0.0.
    pub zero_point: i32,
}

impl Eq for Dequantize {}

impl Dequantize {
    fn slice<T: Datum + Copy + Into<i64>>(&self, t: &Tensor) -> TractResult<Tensor> {
        let mut out = Tensor::zero::<f32>(t.shape())?;
        let zero_point = self.zero_point;
        for (q, y) in t.try_as_plain_ram()?.as_slice::<T>()?.iter().zip(out.try_as_plain_ram_mut()?.as_slice_mut()?) {
            let q: i64 = (*q).into();
            *y = (q as i32).wrapping_sub(zero_point) as f32 * self.scale;
        }
        Ok(out)
    }
}

impl ElementWiseMiniOp for Dequantize {
    fn name(&self) -> String {
        "Dequantize".into()
    }

    fn output_type(&self, _input: DatumType) -> Option<DatumType> {
        Some(DatumType::F32)
    }

    fn eval_out_of_place(&self, t: &Tensor, _out: Option<DatumType>) -> TractResult<Tensor> {
        match t.datum_type() {
            DatumType::I8 => self.slice::<i8>(t),
            DatumType::U8 => self.slice::<u8>(t),
            DatumType::I16 => self.slice::<i16>(t),
            DatumType::U16 => self.slice::<u16>(t),
            DatumType::I32 => self.slice::<i32>(t),
            other => bail!("cannot dequantise {other:?}"),
        }
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("scale {} zero point {}", self.scale, self.zero_point)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantize(xs: &[f32], scale: f32, zero_point: i32, dtype: DatumType) -> Vec<i32> {
        let out = Quantize { scale, zero_point, dtype }.eval_out_of_place(&tensor1(xs), None).unwrap();
        out.cast_to::<i32>().unwrap().try_as_plain_ram().unwrap().as_slice::<i32>().unwrap().to_vec()
    }

    #[test]
    fn halves_go_to_even_and_extremes_saturate() {
        let xs = [0.5, 1.5, 2.5, -0.5, -1.5, 0.499_999_97, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(quantize(&xs, 1.0, 0, DatumType::I8), [0, 2, 2, 0, -2, 0, 127, -128, 127, -128]);
        assert_eq!(quantize(&xs, 1.0, 3, DatumType::U8), [3, 5, 5, 3, 1, 3, 255, 0, 255, 0]);
        assert_eq!(quantize(&[f32::NAN], 0.1, 7, DatumType::I8), [-128]);
        assert_eq!(quantize(&[40000.0, -1.0], 1.0, 0, DatumType::U16), [40000, 0]);
    }

    #[test]
    fn division_is_not_multiplication_by_the_reciprocal() {
        // 0.35 / 0.1 is 3.5 in f32 (even: 4); the sweep compares with the definition in f64 on f32 quotients.
        for zero_point in [-128, -3, 0, 100] {
            for step in -3000..3000 {
                let x = step as f32 * 0.05;
                let want = ((x / 0.1f32).round_ties_even() as i32 + zero_point).clamp(-128, 127);
                assert_eq!(quantize(&[x], 0.1, zero_point, DatumType::I8), [want], "{x} {zero_point}");
            }
        }
    }

    #[test]
    fn dequantize_is_exact() {
        let t = Dequantize { scale: 0.25, zero_point: -128 }.eval_out_of_place(&tensor1(&[-128i8, 0, 127]), None);
        assert_eq!(t.unwrap().try_as_plain_ram().unwrap().as_slice::<f32>().unwrap(), [0.0, 32.0, 63.75]);
    }
}
