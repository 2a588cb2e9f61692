//! The sensors that the configuration names.

use super::finding::Finding;
use super::machine::Machine;
use crate::config::Config;
use crate::source::{self, SensorConfig, SensorKind};
use crate::sys::sysfs::{self, Probe};

/// What is known of the sensor of one pipeline.
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// As configured.
    pub config: SensorConfig,
    /// Channels of the wanted device, each with its value.
    pub found: Vec<(String, Option<f64>)>,
    /// Channels of all devices of that kind.
    pub others: Vec<String>,
    /// Whether an I²C bus is there.
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

/// What to make of them.
pub fn judge(facts: &[Facts]) -> Vec<Finding> {
    facts.iter().map(one).collect()
}

fn one(facts: &Facts) -> Finding {
    let Facts { pipeline: name, config, found, others, .. } = facts;
    let device = if config.path.is_empty() { "any device".into() } else { format!("{:?}", config.path) };
    if found.is_empty() {
        let finding = Finding::trouble("sensor", format!("{name}: {device} is not there"));
        if !others.is_empty() {
            return finding.advice(format!("there are: {}", others.join(", "))).command("leptond probe");
        }
        return driver(facts, finding);
    }
    let channels = &config.channels;
    let missing: Vec<&str> =
        channels.iter().filter(|c| !found.iter().any(|(name, _)| name == *c)).map(String::as_str).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        return Finding::trouble("sensor", format!("{name}: {device} has no channel {}", missing.join(", ")))
            .advice(format!("it has: {}", names.join(", ")));
    }
    let wanted = found.iter().filter(|(name, _)| channels.is_empty() || channels.contains(name));
    let (mut values, mut silent) = (Vec::new(), Vec::new());
    for (channel, value) in wanted {
        match value {
            Some(value) => values.push(format!("{channel} {value:.2}")),
            None => silent.push(channel.as_str()),
        }
    }
    if !silent.is_empty() {
        return Finding::trouble("sensor", format!("{name}: {} cannot be read", silent.join(", ")))
            .advice("a loose wire, or the driver's words:")
            .command("sudo dmesg | grep -iE 'iio|i2c|hwmon' | tail");
    }
    Finding::ok("sensor", format!("{name}: {}", values.join(", ")))
}

/// How its driver comes to be loaded.
fn driver(facts: &Facts, finding: Finding) -> Finding {
    let Some(boot) = facts.boot_config else {
        return finding.advice("is its driver loaded?").command("leptond probe");
    };
    let finding = if facts.i2c { finding } else { finding.command("sudo raspi-config nonint do_i2c 0") };
    let known =
        ["bme280", "bmp280", "bme680", "sht3x", "aht10", "htu21", "lm75", "si7020", "veml7700", "bh1750", "tsl4531"];
    let overlay = known
        .iter()
        .find(|k| facts.config.path.contains(**k))
        .map_or_else(|| "i2c-sensor,NAME".to_owned(), |k| format!("i2c-sensor,{k}"));
    finding
        .advice(format!("the firmware loads its driver by a line in {boot}; dtoverlay -h i2c-sensor lists the names"))
        .command(format!("echo 'dtoverlay={overlay}' | sudo tee -a {boot}"))
        .command("sudo reboot")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn check(found: &[(&str, Option<f64>)], others: &[&str], channels: &[&str], level: Level, part: &str) {
        let facts = Facts {
            pipeline: "air".into(),
            config: SensorConfig {
                kind: SensorKind::Iio,
                path: "bme280".into(),
                channels: channels.iter().map(|c| (*c).to_owned()).collect(),
                ..SensorConfig::default()
            },
            found: found.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            others: others.iter().map(|o| (*o).to_owned()).collect(),
            i2c: false,
            boot_config: Some("/boot/firmware/config.txt"),
        };
        let finding = one(&facts);
        assert!(finding.level == level && format!("{finding:?}").contains(part), "{part}: {finding:?}");
    }

    #[test]
    fn each_state_of_a_sensor() {
        check(&[("bme280_temp_celsius", Some(21.43))], &[], &[], Level::Ok, "21.43");
        check(&[], &[], &[], Level::Trouble, "dtoverlay=i2c-sensor,bme280");
        check(&[], &[], &[], Level::Trouble, "do_i2c 0");
        check(&[], &["lm75_temp_celsius"], &[], Level::Trouble, "there are: lm75");
        check(&[("a", Some(1.0))], &[], &["b"], Level::Trouble, "no channel b");
        check(&[("a", None)], &[], &["a"], Level::Trouble, "a cannot be read");
    }
}
