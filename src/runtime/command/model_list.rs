//! `model/list`: the models on this board.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{Config, PipelineConfig};
use crate::frame::TaskKind;
use crate::model::{self, Bundle, ModelError};

/// Most models of one answer.
const MOST: usize = 100;

/// The data of the answer.
#[derive(Debug, Serialize)]
pub(in crate::runtime) struct Models {
    /// Those that a pipeline can name, in the order in which names are looked up.
    models: Vec<Listed>,
    /// Models beyond those of `models`.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
}

/// A model that a pipeline can name.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// Directory or file; absent for a model that is part of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskKind>,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    /// SHA-256 of the model file.
    #[serde(skip_serializing_if = "String::is_empty")]
    sha256: String,
    /// SHA-256 of manifest and files together.
    #[serde(skip_serializing_if = "String::is_empty")]
    digest: String,
    /// It is part of the program.
    shipped: bool,
    /// Names of the pipelines that use it.
    used_by: Vec<String>,
    /// Reason for which it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// Reads every model that `config` can name. Takes as long as it takes to read their files.
pub(in crate::runtime) fn list(config: &Config) -> Models {
    let dirs = &config.models.dirs;
    let mut found: Vec<(String, Option<PathBuf>)> = Vec::new();
    let named = config.pipelines.iter().flat_map(|pipeline| pipeline.models()).map(|(_, model)| model);
    for model in named.filter(|model| model.contains('/')) {
        let path = PathBuf::from(model);
        if !found.iter().any(|(_, known)| known.as_ref() == Some(&path)) {
            found.push((model.to_owned(), Some(path)));
        }
    }
    for dir in dirs {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_model(path)).collect();
        paths.sort();
        found.extend(
            paths
                .into_iter()
                .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), Some(path))),
        );
    }
    found.extend(model::shipped().map(|name| (name.to_owned(), None)));
    let left_out = found.len().saturating_sub(MOST);
    Models { models: found.into_iter().take(MOST).map(|(name, path)| listed(name, path, config)).collect(), left_out }
}

fn listed(name: String, path: Option<PathBuf>, config: &Config) -> Listed {
    let dirs = &config.models.dirs;
    let is_it = |model: &str| match (&path, model::locate(model, dirs)) {
        (Some(path), Some(found)) => same(path, &found),
        (None, None) => model == name,
        _ => false,
    };
    let uses = |p: &&PipelineConfig| p.models().any(|(_, model)| is_it(model));
    let used_by = config.pipelines.iter().filter(uses).map(|p| p.name.to_string()).collect();
    let opened: Option<Result<Bundle, ModelError>> = match &path {
        Some(path) => Some(Bundle::open(path)),
        None => model::open(&name, &[]),
    };
    let shipped = path.is_none();
    let mut listed = Listed {
        name,
        path,
        task: None,
        version: String::new(),
        sha256: String::new(),
        digest: String::new(),
        shipped,
        used_by,
        fault: None,
    };
    match opened {
        Some(Ok(bundle)) => {
            let manifest = bundle.manifest();
            listed.task = Some(manifest.task);
            listed.version.clone_from(&manifest.version);
            listed.sha256.clone_from(&manifest.sha256);
            listed.digest = bundle.digest().to_owned();
        }
        Some(Err(error)) => listed.fault = Some(error.to_string()),
        None => listed.fault = Some("it is not there any more".into()),
    }
    listed
}

/// An entry of a directory that is meant as a model.
fn is_model(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let bare = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx") || e.eq_ignore_ascii_case("tflite"));
    !hidden && (path.is_dir() || bare)
}

fn same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
    real(a) == real(b)
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_with_their_users_and_faults() {
        let dir = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-digits");
        std::os::unix::fs::symlink(&shipped, dir.path().join("meter-digits")).unwrap();
        std::fs::create_dir(dir.path().join("broken")).unwrap();
        std::fs::create_dir(dir.path().join(".hidden")).unwrap();
        let text = format!(
            "[models]\ndirs = [{:?}, \"/nowhere\"]\n[[pipeline]]\nname = \"a\"\nmodel = \"meter-digits\"\nsource = {{ type = \"synthetic\" }}\n\
             [[pipeline]]\nname = \"b\"\nmodel = \"machine-anomaly\"\nsource = {{ type = \"synthetic\" }}\n",
            dir.path()
        );
        let config: Config = toml_edit::de::from_str(&text).unwrap();
        let json = serde_json::to_value(list(&config)).unwrap();
        let named =
            |name: &str| json["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone();
        let digits = named("meter-digits");
        assert_eq!(
            (digits["shipped"].as_bool(), &digits["used_by"]),
            (Some(false), &serde_json::json!(["a"])),
            "{digits}"
        );
        assert_eq!(digits["digest"].as_str().unwrap().len(), 64);
        assert!(named("broken")["fault"].as_str().is_some_and(|fault| !fault.is_empty()));
        let anomaly = named("machine-anomaly");
        assert_eq!(
            (anomaly["shipped"].as_bool(), &anomaly["used_by"]),
            (Some(true), &serde_json::json!(["b"])),
            "{anomaly}"
        );
        assert!(json["left_out"].is_null() && !json.to_string().contains(".hidden"));
    }
}
