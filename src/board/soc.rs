//! The SoC's temperature: which sensor it is, found again by name whenever drivers come, go or change their numbers.

use std::path::PathBuf;

use crate::sys::Roots;
use crate::sys::proc::read_text;
use crate::sys::sysfs::{self, Probe};

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

/// The sensors of this board.
#[derive(Default)]
pub(super) struct Soc {
    /// Those known to be the processor's, best first; where there are none, every thermal zone.
    sensors: Vec<Sensor>,
    named: bool,
    /// There was one once: it is looked for at every reading until it is back. A board that never had one is spared that.
    seen: bool,
}

/// A sensor with what its directory said about itself when it was found: numbers of zones and monitors are given anew
/// when drivers are loaded again, and the old path may then be a neighbour's.
struct Sensor {
    probe: Probe,
    identity: PathBuf,
    was: String,
}

impl Soc {
    /// Looks for them.
    pub(super) fn find(roots: &Roots, buffer: &mut String) -> Self {
        let zones = sysfs::thermal(roots, "");
        let monitors = sysfs::hwmon(roots, "").into_iter().filter(|p| p.name.ends_with("_celsius"));
        let all: Vec<Probe> = zones.iter().cloned().chain(monitors).collect();
        let named: Vec<Probe> =
            SOC_SENSORS.iter().filter_map(|wanted| all.iter().find(|p| p.name == *wanted)).cloned().collect();
        let is_named = !named.is_empty();
        let mut with_identity = |probe: Probe| {
            let dir = probe.path.parent()?;
            let file = ["type", "name"].into_iter().map(|f| dir.join(f)).find(|p| p.is_file())?;
            read_text(&file, buffer).ok()?;
            Some(Sensor { probe, identity: file, was: buffer.clone() })
        };
        let found = if is_named { named } else { zones };
        let sensors: Vec<Sensor> = found.into_iter().filter_map(&mut with_identity).collect();
        Soc { seen: !sensors.is_empty(), sensors, named: is_named }
    }

    /// Looks for them anew.
    pub(super) fn look_again(&mut self, roots: &Roots, buffer: &mut String) {
        let found = Soc::find(roots, buffer);
        *self = Soc { seen: self.seen || found.seen, ..found };
    }

    /// The sensors that the temperature is taken from, best first.
    pub(super) fn probes(&self) -> impl Iterator<Item = &Probe> {
        // The others of those known by name stand by, for when the first one fails.
        self.sensors.iter().map(|s| &s.probe).take(if self.named { 1 } else { usize::MAX })
    }

    /// The temperature in °C. Sensors known by name: the best one whose value can be. Others: the hottest that can be. Where
    /// no value can be, the first one as it is, since whether to believe it is the governor's to judge; `None` when nothing
    /// can be read.
    pub(super) fn celsius(&mut self, roots: &Roots, buffer: &mut String) -> Option<f32> {
        let stays = self.sensors.iter().all(|s| read_text(&s.identity, buffer).is_ok() && *buffer == s.was);
        if !stays || (self.sensors.is_empty() && self.seen) {
            self.look_again(roots, buffer);
        }
        let values: Vec<f64> = self.sensors.iter().filter_map(|s| s.probe.read(buffer).ok()).collect();
        let mut plausible = values.iter().copied().filter(|v| PLAUSIBLE_CELSIUS.contains(v));
        let best = if self.named { plausible.next() } else { plausible.reduce(f64::max) };
        best.or(values.first().copied()).map(|v| v as f32)
    }
}
