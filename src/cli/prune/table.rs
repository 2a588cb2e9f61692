//! Words of `leptond prune` about its result.

use crate::cli::Failure;
use crate::cli::output::say;
use leptond_engine::compress::prune::Pruned;

/// Nodes that keep their channels of which the reason is shown.
const MOST_REASONS: usize = 8;
/// Longest name of a layer that is shown whole.
const NAME: usize = 36;

/// Shows layers before and after, and totals.
pub(super) fn show(pruned: &Pruned, samples: usize) -> Result<(), Failure> {
    let width = pruned.layers.iter().map(|layer| short(&layer.name).chars().count()).max().unwrap_or(0);
    say(&format!(
        "{:width$}  {:13}  {:>13}  {:>13}  {:>17}  removed",
        "layer", "operator", "inputs", "outputs", "MMAC"
    ))?;
    for layer in &pruned.layers {
        let pair = |(before, after): (usize, usize)| {
            if before == after { before.to_string() } else { format!("{before} → {after}") }
        };
        let macs = format!("{:.3} → {:.3}", layer.macs.0 as f64 / 1e6, layer.macs.1 as f64 / 1e6);
        say(&format!(
            "{:width$}  {:13}  {:>13}  {:>13}  {macs:>17}  {:5.1} %",
            short(&layer.name),
            layer.operator,
            pair(layer.inputs),
            pair(layer.outputs),
            removed((layer.macs.0 as f64, layer.macs.1 as f64))
        ))?;
    }
    say(&format!(
        "multiplications: {:.3} → {:.3} million, {:.1} % removed",
        pruned.macs.0 as f64 / 1e6,
        pruned.macs.1 as f64 / 1e6,
        removed((pruned.macs.0 as f64, pruned.macs.1 as f64))
    ))?;
    say(&format!(
        "weights: {} → {}, {:.1} % removed; {:.1} % of those left are zero, which saves no time here",
        pruned.parameters.0,
        pruned.parameters.1,
        removed((pruned.parameters.0 as f64, pruned.parameters.1 as f64)),
        100.0 * pruned.zeros
    ))?;
    for kept in pruned.kept.iter().take(MOST_REASONS) {
        say(&format!("stays as it is around {:?} ({}): {}", kept.node, kept.operator, kept.reason))?;
    }
    if let Some(more) = pruned.kept.len().checked_sub(MOST_REASONS).filter(|more| *more > 0) {
        say(&format!("and around {more} further nodes"))?;
    }
    for (name, reason) in &pruned.not_fitted {
        say(&format!("not fitted: {name:?}: {reason}"))?;
    }
    say(&format!("fitted to {samples} samples"))
}

fn removed((before, after): (f64, f64)) -> f64 {
    if before > 0.0 { 100.0 * (before - after) / before } else { 0.0 }
}

/// The end of a long name, where it differs from others.
fn short(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(count - NAME + 1).collect::<String>())
    }
}
