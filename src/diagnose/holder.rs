//! Processes that have a device open, by `/proc/<pid>/fd`.

use std::path::Path;

use super::machine::Machine;

/// A process that has a device open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Name of its program.
    pub name: String,
    /// The service that it belongs to: `motion.service`.
    pub unit: Option<String>,
}

impl Holder {
    /// Reports leptond itself.
    pub fn is_leptond(&self) -> bool {
        self.name == "leptond" || self.unit.as_deref() == Some("leptond.service")
    }
}

/// The processes that have `device` open, as far as this user may see it; never this process itself.
pub fn of_device(machine: &Machine, device: &Path) -> Vec<Holder> {
    processes(machine, |dir| {
        let files = std::fs::read_dir(dir.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target == device)
    })
}

/// The processes of a program.
pub fn of_program(machine: &Machine, names: &[&str]) -> Vec<Holder> {
    processes(machine, |dir| names.contains(&text(&dir.join("comm")).as_str()))
}

fn processes(machine: &Machine, wanted: impl Fn(&Path) -> bool) -> Vec<Holder> {
    let entries = std::fs::read_dir(&machine.roots.proc).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|e| Some((e.file_name().to_str()?.parse::<u32>().ok()?, e.path())));
    let mut found: Vec<Holder> = numbered
        .filter(|(pid, dir)| (!machine.is_here() || *pid != std::process::id()) && wanted(dir))
        .map(|(pid, dir)| Holder { pid, name: text(&dir.join("comm")), unit: unit(&text(&dir.join("cgroup"))) })
        .collect();
    found.sort_by_key(|holder| holder.pid);
    found
}

/// `motion.service` of `0::/system.slice/motion.service`; a person's session is no service to stop.
fn unit(cgroups: &str) -> Option<String> {
    let system = cgroups.lines().find(|line| line.contains("/system.slice/"))?;
    let name = system.rsplit('/').find(|part| part.ends_with(".service"))?;
    Some(name.to_owned())
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_service_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, comm, cgroup, target) in [
            ("812", "motion", "0::/system.slice/motion.service", "/dev/video0"),
            ("913", "mpv", "0::/user.slice/user-1000.slice/session-1.scope", "/dev/video0"),
            ("914", "other", "0::/", "/dev/video1"),
        ] {
            let process = dir.path().join("proc").join(pid);
            std::fs::create_dir_all(process.join("fd")).unwrap();
            std::fs::write(process.join("comm"), format!("{comm}\n")).unwrap();
            std::fs::write(process.join("cgroup"), format!("{cgroup}\n")).unwrap();
            std::os::unix::fs::symlink(target, process.join("fd/5")).unwrap();
        }
        let machine = Machine::new(Some(dir.path()));
        let found = of_device(&machine, Path::new("/dev/video0"));
        let holder =
            |pid, name: &str, unit: Option<&str>| Holder { pid, name: name.into(), unit: unit.map(str::to_owned) };
        assert_eq!(found, [holder(812, "motion", Some("motion.service")), holder(913, "mpv", None)]);
        assert_eq!(of_program(&machine, &["other"]).len(), 1);
    }
}
