//! `leptond model add`.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::Common;
use super::flags::Flags;
use super::interrupt::{self, Kept};
use super::show::Show;
use crate::catalog::Progress;
use crate::cli::catalog_args::CatalogArgs;
use crate::cli::open::state_dir;
use crate::cli::progress::spinner;
use crate::cli::words::size;
use crate::cli::{Failure, say, tell};
use crate::config::ModelRefs;
use crate::install::add::{Installation, Installed};
use crate::install::describe::Stated;
use crate::install::prove::Proof;
use crate::install::steps::Steps;
use crate::install::usage::{bytes_of, users};
use crate::install::wanted::resolve;
use crate::model::Bundle;
use crate::model::manifest::is_sha256;

/// Largest file that is fetched unless another limit is given, in MB.
const MOST_MB: u64 = 256;
/// Attempts after a download that fails, by default.
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
    add(&args, false)
}

fn hash(text: &str) -> Result<String, String> {
    if is_sha256(text) { Ok(text.to_ascii_lowercase()) } else { Err("64 hexadecimal digits are wanted".into()) }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    add(&args, true)
}

/// Installs the model and reports it. `interruptible`: Ctrl-C is answered with a word about what is kept.
fn add(args: &Args, interruptible: bool) -> Result<(), Failure> {
    let glance = args.common.glance()?;
    let wanted = resolve(&args.what, || args.catalog.open())?;
    let shown = Shown { interruptible, kept: OnceCell::new() };
    let request = Installation {
        what: &args.what,
        name: args.name.as_deref(),
        sha256: args.sha256.as_deref(),
        replace: args.replace,
        limit_bytes: args.max_mb * 1_000_000,
        server: args.catalog.server(args.retries),
        stated: Stated::from(&args.flags),
        stated_flag: args.flags.given(),
        dirs: args.common.dir.as_ref().map_or(&glance.dirs[..], std::slice::from_ref),
        state_dir: state_dir(),
        steps: &shown,
    };
    match request.install(&wanted)? {
        Installed::Unchanged(bundle) => args.unchanged(&bundle),
        Installed::New { bundle, proof, found, dir } => args.report(&bundle, &proof, &found, &dir, &glance),
    }
}

/// The steps at the terminal.
struct Shown {
    interruptible: bool,
    kept: OnceCell<Kept>,
}

impl Steps for Shown {
    fn step(&self, name: &str, work: &mut dyn FnMut()) {
        spinner(name, work);
    }

    fn begin(&self) {
        self.kept.get_or_init(|| if self.interruptible { interrupt::watch() } else { Kept::default() });
    }

    fn wait(&self, dir: &Path) {
        tell(&format!("another leptond model works in {}; waiting for it", dir.display()));
    }

    fn download(&self, name: &str) -> Box<dyn Progress> {
        Box::new(Show::new(name, self.kept.get().cloned().unwrap_or_default()))
    }
}

impl Args {
    fn unchanged(&self, bundle: &Bundle) -> Result<(), Failure> {
        let target = bundle.path();
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
        let task = proof.task.word();
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
