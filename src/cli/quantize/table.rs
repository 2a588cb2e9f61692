//! Words of `leptond quantize` about its result.

use crate::cli::Failure;
use crate::cli::output::say;
use leptond_engine::compress::quantize::Quantized;

/// Layers with the least ratio that are shown.
const WORST: usize = 8;

/// Shows what became of the layers.
pub(super) fn show(quantized: &Quantized, samples: usize) -> Result<(), Failure> {
    let all: f64 = quantized.layers.iter().map(|layer| layer.macs).sum();
    let integer: Vec<_> = quantized.layers.iter().filter(|layer| layer.float.is_none()).collect();
    let share: f64 = integer.iter().map(|layer| layer.macs).sum::<f64>() / all.max(1.0);
    say(&format!(
        "{} of {} layers in bytes, {:.1} % of {:.2} MMAC; calibrated on {} samples",
        integer.len(),
        quantized.layers.len(),
        share * 100.0,
        all / 1e6,
        samples
    ))?;
    for layer in quantized.layers.iter().filter(|layer| layer.float.is_some()) {
        let why = layer.float.as_deref().unwrap_or_default();
        say(&format!(
            "  in floats: {} ({}, {:.1} % of the work): {why}",
            layer.name,
            layer.operator,
            100.0 * layer.macs / all
        ))?;
    }
    let mut worst: Vec<_> = integer.iter().filter_map(|layer| Some((layer.snr_db?, layer))).collect();
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    if !worst.is_empty() {
        say("layers that lose most:")?;
    }
    for (ratio, layer) in worst.iter().take(WORST) {
        say(&format!("  {ratio:5.1} dB  {} ({})", layer.name, layer.operator))?;
    }
    if quantized.equalized {
        say("channels between layers were brought to like ranges")?;
    }
    Ok(())
}
