//! The files that a configuration needs; everything else is given up at the start of a run by hand.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::config::{Loaded, Sandbox};
use crate::publish::requests::Verb;
use crate::runtime::status;
use crate::sys::landlock::{self, Allowed, Standing, directory};

/// Programs, libraries, settings of the system, and what the kernel tells.
const SYSTEM: [&str; 12] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix", "/run", "/proc", "/sys"];

/// Devices that every program may need; the last is the Raspberry Pi's mailbox, which knows of throttling.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/vcio"];

/// Reader of environment variables.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<std::ffi::OsString>;

/// Everything that a run of `loaded` has to reach.
pub fn needs(loaded: &Loaded, env: Env<'_>) -> Allowed {
    let config = &loaded.config;
    let list = |name: &str| env(name).map(|all| std::env::split_paths(&all).collect::<Vec<_>>()).unwrap_or_default();
    let mut read: Vec<PathBuf> = SYSTEM.map(PathBuf::from).into();
    for name in ["PATH", "LD_LIBRARY_PATH", "CREDENTIALS_DIRECTORY"] {
        read.extend(list(name));
    }
    read.extend(loaded.path.as_deref().map(directory));
    let tls = config.mqtt.tls.as_ref();
    let tls = tls.map(|t| [t.ca_file.as_ref(), t.cert_file.as_ref(), t.key_file.as_ref()]).unwrap_or_default();
    read.extend(
        tls.into_iter()
            .chain([config.mqtt.password_file.as_ref(), config.page.password_file.as_ref()])
            .flatten()
            .map(|f| directory(f)),
    );
    #[cfg(feature = "fleet")]
    if let Some(fleet) = &config.fleet {
        read.extend(fleet.files().into_iter().map(|(_, file)| directory(file)));
        let paths = fleet.models.iter().map(|model| (model, Path::new(model)));
        for (_, path) in paths.filter(|(model, path)| model.contains('/') || path.exists()) {
            read.extend([path.to_owned(), directory(path)]);
        }
    }
    if config.mqtt.transport == crate::publish::Transport::Unix {
        read.push(directory(Path::new(&config.mqtt.path)));
    }
    read.extend(config.models.dirs.iter().cloned());
    // The program starts itself for a model's trial load.
    read.extend(std::env::current_exe().ok().as_deref().map(directory));
    let mut devices: Vec<PathBuf> = DEVICES.map(PathBuf::from).into();
    for pipeline in &config.pipelines {
        let marks = pipeline.meter.as_ref().and_then(|meter| meter.marks.as_ref());
        read.extend(marks.map(|marks| directory(&marks.reference)));
        let light = pipeline.meter.as_ref().and_then(|meter| meter.light.as_ref());
        let programs = light.into_iter().flat_map(|light| light.on.iter().chain(&light.off));
        let chip = light.and_then(|light| Some(Path::new("/dev").join(&light.gpio.as_ref()?.chip)));
        devices.extend(chip);
        read.extend(programs.filter(|word| word.contains('/')).map(|word| directory(Path::new(word))));
        let paths = pipeline.models().map(|(_, model)| (model, Path::new(model)));
        for (_, path) in paths.filter(|(model, path)| model.contains('/') || path.exists()) {
            // A bundle is a directory, and its parts may be links to its neighbours.
            read.extend([path.to_owned(), directory(path)]);
        }
    }
    for (_, source) in config.declared_sources() {
        let paths = source.kind().paths();
        read.extend(paths.read);
        devices.extend(paths.devices);
    }
    let mut write: Vec<PathBuf> = crate::model::autotune::state_dir(&config.node.state_dir, env).into_iter().collect();
    write.extend(Some(config.mqtt.outbox.dir.clone()).filter(|_| config.mqtt.outbox.enabled));
    if config.mqtt.requests.allow(Verb::ConfigSet) {
        write.extend(loaded.path.as_deref().map(directory));
    }
    for name in ["STATE_DIRECTORY", "RUNTIME_DIRECTORY"] {
        write.extend(list(name));
    }
    let session = env("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    write.extend(session.map(|dir| dir.join("leptond")));
    for paths in [&mut read, &mut write, &mut devices] {
        paths.retain(|path| !path.as_os_str().is_empty());
        paths.sort();
        paths.dedup();
    }
    Allowed { read, write, devices }
}

/// The directory of the configuration, where the page may change it. A page that a reload turns on goes without: it shows what would change.
fn of_page(loaded: &Loaded) -> Option<PathBuf> {
    let page = &loaded.config.page;
    loaded.path.as_deref().filter(|_| page.enabled && page.edit).map(directory)
}

/// The restriction of this process; kept for its reloads.
#[derive(Clone, Debug)]
pub struct Given {
    allowed: Option<Allowed>,
    /// A line for the log: what is in force, or why nothing is.
    pub said: String,
}

/// Gives up what `loaded` does not need. To be called while there is one thread.
pub fn restrict(loaded: &Loaded, env: Env<'_>) -> Given {
    let nothing = |why: &str| Given { allowed: None, said: format!("landlock: not in force: {why}") };
    if loaded.config.node.sandbox == Sandbox::Off {
        return nothing("node.sandbox is \"off\"");
    }
    let mut allowed = needs(loaded, env);
    allowed.write.extend(of_page(loaded));
    allowed.write.extend(status::own_dirs(&|name| env(name).is_some()));
    // What is to be written must exist to be named; where it cannot be made, its user says so with the path.
    for dir in &allowed.write {
        let _ = std::fs::create_dir_all(dir);
    }
    let partly = match landlock::restrict(&allowed) {
        Ok(Standing::Full) => "",
        Ok(Standing::Partial) => " (as far as this kernel knows it)",
        Ok(Standing::Missing) => return nothing("this kernel has none"),
        Ok(Standing::Confined) => return nothing("systemd or a container confines this process already"),
        Err(error) => return nothing(&error.to_string()),
    };
    let said = format!(
        "landlock: in force{partly}: reads what the configuration names and the system's files, writes {}",
        allowed.write.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    Given { allowed: Some(allowed), said }
}

impl Given {
    /// Checks that this process can serve a new configuration.
    ///
    /// # Errors
    /// The first path that is out of reach, with advice.
    pub fn check(&self, loaded: &Loaded, env: Env<'_>) -> Result<(), String> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let needed = needs(loaded, env);
        let unread = needed.read.iter().find(|p| !allowed.reads(p));
        let unwritten = needed.write.iter().find(|p| !allowed.writes(p));
        let undriven = needed.devices.iter().find(|p| !allowed.devices.iter().any(|root| p.starts_with(root)));
        match unread.or(unwritten).or(undriven) {
            None => Ok(()),
            Some(path) => Err(format!(
                "{} is out of reach since the start (landlock); restart leptond to use it, or set node.sandbox = \"off\" and restart",
                path.display()
            )),
        }
    }
}
