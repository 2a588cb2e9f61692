//! CPU use between two readings: of the machine, of each core, and of this process with its children.
//!
//! Read by hand, because children that were waited for count too, and because a recorded machine must be read in the same way as
//! this one.

use crate::sys::Roots;
use crate::sys::proc::{CpuTimes, Stat, process_ticks};

/// CPU use is measured over at least this many ticks (1/100 s) per core: 200 ms.
const LEAST_TICKS: u64 = 20;

/// Counters at the beginning of the present measurement, and the result of the last one.
#[derive(Default)]
pub(super) struct Usage {
    stat: Stat,
    before: Option<(Stat, Option<u64>)>,
    /// CPU use of the whole machine, 0 to 100.
    pub(super) cpu_percent: Option<f32>,
    /// CPU use of each on-line core, 0 to 100.
    pub(super) core_percent: Vec<f32>,
    /// CPU use of this process and its children, 0 to 100 of the whole machine.
    pub(super) own_percent: Option<f32>,
}

impl Usage {
    /// Reads the counters; the previous values stay until 200 ms have passed. Missing or restarted counters give `None`, never a
    /// use of 0.
    pub(super) fn measure(&mut self, roots: &Roots, children: &[u32], buffer: &mut String) {
        if self.stat.read(roots, buffer).is_err() {
            *self = Usage::default();
            return;
        }
        let own = own_ticks(roots, children, buffer);
        let Some((before, own_before)) = &self.before else {
            self.before = Some((self.stat.clone(), own));
            return;
        };
        let Some(ticks) = self.stat.cpu.total.checked_sub(before.cpu.total) else {
            *self = Usage { before: Some((self.stat.clone(), own)), ..Usage::default() };
            return;
        };
        if ticks < LEAST_TICKS * (self.stat.cores.len().max(1) as u64) {
            return;
        }
        let own_ticks = own.zip(*own_before).and_then(|(now, before)| now.checked_sub(before));
        self.cpu_percent = self.stat.cpu.percent_since(before.cpu).map(|p| p as f32);
        self.own_percent = own_ticks.map(|own| (own as f64 * 100.0 / ticks as f64).min(100.0) as f32);
        self.core_percent = self.stat.cores.iter().filter_map(|core| core_percent(*core, &before.cores)).collect();
        self.before = Some((self.stat.clone(), own));
    }
}

/// Use of one core; `None` for one that has just come on-line.
fn core_percent((number, now): (u32, CpuTimes), before: &[(u32, CpuTimes)]) -> Option<f32> {
    let (_, before) = before.iter().find(|(n, _)| *n == number)?;
    // A core whose counters stand still was asleep.
    Some(now.percent_since(*before).unwrap_or(0.0) as f32)
}

/// Ticks of this process, its running children, and all their children that were waited for. A child that ends moves from its own
/// counter to ours, so the sum only grows.
fn own_ticks(roots: &Roots, children: &[u32], buffer: &mut String) -> Option<u64> {
    let own = process_ticks(&roots.proc.join("self/stat"), buffer)?;
    let alive = children.iter().filter_map(|id| process_ticks(&roots.proc.join(id.to_string()).join("stat"), buffer));
    Some(alive.fold(own, u64::saturating_add))
}
