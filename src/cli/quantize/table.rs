//! What `leptond quantize` says of its result.

use crate::cli::Failure;
use crate::cli::output::say;
use crate::evaluate::Agreements;
use crate::model::Bundle;
use leptond_engine::compress::quantize::Quantized;

use super::saved::Written;

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

/// Shows how far it is from its float form on samples that were not calibrated on.
pub(super) fn compared(agreements: &Agreements, noise: f64, samples: usize) -> Result<(), Failure> {
    say(&format!("beside its float form, on {samples} other samples:"))?;
    if let Some(measure) = agreements.measure() {
        say(&format!("  {}: {:.2} %", measure.name, measure.share * 100.0))?;
    }
    if let Some(lost) = agreements.lost_share() {
        let (matched, gone, added) = agreements.boxes();
        say(&format!("  boxes lost: {:.2} % ({gone} of {}), added: {added}", lost * 100.0, matched + gone))?;
    }
    say(&format!("  outputs: {:.1} dB of signal over error", -10.0 * noise.max(1e-12).log10()))
}

/// Shows where the result is, and how large.
pub(super) fn saved(bundle: &Bundle, written: &Written) -> Result<(), Failure> {
    let before = bundle.onnx(0).map_err(anyhow::Error::from)?.len();
    say(&format!(
        "{}: {:.1} KB, {:.2} of the float model's {:.1} KB",
        written.path.display(),
        written.bytes as f64 / 1e3,
        written.bytes as f64 / before as f64,
        before as f64 / 1e3
    ))
}
