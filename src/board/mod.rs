//! The governor's [`Board`] over `/proc` and `/sys` with injectable roots.
//!
//! This machine's memory comes from sysinfo; everything else, and everything of a recorded machine, is read by hand. Missing
//! measurements are `None`; `leptond probe` lists and explains them. Readings are raw: the governor judges spikes and frozen
//! sensors, which needs time.

mod info;
mod live;
mod soc;
#[cfg(test)]
mod tests;
mod throttle;
mod traffic;
mod usage;
mod zones;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::sys::proc::{self, Memory, Moved, Pressure, Resource, read_text};
use crate::sys::sysfs::{self, Probe};
use crate::sys::{Roots, child};
use leptond_governor::{Board, Link, Reading};

pub use info::Info;
use live::Live;
use soc::Soc;
pub use throttle::{Throttle, ThrottleSource};
use traffic::Traffic;
use usage::Usage;

/// The real board, or a copy of its `/proc` and `/sys`.
pub struct LinuxBoard {
    roots: Roots,
    info: Info,
    soc: Soc,
    throttle: ThrottleSource,
    clock: Option<PathBuf>,
    usage: Usage,
    traffic: Traffic,
    moved: Vec<Moved>,
    /// Present only with the machine's own roots.
    live: Option<Live>,
    /// Our child processes; those of a recorded machine do not run here.
    children: fn() -> Vec<u32>,
    /// Readings since the last search for missing sensors.
    readings: u32,
    buffer: String,
}

/// Readings between two searches for missing sensors (a minute at the governor's usual pace): a driver may be loaded late, or a
/// core with its clock policy brought on-line.
const LOOK_AGAIN: u32 = 120;

impl LinuxBoard {
    /// Finds the sensors once, for [`Board::read`]. The processor's temperature is found by the sensors' names.
    pub fn new(roots: Roots) -> Self {
        Self::with_zone(roots, "")
    }

    /// [`LinuxBoard::new`] with the processor's temperature from thermal zone `zone`: its type (`cpu-thermal`) or its directory
    /// (`thermal_zone0`); empty = by name.
    pub fn with_zone(roots: Roots, zone: &str) -> Self {
        let mut buffer = String::new();
        let mut board = LinuxBoard {
            info: Info::read(&roots),
            soc: Soc::find(&roots, zone, &mut buffer),
            throttle: ThrottleSource::find(&roots),
            clock: fastest_clock(&roots),
            usage: Usage::default(),
            traffic: Traffic::default(),
            moved: Vec::new(),
            live: (roots == Roots::default()).then(Live::new).flatten(),
            children: if roots == Roots::default() { child::running } else { Vec::new },
            readings: 0,
            buffer,
            roots,
        };
        board.measure_cpu();
        board.network(Instant::now());
        board
    }

    /// Properties that are constant while the machine runs.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Changes the thermal zone of the processor's temperature ([`LinuxBoard::with_zone`]).
    pub fn set_zone(&mut self, zone: &str) {
        self.soc.set_wanted(zone, &self.roots, &mut self.buffer);
    }

    /// Reason for the choice of temperature sensors; empty where their names are conclusive.
    pub fn soc_choice(&self) -> String {
        self.soc.choice()
    }

    /// Candidate sensors of the SoC temperature; the hottest counts.
    pub fn soc_sensors(&self) -> impl Iterator<Item = &Probe> {
        self.soc.probes()
    }

    /// Clock and supply flags of the firmware and the kernel, now and since boot.
    pub fn throttle(&mut self) -> Throttle {
        self.throttle.read(&mut self.buffer)
    }

    /// Resident memory of this process.
    pub fn rss_bytes(&mut self) -> Option<u64> {
        self.status_kib("VmRSS:").map(|kib| kib.saturating_mul(1024))
    }

    /// Peak resident memory of this process.
    pub fn peak_rss_bytes(&mut self) -> Option<u64> {
        self.status_kib("VmHWM:").map(|kib| kib.saturating_mul(1024))
    }

    fn status_kib(&mut self, key: &str) -> Option<u64> {
        read_text(&self.roots.proc.join("self/status"), &mut self.buffer).ok()?;
        let line = self.buffer.lines().find_map(|l| l.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    fn measure_cpu(&mut self) {
        self.usage.measure(&self.roots, &(self.children)(), &mut self.buffer);
    }

    /// Bytes per second, received and sent.
    fn network(&mut self, now: Instant) -> Option<[f32; 2]> {
        match proc::network(&self.roots, &mut self.buffer, &mut self.moved) {
            Ok(()) => self.traffic.update(&self.moved, now),
            Err(_) => {
                self.traffic.forget();
                None
            }
        }
    }

    /// Available and total memory.
    fn memory_bytes(&mut self) -> Option<[u64; 2]> {
        if let Some(live) = &mut self.live {
            return Some(live.memory_bytes());
        }
        Memory::read(&self.roots, &mut self.buffer).ok().map(|m| [m.available_bytes, m.total_bytes])
    }

    fn pressure_percent(&mut self, resource: Resource) -> Option<f32> {
        let pressure = Pressure::read(&self.roots, resource, &mut self.buffer).ok()?;
        Some(pressure.avg10_percent as f32).filter(|v| v.is_finite())
    }

    /// Searches again for missing sensors, now and then.
    fn look_again(&mut self, soc_missing: bool, clock_missing: bool, throttle: &Throttle) {
        self.readings += 1;
        if self.readings < LOOK_AGAIN {
            return;
        }
        self.readings = 0;
        if soc_missing {
            self.soc.look_again(&self.roots, &mut self.buffer);
        }
        if clock_missing {
            self.clock = fastest_clock(&self.roots);
        }
        if *throttle == Throttle::default() {
            self.throttle = ThrottleSource::find(&self.roots);
        }
    }
}

impl Board for LinuxBoard {
    fn read(&mut self) -> Reading {
        self.measure_cpu();
        let throttle = self.throttle();
        let clock_mhz = self.clock.as_ref().and_then(|path| proc_khz(path, &mut self.buffer));
        let memory = self.memory_bytes();
        let soc_celsius = self.soc.celsius(&self.roots, &mut self.buffer);
        self.look_again(soc_celsius.is_none(), clock_mhz.is_none(), &throttle);
        let rates = self.network(Instant::now());
        Reading {
            soc_celsius,
            cpu_percent: self.usage.cpu_percent,
            core_percent: self.usage.core_percent.clone(),
            own_cpu_percent: self.usage.own_percent,
            cpu_pressure_percent: self.pressure_percent(Resource::Cpu),
            memory_pressure_percent: self.pressure_percent(Resource::Memory),
            available_bytes: memory.map(|[available, _]| available),
            memory_bytes: memory.map(|[_, all]| all),
            throttled: throttle.throttled_now(soc_celsius),
            soft_limited: throttle.soft_limited_now(),
            under_voltage: throttle.under_voltage_now(),
            clock_mhz,
            max_clock_mhz: self.info.max_mhz,
            link: Link {
                received_bytes_per_s: rates.map(|[received, _]| received),
                sent_bytes_per_s: rates.map(|[_, sent]| sent),
                ..Link::default()
            },
            pipelines: BTreeMap::new(),
        }
    }
}

/// `scaling_cur_freq` of the fastest cores.
fn fastest_clock(roots: &Roots) -> Option<PathBuf> {
    info::clock_policies(roots)
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(dir, _)| dir.join("scaling_cur_freq"))
}

fn proc_khz(path: &std::path::Path, buffer: &mut String) -> Option<f32> {
    sysfs::number(path, buffer).ok().map(|khz| (khz / 1e3) as f32)
}
