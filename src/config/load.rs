//! Loading: file, environment and flags become one checked [`Config`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::findings::Findings;
use super::layers::{Layers, Override};
use super::problem::{ConfigErrors, Origin, Problem};
use super::root::Config;
use super::secret::masked;
use super::{path, walk};
use crate::sys::file::{self, FileError};

/// Default configuration file.
pub const DEFAULT_FILE: &str = "/etc/leptond/leptond.toml";

/// Largest configuration file.
pub(super) const MOST_BYTES: u64 = 4 << 20;

/// Inputs of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The file given by `--config`; `None` = [`DEFAULT_FILE`].
    pub file: Option<PathBuf>,
    /// Environment variables; only those with the prefix `LEPTOND_` are read.
    pub env: Vec<(OsString, OsString)>,
    /// Values from the command line, of highest priority.
    pub overrides: Vec<Override>,
    /// Skips the check that named files exist, for a configuration of another computer.
    pub skip_files: bool,
    /// Reports problems with named files, models and programs as warnings: the daemon waits for them, or continues without.
    pub waits: bool,
}

impl Options {
    /// Options with this process's environment.
    pub fn from_process(file: Option<PathBuf>, overrides: Vec<Override>) -> Self {
        Options { file, env: std::env::vars_os().collect(), overrides, skip_files: false, waits: false }
    }
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Origin of each value that is not a default, by dotted path.
    pub sources: BTreeMap<String, Origin>,
    /// Warnings.
    pub warnings: Vec<Problem>,
    /// SHA-256 of the effective values in hex, without secrets: equal for equal behaviour.
    pub digest: String,
    /// The file that was read; `None` when everything came from the environment and flags.
    pub path: Option<PathBuf>,
}

impl Loaded {
    /// A built-in configuration.
    pub fn built_in(config: Config) -> Self {
        let digest = digest(&config);
        Loaded { config, sources: BTreeMap::new(), warnings: Vec::new(), digest, path: None }
    }
}

/// Reads, layers and checks a configuration.
///
/// # Errors
/// All problems, in the order of the file.
pub fn load(options: &Options) -> Result<Loaded, ConfigErrors> {
    let file = options.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let text = match read(&file) {
        Ok(text) => Some(text),
        Err(Unreadable::Missing) if options.file.is_none() => None,
        Err(why) => return Err(why.problem(&file).into()),
    };
    layered(text.as_deref(), file, options)
}

/// As [`load`], with `text` as the content of the file.
///
/// # Errors
/// All problems, in the order of the text.
pub fn load_text(text: &str, options: &Options) -> Result<Loaded, ConfigErrors> {
    layered(Some(text), options.file.clone().unwrap_or_else(|| DEFAULT_FILE.into()), options)
}

/// The text of the configuration file at `path`.
///
/// # Errors
/// The reason for which it cannot be read.
pub fn text(path: &Path) -> Result<String, ConfigErrors> {
    read(path).map_err(|why| why.problem(path).into())
}

fn layered(text: Option<&str>, file: PathBuf, options: &Options) -> Result<Loaded, ConfigErrors> {
    let mut layers = Layers::new();
    if let Some(text) = text {
        layers.file(&file, text);
    }
    layers.environment(&options.env);
    layers.overrides(&options.overrides);
    if text.is_none() && layers.is_empty() && layers.problems.is_empty() {
        return Err(Unreadable::Missing
            .problem(&file)
            .help("give --config FILE, or begin with configs/leptond.toml, which explains every key")
            .into());
    }
    layers.whole = text.map(|_| file.clone());
    let mut loaded = assemble(layers, &file, options)?;
    loaded.path = text.map(|_| file);
    Ok(loaded)
}

fn assemble(mut layers: Layers, file: &Path, options: &Options) -> Result<Loaded, ConfigErrors> {
    let mut problems = std::mem::take(&mut layers.problems);
    let mut warnings = std::mem::take(&mut layers.warnings);
    // A file that is not TOML has no keys to check.
    if problems.iter().any(|p| p.key.is_empty() && matches!(p.origin, Origin::File { .. })) {
        return Err(finish(problems, &layers, &[]));
    }
    let document = match layers.build() {
        Ok(document) => document,
        Err(error) => {
            problems.push(whole(file, error.to_string()));
            return Err(finish(problems, &layers, &[]));
        }
    };
    let names = pipeline_names(&document);
    problems.extend(walk::walk(&document, &layers));
    if !problems.is_empty() {
        return Err(finish(problems, &layers, &names));
    }
    let config: Config = match document.try_deserialize::<Config>() {
        Ok(mut config) => {
            config.add_meters();
            config
        }
        Err(error) => return Err(finish(vec![whole(file, error.to_string())], &layers, &names)),
    };
    let mut findings = config.check();
    if !options.skip_files {
        findings.extend(config.check_files());
        findings.extend(config.check_models());
        findings.extend(readable_secrets(&config, &layers));
    }
    findings.rename(|key| config.written_path(key));
    let (outside, own) = findings.problems.into_iter().partition(|problem| options.waits && problem.outside);
    problems.extend::<Vec<Problem>>(own);
    warnings.extend::<Vec<Problem>>(outside);
    warnings.extend(findings.warnings);
    if !problems.is_empty() {
        return Err(finish(problems, &layers, &names));
    }
    let warnings = finish(warnings, &layers, &names).problems;
    let digest = digest(&config);
    Ok(Loaded { sources: layers.origins(), warnings, digest, path: None, config })
}

/// Warns of passwords in a file that every user of the computer may read.
fn readable_secrets(config: &Config, layers: &Layers) -> Findings {
    use std::os::unix::fs::PermissionsExt;
    let mut findings = Findings::default();
    let Some(file) = &layers.whole else { return findings };
    if !std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o004 != 0) {
        return findings;
    }
    #[cfg(feature = "fleet")]
    let fleet = config.fleet.as_ref().map(|fleet| ("fleet.password", &fleet.password));
    #[cfg(not(feature = "fleet"))]
    let fleet = None;
    let passwords = [("mqtt.password", &config.mqtt.password), ("page.password", &config.page.password)];
    let passwords =
        passwords.into_iter().chain(fleet).filter(|(_, given)| !given.is_empty()).map(|(key, _)| key.to_owned());
    let of_sources = config
        .declared_sources()
        .flat_map(|(table, source)| source.kind().secret_keys().into_iter().map(move |key| format!("{table}.{key}")));
    for key in passwords.chain(of_sources) {
        let from_file = path::Path::parse(&key).map(|path| layers.value_origin(&path));
        if matches!(from_file, Some(Origin::File { .. })) {
            findings.warn(
                Problem::new(key, "a password in a file that every user of this computer may read")
                    .help(format!("chmod o-r {}", file.display())),
            );
        }
    }
    findings
}

/// Assigns origins and pipeline names to the problems and sorts them by position.
fn finish(mut problems: Vec<Problem>, layers: &Layers, names: &[Option<String>]) -> ConfigErrors {
    for problem in &mut problems {
        let Some(path) = path::Path::parse(&problem.key) else { continue };
        if problem.origin == Origin::Default {
            problem.origin = match (layers.value_origin(&path), &layers.whole) {
                (Origin::Default, Some(file)) => Origin::Whole { file: file.clone() },
                (origin, _) => origin,
            };
        }
        problem.pipeline = path.pipeline().and_then(|index| names.get(index).cloned()).flatten();
    }
    problems.sort_by_key(|problem| {
        let (rank, line, column, text) = match &problem.origin {
            Origin::Whole { .. } => (0, 0, 0, String::new()),
            Origin::File { line, column, .. } => (1, *line, *column, String::new()),
            Origin::Env { variable } => (2, 0, 0, variable.clone()),
            Origin::Flag { flag } => (3, 0, 0, flag.clone()),
            Origin::Default => (4, 0, 0, String::new()),
        };
        (rank, line, column, text, problem.key.clone())
    });
    ConfigErrors { problems }
}

fn pipeline_names(document: &config::Value) -> Vec<Option<String>> {
    let config::ValueKind::Table(root) = &document.kind else { return Vec::new() };
    let Some(config::ValueKind::Array(pipelines)) = root.get("pipeline").map(|p| &p.kind) else { return Vec::new() };
    let name = |pipeline: &config::Value| match &pipeline.kind {
        config::ValueKind::Table(table) => match table.get("name").map(|name| &name.kind) {
            Some(config::ValueKind::String(name)) if !name.is_empty() => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    pipelines.iter().map(name).collect()
}

fn whole(file: &Path, message: String) -> Problem {
    Problem::new("", message).at(Origin::Whole { file: file.to_path_buf() })
}

fn digest(config: &Config) -> String {
    let text = masked(config).to_string();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The configuration file cannot be read.
enum Unreadable {
    Missing,
    Because(String),
    NotUtf8 { line: usize, column: usize },
}

impl Unreadable {
    fn problem(&self, file: &Path) -> Problem {
        match self {
            Unreadable::Missing => whole(file, "there is no such file".into()),
            Unreadable::Because(reason) => whole(file, reason.clone()),
            Unreadable::NotUtf8 { line, column } => {
                let origin = Origin::File { file: file.to_path_buf(), line: *line, column: *column };
                Problem::new("", "not UTF-8 text").help("save the file as UTF-8").at(origin)
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Unreadable> {
    if file::is_null(path) {
        return Ok(String::new());
    }
    let bytes = file::read_regular(path, MOST_BYTES).map_err(|error| match &error {
        _ if error.is_missing() => Unreadable::Missing,
        FileError::Io(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Unreadable::Because("this user may not read it: permission denied".into())
        }
        FileError::Io(e) => Unreadable::Because(format!("cannot be read: {e}")),
        FileError::Kind(kind) => Unreadable::Because(format!("is {kind}, a file is wanted")),
        FileError::TooLarge { .. } => {
            Unreadable::Because(format!("larger than {MOST_BYTES} bytes: not a configuration"))
        }
        other => Unreadable::Because(other.to_string()),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default()).into_owned();
        Unreadable::NotUtf8 {
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
        }
    })
}
