//! References of a configuration to models, read even from an invalid one: a missing model may be the one about to be installed.

use std::path::PathBuf;

use toml_edit::DocumentMut;

use super::load::{DEFAULT_FILE, MOST_BYTES, Options, load};
use super::secret;
use crate::model::Config as ModelsConfig;
use crate::sys::file::read_text;

/// Models named by a configuration, and the directories searched for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelRefs {
    /// Directories of bundles, searched in order.
    pub dirs: Vec<PathBuf>,
    /// Configured state directory (`node.state_dir`); empty = none.
    pub state_dir: PathBuf,
    /// Name and model of each pipeline.
    pub pipelines: Vec<(String, String)>,
    /// The file, if it exists.
    pub file: Option<PathBuf>,
    /// Problems of an invalid configuration.
    pub fault: Option<String>,
    /// The pipelines are unknown because of that.
    pub blind: bool,
}

/// Reads the configuration's references to models.
pub fn read_model_refs(options: &Options) -> ModelRefs {
    let file = options.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let options = Options { skip_files: true, ..options.clone() };
    let error = match load(&options) {
        Ok(loaded) => {
            let pipelines = loaded.config.pipelines.iter();
            let pipelines =
                pipelines.flat_map(|p| p.models().map(|(_, model)| (p.name.to_string(), model.to_owned()))).collect();
            let (dirs, state_dir) = (loaded.config.models.dirs, loaded.config.node.state_dir);
            return ModelRefs { dirs, state_dir, pipelines, file: loaded.path, ..ModelRefs::default() };
        }
        Err(error) => error,
    };
    let defaults = ModelRefs { dirs: ModelsConfig::default().dirs, ..ModelRefs::default() };
    if options.file.is_none() && !file.exists() {
        return defaults;
    }
    let fault = Some(secret::redact(&error.to_string()));
    let text = read_text(&file, MOST_BYTES).ok();
    let Some(document) = text.and_then(|text| text.parse::<DocumentMut>().ok()) else {
        return ModelRefs { file: Some(file), fault, blind: true, ..defaults };
    };
    let dirs = document.get("models").and_then(|models| models.get("dirs")?.as_array());
    let dirs = dirs.map(|dirs| dirs.iter().filter_map(|dir| Some(dir.as_str()?.into())).collect());
    let state_dir = document.get("node").and_then(|node| node.get("state_dir")?.as_str());
    let state_dir = state_dir.map(PathBuf::from).unwrap_or_default();
    let pipelines = document.get("pipeline").and_then(|item| item.as_array_of_tables());
    let text = |table: &toml_edit::Table, key: &str| Some(table.get(key)?.as_str()?.to_string());
    let pipelines = pipelines.into_iter().flatten();
    let pipelines = pipelines.filter_map(|p| Some((text(p, "name").unwrap_or_default(), text(p, "model")?))).collect();
    ModelRefs { dirs: dirs.unwrap_or(defaults.dirs), state_dir, pipelines, file: Some(file), fault, blind: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: Option<&str>) -> ModelRefs {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("leptond.toml");
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let mut found = read_model_refs(&Options { file: Some(file.clone()), ..Options::default() });
        assert!(found.file.take().is_none_or(|f| f == file));
        found
    }

    const GOOD: &str = "[node]\nstate_dir = \"/s\"\n[models]\ndirs = [\"/m\"]\n[[pipeline]]\nname = \"p\"\nmodel = \"there-is-none\"\n[pipeline.source]\n\
                        type = \"synthetic\"\n";

    #[test]
    fn a_missing_model_is_no_fault() {
        let found = look(Some(GOOD));
        assert_eq!((found.fault, found.blind), (None, false));
        assert_eq!((found.dirs, found.state_dir), (vec![PathBuf::from("/m")], PathBuf::from("/s")));
        assert_eq!(found.pipelines, [("p".into(), "there-is-none".into())]);
    }

    #[test]
    fn a_wrong_configuration_still_says_which_models_it_uses() {
        let found = look(Some(&GOOD.replace("synthetic", "sythentic")));
        assert!(found.fault.is_some() && !found.blind);
        assert_eq!((found.dirs, found.state_dir), (vec![PathBuf::from("/m")], PathBuf::from("/s")));
        assert_eq!(found.pipelines.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for text in [Some("[models\n"), None] {
            let found = look(text);
            assert!(found.fault.is_some() && found.blind, "{text:?}");
            assert_eq!(found.dirs, ModelsConfig::default().dirs);
        }
    }
}
