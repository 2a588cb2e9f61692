//! The processor's temperature sensor, found again by name whenever drivers come, go or renumber.
//!
//! Sensors are ranked by name ([`Class`]), and the hottest plausible one of the best rank counts. A sensor that has only ever
//! shown exactly 0 or 100 °C is implausible: regulators and drivers without a measurement show these values. Where names say
//! nothing, a single zone is taken for the board's; of several zones, only those seen to change count, because a constant could
//! stay the hottest for ever.

use std::path::PathBuf;

use super::zones::{Class, class_of_zone, is_cpu_monitor};
use crate::sys::Roots;
use crate::sys::proc::read_text;
use crate::sys::sysfs::{self, Probe};

/// Plausible temperatures of a running processor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -30.0..=125.0;

/// Values shown by sensors without a measurement.
const CONSTANTS_CELSIUS: [f64; 2] = [0.0, 100.0];

/// The temperature sensors of a board.
#[derive(Default)]
pub(super) struct Soc {
    /// Configured zone; empty = none.
    wanted: String,
    /// Candidates for the processor's temperature, best rank first.
    sensors: Vec<Sensor>,
    /// Names of zones that measure something else.
    left_out: Vec<String>,
    /// Rank of the last temperature, or of the next.
    rank: Option<Class>,
    /// A sensor was found before; it is searched for at every reading until it is back. A board that never had one is spared the
    /// search.
    seen: bool,
}

/// A sensor with the properties that its directory had when it was found. Zones and monitors are renumbered when drivers are
/// reloaded, and the old path may then be another sensor's.
struct Sensor {
    probe: Probe,
    class: Class,
    identity: PathBuf,
    was: String,
    first: Option<f64>,
    /// Its value has changed at least once.
    moved: bool,
}

impl Sensor {
    fn read(&mut self, buffer: &mut String) -> Option<f64> {
        let value = self.probe.read(buffer).ok()?;
        let first = *self.first.get_or_insert(value);
        self.moved |= first.to_bits() != value.to_bits();
        Some(value)
    }

    fn is_constant(&self, value: f64) -> bool {
        !self.moved && CONSTANTS_CELSIUS.contains(&value)
    }
}

impl Soc {
    /// Finds the sensors. `wanted` is a zone's type, its directory (`thermal_zone0`) or a name shown by `probe`; empty = by rank.
    pub(super) fn find(roots: &Roots, wanted: &str, buffer: &mut String) -> Self {
        let zones = sysfs::thermal(roots, "");
        let monitors = sysfs::hwmon(roots, "").into_iter().filter(|p| p.name.ends_with("_celsius"));
        let mut soc = Soc { wanted: wanted.into(), ..Soc::default() };
        for (probe, is_zone) in zones.into_iter().map(|z| (z, true)).chain(monitors.map(|m| (m, false))) {
            let Some(dir) = probe.path.parent() else { continue };
            let Some(identity) = ["type", "name"].into_iter().map(|f| dir.join(f)).find(|p| p.is_file()) else {
                continue;
            };
            if read_text(&identity, buffer).is_err() {
                continue;
            }
            let name = buffer.trim();
            let class = match (wanted.is_empty(), is_zone) {
                (false, _) => sysfs::is_called(&probe, wanted).then_some(Class::Named),
                (true, true) => class_of_zone(name),
                (true, false) => is_cpu_monitor(&probe.name).then_some(Class::Monitor),
            };
            match class {
                Some(class) => {
                    let was = buffer.clone();
                    soc.sensors.push(Sensor { probe, class, identity, was, first: None, moved: false });
                }
                None if is_zone => soc.left_out.push(name.to_owned()),
                None => {}
            }
        }
        soc.sensors.sort_by_key(|sensor| sensor.class);
        soc.rank = soc.sensors.first().map(|sensor| sensor.class);
        soc.seen = soc.rank.is_some();
        soc
    }

    /// Searches again.
    pub(super) fn look_again(&mut self, roots: &Roots, buffer: &mut String) {
        let mut found = Soc::find(roots, &self.wanted, buffer);
        for sensor in &mut found.sensors {
            let before = self.sensors.iter().find(|s| s.identity == sensor.identity && s.was == sensor.was);
            if let Some(before) = before {
                (sensor.first, sensor.moved) = (before.first, before.moved);
            }
        }
        found.seen |= self.seen;
        *self = found;
    }

    /// Applies a newly configured zone.
    pub(super) fn set_wanted(&mut self, wanted: &str, roots: &Roots, buffer: &mut String) {
        if wanted != self.wanted {
            *self = Soc::find(roots, wanted, buffer);
        }
    }

    /// Sensors of the last temperature, or of the next.
    pub(super) fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.sensors.iter().filter(|s| Some(s.class) == self.rank).map(|s| &s.probe)
    }

    /// Reason for the choice of sensors, or for none; empty where the name is conclusive.
    pub(super) fn choice(&self) -> String {
        let left_out = match self.left_out.is_empty() || !self.wanted.is_empty() {
            true => String::new(),
            false => format!("; not the processor's: {}", self.left_out.join(", ")),
        };
        let alone = self.probes().count() == 1;
        let names_one = "[node] thermal_zone names one";
        match self.rank {
            None if !self.wanted.is_empty() => {
                format!("[node] thermal_zone is {:?}, and there are {}", self.wanted, listed(&self.left_out))
            }
            None if self.sensors.is_empty() && self.left_out.is_empty() => String::new(),
            None => {
                let names: Vec<&str> = self.sensors.iter().map(|s| s.was.trim()).collect();
                let which = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
                format!("which{which} is the processor's cannot be told{left_out}; {names_one}")
            }
            Some(Class::Named) => "named by [node] thermal_zone".into(),
            Some(Class::Cpu | Class::Monitor | Class::Chip) if alone && self.left_out.is_empty() => String::new(),
            Some(Class::Cpu) if alone => format!("the processor's{left_out}"),
            Some(Class::Chip) if alone => format!("the chip's{left_out}"),
            Some(Class::Monitor) if alone => format!("the processor's monitor{left_out}"),
            Some(Class::Cpu | Class::Chip | Class::Monitor) => format!("the hottest of the processor's{left_out}"),
            Some(Class::Neighbour) => format!("no zone of the processor, but on the same chip{left_out}"),
            Some(Class::Acpi) => format!("no zone of the processor, but ACPI's{left_out}"),
            Some(Class::Unknown) if alone => format!("the only zone, of unknown kind{left_out}; {names_one}"),
            Some(Class::Unknown) => {
                format!("the hottest of the changing zones, of unknown kind{left_out}; {names_one}")
            }
        }
    }

    /// The temperature in °C. Where no sensor of any rank is plausible, the value of the best one as it is, for the governor to
    /// judge; `None` when nothing can be read, or the processor's zone is ambiguous.
    pub(super) fn celsius(&mut self, roots: &Roots, buffer: &mut String) -> Option<f32> {
        let stays = self.sensors.iter().all(|s| read_text(&s.identity, buffer).is_ok() && *buffer == s.was);
        if !stays || (self.sensors.is_empty() && self.seen) {
            self.look_again(roots, buffer);
        }
        let unknown = self.sensors.iter().filter(|s| s.class == Class::Unknown).count();
        let mut best: Option<(Class, f64)> = None;
        let mut unbelievable = None;
        for sensor in &mut self.sensors {
            if best.is_some_and(|(class, _)| class < sensor.class) {
                break;
            }
            let Some(value) = sensor.read(buffer) else { continue };
            if sensor.class != Class::Named {
                if sensor.is_constant(value) || (sensor.class == Class::Unknown && unknown > 1 && !sensor.moved) {
                    continue;
                }
                if !PLAUSIBLE_CELSIUS.contains(&value) {
                    if sensor.class != Class::Unknown {
                        unbelievable = unbelievable.or(Some((sensor.class, value)));
                    }
                    continue;
                }
            }
            if best.is_none_or(|(_, hottest)| value > hottest) {
                best = Some((sensor.class, value));
            }
        }
        let taken = best.or(unbelievable);
        self.rank = taken.map(|(class, _)| class);
        taken.map(|(_, value)| value as f32)
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no zones".into() } else { names.join(", ") }
}
