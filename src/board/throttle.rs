//! Firmware and kernel flags of a lowered clock and a weak supply.

use std::path::PathBuf;

use serde::Serialize;

use crate::sys::Roots;
use crate::sys::proc::read_text;
use crate::sys::{sysfs, vcio};

/// Locations of the throttling flags, found once.
#[derive(Clone, Debug, Default)]
pub struct ThrottleSource {
    /// The Raspberry Pi firmware's mailbox.
    mailbox: Option<PathBuf>,
    /// The kernel's copy of the firmware's flags, in hexadecimal; used where the mailbox is inaccessible.
    word: Option<PathBuf>,
    /// The Raspberry Pi's under-voltage alarm (`rpi_volt`).
    voltage_alarm: Option<PathBuf>,
    /// Cooling devices through which the kernel lowers the clock.
    cooling: Vec<PathBuf>,
}

/// One reading of the throttling flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Throttle {
    /// The Raspberry Pi firmware's flags: bits 0 to 3 now, bits 16 to 19 before.
    pub word: Option<u32>,
    /// `true` when "before" is since boot, as in the mailbox. The kernel's copy covers only the time since the kernel's last
    /// poll, two seconds ago, since its driver clears the firmware's memory each time.
    pub since_boot: bool,
    /// The supply has been too low since the alarm was last polled.
    pub voltage_alarm: Option<bool>,
    /// The kernel's thermal governor holds the clock down.
    pub kernel_cooling: Option<bool>,
}

/// Meaning of the bits 0 to 3 and 16 to 19 of the firmware's word (Raspberry Pi documentation, `vcgencmd get_throttled`).
const MEANINGS: [&str; 4] = ["supply voltage too low", "clock capped", "throttled", "soft temperature limit"];

const UNDER_VOLTAGE: u32 = 0b0001;
const CAPPED: u32 = 0b0010;
/// Capped or throttled. The soft limit is neither: it takes 200 MHz of a 3B+ at 60 °C, by design.
const LOWERED: u32 = 0b0110;
const SOFT_LIMIT: u32 = 0b1000;

/// The firmware lowers the clock because of heat from 80 °C on (Raspberry Pi documentation, "frequency management and thermal
/// control"); its own sensor may be slightly ahead of the kernel's.
const HEAT_CELSIUS: f32 = 77.0;

impl ThrottleSource {
    /// Finds the flags that this board has.
    pub fn find(roots: &Roots) -> Self {
        let subdirs = |dir: PathBuf| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
            paths.sort();
            paths
        };
        let named = |path: &PathBuf, part: &str| {
            path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("soc") && n.contains(part))
        };
        let content = |path: PathBuf| {
            let mut text = String::new();
            read_text(&path, &mut text).map(|()| text.trim().to_owned()).unwrap_or_default()
        };
        // soc/soc:firmware up to the Pi 4, soc@…/soc@…:firmware on the Pi 5.
        let socs = subdirs(roots.sys.join("devices/platform")).into_iter().filter(|p| named(p, ""));
        let firmwares = socs.flat_map(subdirs).filter(|p| named(p, ":firmware"));
        let word = firmwares.map(|p| p.join("get_throttled")).find(|p| p.is_file());
        let monitor =
            subdirs(roots.sys.join("class/hwmon")).into_iter().find(|p| content(p.join("name")) == "rpi_volt");
        let voltage_alarm = monitor.map(|p| p.join("in0_lcrit_alarm")).filter(|p| p.is_file());
        let is_cpu = |p: &PathBuf| {
            let kind = content(p.join("type"));
            kind.starts_with("cpufreq-") || kind.starts_with("thermal-cpufreq-")
        };
        let cooling = subdirs(roots.sys.join("class/thermal")).into_iter().filter(is_cpu);
        let mailbox = Some(roots.dev.join("vcio")).filter(|p| p.exists());
        ThrottleSource { mailbox, word, voltage_alarm, cooling: cooling.map(|p| p.join("cur_state")).collect() }
    }

    /// Reads the available flags.
    pub fn read(&self, buffer: &mut String) -> Throttle {
        let from_mailbox = self.mailbox.as_ref().and_then(|device| vcio::throttled(device).ok());
        let copy = |path: &PathBuf| {
            read_text(path, buffer).ok()?;
            let text = buffer.trim();
            u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
        };
        let word = from_mailbox.or_else(|| self.word.as_ref().and_then(copy));
        let mut above_zero = |path: &PathBuf| sysfs::number(path, buffer).ok().map(|v| v > 0.0);
        let voltage_alarm = self.voltage_alarm.as_ref().and_then(&mut above_zero);
        let kernel_cooling = self.cooling.iter().filter_map(above_zero).reduce(|a, b| a || b);
        Throttle { word, since_boot: from_mailbox.is_some(), voltage_alarm, kernel_cooling }
    }
}

impl Throttle {
    /// `true` while the clock is lowered because of heat; `None` where this board does not report it.
    ///
    /// Bits 1 (capped) and 2 (throttled) of the firmware's flags carry no cause. A sagging supply raises bit 2 beside bit 0
    /// (boards with a weak supply show `0x50005`); heat raises bit 1, or both. While the supply is too low, they therefore count
    /// as heat only near the 80 °C at which the firmware acts, or, at an unknown temperature, with bit 1 raised too. Nothing is
    /// missed by that: the low supply is itself a reason to work less.
    pub fn throttled_now(&self, soc_celsius: Option<f32>) -> Option<bool> {
        let by_heat = |word: u32| {
            let explained = self.under_voltage_now() == Some(true)
                && soc_celsius.map_or(word & CAPPED == 0, |celsius| celsius < HEAT_CELSIUS);
            word & LOWERED != 0 && !explained
        };
        either(self.word.map(by_heat), self.kernel_cooling)
    }

    /// `true` while the soft temperature limit is active; `None` where this board does not report it.
    pub fn soft_limited_now(&self) -> Option<bool> {
        self.word.map(|w| w & SOFT_LIMIT != 0)
    }

    /// `true` while the supply is too low; `None` where this board does not report it.
    pub fn under_voltage_now(&self) -> Option<bool> {
        either(self.word.map(|w| w & UNDER_VOLTAGE != 0), self.voltage_alarm)
    }

    /// Descriptions of the active conditions.
    pub fn now(&self) -> Vec<&'static str> {
        let mut words = self.meanings(0);
        if self.voltage_alarm == Some(true) && !words.contains(&MEANINGS[0]) {
            words.push(MEANINGS[0]);
        }
        if self.kernel_cooling == Some(true) {
            words.push("clock lowered by the kernel");
        }
        words
    }

    /// Descriptions of earlier conditions: since boot, or lately (see [`Throttle::since_boot`]).
    pub fn before(&self) -> Vec<&'static str> {
        self.meanings(16)
    }

    fn meanings(&self, shift: u32) -> Vec<&'static str> {
        let word = self.word.unwrap_or(0) >> shift;
        MEANINGS.iter().enumerate().filter(|(bit, _)| word >> bit & 1 == 1).map(|(_, words)| *words).collect()
    }
}

fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a || b),
        (a, b) => a.or(b),
    }
}
