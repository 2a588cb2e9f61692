//! The processor's temperature: which sensor it is, found again by name whenever drivers come, go or change their numbers.
//!
//! Sensors are ranked by what their names say ([`Class`]), and the hottest of the best rank that has a believable one counts. A
//! sensor that has said exactly 0 or 100 °C and nothing else is not believed: those are what regulators and drivers without a
//! measurement show. Where names say nothing at all, one zone alone is taken for the board's; of several, only those that were
//! seen to change, because a constant would be the hottest for ever.

use std::path::PathBuf;

use super::zones::{Class, class_of_zone, is_cpu_monitor};
use crate::sys::Roots;
use crate::sys::proc::read_text;
use crate::sys::sysfs::{self, Probe};

/// A temperature outside of this is no temperature of a running processor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -30.0..=125.0;

/// Values that sensors without a measurement show.
const CONSTANTS_CELSIUS: [f64; 2] = [0.0, 100.0];

/// The sensors of this board.
#[derive(Default)]
pub(super) struct Soc {
    /// Zone that the configuration names; empty = none.
    wanted: String,
    /// Those that can be the processor's, best rank first.
    sensors: Vec<Sensor>,
    /// Names of zones that are something else's.
    left_out: Vec<String>,
    /// Rank that the last temperature was taken from, or would be.
    rank: Option<Class>,
    /// There was one once: it is looked for at every reading until it is back. A board that never had one is spared that.
    seen: bool,
}

/// A sensor with what its directory said about itself when it was found: numbers of zones and monitors are given anew
/// when drivers are loaded again, and the old path may then be a neighbour's.
struct Sensor {
    probe: Probe,
    class: Class,
    identity: PathBuf,
    was: String,
    first: Option<f64>,
    /// It has said something else than at first.
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
    /// Looks for them; `wanted` is a zone's type, its directory (`thermal_zone0`) or a name that `probe` shows, empty = by rank.
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

    /// Looks for them anew.
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

    /// Takes the zone that a new configuration names.
    pub(super) fn set_wanted(&mut self, wanted: &str, roots: &Roots, buffer: &mut String) {
        if wanted != self.wanted {
            *self = Soc::find(roots, wanted, buffer);
        }
    }

    /// The sensors that the last temperature was taken from, or the next will be.
    pub(super) fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.sensors.iter().filter(|s| Some(s.class) == self.rank).map(|s| &s.probe)
    }

    /// Why these sensors, or why none; empty where the name alone says it.
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
            Some(Class::Unknown) if alone => format!("the only zone, whatever it measures{left_out}; {names_one}"),
            Some(Class::Unknown) => {
                format!("the hottest of those that change, whatever they measure{left_out}; {names_one}")
            }
        }
    }

    /// The temperature in °C. Where no sensor of any rank is believable, what the best one says as it is, since whether to
    /// believe it is the governor's to judge; `None` when nothing can be read, or which one is the processor's cannot be told.
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
