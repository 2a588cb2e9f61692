//! Quantisation of normalised values to the element type of a model input.

use crate::frame::Quant;

/// An element of a model input.
pub(super) trait Element: Copy + Default {
    /// The element for `real`: `round_half_even(real / scale) + zero_point`, saturated (ONNX `QuantizeLinear`). A float is stored
    /// unchanged.
    fn quantize(real: f32, quant: Quant) -> Self;
}

impl Element for f32 {
    fn quantize(real: f32, _: Quant) -> Self {
        real
    }
}

macro_rules! quantized {
    ($($integer:ty),*) => {$(
        impl Element for $integer {
            fn quantize(real: f32, quant: Quant) -> Self {
                let steps = (real / quant.scale).round_ties_even() as i64;
                let q = steps.saturating_add(quant.zero_point.into());
                q.clamp(<$integer>::MIN.into(), <$integer>::MAX.into()) as $integer
            }
        }
    )*};
}

quantized!(i8, u8, i32, i64);
