//! `machine`: this computer as a sensor.
//!
//! Sources that the kernel lacks (PSI on Raspberry Pi OS, a thermal zone in a virtual machine) are no channels. The list of
//! channels is made once, at start: a core that goes off-line later reads as NaN.

use std::collections::HashMap;
use std::time::Instant;

use super::reading::{Read, Reading};
use crate::source::contract::SourceError;
use crate::sys::proc::{self, Counter, CpuTimes, Memory, Moved, Pressure, ReadError, Resource, SECTOR_BYTES, Stat};
use crate::sys::{Roots, sysfs};

const RESOURCES: [Resource; 3] = [Resource::Cpu, Resource::Memory, Resource::Io];

/// Reads `/proc` and `/sys`, and makes rates of counters.
///
/// Channels, in this order and each only where the machine has it: `cpu_percent`, `cpu_min_percent`, `cpu_max_percent`
/// (over the cores), `cpu<n>_percent`; `memory_used_percent`, `memory_available_bytes`, `swap_used_percent`; `load1`,
/// `load1_per_core`; `pressure_{cpu,memory,io}_percent` (share of the interval in which a task waited);
/// `context_switches_per_s`, `forks_per_s`; `network_{rx,tx}_bytes_per_s`; `disk_{read,written}_bytes_per_s`;
/// `<zone>_celsius`.
#[derive(Debug)]
pub struct Machine {
    roots: Roots,
    channels: Vec<String>,
    cores: Vec<u32>,
    has_memory: bool,
    has_swap: bool,
    has_load: bool,
    resources: Vec<(Resource, Counter)>,
    network: Option<Flows>,
    disks: Option<Flows>,
    zones: Vec<sysfs::Probe>,
    /// CPU times and counters at the last reading.
    before: Stat,
    now: Stat,
    context_switches: Counter,
    forks: Counter,
    read_at: Option<Instant>,
    buffer: String,
}

impl Machine {
    /// Finds out what there is to read, and reads every counter a first time at `now`.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] without `/proc/stat`.
    pub fn open(roots: Roots, now: Instant) -> Result<Self, SourceError> {
        let mut buffer = String::new();
        let mut stat = Stat::default();
        stat.read(&roots, &mut buffer).map_err(fatal)?;
        let memory = Memory::read(&roots, &mut buffer).ok();
        let mut machine = Machine {
            channels: Vec::new(),
            cores: stat.cores.iter().map(|(number, _)| *number).collect(),
            has_memory: memory.is_some(),
            has_swap: memory.is_some_and(|m| m.swap_total_bytes > 0),
            has_load: proc::load_average(&roots, &mut buffer).is_ok(),
            resources: RESOURCES
                .into_iter()
                .filter(|r| Pressure::read(&roots, *r, &mut buffer).is_ok())
                .map(|r| (r, Counter::default()))
                .collect(),
            network: proc::network(&roots, &mut buffer, &mut Vec::new()).is_ok().then(Flows::default),
            disks: proc::disks(&roots, &mut buffer, &mut Vec::new()).is_ok().then(Flows::default),
            zones: sysfs::thermal(&roots, ""),
            before: stat.clone(),
            now: stat,
            context_switches: Counter::default(),
            forks: Counter::default(),
            read_at: None,
            buffer,
            roots,
        };
        machine.channels = machine.list();
        let mut row = Vec::new();
        machine.sample(now, &mut row).map_err(fatal)?;
        Ok(machine)
    }

    fn list(&self) -> Vec<String> {
        let mut list = vec!["cpu_percent".to_owned(), "cpu_min_percent".into(), "cpu_max_percent".into()];
        list.extend(self.cores.iter().map(|n| format!("cpu{n}_percent")));
        if self.has_memory {
            list.extend(["memory_used_percent".into(), "memory_available_bytes".into()]);
        }
        if self.has_swap {
            list.push("swap_used_percent".into());
        }
        if self.has_load {
            list.extend(["load1".into(), "load1_per_core".into()]);
        }
        list.extend(self.resources.iter().map(|(r, _)| format!("pressure_{}_percent", r.name())));
        list.extend(["context_switches_per_s".into(), "forks_per_s".into()]);
        if self.network.is_some() {
            list.extend(["network_rx_bytes_per_s".into(), "network_tx_bytes_per_s".into()]);
        }
        if self.disks.is_some() {
            list.extend(["disk_read_bytes_per_s".into(), "disk_written_bytes_per_s".into()]);
        }
        list.extend(self.zones.iter().map(|z| z.name.clone()));
        list
    }

    /// Reads everything at `now` over `row`, a value per channel; NaN where nothing could be read this time.
    fn sample(&mut self, now: Instant, row: &mut Vec<f32>) -> Result<(), ReadError> {
        row.clear();
        std::mem::swap(&mut self.before, &mut self.now);
        self.now.read(&self.roots, &mut self.buffer)?;
        let passed_s = self.read_at.replace(now).map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let rate = |added: Option<u64>| match added {
            Some(added) if passed_s > 0.0 => (added as f64 / passed_s) as f32,
            _ => f32::NAN,
        };

        row.push(self.now.cpu.percent_since(self.before.cpu).map_or(f32::NAN, |p| p as f32));
        let busy = |n: &u32| {
            let times = |stat: &Stat| -> Option<CpuTimes> { stat.cores.iter().find(|c| c.0 == *n).map(|c| c.1) };
            times(&self.now)?.percent_since(times(&self.before)?).map(|p| p as f32)
        };
        row.push(self.cores.iter().filter_map(busy).reduce(f32::min).unwrap_or(f32::NAN));
        row.push(self.cores.iter().filter_map(busy).reduce(f32::max).unwrap_or(f32::NAN));
        row.extend(self.cores.iter().map(|n| busy(n).unwrap_or(f32::NAN)));

        let memory = Memory::read(&self.roots, &mut self.buffer).ok();
        if self.has_memory {
            row.push(memory.map_or(f32::NAN, |m| m.used_percent() as f32));
            row.push(memory.map_or(f32::NAN, |m| m.available_bytes as f32));
        }
        if self.has_swap {
            row.push(memory.and_then(|m| m.swap_used_percent()).map_or(f32::NAN, |p| p as f32));
        }
        if self.has_load {
            let load = proc::load_average(&self.roots, &mut self.buffer).map_or(f32::NAN, |l| l[0] as f32);
            row.extend([load, load / self.now.cores.len().max(1) as f32]);
        }
        for (resource, waited_us) in &mut self.resources {
            let total = Pressure::read(&self.roots, *resource, &mut self.buffer).ok().map(|p| p.total_us);
            // µs per s are 1/10,000 of a percent.
            row.push((rate(total.and_then(|t| waited_us.advance(t))) / 1e4).min(100.0));
        }
        row.push(rate(self.context_switches.advance(self.now.context_switches)));
        row.push(rate(self.forks.advance(self.now.forks)));
        if let Some(flows) = &mut self.network {
            let read = proc::network(&self.roots, &mut self.buffer, &mut flows.seen).is_ok();
            row.extend(flows.advance(read).map(rate));
        }
        if let Some(flows) = &mut self.disks {
            let read = proc::disks(&self.roots, &mut self.buffer, &mut flows.seen).is_ok();
            row.extend(flows.advance(read).map(|sectors| rate(sectors.map(|s| s.saturating_mul(SECTOR_BYTES)))));
        }
        row.extend(self.zones.iter().map(|z| z.read(&mut self.buffer).map_or(f32::NAN, |v| v as f32)));
        Ok(())
    }
}

impl Reading for Machine {
    fn channels(&self) -> &[String] {
        &self.channels
    }

    fn read(&mut self, now: Instant, row: &mut Vec<f32>) -> Result<Read, SourceError> {
        let bad = |e: ReadError| SourceError::Bad { origin: e.path.display().to_string(), reason: e.reason };
        self.sample(now, row).map_err(bad)?;
        Ok(Read::Row)
    }
}

fn fatal(error: ReadError) -> SourceError {
    SourceError::Fatal { origin: error.path.display().to_string(), reason: error.reason }
}

/// Counters of devices that come and go.
#[derive(Debug, Default)]
struct Flows {
    seen: Vec<Moved>,
    counters: HashMap<String, [Counter; 2]>,
}

impl Flows {
    /// Amounts read and written since the last reading, over the devices in `seen`. A device that has just come, or whose
    /// counters started anew, adds nothing yet; when nothing could be `read`, nothing is known.
    fn advance(&mut self, read: bool) -> [Option<u64>; 2] {
        if !read {
            return [None; 2];
        }
        self.counters.retain(|name, _| self.seen.iter().any(|device| device.name == *name));
        let mut sums = [0u64; 2];
        for device in &self.seen {
            let counters = match self.counters.get_mut(&device.name) {
                Some(counters) => counters,
                None => self.counters.entry(device.name.clone()).or_default(),
            };
            for ((sum, counter), now) in sums.iter_mut().zip(counters).zip([device.read, device.written]) {
                *sum = sum.saturating_add(counter.advance(now).unwrap_or(0));
            }
        }
        sums.map(Some)
    }
}

#[cfg(test)]
mod tests;
