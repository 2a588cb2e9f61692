//! `leptond model add`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use serde_json::json;

use super::describe::{Flags, LABELS, file_name, renamed};
use super::interrupt::{self, Kept};
use super::list::{bytes_of, users, word};
use super::names::{name_of, size, with_sudo};
use super::prove::{Proof, prove};
use super::show::Show;
use super::wanted::{Wanted, resolve};
use super::{CatalogArgs, Common};
use crate::catalog::{self, Entry, Location, Partial, Request, Stage, Store, StoreError, fetch};
use crate::cli::progress::spinner;
use crate::cli::{Failure, say, tell};
use crate::config::{ModelRefs, redact};
use crate::model::{self, Bundle, Engine, LoadedModel, graph, sha256};
use crate::sys::file;
use leptond_engine::tflite;

/// Largest file that is fetched unless another limit is given, in MB.
const MOST_MB: u64 = 256;
/// How often a download that fails is tried again unless told otherwise.
const RETRIES: u32 = 5;

/// Arguments of `leptond model add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name in the catalog; or address of an .onnx or .tflite file; or path of one, or of a bundle's directory
    #[arg(value_name = "NAME|URL|FILE")]
    what: String,
    /// What it is called here; for a file or address its own name if not given
    #[arg(long)]
    name: Option<String>,
    /// SHA-256 that the file must have
    #[arg(long, value_name = "HEX", value_parser = hash)]
    sha256: Option<String>,
    /// Put it in the place of another model of the same name
    #[arg(long)]
    replace: bool,
    /// Largest file that is fetched, in MB
    #[arg(long, value_name = "MB", default_value_t = MOST_MB, value_parser = clap::value_parser!(u64).range(1..=536))]
    max_mb: u64,
    /// How often a download that fails is tried again
    #[arg(long, value_name = "N", default_value_t = RETRIES, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    flags: Flags,
    /// Say of the result only what it is and where.
    #[arg(skip)]
    brief: bool,
}

/// Installs `name` of the catalog in `dir`, for a command that has a use for it: `leptond setup`, which has its own word for
/// somebody who interrupts it.
pub(in crate::cli) fn add_of_catalog(name: &str, dir: PathBuf, catalog: &CatalogArgs) -> Result<(), Failure> {
    let args = Args {
        what: name.into(),
        name: None,
        sha256: None,
        replace: false,
        max_mb: MOST_MB,
        retries: RETRIES,
        json: false,
        common: Common { config: None, dir: Some(dir) },
        catalog: catalog.clone(),
        flags: Flags::default(),
        brief: true,
    };
    add(&args, Kept::default)
}

fn hash(text: &str) -> Result<String, String> {
    let right = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if right { Ok(text.to_ascii_lowercase()) } else { Err("64 hexadecimal digits are wanted".into()) }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    add(&args, interrupt::watch)
}

/// `watch` is called when something is about to be written.
fn add(args: &Args, watch: impl FnOnce() -> Kept) -> Result<(), Failure> {
    let glance = args.common.glance()?;
    let wanted = resolve(&args.what, || args.catalog.open())?;
    let name = args.bundle_name(&wanted)?;
    let dirs = args.common.dir.as_ref().map_or(&glance.dirs[..], std::slice::from_ref);
    let dir = catalog::choose(dirs).map_err(refused)?;
    let target = dir.join(&name);
    let there = target.exists().then(|| Bundle::open(&target));
    if let (Wanted::Entry(entry, labels), Some(Ok(there))) = (&wanted, &there)
        && is_installed(there, entry, labels.as_ref().map(|(_, text)| text.as_str()), &name)?
    {
        return args.unchanged(&target, there);
    }
    // Before anything is fetched: with an address alone, only its bytes tell whether it is the same.
    let known = matches!(wanted, Wanted::Entry(..)) || args.sha256.as_ref().is_some_and(|hash| !has_hash(&there, hash));
    if there.is_some() && known && !args.replace {
        return Err(anyhow::Error::from(StoreError::Occupied { path: target }).into());
    }
    let kept = watch();
    let waiting = || tell(&format!("another leptond model works in {}; waiting for it", dir.display()));
    let store = Store::open(&dir, SystemTime::now(), waiting).map_err(refused)?;
    let stage = store.stage(&name).map_err(refused)?;
    let mut found = Vec::new();
    let mut guessed = false;
    let mut partial = None;
    match &wanted {
        Wanted::Entry(entry, labels) => {
            let source = args.bring_entry(entry, &store, &kept)?;
            source.stage(&stage, &entry.manifest.file)?;
            if let Some((file, text)) = labels {
                stage.write(file, text.as_bytes()).map_err(refused)?;
            }
            let text = renamed(&entry.manifest_text, &name, Path::new("model.toml"))?;
            stage.write("model.toml", text.as_bytes()).map_err(refused)?;
            partial = source.partial();
        }
        Wanted::Url(url) => {
            let request = Request {
                urls: vec![url],
                sha256: args.sha256.as_deref(),
                bytes: None,
                limit_bytes: args.max_mb * 1_000_000,
            };
            let source = args.bring(&name, &request, &store, &kept)?;
            // Neither a password nor a key that is good for a day belongs into a manifest.
            let origin = redact(url.split(['?', '#']).next().unwrap_or_default());
            (found, guessed) = args.make(&stage, &name, &origin, &source)?;
            partial = source.partial();
        }
        Wanted::File(path) => {
            let origin = path.canonicalize().unwrap_or_else(|_| path.clone());
            let source = Source::Here(read(path)?);
            (found, guessed) = args.make(&stage, &name, &origin.display().to_string(), &source)?;
        }
        Wanted::Bundle(path) => copy_bundle(path, &name, &stage)?,
    }
    let proof = spinner("trying it", || prove(stage.path(), guessed)).map_err(|error| {
        let error = error.replace(&format!("{}/", stage.path().display()), "");
        anyhow::anyhow!("{} cannot be used: {error}", args.what)
    })?;
    let new = Bundle::open(stage.path()).map_err(anyhow::Error::from)?;
    if let Some(Ok(there)) = target.exists().then(|| Bundle::open(&target))
        && catalog::same_files(&there, &new).map_err(anyhow::Error::from)?
    {
        discard(partial);
        return args.unchanged(&target, &there);
    }
    store.install(stage, args.replace).map_err(refused)?;
    discard(partial);
    let installed = Bundle::open(&target).map_err(anyhow::Error::from)?;
    args.report(&installed, &proof, &found, &dir, &glance)
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
    fn stage(&self, stage: &Stage, file: &str) -> Result<(), Failure> {
        match self {
            Source::Fetched(partial) => stage.link(file, partial.path()),
            Source::Here(bytes) => stage.write(file, bytes),
        }
        .map_err(refused)
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>, Failure> {
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

/// All of a model file.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = file::read_regular(path, graph::MAX_FILE_BYTES).with_context(|| path.display().to_string())?;
    Ok(bytes)
}

fn discard(partial: Option<Partial>) {
    if let Some(mut partial) = partial {
        partial.discard();
    }
}

impl Args {
    fn bundle_name(&self, wanted: &Wanted) -> Result<String, Failure> {
        if let (Wanted::Entry(entry, _), Some(flag)) = (wanted, self.flags.given()) {
            return Err(Failure::Usage(format!(
                "{flag} is for a file or address; {} comes with its manifest",
                entry.name()
            )));
        }
        if let (Wanted::Bundle(path), Some(flag)) = (wanted, self.flags.given()) {
            return Err(Failure::Usage(format!("{flag} is for a bare model; {} has a model.toml", path.display())));
        }
        if let (Wanted::Bundle(_) | Wanted::Entry(..), Some(_)) = (wanted, &self.sha256) {
            return Err(Failure::Usage("--sha256 is for a single file or address; a manifest has its own".into()));
        }
        let name = match (&self.name, wanted) {
            (Some(name), _) => Some(name.clone()),
            (None, Wanted::Entry(entry, _)) => Some(entry.name().into()),
            (None, Wanted::Url(url)) => url.split_once("://").and_then(|(_, rest)| name_of(rest.rsplit_once('/')?.1)),
            (None, Wanted::File(path)) => path.file_name().and_then(|file| name_of(&file.to_string_lossy())),
            (None, Wanted::Bundle(path)) => {
                Some(Bundle::open(path).map_err(anyhow::Error::from)?.manifest().name.clone())
            }
        };
        let Some(name) = name else {
            return Err(Failure::Usage(format!("{}: say with --name what it shall be called", self.what)));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Failure::Usage(format!("--name: found {name:?}, allowed are 1 to 64 of a-z A-Z 0-9 _ -")));
        }
        Ok(name)
    }

    fn bring_entry(&self, entry: &Entry, store: &Store, kept: &Kept) -> Result<Source, Failure> {
        // A catalog on a disk may have its files beside it.
        let beside = entry.locations.iter().find_map(|place| match place {
            Location::File(path) if path.exists() => Some(path.clone()),
            _ => None,
        });
        if let Some(path) = beside {
            let bytes = read(&path)?;
            let found = sha256(&bytes);
            if !found.eq_ignore_ascii_case(&entry.manifest.sha256) {
                let expected = entry.manifest.sha256.to_ascii_lowercase();
                return Err(
                    anyhow::anyhow!("{}: sha256 is {found}, the catalog says {expected}", path.display()).into()
                );
            }
            return Ok(Source::Here(bytes));
        }
        let urls: Vec<&str> = (entry.locations.iter())
            .filter_map(|place| if let Location::Url(url) = place { Some(url.as_str()) } else { None })
            .collect();
        if urls.is_empty() {
            let places: Vec<String> = entry.locations.iter().map(Location::to_string).collect();
            return Err(anyhow::anyhow!("{}: there is no such file", places.join(", ")).into());
        }
        let bytes = Some(entry.bytes);
        let request = Request { urls, sha256: Some(&entry.manifest.sha256), bytes, limit_bytes: entry.bytes };
        self.bring(entry.name(), &request, store, kept)
    }

    fn bring(&self, name: &str, request: &Request<'_>, store: &Store, kept: &Kept) -> Result<Source, Failure> {
        let key = request.sha256.unwrap_or(request.urls[0]);
        let mut partial = Partial::open(&store.partial(), key);
        let mut show = Show::new(name, kept.clone());
        fetch(&self.catalog.server(self.retries), request, &mut partial, &mut show).map_err(anyhow::Error::from)?;
        Ok(Source::Fetched(partial))
    }

    /// Makes a bundle of a bare file: what was found and not said, one line each, and whether the head is part of that.
    fn make(&self, stage: &Stage, name: &str, origin: &str, source: &Source) -> Result<(Vec<String>, bool), Failure> {
        let bytes = source.bytes()?;
        catalog::recognise(&self.what, &bytes[..bytes.len().min(64)]).map_err(anyhow::Error::from)?;
        let found = sha256(&bytes);
        if let Some(expected) = self.sha256.as_ref().filter(|expected| **expected != found) {
            return Err(anyhow::anyhow!("{}: sha256 is {found}, expected is {expected}", self.what).into());
        }
        let file = file_name(tflite::is_tflite(&bytes));
        // Tensors in files beside it become part of the one that is installed, and of its hash.
        let whole = match source {
            Source::Here(_) => model::with_external_data(&bytes, Path::new(&self.what)).map_err(anyhow::Error::from)?,
            Source::Fetched(_) => None,
        };
        drop(bytes);
        let found = match whole {
            Some(whole) => {
                stage.write(file, &whole).map_err(refused)?;
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
            crate::cli::open::try_out(&bare)?;
            LoadedModel::load(&bare, 0, Engine::Auto, 1)
        };
        let loaded = spinner("reading the model", load).map_err(|error| {
            let error = error.to_string().replace(&path.display().to_string(), &self.what);
            anyhow::anyhow!("{error}")
        })?;
        let described = self.flags.describe(name, origin, (file, &found), &loaded)?;
        if let Some(labels) = &described.labels {
            stage.write(LABELS, labels.as_bytes()).map_err(refused)?;
        }
        stage.write("model.toml", described.text.as_bytes()).map_err(refused)?;
        Ok((described.found, described.head_found))
    }

    fn unchanged(&self, target: &Path, bundle: &Bundle) -> Result<(), Failure> {
        let name = &bundle.manifest().name;
        if self.json {
            return say(&json!({ "name": name, "path": target, "changed": false }).to_string());
        }
        say(&format!("{name} is installed already, and is the same: {}", target.display()))
    }

    fn report(
        &self,
        bundle: &Bundle,
        proof: &Proof,
        found: &[String],
        dir: &Path,
        glance: &ModelRefs,
    ) -> Result<(), Failure> {
        let manifest = bundle.manifest();
        let name = &manifest.name;
        let path = bundle.path().canonicalize().unwrap_or_else(|_| bundle.path().into());
        let users = users(name, &path, glance);
        let bytes = bytes_of(bundle);
        let named = glance.dirs.iter().find(|d| d.join(name).exists()).is_some_and(|d| d == dir);
        let spoken = if named { name.clone() } else { path.display().to_string() };
        if self.json {
            let object = json!({
                "name": name, "path": path, "changed": true, "task": manifest.task, "bytes": bytes,
                "licence": manifest.licence, "engine": proof.engine, "infer_ms": proof.infer_ms, "golden": proof.golden,
                "found": found, "notes": proof.notes, "used_by": users,
            });
            return say(&object.to_string());
        }
        let task = word(proof.task);
        let licence = if manifest.licence.is_empty() { "licence not known" } else { &manifest.licence };
        let golden = if proof.golden > 0 {
            format!(", {} golden inputs as they should be", proof.golden)
        } else {
            String::new()
        };
        let mut lines = vec![
            format!("{name} is installed: {task}, {}, {licence}", size(bytes)),
            format!("  where      {}", path.display()),
            format!("  runs here  {:.1} ms for one inference ({}){golden}", proof.infer_ms, proof.engine),
        ];
        if self.brief {
            return say(&lines.join("\n"));
        }
        lines.extend(found.iter().map(|line| format!("  found      {line}")));
        lines.extend(proof.notes.iter().map(|line| format!("  note       {line}")));
        if !proof.idle_inputs.is_empty() {
            let idle = proof.idle_inputs.join(", ");
            lines.push(format!("  note       a pipeline fills its first input only; {idle} stay zero"));
        }
        let input = if proof.pictures { "PICTURE" } else { "READINGS.csv" };
        lines.push(format!("  try it     leptond infer {spoken} {input}"));
        match users.first() {
            None => lines.push(format!("  use it     model = \"{spoken}\" in a [[pipeline]] of the configuration")),
            Some(_) => lines.push(format!("  used by    {}: sudo systemctl reload leptond", users.join(", "))),
        }
        say(&lines.join("\n"))
    }
}

fn has_hash(there: &Option<Result<Bundle, model::ModelError>>, hash: &str) -> bool {
    matches!(there, Some(Ok(bundle)) if bundle.manifest().sha256.eq_ignore_ascii_case(hash))
}

/// Whether a bundle is the one that `entry` would become.
fn is_installed(there: &Bundle, entry: &Entry, labels: Option<&str>, name: &str) -> Result<bool, Failure> {
    let text = renamed(&entry.manifest_text, name, Path::new("model.toml"))?;
    let same = |file: &str, wanted: &str| there.read(file).is_ok_and(|bytes| *bytes == *wanted.as_bytes());
    Ok(same("model.toml", &text) && labels.is_none_or(|labels| same(LABELS, labels)))
}

fn copy_bundle(path: &Path, name: &str, stage: &Stage) -> Result<(), Failure> {
    let bundle = Bundle::open(path).map_err(anyhow::Error::from)?;
    for file in catalog::files_of(&bundle) {
        let bytes = bundle.read_to_copy(&file).map_err(anyhow::Error::from)?;
        if file == "model.toml" && bundle.manifest().name != name {
            let text = String::from_utf8_lossy(&bytes);
            stage.write(&file, renamed(&text, name, &path.join(&file))?.as_bytes()).map_err(refused)?;
        } else {
            stage.write(&file, &bytes).map_err(refused)?;
        }
    }
    Ok(())
}

/// What to do about a directory that may not be written.
pub(super) fn refused(error: StoreError) -> Failure {
    let denied = match &error {
        StoreError::NotWritable { .. } => true,
        StoreError::Io { reason, .. } => reason.contains("ermission denied"),
        StoreError::Occupied { .. } => false,
    };
    if denied && !rustix::process::geteuid().is_root() {
        let sudo = with_sudo();
        return anyhow::anyhow!("{error}; as root it works: {sudo}\n(or give a directory of your own with --dir DIR)")
            .into();
    }
    anyhow::Error::from(error).into()
}
