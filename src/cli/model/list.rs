//! `leptond model list`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::common::Common;
use crate::catalog::{Catalog, Cost, Entry};
use crate::cli::catalog_args::CatalogArgs;
use crate::cli::words::{size, with_sudo};
use crate::cli::{Failure, say, tell};
use crate::config::ModelRefs;
use crate::frame::TaskKind;
use crate::install::usage::{bytes_of, named, users};
use crate::model::manifest::Accuracy;
use crate::model::{self, Bundle, Manifest};

/// Arguments of `leptond model list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One JSON object: `installed`, `catalog`, `warnings`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// A model that a pipeline can name.
#[derive(Debug, Serialize)]
struct Installed {
    name: String,
    /// Bundle or file; none for a model that is part of the program.
    path: Option<PathBuf>,
    task: Option<TaskKind>,
    version: String,
    bytes: u64,
    accuracy: Option<Figure>,
    licence: String,
    cost: Option<Cost>,
    /// Pipelines of the configuration that use it.
    used_by: Vec<String>,
    /// A bundle of the same name comes before it.
    covered: bool,
    /// Reason for which it cannot be used.
    fault: Option<String>,
}

/// A model that can be added.
#[derive(Debug, Serialize)]
struct Offered {
    name: String,
    task: TaskKind,
    description: String,
    bytes: u64,
    accuracy: Option<Figure>,
    licence: String,
    origin: String,
    cost: Option<Cost>,
    /// A model with the same file is installed.
    installed: bool,
}

#[derive(Debug, Serialize)]
struct Figure {
    metric: String,
    value: f64,
    dataset: String,
    /// The command that gave it, or who says it.
    by: String,
}

impl From<&Accuracy> for Figure {
    fn from(a: &Accuracy) -> Self {
        Figure { metric: a.metric.clone(), value: a.value, dataset: a.dataset.clone(), by: a.command.clone() }
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let glance = args.common.glance()?;
    let catalog = args.catalog.open()?;
    let dirs = args.common.dir.as_ref().map_or(&glance.dirs[..], std::slice::from_ref);
    let mut warnings = Vec::new();
    if let Some(fault) = &glance.fault {
        let first = fault.lines().next().unwrap_or_default();
        warnings.push(format!("the configuration cannot be run, leptond check says more: {first}"));
    }
    let installed = installed(dirs, &glance, &catalog, &mut warnings);
    let offered: Vec<Offered> = catalog.entries().map(|entry| offer(entry, &installed)).collect();
    if args.json {
        return say(&json!({ "installed": installed, "catalog": offered, "warnings": warnings }).to_string());
    }
    for warning in &warnings {
        tell(&format!("warning: {warning}"));
    }
    say(&text(&installed, &offered))
}

fn installed(dirs: &[PathBuf], glance: &ModelRefs, catalog: &Catalog, warnings: &mut Vec<String>) -> Vec<Installed> {
    let mut all: Vec<Installed> = Vec::new();
    for dir in dirs {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                warnings.push(format!("{} may not be read by this user: {}", dir.display(), with_sudo()));
                continue;
            }
            Err(error) => {
                warnings.push(format!("{}: {error}", dir.display()));
                continue;
            }
        };
        let mut paths: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_model(path)).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let covered = all.iter().any(|known| known.name == name);
            let bundle = Bundle::open(&path).map_err(|e| e.to_string());
            all.push(describe(name, Some(path), bundle, covered, glance, catalog));
        }
    }
    for name in model::shipped() {
        let covered = all.iter().any(|known| known.name == name);
        if let Some(bundle) = model::open(name, &[]) {
            all.push(describe(name.into(), None, bundle.map_err(|e| e.to_string()), covered, glance, catalog));
        }
    }
    all
}

/// Reports an entry of a directory that is meant as a model.
fn is_model(path: &Path) -> bool {
    if path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.')) {
        return false;
    }
    let bare = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx") || e.eq_ignore_ascii_case("tflite"));
    path.is_dir() || bare
}

fn describe(
    name: String,
    path: Option<PathBuf>,
    bundle: Result<Bundle, String>,
    covered: bool,
    glance: &ModelRefs,
    catalog: &Catalog,
) -> Installed {
    let (bundle, fault) = match bundle {
        Ok(bundle) => (Some(bundle), None),
        Err(fault) => (None, Some(fault)),
    };
    let manifest = bundle.as_ref().map(Bundle::manifest);
    let used_by = match &path {
        Some(path) => users(&name, path, glance),
        None if covered => Vec::new(),
        None => named(&name, glance, |model| model::locate(model, &glance.dirs).is_none()),
    };
    let cost =
        manifest.and_then(|m| catalog.entries().find(|e| same_file(&e.manifest, m))).and_then(|e| e.cost.clone());
    Installed {
        task: manifest.map(|m| m.task),
        version: manifest.map(|m| m.version.clone()).unwrap_or_default(),
        bytes: bundle.as_ref().map_or(0, bytes_of),
        accuracy: manifest.and_then(|m| m.accuracy.as_ref()).map(Figure::from),
        licence: manifest.map(|m| m.licence.clone()).unwrap_or_default(),
        used_by,
        cost,
        covered,
        fault,
        name,
        path,
    }
}

fn same_file(a: &Manifest, b: &Manifest) -> bool {
    a.sha256.eq_ignore_ascii_case(&b.sha256)
}

fn offer(entry: &Entry, installed: &[Installed]) -> Offered {
    let manifest = &entry.manifest;
    Offered {
        name: manifest.name.clone(),
        task: manifest.task,
        description: manifest.description.clone(),
        bytes: entry.bytes,
        accuracy: manifest.accuracy.as_ref().map(Figure::from),
        licence: manifest.licence.clone(),
        origin: manifest.origin.clone(),
        cost: entry.cost.clone(),
        installed: installed.iter().any(|i| i.name == manifest.name && i.path.is_some() && i.fault.is_none()),
    }
}

fn text(installed: &[Installed], offered: &[Offered]) -> String {
    let figure = |a: &Option<Figure>| a.as_ref().map_or("–".into(), |a| format!("{} {}", a.metric, a.value));
    let cost = |c: &Option<Cost>| c.as_ref().map_or("–".into(), |c| format!("{} ms", c.infer_ms));
    let or = |text: &str| if text.is_empty() { "–".to_string() } else { text.to_string() };
    let mut out = String::from("installed\n");
    let mut rows = vec![["NAME", "TASK", "SIZE", "ACCURACY", "COST", "LICENCE", "USED BY", "WHERE"].map(String::from)];
    for m in installed {
        let place = m.path.as_ref().map_or("part of the program".into(), |path| {
            let dir = path.parent().unwrap_or(path).display().to_string();
            if m.covered { format!("{dir} (covered by the one above)") } else { dir }
        });
        rows.push([
            m.name.clone(),
            m.task.map_or("–", TaskKind::word).into(),
            size(m.bytes),
            figure(&m.accuracy),
            cost(&m.cost),
            or(&m.licence),
            or(&m.used_by.join(", ")),
            place,
        ]);
    }
    out.push_str(&table(&rows));
    for m in installed.iter().filter(|m| m.fault.is_some()) {
        out.push_str(&format!("  {} cannot be used: {}\n", m.name, m.fault.as_deref().unwrap_or_default()));
    }
    let others: Vec<&Offered> = offered.iter().filter(|m| !m.installed).collect();
    if others.is_empty() {
        return out;
    }
    out.push_str("\nin the catalog: leptond model add NAME\n");
    let mut rows = vec![["NAME", "TASK", "SIZE", "ACCURACY", "COST", "LICENCE"].map(String::from)];
    for m in &others {
        rows.push([
            m.name.clone(),
            m.task.word().into(),
            size(m.bytes),
            figure(&m.accuracy),
            cost(&m.cost),
            or(&m.licence),
        ]);
    }
    for (line, about) in table(&rows).lines().zip(std::iter::once(None).chain(others.iter().map(Some))) {
        out.push_str(&format!("{line}\n"));
        if let Some(about) = about.filter(|about| !about.description.is_empty()) {
            out.push_str(&format!("      {}\n", about.description));
        }
    }
    let mut machines: Vec<&str> = (installed.iter().map(|m| &m.cost))
        .chain(others.iter().map(|m| &m.cost))
        .flatten()
        .map(|c| c.machine.as_str())
        .collect();
    machines.sort_unstable();
    machines.dedup();
    if let [machine] = machines[..] {
        out.push_str(&format!("cost: one inference on {machine}; leptond bench NAME measures it here\n"));
    }
    out
}

/// Lines of columns that are as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    out
}
