//! One pipeline of a configuration, by `--pipeline` or because there is only one.

use std::path::Path;

use super::Failure;
use crate::config::{Config, PipelineConfig};

/// The pipeline called `name`; without a name the only one that `suits`.
///
/// # Errors
/// [`Failure::Usage`] with the names to choose from.
pub(super) fn pipeline<'a>(
    config: &'a Config,
    file: &Path,
    name: Option<&str>,
    suits: impl Fn(&PipelineConfig) -> bool,
) -> Result<&'a PipelineConfig, Failure> {
    let file = file.display();
    let names = |of: &[&PipelineConfig]| of.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    let all: Vec<&PipelineConfig> = config.pipelines.iter().collect();
    if let Some(name) = name {
        let found = all.iter().copied().find(|pipeline| pipeline.name == name);
        return found.ok_or_else(|| Failure::Usage(format!("--pipeline {name}: {file} has {}", names(&all))));
    }
    let suitable: Vec<&PipelineConfig> = all.iter().copied().filter(|pipeline| suits(pipeline)).collect();
    match suitable[..] {
        [only] => Ok(only),
        [] => Err(Failure::Usage(format!("{file}: no pipeline suits; it has {}", names(&all)))),
        _ => Err(Failure::Usage(format!(
            "{file} has several pipelines, give --pipeline with one of {}",
            names(&suitable)
        ))),
    }
}
