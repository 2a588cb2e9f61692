//! Installing a model: fetched or copied, described where it has no manifest, proved, and put in place.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::describe::{LABELS, Stated, file_name, renamed};
use super::error::InstallError;
use super::names::name_of;
use super::prove::{Proof, prove};
use super::steps::{Steps, run};
use super::wanted::Wanted;
use crate::catalog::{self, Entry, Location, Part, Partial, Request, Server, Stage, Store, StoreError, fetch};
use crate::config::redact;
use crate::model::{self, Bundle, Engine, LoadedModel, ModelError, graph, sha256};
use crate::pipeline::trial;
use crate::sys::file;
use leptond_engine::tflite;

/// A request to install a model.
pub struct Installation<'a> {
    /// The model as it was typed.
    pub what: &'a str,
    /// Its name here; `None` = its own.
    pub name: Option<&'a str>,
    /// SHA-256 that a single file must have, in lower case.
    pub sha256: Option<&'a str>,
    /// Another model of the same name gives way.
    pub replace: bool,
    /// Largest file that is fetched.
    pub limit_bytes: u64,
    /// Client for what has to be fetched.
    pub server: Server,
    /// Statements about a model without a manifest.
    pub stated: Stated,
    /// The first of them, as a flag.
    pub stated_flag: Option<&'static str>,
    /// Directories of models, in the order in which they are searched.
    pub dirs: &'a [PathBuf],
    /// Directory of measurements.
    pub state_dir: Option<PathBuf>,
    /// Shows the steps.
    pub steps: &'a dyn Steps,
}

/// A model in place.
pub enum Installed {
    /// It was there, and is the same.
    Unchanged(Bundle),
    /// It was put in place.
    New {
        /// The bundle.
        bundle: Bundle,
        /// Result of its trial.
        proof: Proof,
        /// Facts that were found and not stated, one line each.
        found: Vec<String>,
        /// Its directory of models.
        dir: PathBuf,
    },
}

impl Installation<'_> {
    /// Installs the model.
    ///
    /// # Errors
    /// [`InstallError`]; what was in the directory is then as it was, but a part of a download, which is continued.
    pub fn install(&self, wanted: &Wanted) -> Result<Installed, InstallError> {
        let name = self.bundle_name(wanted)?;
        let dir = catalog::choose(self.dirs)?;
        let target = dir.join(&name);
        let there = target.exists().then(|| Bundle::open(&target));
        if let (Wanted::Entry(entry, texts), Some(Ok(there))) = (wanted, &there)
            && is_installed(there, entry, texts, &name)?
        {
            return Ok(Installed::Unchanged(there.clone()));
        }
        // Before anything is fetched: with an address alone, only its bytes tell whether it is the same.
        let known = matches!(wanted, Wanted::Entry(..)) || self.sha256.is_some_and(|hash| !has_hash(&there, hash));
        if there.is_some() && known && !self.replace {
            return Err(StoreError::Occupied { path: target }.into());
        }
        self.steps.begin();
        let waiting = || self.steps.wait(&dir);
        let store = Store::open(&dir, SystemTime::now(), waiting)?;
        let stage = store.stage(&name)?;
        let mut found = Vec::new();
        let mut guessed = false;
        let mut partial = None;
        match wanted {
            Wanted::Entry(entry, texts) => {
                let source = self.bring_entry(entry, &store)?;
                match &entry.part {
                    Some(part) => stage.write(&entry.manifest.file, &cut(entry, part, &source.bytes()?)?)?,
                    None => source.stage(&stage, &entry.manifest.file)?,
                }
                for (file, text) in texts {
                    stage.write(file, text.as_bytes())?;
                }
                let text = renamed(&entry.manifest_text, &name, Path::new("model.toml"))?;
                stage.write("model.toml", text.as_bytes())?;
                partial = source.partial();
            }
            Wanted::Url(url) => {
                let request =
                    Request { urls: vec![url], sha256: self.sha256, bytes: None, limit_bytes: self.limit_bytes };
                let source = self.bring(&name, &request, &store)?;
                // Neither a password nor a key that is good for a day belongs into a manifest.
                let origin = redact(url.split(['?', '#']).next().unwrap_or_default());
                (found, guessed) = self.make(&stage, &name, &origin, &source)?;
                partial = source.partial();
            }
            Wanted::File(path) => {
                let origin = path.canonicalize().unwrap_or_else(|_| path.clone());
                let source = Source::Here(read(path)?);
                (found, guessed) = self.make(&stage, &name, &origin.display().to_string(), &source)?;
            }
            Wanted::Bundle(path) => copy_bundle(path, &name, &stage)?,
        }
        let proof = run(self.steps, "trying it", || prove(stage.path(), guessed, self.state_dir.as_deref())).map_err(
            |error| {
                let stage = stage.path().display();
                let reason = error.to_string().replace(&format!("{stage}/"), "").replace(&format!("{stage}: "), "");
                InstallError::Unusable { what: self.what.into(), reason }
            },
        )?;
        let new = Bundle::open(stage.path())?;
        if let Some(Ok(there)) = target.exists().then(|| Bundle::open(&target))
            && catalog::same_files(&there, &new)?
        {
            discard(partial);
            return Ok(Installed::Unchanged(there));
        }
        store.install(stage, self.replace)?;
        discard(partial);
        let installed = Bundle::open(&target)?;
        Ok(Installed::New { bundle: installed, proof, found, dir })
    }

    fn bundle_name(&self, wanted: &Wanted) -> Result<String, InstallError> {
        if let (Wanted::Entry(entry, _), Some(flag)) = (wanted, self.stated_flag) {
            return Err(InstallError::Request(format!(
                "{flag} is for a file or address; {} comes with its manifest",
                entry.name()
            )));
        }
        if let (Wanted::Bundle(path), Some(flag)) = (wanted, self.stated_flag) {
            return Err(InstallError::Request(format!(
                "{flag} is for a bare model; {} has a model.toml",
                path.display()
            )));
        }
        if let (Wanted::Bundle(_) | Wanted::Entry(..), Some(_)) = (wanted, self.sha256) {
            return Err(InstallError::Request(
                "--sha256 is for a single file or address; a manifest has its own".into(),
            ));
        }
        let name = match (self.name, wanted) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Wanted::Entry(entry, _)) => Some(entry.name().into()),
            (None, Wanted::Url(url)) => url.split_once("://").and_then(|(_, rest)| name_of(rest.rsplit_once('/')?.1)),
            (None, Wanted::File(path)) => path.file_name().and_then(|file| name_of(&file.to_string_lossy())),
            (None, Wanted::Bundle(path)) => Some(Bundle::open(path)?.manifest().name.clone()),
        };
        let Some(name) = name else {
            return Err(InstallError::Request(format!("{}: say with --name what it shall be called", self.what)));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(InstallError::Request(format!(
                "--name: found {name:?}, allowed are 1 to 64 of a-z A-Z 0-9 _ -"
            )));
        }
        Ok(name)
    }

    fn bring_entry(&self, entry: &Entry, store: &Store) -> Result<Source, InstallError> {
        let hash = entry.part.as_ref().map_or(&entry.manifest.sha256, |part| &part.of);
        // A catalog on a disk may have its files beside it.
        let beside = entry.locations.iter().find_map(|place| match place {
            Location::File(path) if path.exists() => Some(path.clone()),
            _ => None,
        });
        if let Some(path) = beside {
            let bytes = read(&path)?;
            let found = sha256(&bytes);
            if !found.eq_ignore_ascii_case(hash) {
                let expected = hash.to_ascii_lowercase();
                let place = path.display().to_string();
                return Err(InstallError::Hash { place, found, source_of_expected: "the catalog says", expected });
            }
            return Ok(Source::Here(bytes));
        }
        let urls: Vec<&str> = (entry.locations.iter())
            .filter_map(|place| if let Location::Url(url) = place { Some(url.as_str()) } else { None })
            .collect();
        if urls.is_empty() {
            let places: Vec<String> = entry.locations.iter().map(Location::to_string).collect();
            return Err(InstallError::NoFile(places.join(", ")));
        }
        let bytes = Some(entry.bytes);
        let request = Request { urls, sha256: Some(hash), bytes, limit_bytes: entry.bytes };
        self.bring(entry.name(), &request, store)
    }

    fn bring(&self, name: &str, request: &Request<'_>, store: &Store) -> Result<Source, InstallError> {
        let key = request.sha256.unwrap_or(request.urls[0]);
        let mut partial = Partial::open(&store.partial(), key);
        let mut progress = self.steps.download(name);
        fetch(&self.server, request, &mut partial, progress.as_mut())?;
        Ok(Source::Fetched(partial))
    }

    /// Makes a bundle of a bare file: what was found and not said, one line each, and whether the head is part of that.
    fn make(
        &self,
        stage: &Stage,
        name: &str,
        origin: &str,
        source: &Source,
    ) -> Result<(Vec<String>, bool), InstallError> {
        let bytes = source.bytes()?;
        catalog::recognise(self.what, &bytes[..bytes.len().min(64)])?;
        let found = sha256(&bytes);
        if let Some(expected) = self.sha256.filter(|expected| *expected != found) {
            let (place, expected) = (self.what.to_owned(), expected.to_owned());
            return Err(InstallError::Hash { place, found, source_of_expected: "expected is", expected });
        }
        let file = file_name(tflite::is_tflite(&bytes));
        // Tensors in files beside it become part of the one that is installed, and of its hash.
        let whole = match source {
            Source::Here(_) => model::with_external_data(&bytes, Path::new(self.what))?,
            Source::Fetched(_) => None,
        };
        drop(bytes);
        let found = match whole {
            Some(whole) => {
                stage.write(file, &whole)?;
                sha256(&whole)
            }
            None => {
                source.stage(stage, file)?;
                found
            }
        };
        let path = stage.path().join(file);
        let load = || {
            let bare = Bundle::open(&path)?;
            trial::try_out(&bare, self.state_dir.as_deref())?;
            LoadedModel::load(&bare, 0, Engine::Auto, 1)
        };
        let loaded = run(self.steps, "reading the model", load).map_err(|error: ModelError| {
            InstallError::Unsupported(error.to_string().replace(&path.display().to_string(), self.what))
        })?;
        let described = self.stated.describe(name, origin, (file, &found), &loaded, self.steps)?;
        if let Some(labels) = &described.labels {
            stage.write(LABELS, labels.as_bytes())?;
        }
        stage.write("model.toml", described.text.as_bytes())?;
        Ok((described.found, described.head_found))
    }
}

/// A model file.
enum Source {
    /// It was fetched for this.
    Fetched(Partial),
    /// It is of this computer: what was read of it, so that what is copied is what was looked at.
    Here(Vec<u8>),
}

impl Source {
    /// Puts it into the bundle: a link costs no room, and the download stays for another attempt should the model not run.
    fn stage(&self, stage: &Stage, file: &str) -> Result<(), InstallError> {
        match self {
            Source::Fetched(partial) => stage.link(file, partial.path()),
            Source::Here(bytes) => stage.write(file, bytes),
        }
        .map_err(InstallError::from)
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>, InstallError> {
        match self {
            Source::Fetched(partial) => read(partial.path()).map(Cow::Owned),
            Source::Here(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }

    fn partial(self) -> Option<Partial> {
        match self {
            Source::Fetched(partial) => Some(partial),
            Source::Here(_) => None,
        }
    }
}

/// The model within the file that was fetched for it.
///
/// # Errors
/// It has another hash than the catalog says.
fn cut(entry: &Entry, part: &Part, whole: &[u8]) -> Result<Vec<u8>, InstallError> {
    let start = usize::try_from(part.start).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(part.bytes).unwrap_or(usize::MAX));
    let model = whole.get(start..end).unwrap_or_default();
    let (found, expected) = (sha256(model), entry.manifest.sha256.to_ascii_lowercase());
    if found != expected {
        let place = format!("{}, bytes {start} to {end} of the file", entry.name());
        return Err(InstallError::Hash { place, found, source_of_expected: "the catalog says", expected });
    }
    Ok(model.to_vec())
}

/// All of a model file.
fn read(path: &Path) -> Result<Vec<u8>, InstallError> {
    file::read_regular(path, graph::MAX_FILE_BYTES).map_err(|reason| InstallError::File { path: path.into(), reason })
}

fn discard(partial: Option<Partial>) {
    if let Some(mut partial) = partial {
        partial.discard();
    }
}

fn has_hash(there: &Option<Result<Bundle, ModelError>>, hash: &str) -> bool {
    matches!(there, Some(Ok(bundle)) if bundle.manifest().sha256.eq_ignore_ascii_case(hash))
}

/// Reports that a bundle is the one that `entry` would become.
fn is_installed(
    there: &Bundle,
    entry: &Entry,
    texts: &[(&'static str, String)],
    name: &str,
) -> Result<bool, InstallError> {
    let text = renamed(&entry.manifest_text, name, Path::new("model.toml"))?;
    let same = |file: &str, wanted: &str| there.read(file).is_ok_and(|bytes| *bytes == *wanted.as_bytes());
    Ok(same("model.toml", &text) && texts.iter().all(|(file, text)| same(file, text)))
}

fn copy_bundle(path: &Path, name: &str, stage: &Stage) -> Result<(), InstallError> {
    let bundle = Bundle::open(path)?;
    for file in catalog::files_of(&bundle) {
        let bytes = bundle.read_to_copy(&file)?;
        if file == "model.toml" && bundle.manifest().name != name {
            let text = String::from_utf8_lossy(&bytes);
            stage.write(&file, renamed(&text, name, &path.join(&file))?.as_bytes())?;
        } else {
            stage.write(&file, &bytes)?;
        }
    }
    Ok(())
}
