//! `iio`, `hwmon` and `thermal`: sensors below `/sys`, which may be unplugged and come back under another number.

use std::path::PathBuf;
use std::time::Instant;

use super::config::SensorKind;
use super::reading::{Read, Reading};
use crate::source::backoff::Backoff;
use crate::source::contract::SourceError;
use crate::sys::Roots;
use crate::sys::sysfs::{self, Probe};

/// The probes of one kind and device name.
///
/// The channels are those asked for, or else those of the first time that anything was found; from then on a channel
/// whose device is away reads as NaN. `Lost` is told once, when the last of them goes.
#[derive(Debug)]
pub struct Sysfs {
    roots: Roots,
    find: fn(&Roots, &str) -> Vec<Probe>,
    /// The devices looked for, for people.
    origin: String,
    wanted: String,
    channels: Vec<String>,
    /// One per channel; `None` while its device is away.
    probes: Vec<Option<Probe>>,
    backoff: Backoff,
    buffer: String,
}

impl Sysfs {
    /// Probes of `kind` on devices called `wanted` (empty = all), `channels` of them (empty = all).
    pub fn new(roots: Roots, kind: SensorKind, wanted: &str, channels: &[String]) -> Self {
        let (find, dir): (fn(&Roots, &str) -> Vec<Probe>, _) = match kind {
            SensorKind::Iio => (sysfs::iio, "bus/iio/devices"),
            SensorKind::Hwmon => (sysfs::hwmon, "class/hwmon"),
            _ => (sysfs::thermal, "class/thermal"),
        };
        let device = if wanted.is_empty() { "any device" } else { wanted };
        Sysfs {
            origin: format!("{device} in {}", roots.sys.join(dir).display()),
            find,
            wanted: wanted.into(),
            channels: channels.to_vec(),
            probes: vec![None; channels.len()],
            backoff: Backoff::default(),
            buffer: String::new(),
            roots,
        }
    }

    /// Looks for the devices again; says why when there is nothing.
    fn discover(&mut self) -> Result<(), String> {
        let found = (self.find)(&self.roots, &self.wanted);
        if self.channels.is_empty() {
            self.channels = found.iter().map(|p| p.name.clone()).collect();
        }
        // Devices of one name are told apart by their order, in which those behind one that went away move up. A file that is
        // read for one channel is not taken for another one.
        let used: Vec<Option<PathBuf>> = self.probes.iter().map(|p| p.as_ref().map(|p| p.path.clone())).collect();
        self.probes.resize(self.channels.len(), None);
        for (channel, name) in self.channels.iter().enumerate() {
            let of_another =
                |p: &Probe| used.iter().enumerate().any(|(i, u)| i != channel && u.as_ref() == Some(&p.path));
            if let Some(slot) = self.probes.get_mut(channel).filter(|slot| slot.is_none()) {
                *slot = found.iter().find(|p| p.name == *name && !of_another(p)).cloned();
            }
        }
        if found.is_empty() {
            return Err(format!("{} is not there", self.origin));
        }
        if self.probes.iter().all(Option::is_none) {
            let names: Vec<&str> = found.iter().map(|p| p.name.as_str()).collect();
            return Err(format!("{} has none of the channels asked for; it has {}", self.origin, names.join(", ")));
        }
        Ok(())
    }
}

impl Reading for Sysfs {
    fn channels(&self) -> &[String] {
        &self.channels
    }

    fn read(&mut self, now: Instant, row: &mut Vec<f32>) -> Result<Read, SourceError> {
        let whole = !self.probes.is_empty() && self.probes.iter().all(Option::is_some);
        if !whole {
            let away = self.probes.iter().all(Option::is_none);
            if self.backoff.is_due(now) {
                let found = self.discover();
                if self.probes.iter().any(Option::is_none) || found.is_err() {
                    self.backoff.failed(now);
                }
                if let Err(reason) = found {
                    return Ok(Read::Idle(reason));
                }
            } else if away {
                return Ok(Read::Idle(format!("{} is not there", self.origin)));
            }
        }
        row.clear();
        let (mut trouble, mut values) = (None, 0);
        for probe in &mut self.probes {
            let value = match probe.as_ref().map(|p| p.read(&mut self.buffer)) {
                Some(Ok(value)) => {
                    values += 1;
                    value as f32
                }
                Some(Err(error)) => {
                    if error.missing {
                        *probe = None;
                    }
                    trouble = Some(error);
                    f32::NAN
                }
                None => f32::NAN,
            };
            row.push(value);
        }
        if values > 0 {
            if trouble.is_none() {
                self.backoff.worked();
            }
            return Ok(Read::Row);
        }
        match trouble {
            Some(error) if self.probes.iter().any(Option::is_some) => {
                Err(SourceError::Bad { origin: error.path.display().to_string(), reason: error.reason })
            }
            trouble => {
                self.backoff.failed(now);
                let reason = trouble.map_or_else(|| "it went away".into(), |e| e.to_string());
                Err(SourceError::Lost { origin: self.origin.clone(), reason })
            }
        }
    }
}

#[cfg(test)]
mod tests;
