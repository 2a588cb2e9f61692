//! Sensors below `/sys`: thermal zones, hardware monitors, industrial I/O devices.
//!
//! Each becomes a list of [`Probe`]s: a file with one integer, and its conversion to a physical unit by the kernel's
//! `Documentation/ABI/testing/sysfs-bus-iio`, `Documentation/hwmon/sysfs-interface.rst` and
//! `Documentation/driver-api/thermal/sysfs-api.rst`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Roots;
use super::proc::{ReadError, read_text};

/// One number below `/sys`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Device, channel and unit: `cpu_thermal_celsius`, `bme280_pressure_kpa`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Added to the file's number before scaling.
    pub offset: f64,
    /// Factor from the file's number to the unit in `name`.
    pub scale: f64,
}

impl Probe {
    /// Reads the value in the unit of its name, through `buffer`.
    ///
    /// # Errors
    /// [`ReadError`], `missing` when the device was removed.
    pub fn read(&self, buffer: &mut String) -> Result<f64, ReadError> {
        let raw = number(&self.path, buffer)?;
        Ok((raw + self.offset) * self.scale)
    }
}

/// Reads a file with one number.
///
/// # Errors
/// [`ReadError`] naming the file.
pub fn number(path: &Path, buffer: &mut String) -> Result<f64, ReadError> {
    read_text(path, buffer)?;
    let text = buffer.trim();
    text.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| ReadError {
        path: path.into(),
        reason: format!("{:?} is not a number", text.chars().take(40).collect::<String>()),
        missing: false,
    })
}

/// Thermal zones of type `wanted` (empty = all) as `<type>_celsius`, in the order of their numbers.
pub fn thermal(roots: &Roots, wanted: &str) -> Vec<Probe> {
    let mut probes = Vec::new();
    for dir in numbered(&roots.sys.join("class/thermal"), "thermal_zone") {
        let Some(name) = word(&dir.join("type")).filter(|n| is_wanted(n, wanted)) else { continue };
        probes.push(Probe {
            name: format!("{}_celsius", plain(&name)),
            path: dir.join("temp"),
            offset: 0.0,
            scale: 1e-3,
        });
    }
    distinct(probes)
}

/// Types of the thermal zones, in the order of their numbers.
pub fn thermal_types(roots: &Roots) -> Vec<String> {
    let zones = numbered(&roots.sys.join("class/thermal"), "thermal_zone");
    zones.iter().filter_map(|dir| word(&dir.join("type"))).collect()
}

/// Matches a sensor by name: type or directory of a thermal zone, or the name of a zone's or hardware monitor's [`Probe`].
pub fn is_called(probe: &Probe, wanted: &str) -> bool {
    let dir = probe.path.parent();
    let kind = dir.and_then(|dir| word(&dir.join("type")));
    let of_zone = |kind: String| {
        kind == wanted
            || plain(&kind) == plain(wanted)
            || dir.and_then(Path::file_name).is_some_and(|name| name.to_str() == Some(wanted))
    };
    probe.name == wanted || kind.is_some_and(of_zone)
}

/// Inputs of the hardware monitors named `wanted` (empty = all): `<monitor>_<label>_<unit>`.
pub fn hwmon(roots: &Roots, wanted: &str) -> Vec<Probe> {
    // Kind, unit, and the value of one step in that unit.
    const KINDS: [(&str, &str, f64); 8] = [
        ("temp", "celsius", 1e-3),
        ("in", "volts", 1e-3),
        ("curr", "amperes", 1e-3),
        ("power", "watts", 1e-6),
        ("energy", "joules", 1e-6),
        ("humidity", "percent", 1e-3),
        ("fan", "rpm", 1.0),
        ("freq", "hz", 1.0),
    ];
    let mut probes = Vec::new();
    for dir in numbered(&roots.sys.join("class/hwmon"), "hwmon") {
        let Some(monitor) = word(&dir.join("name")).filter(|n| is_wanted(n, wanted)) else { continue };
        for file in names(&dir) {
            let Some(input) = file.strip_suffix("_input") else { continue };
            let kind = input.trim_end_matches(|c: char| c.is_ascii_digit());
            let Some(&(_, unit, scale)) = KINDS.iter().find(|k| k.0 == kind) else { continue };
            let label = word(&dir.join(format!("{input}_label"))).unwrap_or_else(|| input.into());
            let name = format!("{}_{}_{unit}", plain(&monitor), plain(&label));
            probes.push(Probe { name, path: dir.join(&file), offset: 0.0, scale });
        }
    }
    distinct(probes)
}

/// Input channels of the industrial I/O devices named `wanted` (empty = all): `<device>_<channel>_<unit>`.
///
/// A raw channel is `(raw + offset) × scale`, with the channel's own offset and scale or those shared by its type. A processed
/// one (`in_…_input`) has the ABI's unit already and is preferred.
pub fn iio(roots: &Roots, wanted: &str) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut buffer = String::new();
    for dir in numbered(&roots.sys.join("bus/iio/devices"), "iio:device") {
        let Some(device) = word(&dir.join("name")).filter(|n| is_wanted(n, wanted)) else { continue };
        let files = names(&dir);
        for file in &files {
            let Some(name) = file.strip_prefix("in_") else { continue };
            let (channel, raw) = match (name.strip_suffix("_raw"), name.strip_suffix("_input")) {
                (Some(channel), _) if !files.contains(&format!("in_{channel}_input")) => (channel, true),
                (_, Some(channel)) => (channel, false),
                _ => continue,
            };
            let kind = channel.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or(channel);
            let mut setting = |what: &str| {
                let own = dir.join(format!("in_{channel}_{what}"));
                let shared = dir.join(format!("in_{kind}_{what}"));
                number(&own, &mut buffer).or_else(|_| number(&shared, &mut buffer)).ok()
            };
            let (offset, scale) =
                if raw { (setting("offset").unwrap_or(0.0), setting("scale").unwrap_or(1.0)) } else { (0.0, 1.0) };
            let (unit, factor) = iio_unit(kind);
            let mut name = format!("{}_{}", plain(&device), plain(channel));
            if !unit.is_empty() {
                name = format!("{name}_{unit}");
            }
            probes.push(Probe { name, path: dir.join(file), offset, scale: scale * factor });
        }
    }
    distinct(probes)
}

/// Unit of a kind of channel, and the ABI's own unit in it.
fn iio_unit(kind: &str) -> (&'static str, f64) {
    match kind {
        "temp" => ("celsius", 1e-3),
        "humidityrelative" => ("percent", 1e-3),
        "pressure" => ("kpa", 1.0),
        "accel" => ("m_per_s2", 1.0),
        "anglvel" => ("rad_per_s", 1.0),
        "magn" => ("gauss", 1.0),
        "voltage" => ("volts", 1e-3),
        "current" => ("amperes", 1e-3),
        "power" => ("watts", 1e-3),
        "resistance" => ("ohms", 1.0),
        "illuminance" => ("lux", 1.0),
        "concentration" => ("percent", 1.0),
        "distance" => ("m", 1.0),
        _ => ("", 1.0),
    }
}

/// Directories `<prefix><number>` in `dir`, by number.
fn numbered(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> =
        names(dir).iter().filter_map(|name| Some((name.strip_prefix(prefix)?.parse().ok()?, dir.join(name)))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Names in a directory, sorted with embedded numbers by value; none when it cannot be read.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_by_cached_key(|name| {
        let head = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let digits = head.len() - head.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = head.get(..digits).and_then(|d| d.parse::<u64>().ok());
        (name[..name.len() - head.len()].to_owned(), number, name.clone())
    });
    names
}

/// The first line of a file, if it has one.
fn word(path: &Path) -> Option<String> {
    let mut text = String::new();
    read_text(path, &mut text).ok()?;
    text.lines().next().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty())
}

fn is_wanted(name: &str, wanted: &str) -> bool {
    wanted.is_empty() || name == wanted || plain(name) == wanted
}

/// Lower case with `_` for everything except letters and digits, as a channel name.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out.trim_matches('_').to_owned()
}

/// Makes names unique: the second of one name becomes `cpu_thermal_2_celsius`, unless that name is taken.
fn distinct(mut probes: Vec<Probe>) -> Vec<Probe> {
    let mut taken: HashSet<String> = probes.iter().map(|p| p.name.clone()).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for probe in &mut probes {
        let earlier = seen.entry(probe.name.clone()).or_default();
        *earlier += 1;
        if *earlier > 1 {
            let (head, unit) = probe.name.rsplit_once('_').unwrap_or((&probe.name, ""));
            let free = (*earlier..).map(|n| format!("{head}_{n}_{unit}")).find(|name| !taken.contains(name));
            probe.name = free.unwrap_or_default();
            taken.insert(probe.name.clone());
        }
    }
    probes
}

#[cfg(test)]
mod tests;
