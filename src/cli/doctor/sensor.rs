//! Words about sensors.

use super::shown::Shown;
use crate::diagnose::sensor::{Facts, Finding, State};

/// Drivers that the firmware's overlay `i2c-sensor` knows by these names.
const OVERLAYS: [&str; 11] =
    ["bme280", "bmp280", "bme680", "sht3x", "aht10", "htu21", "lm75", "si7020", "veml7700", "bh1750", "tsl4531"];

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let Facts { pipeline: name, config, found, others, .. } = &finding.facts;
    let device = if config.path.is_empty() { "any device".into() } else { format!("{:?}", config.path) };
    let shown = |text: String| Shown::new(finding.level(), "sensor", text);
    match &finding.state {
        State::Absent => {
            let shown = shown(format!("{name}: {device} is not there"));
            match others.is_empty() {
                true => driver(&finding.facts, shown),
                false => shown.advice(format!("there are: {}", others.join(", "))).command("leptond probe"),
            }
        }
        State::ChannelsMissing(missing) => {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            shown(format!("{name}: {device} has no channel {}", missing.join(", ")))
                .advice(format!("it has: {}", names.join(", ")))
        }
        State::Silent(silent) => shown(format!("{name}: {} cannot be read", silent.join(", ")))
            .advice("a loose wire, or the driver's words:")
            .command("sudo dmesg | grep -iE 'iio|i2c|hwmon' | tail"),
        State::Works(values) => {
            let values: Vec<String> = values.iter().map(|(channel, value)| format!("{channel} {value:.2}")).collect();
            shown(format!("{name}: {}", values.join(", ")))
        }
    }
}

/// The steps by which its driver comes to be loaded.
fn driver(facts: &Facts, shown: Shown) -> Shown {
    let Some(boot) = facts.boot_config else {
        return shown.advice("is its driver loaded?").command("leptond probe");
    };
    let shown = if facts.i2c { shown } else { shown.command("sudo raspi-config nonint do_i2c 0") };
    let known = OVERLAYS.iter().find(|known| facts.config.path.contains(**known)).unwrap_or(&"NAME");
    shown
        .advice(format!("the firmware loads its driver by a line in {boot}; dtoverlay -h i2c-sensor lists the names"))
        .command(format!("echo 'dtoverlay=i2c-sensor,{known}' | sudo tee -a {boot}"))
        .command("sudo reboot")
}
