//! Time of an inference, step by step.

use std::sync::Arc;

use serde::Serialize;

use super::{Failure, say};
use leptond_engine::int8::kernels::step::Work;
use leptond_engine::int8::op::Profile;

/// One step of a partition.
#[derive(Debug, Serialize)]
pub struct StepTime {
    /// ONNX node.
    node: String,
    /// Operation.
    operator: &'static str,
    /// Instruction set.
    kernels: &'static str,
    /// Multiply-accumulates.
    macs: u64,
    /// Mean time.
    us: f64,
    /// 10⁹ multiply-accumulates a second.
    gmacs_per_s: f64,
    /// Part of all steps' time, 0 to 1.
    share: f64,
}

/// Mean times over `iters` inferences.
pub fn times(profiles: &[Arc<Profile>], iters: u32) -> Vec<StepTime> {
    let nanos: Vec<Vec<u64>> = profiles.iter().map(|p| p.nanos()).collect();
    let all = nanos.iter().flatten().sum::<u64>().max(1) as f64;
    let mut times = Vec::new();
    for (profile, nanos) in profiles.iter().zip(&nanos) {
        let program = &profile.plan().program;
        for (step, &nanos) in program.steps.iter().zip(nanos) {
            times.push(StepTime {
                node: step.name.clone(),
                operator: step.op,
                kernels: match step.work {
                    Work::Float(_) => program.floats.name(),
                    _ => program.kernels.name(),
                },
                macs: step.macs,
                us: nanos as f64 / 1e3 / f64::from(iters),
                gmacs_per_s: step.macs as f64 * f64::from(iters) / nanos.max(1) as f64,
                share: nanos as f64 / all,
            });
        }
    }
    times
}

/// The table for a person, in the order in which the steps run.
pub fn print(times: &[StepTime]) -> Result<(), Failure> {
    if times.is_empty() {
        return say("\nno partitions: nothing to profile");
    }
    let mut lines = vec![format!(
        "\n{:>10} {:>7} {:>9} {:>8}  {:<12} {:<11} node",
        "us", "share", "MMAC", "GMAC/s", "operator", "kernels"
    )];
    lines.extend(times.iter().map(|t| {
        let (macs, rate) = match t.macs {
            0 => (String::new(), String::new()),
            macs => (format!("{:.3}", macs as f64 / 1e6), format!("{:.1}", t.gmacs_per_s)),
        };
        let share = t.share * 100.0;
        format!("{:>10.2} {share:>6.1}% {macs:>9} {rate:>8}  {:<12} {:<11} {}", t.us, t.operator, t.kernels, t.node)
    }));
    let us: f64 = times.iter().map(|t| t.us).sum();
    let macs: u64 = times.iter().map(|t| t.macs).sum();
    lines.push(format!("{us:>10.2} {:>7} {:>9.3} {:>8.1}  all", "100.0%", macs as f64 / 1e6, macs as f64 / us / 1e3));
    say(&lines.join("\n"))
}
