//! Roundings of a layer's weights learnt against what the layer gives in floats: of the two bytes beside a weight, not the nearer one, but
//! the one that with all others leaves the least error in the layer's output (the aim of `AdaRound`, here by coordinate descent over
//! the second moments of the input).

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor;
use tract_onnx::prelude::tract_ndarray::{Array2, ArrayView2};

use super::super::gram::{Gram, spread};
use super::super::run::{CompressError, floats_of};
use super::super::unroll::Unrolled;
use super::{Layer, weights};

/// Windows of the input that are looked at: so many for each element of a window, and this many at most.
const WINDOWS_PER_ELEMENT: usize = 4;
const WINDOWS: usize = 6144;

/// Widest window whose moments are learnt from: they need its square of numbers.
const WIDEST: usize = 4608;

/// Share of the mean square of an element that is added to each: what few windows say must not be believed to the letter.
const DAMPING: f64 = 0.02;

/// Turns over all weights of an output at most.
const TURNS: usize = 12;

/// Learns scales and roundings of `layer` for the inputs `given`, one a sample. Leaves layers as they are whose windows are too wide, and
/// transposed convolutions.
///
/// # Errors
/// [`CompressError::Run`] for an input that is not of floats.
pub(super) fn learn(node: &NodeProto, layer: &mut Layer, given: &[&Tensor]) -> Result<(), CompressError> {
    let Some(first) = given.first().filter(|_| node.op_type != "ConvTranspose") else { return Ok(()) };
    let Ok(unrolled) = Unrolled::new(node, &layer.weights.shape, first.shape()) else { return Ok(()) };
    if unrolled.width > WIDEST || unrolled.outputs * unrolled.groups != layer.weights.rows.len() {
        return Ok(());
    }
    let wanted = (unrolled.width * WINDOWS_PER_ELEMENT).clamp(256, WINDOWS).div_ceil(given.len());
    for group in 0..unrolled.groups {
        let mut gram = Gram::new(unrolled.width);
        for (turn, tensor) in given.iter().enumerate() {
            let values = floats_of(&node.input[0], tensor)?;
            let places = spread(unrolled.places, wanted, turn);
            let mut rows = Array2::zeros((places.len(), unrolled.width));
            unrolled.rows(values, group, &places, rows.view_mut());
            gram.add(rows.view());
        }
        // The bias, which is put right afterwards, takes up the means; a matrix product has none.
        let mut moments = gram.moments(node.op_type != "MatMul");
        let damping = DAMPING * moments.diag().sum() / unrolled.width as f64;
        if !(damping.is_finite() && damping > 0.0) {
            continue;
        }
        moments.diag_mut().iter_mut().for_each(|moment| *moment += damping);
        let importance: Vec<f32> = moments.diag().iter().map(|&moment| moment as f32).collect();
        for output in group * unrolled.outputs..(group + 1) * unrolled.outputs {
            let row = &layer.weights.rows[output];
            if layer.per_channel {
                layer.scales[output] = weights::scale_of(row, &importance, true);
            }
            layer.weights.rows[output] = descend(row, layer.scales[output], moments.view());
        }
    }
    layer.make_room_for_bias();
    Ok(())
}

/// Roundings of one row, as multiples of `scale`.
fn descend(row: &[f32], scale: f32, moments: ArrayView2<'_, f64>) -> Vec<f32> {
    let mut bytes: Vec<f32> = row.iter().map(|&value| weights::rounded(value, scale)).collect();
    let error: Vec<f64> = bytes.iter().zip(row).map(|(byte, value)| f64::from(byte * scale - value)).collect();
    let mut slopes: Vec<f64> = (moments.rows().into_iter())
        .map(|moments| moments.iter().zip(&error).map(|(moment, error)| moment * error).sum())
        .collect();
    for _ in 0..TURNS {
        let mut changed = false;
        for at in 0..row.len() {
            let exact = row[at] / scale;
            let wanted = bytes[at] - (slopes[at] / moments[[at, at]]) as f32 / scale;
            let byte = wanted.round_ties_even().clamp(exact.floor(), exact.ceil()).clamp(-127.0, 127.0);
            if byte == bytes[at] {
                continue;
            }
            let step = f64::from((byte - bytes[at]) * scale);
            slopes.iter_mut().zip(moments.row(at)).for_each(|(slope, moment)| *slope += step * moment);
            bytes[at] = byte;
            changed = true;
        }
        if !changed {
            break;
        }
    }
    bytes.into_iter().map(|byte| byte * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(row: &[f32], rounded: &[f32], moments: &Array2<f64>) -> f64 {
        let error: Vec<f64> = row.iter().zip(rounded).map(|(a, b)| f64::from(b - a)).collect();
        let rows = moments.rows().into_iter().zip(&error);
        rows.map(|(moments, e)| e * moments.iter().zip(&error).map(|(m, e)| m * e).sum::<f64>()).sum()
    }

    #[test]
    fn inputs_that_go_together_share_their_roundings() {
        // Four inputs that are nearly the same: roundings up and down cancel.
        let width = 4;
        let moments = Array2::from_shape_fn((width, width), |(i, j)| if i == j { 1.0 } else { 0.98 });
        let row = [0.4f32, 0.4, 0.4, 0.4];
        let learnt = descend(&row, 1.0, moments.view());
        assert!(error(&row, &learnt, &moments) < 0.2 * error(&row, &[0.0; 4], &moments), "{learnt:?}");
        assert!(learnt.iter().all(|v| *v == 0.0 || *v == 1.0));
    }

    #[test]
    fn inputs_that_have_nothing_in_common_are_rounded_to_the_nearest() {
        let moments = Array2::from_diag(&ndarray_of(&[1.0, 5.0, 0.1]));
        assert_eq!(descend(&[0.4, 0.6, -1.2], 0.5, moments.view()), [0.5, 0.5, -1.0]);
    }

    fn ndarray_of(values: &[f64]) -> tract_onnx::prelude::tract_ndarray::Array1<f64> {
        values.iter().copied().collect()
    }
}
