//! `--regions FILE` and `--tiles CxR`: how pictures are cut, from a file of its own, from a configuration, or in a grid.

use std::path::Path;

use crate::cli::{Failure, choice};
use crate::config::{self, Options};
use crate::preprocess::{self, Grid};
use crate::sys::file;

/// A larger file is no list of regions.
const MOST_BYTES: u64 = 4 << 20;

/// The settings of a command line: those of `--regions FILE`, a grid of tiles, or none.
///
/// # Errors
/// As [`read`].
pub fn given(file: Option<&Path>, pipeline: Option<&str>, tiles: Option<Grid>) -> Result<preprocess::Config, Failure> {
    match file {
        Some(file) => read(file, pipeline),
        None => Ok(preprocess::Config { tiles, ..preprocess::Config::default() }),
    }
}

/// The settings in `file`: of a pipeline where it has a key `pipeline`, else the keys of `[pipeline.preprocess]` themselves.
///
/// # Errors
/// [`Failure::Config`] with the file and key when something in it is wrong, [`Failure::Usage`] when a pipeline has to be chosen.
fn read(file: &Path, pipeline: Option<&str>) -> Result<preprocess::Config, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Config(format!("{}: {error}", file.display()));
    let text = file::read_text(file, MOST_BYTES).map_err(|error| wrong(&error))?;
    let document: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| wrong(&error))?;
    if document.contains_key("pipeline") {
        let options = Options { file: Some(file.into()), skip_files: true, ..Options::default() };
        let loaded = config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))?;
        let chosen = choice::pipeline(&loaded.config, file, pipeline, |p| p.preprocess.cuts())?;
        return Ok(chosen.preprocess.clone());
    }
    if pipeline.is_some() {
        return Err(wrong(&"--pipeline is given, and there is no pipeline in it"));
    }
    let settings: preprocess::Config = toml_edit::de::from_str(&text).map_err(|error| wrong(&error))?;
    if !settings.cuts() {
        return Err(wrong(&"no regions in it: regions = [{ rect = [x, y, width, height] }, ...], nor tiles = \"3x2\""));
    }
    for (index, region) in settings.regions.iter().enumerate() {
        region.check().map_err(|reason| wrong(&format!("regions[{index}] ({region}): {reason}")))?;
    }
    Ok(settings)
}
