//! The fewest layers in floats with which a model loses no more than it may.

use std::collections::HashSet;

use tract_onnx::pb::ModelProto;

use super::{CompressError, Effort, Prepared, Quantized, Settings, noise};
use crate::compress::gram::spread;

/// Samples on which the layers are looked at one by one.
const LOOKED_AT: usize = 12;

/// Layers in floats that are tried in bytes again, once enough of them are in floats.
const TRIED_AGAIN: usize = 6;

/// Error that one layer in bytes alone makes at the model's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Name of the node.
    pub layer: String,
    /// Squared error of the outputs over their variance.
    pub noise: f64,
}

impl Prepared<'_> {
    /// Error that each layer in bytes alone makes, greatest first.
    ///
    /// # Errors
    /// Those of running.
    pub fn sensitivities(&self, settings: &Settings) -> Result<Vec<Sensitivity>, CompressError> {
        let layers: Vec<String> = self.layers(&settings.keep_float)?;
        let indices = spread(self.samples.len(), LOOKED_AT, 0);
        let mut found = Vec::new();
        for layer in &layers {
            self.executor.progress("layers by themselves", found.len(), layers.len());
            let others = layers.iter().filter(|other| *other != layer).cloned();
            let keep_float = settings.keep_float.iter().cloned().chain(others).collect();
            let alone = Settings { keep_float, effort: Effort::Low, ..settings.clone() };
            let quantized = self.of_model(&self.model, &alone)?;
            let noise = noise(self.executor, [&self.model, &quantized.model], self.samples, &indices)?;
            found.push(Sensitivity { layer: layer.clone(), noise });
        }
        found.sort_by(|a, b| b.noise.total_cmp(&a.noise));
        Ok(found)
    }

    /// Quantises so that `drop`, which measures what a model loses, gives at most `target`: layers are kept in floats, those that lose most
    /// first, and as few as possible. Gives the model and what it loses.
    ///
    /// # Errors
    /// Those of running and of `drop`; [`CompressError::Model`] where even one layer in bytes loses too much.
    pub fn quantize_within(
        &self,
        settings: &Settings,
        target: f64,
        drop: &mut dyn FnMut(&ModelProto) -> Result<f64, CompressError>,
    ) -> Result<(Quantized, f64), CompressError> {
        let whole = self.quantize(settings)?;
        let lost = drop(&whole.model)?;
        if lost <= target {
            return Ok((whole, lost));
        }
        let order: Vec<String> = self.sensitivities(settings)?.into_iter().map(|found| found.layer).collect();
        let with = |floats: &HashSet<String>| Settings {
            keep_float: settings.keep_float.union(floats).cloned().collect(),
            ..settings.clone()
        };
        // Least number of layers in floats that is enough, if more are never worse.
        let (mut too_few, mut enough) = (0, order.len());
        let mut best: Option<(Quantized, f64)> = None;
        while too_few + 1 < enough {
            let count = (too_few + enough) / 2;
            let floats: HashSet<String> = order[..count].iter().cloned().collect();
            let quantized = self.quantize(&with(&floats))?;
            let lost = drop(&quantized.model)?;
            if lost <= target {
                (enough, best) = (count, Some((quantized, lost)));
            } else {
                too_few = count;
            }
        }
        let Some(mut best) = best else {
            return Err(CompressError::Model(format!(
                "no layer can be in bytes: with all of them it loses {:.2} %, and with one of them still more than {:.2} %",
                lost * 100.0,
                target * 100.0
            )));
        };
        let mut floats: HashSet<String> = order[..enough].iter().cloned().collect();
        for layer in order[..enough].iter().rev().skip(1).take(TRIED_AGAIN) {
            let mut fewer = floats.clone();
            fewer.remove(layer);
            let quantized = self.quantize(&with(&fewer))?;
            let lost = drop(&quantized.model)?;
            if lost <= target {
                (floats, best) = (fewer, (quantized, lost));
            }
        }
        Ok(best)
    }
}
