//! A source as `KEY=VALUE` pairs on the command line.

use crate::config::{self, Override};
use crate::source;

/// The source that `KEY=VALUE` pairs describe, checked as in a configuration file.
///
/// # Errors
/// The mistake, for people.
pub(super) fn source_of_pairs(pairs: &[String]) -> Result<source::Config, String> {
    let flag =
        |key: &str, value: &str, flag: &str| Override { key: key.into(), value: value.into(), flag: flag.into() };
    // An empty file: what this computer's daemon is configured to do is of no interest here.
    let mut options =
        config::Options { file: Some("/dev/null".into()), skip_files: true, ..config::Options::default() };
    options.overrides.push(flag("pipeline[0].name", "capture", "name"));
    options.overrides.push(flag("pipeline[0].model", "none", "model"));
    for pair in pairs {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("{pair:?} is not of the form KEY=VALUE, such as type=v4l2"))?;
        options.overrides.push(flag(&format!("pipeline[0].source.{key}"), value, pair));
    }
    let loaded = config::load(&options).map_err(|errors| errors.to_string())?;
    let source = loaded.config.pipelines.first().and_then(|pipeline| loaded.config.source_of(&pipeline.source));
    source.cloned().ok_or_else(|| "no source is given".to_owned())
}
