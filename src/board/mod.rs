//! The board under the daemon: the governor's [`Board`] over `/proc` and `/sys`, whose roots can be pointed elsewhere.
//!
//! CPU use and memory of this machine come from sysinfo; sensors, pressure, clock and throttle words, and everything of a
//! recorded machine, are read by hand. What a board does not have is `None`; `leptond probe` lists what that is and what
//! it means.

mod info;
mod live;
#[cfg(test)]
mod tests;
mod throttle;

use std::path::PathBuf;

use crate::governor::{Board, Reading};
use crate::sys::Roots;
use crate::sys::proc::{CpuTimes, Memory, Pressure, Resource, Stat, read_text};
use crate::sys::sysfs::{self, Probe};

pub use info::Info;
use live::Live;
pub use throttle::{Throttle, ThrottleSource};

/// Thermal zones and monitors that measure the processor, best first, as [`sysfs`] names them.
const SOC_SENSORS: [&str; 10] = [
    "cpu_thermal_celsius",
    "soc_thermal_celsius",
    "cpu_therm_celsius",
    "cpu0_thermal_celsius",
    "x86_pkg_temp_celsius",
    "k10temp_tctl_celsius",
    "zenpower_tctl_celsius",
    "coretemp_package_id_0_celsius",
    "cpu_thermal_temp1_celsius",
    "soc_thermal_temp1_celsius",
];

/// A temperature outside of this is no temperature of a running processor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -30.0..=125.0;

/// CPU use is measured over at least this many ticks (1/100 s) per core: 200 ms.
const LEAST_TICKS: u64 = 20;

/// The real board, or a copy of its `/proc` and `/sys`.
pub struct LinuxBoard {
    roots: Roots,
    info: Info,
    soc: Vec<Probe>,
    throttle: ThrottleSource,
    clock: Option<PathBuf>,
    stat: Stat,
    cpu: Use,
    /// Only for the machine's own roots.
    live: Option<Live>,
    buffer: String,
}

/// CPU use between two readings.
#[derive(Default)]
struct Use {
    /// All CPUs, and ticks of our own, at the beginning of the present measurement.
    before: Option<(CpuTimes, Option<u64>)>,
    cpu_percent: Option<f32>,
    own_percent: Option<f32>,
}

impl LinuxBoard {
    /// Looks for the sensors once; [`Board::read`] then reads them.
    pub fn new(roots: Roots) -> Self {
        let mut board = LinuxBoard {
            info: Info::read(&roots),
            soc: soc_sensors(&roots),
            throttle: ThrottleSource::find(&roots),
            clock: fastest_clock(&roots),
            stat: Stat::default(),
            cpu: Use::default(),
            live: (roots == Roots::default()).then(Live::new).flatten(),
            buffer: String::new(),
            roots,
        };
        board.measure_cpu();
        board
    }

    /// What does not change while the machine runs.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The sensors that the SoC temperature is taken from: the first of them, or where none is known to be the
    /// processor's, the hottest of all.
    pub fn soc_sensors(&self) -> &[Probe] {
        &self.soc
    }

    /// What the firmware and the kernel say about clock and supply, now and since boot.
    pub fn throttle(&mut self) -> Throttle {
        self.throttle.read(&mut self.buffer)
    }

    /// Resident memory of this process.
    pub fn rss_bytes(&mut self) -> Option<u64> {
        if let Some(rss) = self.live.as_ref().and_then(Live::rss_bytes) {
            return Some(rss);
        }
        self.status_kib("VmRSS:").map(|kib| kib.saturating_mul(1024))
    }

    /// The most memory that this process has had resident.
    pub fn peak_rss_bytes(&mut self) -> Option<u64> {
        self.status_kib("VmHWM:").map(|kib| kib.saturating_mul(1024))
    }

    fn status_kib(&mut self, key: &str) -> Option<u64> {
        read_text(&self.roots.proc.join("self/status"), &mut self.buffer).ok()?;
        let line = self.buffer.lines().find_map(|l| l.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    fn measure_cpu(&mut self) {
        if let Some(live) = &mut self.live {
            live.refresh();
            (self.cpu.cpu_percent, self.cpu.own_percent) = (Some(live.cpu_percent()), live.own_percent());
            return;
        }
        if self.stat.read(&self.roots, &mut self.buffer).is_err() {
            self.cpu = Use::default();
            return;
        }
        let now = self.stat.cpu;
        let own = self.own_ticks();
        let Some((before, own_before)) = self.cpu.before else {
            self.cpu.before = Some((now, own));
            return;
        };
        let Some(ticks) = now.total.checked_sub(before.total) else {
            self.cpu = Use { before: Some((now, own)), ..Use::default() };
            return;
        };
        if ticks < LEAST_TICKS * (self.stat.cores.len().max(1) as u64) {
            return;
        }
        let own_ticks = own.zip(own_before).and_then(|(now, before)| now.checked_sub(before));
        self.cpu = Use {
            before: Some((now, own)),
            cpu_percent: now.percent_since(before).map(|p| p as f32),
            own_percent: own_ticks.map(|own| (own as f64 * 100.0 / ticks as f64).min(100.0) as f32),
        };
    }

    /// Ticks that this process has run, user and system (fields 14 and 15 of `/proc/self/stat`).
    fn own_ticks(&mut self) -> Option<u64> {
        read_text(&self.roots.proc.join("self/stat"), &mut self.buffer).ok()?;
        // The second field is the program's name in parentheses and may hold anything.
        let (_, rest) = self.buffer.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(11).map(|f| f.parse::<u64>().ok());
        Some(fields.next()??.saturating_add(fields.next()??))
    }

    fn soc_celsius(&mut self) -> Option<f32> {
        let mut read = |p: &Probe| p.read(&mut self.buffer).ok();
        let values: Vec<f64> = self.soc.iter().filter_map(&mut read).collect();
        if values.is_empty() {
            // Drivers come and go, and their numbers change with it.
            self.soc = soc_sensors(&self.roots);
            return None;
        }
        // A single sensor is handed on as it is: whether its value can be is the governor's to judge.
        let plausible = values.iter().copied().filter(|v| PLAUSIBLE_CELSIUS.contains(v));
        plausible.reduce(f64::max).or(values.first().copied()).map(|v| v as f32)
    }

    fn pressure_percent(&mut self, resource: Resource) -> Option<f32> {
        Pressure::read(&self.roots, resource, &mut self.buffer).ok().map(|p| p.avg10_percent as f32)
    }
}

impl Board for LinuxBoard {
    fn read(&mut self) -> Reading {
        self.measure_cpu();
        let throttle = self.throttle();
        let clock_mhz = self.clock.as_ref().and_then(|path| proc_khz(path, &mut self.buffer));
        let available_bytes = match &self.live {
            Some(live) => Some(live.available_bytes()),
            None => Memory::read(&self.roots, &mut self.buffer).ok().map(|m| m.available_bytes),
        };
        Reading {
            soc_celsius: self.soc_celsius(),
            cpu_percent: self.cpu.cpu_percent,
            own_cpu_percent: self.cpu.own_percent,
            cpu_pressure_percent: self.pressure_percent(Resource::Cpu),
            memory_pressure_percent: self.pressure_percent(Resource::Memory),
            available_bytes,
            throttled: throttle.throttled_now(),
            under_voltage: throttle.under_voltage_now(),
            clock_mhz,
            ..Reading::default()
        }
    }
}

/// The sensors to take the SoC temperature from; see [`LinuxBoard::soc_sensors`].
fn soc_sensors(roots: &Roots) -> Vec<Probe> {
    let zones = sysfs::thermal(roots, "");
    let mut all = zones.clone();
    all.extend(sysfs::hwmon(roots, "").into_iter().filter(|p| p.name.ends_with("_celsius")));
    match SOC_SENSORS.iter().find_map(|wanted| all.iter().find(|p| p.name == *wanted)) {
        Some(named) => vec![named.clone()],
        None => zones,
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
