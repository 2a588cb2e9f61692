//! `leptond model remove`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use super::common::Common;
use super::refused::refused;
use crate::catalog::{self, Store};
use crate::cli::words::{size, with_sudo};
use crate::cli::{Failure, say, tell};
use crate::install::usage::{bytes_of, users};
use crate::model::{self, Bundle};

/// Arguments of `leptond model remove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the model, as `leptond model list` shows it
    name: String,
    /// Even if a pipeline of the configuration uses it
    #[arg(long)]
    force: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let name = &args.name;
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(Failure::Usage(format!("{name:?} is not the name of a model; leptond model list shows them")));
    }
    let glance = args.common.glance()?;
    let dirs = args.common.dir.as_ref().map_or(&glance.dirs[..], std::slice::from_ref);
    let Some(dir) = dirs.iter().find(|dir| dir.join(name).symlink_metadata().is_ok()) else {
        return Err(missing(name, dirs));
    };
    let path = dir.join(name);
    if catalog::is_packaged(&path) {
        return Err(anyhow::anyhow!(
            "{}: it belongs to the package and goes with it; a model of the same name in another of [models] dirs comes before it",
            path.display()
        )
        .into());
    }
    let users = users(name, &path, &glance);
    if !args.force {
        if let (true, Some(fault)) = (glance.blind, &glance.fault) {
            return Err(anyhow::anyhow!(
                "whether a pipeline uses it is not known (--force removes it all the same): {fault}"
            )
            .into());
        }
        if !users.is_empty() {
            let file = glance.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            return Err(anyhow::anyhow!(
                "{name} is the model of pipeline {} in {file}; name another there first (--force removes it all the same)",
                users.join(", ")
            )
            .into());
        }
    }
    let bytes = Bundle::open(&path).as_ref().map_or(0, bytes_of);
    catalog::choose(std::slice::from_ref(dir)).map_err(refused)?;
    let waiting = || tell(&format!("another leptond model works in {}; waiting for it", dir.display()));
    Store::open(dir, SystemTime::now(), waiting).and_then(|store| store.remove(name)).map_err(refused)?;
    let next = model::locate(name, dirs).filter(|found| found.is_absolute());
    let next = next.map(|path| path.display().to_string());
    let next =
        next.or_else(|| model::shipped().any(|s| s == name).then(|| "the one that is part of the program".into()));
    if args.json {
        return say(&json!({ "name": name, "path": path, "bytes": bytes, "used_by": users, "now": next }).to_string());
    }
    let mut lines = vec![format!("{name} is removed ({}): {}", size(bytes), path.display())];
    lines.extend(next.map(|next| format!("  {name} is now {next}")));
    if !users.is_empty() {
        lines.push(format!("  pipeline {} will not start without it", users.join(", ")));
    }
    say(&lines.join("\n"))
}

fn missing(name: &str, dirs: &[PathBuf]) -> Failure {
    if model::shipped().any(|shipped| shipped == name) {
        return anyhow::anyhow!("{name} is part of the program and cannot be removed").into();
    }
    let shown: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let denied = |dir: &Path| matches!(dir.join(name).symlink_metadata(), Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied);
    if dirs.iter().any(|dir| denied(dir)) {
        return anyhow::anyhow!("{} may not be read by this user: {}", shown.join(", "), with_sudo()).into();
    }
    anyhow::anyhow!("there is no model {name:?} in {}; leptond model list shows what there is", shown.join(", ")).into()
}
