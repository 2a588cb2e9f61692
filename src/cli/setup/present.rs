//! Answers that the present configuration holds already. Pure.

use toml_edit::{DocumentMut, Item};

use crate::config::{Config, PipelineConfig};
use crate::frame::TaskKind;
use crate::pipeline::MeterConfig;
use crate::source::{self, SensorKind};

/// The pipeline whose answers are the defaults: the one that is `named`, else the last one that a person added beside the
/// packaged one, which watches the machine itself.
pub fn pipeline<'a>(config: &'a Config, named: Option<&str>) -> Option<&'a PipelineConfig> {
    let pipelines = &config.pipelines;
    match named {
        Some(name) => pipelines.iter().find(|p| p.name == name),
        None => pipelines.iter().rev().find(|p| !watches_machine(config, p)),
    }
}

/// The meter whose answers are the defaults, as [`pipeline`].
pub fn meter<'a>(config: &'a Config, named: Option<&str>) -> Option<&'a MeterConfig> {
    let name = &pipeline(config, named)?.name;
    config.meters.iter().find(|meter| meter.name == *name)
}

fn watches_machine(config: &Config, pipeline: &PipelineConfig) -> bool {
    let source = config.source_of(&pipeline.source);
    matches!(source, Some(source::Config::Sensor(sensor)) if sensor.kind == SensorKind::Machine)
}

/// The keys of a pipeline's source that its file gives, but `type`.
pub fn source_keys(text: &str, name: &str) -> Vec<String> {
    let Ok(document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let Some(pipelines) = document.get("pipeline").and_then(Item::as_array_of_tables) else { return Vec::new() };
    let table = pipelines.iter().find(|p| p.get("name").and_then(Item::as_str) == Some(name));
    let source = table.and_then(|p| p.get("source")).and_then(Item::as_table_like);
    let keys = source.into_iter().flat_map(|s| s.iter().map(|(key, _)| key.to_owned()));
    keys.filter(|key| key != "type").collect()
}

/// Reports a file that names its broker.
pub fn names_broker(text: &str) -> bool {
    let document = text.parse::<DocumentMut>().ok();
    let of = |section: &str, key: &str| {
        document
            .as_ref()
            .and_then(|d| d.get(section))
            .and_then(Item::as_table_like)
            .is_some_and(|t| t.contains_key(key))
    };
    of("mqtt", "host") || of("broker", "enabled")
}

/// The labels that the pipeline of a model asks for, with commas between; `None` where it names none.
pub fn labels(config: &Config, named: Option<&str>, model: &str) -> Option<String> {
    let task = &pipeline(config, named).filter(|pipeline| pipeline.model == model)?.task;
    let settings = task.over(TaskKind::Detect, &serde_json::Map::new()).ok()?;
    let labels = &settings.objects()?.labels;
    Some(labels.join(", ")).filter(|labels| !labels.is_empty())
}

/// Address of the page for browsers, on or off.
pub fn page_address(config: &Config) -> String {
    // Of all addresses of this computer, a browser on it takes the one that needs no network.
    format!("http://{}/", config.page.listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:"))
}

/// A source in a few words, without a password.
pub fn described(source: &source::Config) -> String {
    source.kind().describe()
}

/// Reports that two sources give pictures of the same scene and size, so that a place in one is the same place in the other.
pub fn same_pictures(old: &source::Config, new: &source::Config) -> bool {
    match (old.kind().view(), new.kind().view()) {
        (Some(old), Some(new)) => old == new,
        _ => old == new,
    }
}
