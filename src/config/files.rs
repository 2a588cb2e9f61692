//! Files that the configuration names on this computer: models, certificates, pictures, devices, programs.

use std::fs;
use std::path::Path;

use super::Config;
use super::check::check_reach;
use super::findings::Findings;
use super::problem::{Problem, nearest, quoted};
use crate::model;
use crate::pipeline::check_marks;
use crate::source::Frames;
use crate::sys::file::{self, FileError};
use crate::sys::{Roots, sysfs};

impl Config {
    /// Looks for everything that the configuration names: what must be there is a problem, what may still come (a camera)
    /// a warning.
    pub fn check_files(&self) -> Findings {
        let mut f = Findings::default();
        if let Some(file) = &self.mqtt.password_file
            && let Some(text) = readable(file, "mqtt.password_file", &mut f)
            && text.lines().next().unwrap_or("").trim().is_empty()
        {
            f.problem(Problem::new("mqtt.password_file", "the first line is empty").found(shown(file)));
        }
        if let Some(file) = self.page.password_file.as_ref().filter(|_| self.page.enabled)
            && let Some(text) = readable(file, "page.password_file", &mut f)
            && text.lines().next().unwrap_or("").is_empty()
        {
            f.problem(Problem::new("page.password_file", "the first line is empty").found(shown(file)));
        }
        #[cfg(feature = "fleet")]
        for (key, file) in self.fleet.iter().flat_map(|fleet| fleet.files()) {
            readable(file, &format!("fleet.{key}"), &mut f);
        }
        if let Some(tls) = &self.mqtt.tls {
            for (key, file) in [
                ("mqtt.tls.ca_file", tls.ca_file.as_ref()),
                ("mqtt.tls.cert_file", tls.cert_file.as_ref()),
                ("mqtt.tls.key_file", tls.key_file.as_ref()),
            ] {
                if let Some(file) = file
                    && let Some(text) = readable(file, key, &mut f)
                    && !text.contains("-----BEGIN ")
                {
                    f.problem(
                        Problem::new(key, "not a PEM file")
                            .found(shown(file))
                            .allowed("text with a line -----BEGIN …-----"),
                    );
                }
            }
        }
        if self.node.state_dir.exists() && !self.node.state_dir.is_dir() {
            f.problem(Problem::new("node.state_dir", "not a directory").found(shown(&self.node.state_dir)));
        }
        check_zone(&self.node.thermal_zone, &Roots::default(), &mut f);
        for (i, pipeline) in self.pipelines.iter().enumerate() {
            let at = |key: &str| format!("pipeline[{i}].{key}");
            if let Some(marks) = pipeline.meter.as_ref().and_then(|meter| meter.marks.as_ref())
                && let Err(error) = check_marks(marks)
            {
                f.problem(Problem::new(at("reference"), error.to_string()));
            }
            for (key, model) in pipeline.models() {
                self.check_model(model, &at(key), &mut f);
            }
            // A source that says its size is checked without a look at it.
            if let Some(source) = self.source_of(&pipeline.source).map(crate::source::Config::kind)
                && let Frames::Pictures { size: None, .. } = source.frames()
                && let Some(size) = source.size_now()
            {
                check_reach(pipeline, size, &at, &mut f);
            }
        }
        for (prefix, source) in self.declared_sources() {
            f.take(&prefix, source.kind().check_files());
        }
        f.problems.iter_mut().for_each(|problem| problem.outside = true);
        f
    }

    fn check_model(&self, name: &str, key: &str, f: &mut Findings) {
        if model::locate(name, &self.models.dirs).is_some() || model::shipped().any(|shipped| shipped == name) {
            return;
        }
        let problem = Problem::new(key, "there is no such model").found(quoted(name));
        if name.contains('/') {
            f.problem(problem.allowed("the path of a bundle's directory or of an .onnx or .tflite file"));
            return;
        }
        let dirs: Vec<_> = self.models.dirs.iter().map(|d| d.display().to_string()).collect();
        let entries = self.models.dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let installed = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let known: Vec<String> = installed.chain(model::shipped().map(str::to_string)).collect();
        let mut problem = problem.allowed(format!("a bundle in {} (models.dirs), or a path", dirs.join(" or ")));
        let meant = nearest(name, known.iter().map(String::as_str)).map(|meant| format!("did you mean {meant:?}?"));
        let list =
            "`leptond model list` shows the models that are installed, and those that `leptond model add` installs";
        problem.help = Some(meant.unwrap_or_else(|| list.into()));
        f.problem(problem);
    }
}

/// A zone that is not there is a warning: its driver may be loaded later, and until then the governor works without.
fn check_zone(wanted: &str, roots: &Roots, f: &mut Findings) {
    // Of a hardware monitor's inputs, only temperatures can be taken.
    let monitors = || sysfs::hwmon(roots, "").into_iter().filter(|probe| probe.name.ends_with("_celsius"));
    let sensors = || sysfs::thermal(roots, "").into_iter().chain(monitors());
    if wanted.is_empty() || sensors().any(|probe| sysfs::is_called(&probe, wanted)) {
        return;
    }
    let there = sysfs::thermal_types(roots);
    let there = if there.is_empty() { "no zone at all".into() } else { there.join(", ") };
    f.warn(
        Problem::new("node.thermal_zone", "no thermal zone of this name is there now")
            .found(quoted(wanted))
            .allowed(format!("empty = found by name, or one of those here: {there}")),
    );
}

/// A larger file holds neither a password nor certificates.
const MOST_BYTES: u64 = 8 << 20;

/// A small text file, or a problem.
fn readable(file: &Path, key: &str, f: &mut Findings) -> Option<String> {
    let error = match file::read_regular(file, MOST_BYTES) {
        Ok(bytes) => return Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => error,
    };
    // A credential of systemd is there only while the service runs, which is where it is wanted.
    if file.starts_with("/run/credentials") && error.is_missing() {
        f.warn(Problem::new(key, "is there only while the service runs").found(shown(file)));
        return None;
    }
    let what = match &error {
        FileError::Kind(kind) => format!("is {kind}, a file is wanted"),
        FileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".into(),
        FileError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "this user may not read the file".into()
        }
        FileError::Io(error) => format!("cannot be read: {error}"),
        other => other.to_string(),
    };
    f.problem(Problem::new(key, what).found(shown(file)));
    None
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_temperature_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        for (file, text) in [
            ("class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("class/thermal/thermal_zone0/temp", "50000\n"),
            ("class/hwmon/hwmon0/name", "board\n"),
            ("class/hwmon/hwmon0/temp1_input", "51000\n"),
            ("class/hwmon/hwmon0/fan1_input", "1200\n"),
        ] {
            let path = sys.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let roots = Roots { sys: sys.into(), ..Roots::default() };
        for (wanted, there) in [
            ("", true),
            ("cpu-thermal", true),
            ("thermal_zone0", true),
            ("board_temp1_celsius", true),
            ("board_fan1_rpm", false),
            ("gpu-thermal", false),
        ] {
            let mut f = Findings::default();
            check_zone(wanted, &roots, &mut f);
            assert!(f.problems.is_empty(), "{wanted}: its driver may come later");
            assert_eq!(f.warnings.is_empty(), there, "{wanted}: {:?}", f.warnings);
        }
    }
}
