//! The sensors that the configuration names.

use super::Level;
use super::machine::Machine;
use crate::config::Config;
use crate::source::{self, SensorConfig, SensorKind};
use crate::sys::sysfs::{self, Probe};

/// Facts about the sensor of one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// As configured.
    pub config: SensorConfig,
    /// Channels of the wanted device, each with its value.
    pub found: Vec<(String, Option<f64>)>,
    /// Channels of all devices of that kind.
    pub others: Vec<String>,
    /// An I²C bus is there.
    pub i2c: bool,
    /// The file that loads drivers of sensors, on a Raspberry Pi.
    pub boot_config: Option<&'static str>,
}

/// Looks for them.
pub fn gather(machine: &Machine, config: &Config) -> Vec<Facts> {
    let devices = std::fs::read_dir(&machine.roots.dev).into_iter().flatten().flatten();
    let i2c = devices.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("i2c-"));
    let boot_config = ["/boot/firmware/config.txt", "/boot/config.txt"];
    let boot_config = boot_config.into_iter().find(|file| machine.path(file.as_ref()).is_file());
    let mut buffer = String::new();
    let mut all = Vec::new();
    for pipeline in &config.pipelines {
        let Some(source::Config::Sensor(sensor)) = config.source_of(&pipeline.source) else { continue };
        let find: fn(&_, &str) -> Vec<Probe> = match sensor.kind {
            SensorKind::Iio => sysfs::iio,
            SensorKind::Hwmon => sysfs::hwmon,
            SensorKind::Thermal => sysfs::thermal,
            SensorKind::Machine | SensorKind::Jsonl | SensorKind::Csv => continue,
        };
        let found = find(&machine.roots, &sensor.path);
        let found = found.into_iter().map(|probe| (probe.name.clone(), probe.read(&mut buffer).ok())).collect();
        let others = find(&machine.roots, "").into_iter().map(|probe| probe.name).collect();
        all.push(Facts {
            pipeline: pipeline.name.to_string(),
            config: sensor.clone(),
            found,
            others,
            i2c,
            boot_config,
        });
    }
    all
}

/// A finding about the sensor of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The facts that it rests on.
    pub facts: Facts,
    /// State of the sensor.
    pub state: State,
}

/// State of a configured sensor.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is not there.
    Absent,
    /// It lacks channels that the configuration names.
    ChannelsMissing(Vec<String>),
    /// Channels cannot be read.
    Silent(Vec<String>),
    /// The wanted channels with their values.
    Works(Vec<(String, f64)>),
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self.state {
            State::Absent | State::ChannelsMissing(_) | State::Silent(_) => Level::Trouble,
            State::Works(_) => Level::Ok,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: Vec<Facts>) -> Vec<Finding> {
    facts.into_iter().map(|facts| Finding { state: state(&facts), facts }).collect()
}

fn state(facts: &Facts) -> State {
    let Facts { config, found, .. } = facts;
    if found.is_empty() {
        return State::Absent;
    }
    let channels = &config.channels;
    let missing: Vec<String> =
        channels.iter().filter(|channel| !found.iter().any(|(name, _)| name == *channel)).cloned().collect();
    if !missing.is_empty() {
        return State::ChannelsMissing(missing);
    }
    let wanted = found.iter().filter(|(name, _)| channels.is_empty() || channels.contains(name));
    let (mut values, mut silent) = (Vec::new(), Vec::new());
    for (channel, value) in wanted {
        match value {
            Some(value) => values.push((channel.clone(), *value)),
            None => silent.push(channel.clone()),
        }
    }
    if silent.is_empty() { State::Works(values) } else { State::Silent(silent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[(&str, Option<f64>)], channels: &[&str], level: Level, state: State) {
        let facts = Facts {
            pipeline: "air".into(),
            config: SensorConfig {
                kind: SensorKind::Iio,
                path: "bme280".into(),
                channels: channels.iter().map(|c| (*c).to_owned()).collect(),
                ..SensorConfig::default()
            },
            found: found.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            others: Vec::new(),
            i2c: false,
            boot_config: None,
        };
        let findings = judge(vec![facts]);
        assert_eq!((findings[0].level(), &findings[0].state), (level, &state));
    }

    #[test]
    fn each_state_of_a_sensor() {
        check(&[("t", Some(21.43)), ("h", None)], &["t"], Level::Ok, State::Works(vec![("t".into(), 21.43)]));
        check(&[], &[], Level::Trouble, State::Absent);
        check(&[("a", Some(1.0))], &["b"], Level::Trouble, State::ChannelsMissing(vec!["b".into()]));
        check(&[("a", None)], &["a"], Level::Trouble, State::Silent(vec!["a".into()]));
    }
}
