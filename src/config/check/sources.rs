//! `[[source]]` and the `source` of each pipeline: names, devices, and what the keys of a source say together.

use std::collections::HashMap;

use crate::config::findings::Findings;
use crate::config::problem::{Problem, nearest, quoted};
use crate::config::{Config, PipelineConfig};
use crate::frame::diagnostic;
use crate::pipeline::Input;
use crate::source::{Device, Frames, SourceKind, Subscription};

/// Checks every source, and every pipeline's reference to one.
pub(super) fn check(config: &Config, f: &mut Findings) {
    names(config, f);
    devices(config, f);
    for (prefix, source) in config.declared_sources() {
        sense(source.kind(), &config.mqtt.prefix, &prefix, f);
    }
    for (i, pipeline) in config.pipelines.iter().enumerate() {
        match &pipeline.source {
            Input::Named(name) => reference(config, name, &format!("pipeline[{i}].source"), f),
            Input::Crops(crops) => {
                let at = |key: &str| format!("pipeline[{i}].source.{key}");
                f.take(&format!("pipeline[{i}].source"), diagnostic::unique(&crops.labels, "labels"));
                parent(config, pipeline, &crops.pipeline, &at("pipeline"), f);
            }
            Input::Inline(_) => {}
        }
    }
}

/// Names that are taken, and sources that no pipeline reads.
fn names(config: &Config, f: &mut Findings) {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (i, source) in config.sources.iter().enumerate() {
        let name = source.name.as_str();
        if let Some(first) = names.insert(name, i) {
            f.problem(
                Problem::new(format!("source[{i}].name"), "the name is taken")
                    .found(quoted(name))
                    .allowed(format!("a name of its own: source[{first}] has this one")),
            );
        } else if !config.pipelines.iter().any(|p| matches!(&p.source, Input::Named(read) if read == name)) {
            f.warn(
                Problem::new(format!("source[{i}].name"), "no pipeline reads this source: it is not opened")
                    .found(quoted(name))
                    .help(format!("write source = {name:?} in a pipeline, or remove it")),
            );
        }
    }
}

/// Devices that are declared twice. A device is opened once, so its second declaration would never get a frame.
fn devices(config: &Config, f: &mut Findings) {
    let mut devices: HashMap<String, String> = HashMap::new();
    for (prefix, source) in config.declared_sources() {
        let Some(Device { name: device, key }) = source.kind().exclusive_device() else { continue };
        let Some(first) = devices.insert(device.clone(), prefix.clone()) else { continue };
        let owner = |prefix: &str| {
            let named = config.sources.iter().enumerate().find(|(i, _)| prefix == format!("source[{i}]"));
            let own = config
                .pipelines
                .iter()
                .enumerate()
                .find(|(i, _)| prefix == config.written_path(&format!("pipeline[{i}].source")));
            (named.map(|(_, source)| source.name.as_str()), own.map_or("", |(_, pipeline)| pipeline.name.as_str()))
        };
        let problem = Problem::new(format!("{prefix}.{key}"), "").found(device);
        f.problem(match (owner(&first), owner(&prefix)) {
            ((Some(name), _), (Some(_), _)) => Problem {
                message: "is another source's already".into(),
                ..problem.allowed(format!("one [[source]] for each; source {name:?} has this one"))
            },
            ((Some(name), _), _) => Problem {
                message: "is read by a [[source]] already".into(),
                ..problem.allowed(format!("source = {name:?}, which shares it"))
            },
            ((None, other), _) => Problem {
                message: "is read by another pipeline already".into(),
                ..problem.allowed(format!("one reader for each; pipeline {other:?} has this one")).help(
                    "to share it, move it to a [[source]] with name = \"camera\" and write source = \"camera\" in both",
                )
            },
        });
    }
}

/// The name of a source must be known.
fn reference(config: &Config, name: &str, key: &str, f: &mut Findings) {
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    if names.contains(&name) {
        return;
    }
    let mut problem = Problem::new(key, "there is no source of this name").found(quoted(name)).allowed(match &*names {
        [] => "a [[source]] with this name, or a table with type = …".into(),
        names => names.join(", "),
    });
    problem.help = nearest(name, names).map(|meant| format!("did you mean {meant:?}?"));
    f.problem(problem);
}

/// The pipeline whose detections are cropped must be known, give pictures, and not read crops of this one.
fn parent(config: &Config, pipeline: &PipelineConfig, name: &str, key: &str, f: &mut Findings) {
    let find = |name: &str| config.pipelines.iter().find(|one| one.name == name);
    let Some(parent) = find(name) else {
        let others: Vec<&str> =
            config.pipelines.iter().map(|one| one.name.as_str()).filter(|other| pipeline.name != **other).collect();
        let mut problem =
            Problem::new(key, "there is no pipeline of this name").found(quoted(name)).allowed(others.join(", "));
        problem.help = nearest(name, others).map(|meant| format!("did you mean {meant:?}?"));
        return f.problem(problem);
    };
    let mut chain = vec![pipeline.name.as_str(), name];
    let mut next = parent;
    while let Input::Crops(crops) = &next.source
        && let Some(found) = find(&crops.pipeline)
    {
        let seen = chain.contains(&crops.pipeline.as_str());
        chain.push(&crops.pipeline);
        if seen {
            break;
        }
        next = found;
    }
    // Of a circle further up, its own members tell.
    if chain.last() == chain.first() {
        f.problem(
            Problem::new(key, "the pipelines read one another in a circle")
                .found(chain.join(" → "))
                .allowed("a chain that begins with a source"),
        );
    } else if config
        .source_of(&parent.source)
        .is_some_and(|source| matches!(source.kind().frames(), Frames::Windows { .. }))
    {
        f.problem(
            Problem::new(key, "crops are cut out of pictures, but this pipeline's source gives numbers")
                .found(quoted(name)),
        );
    }
}

/// Checks what a source says of itself, and what the node's own topics make of it.
fn sense(source: &dyn SourceKind, prefix: &str, table: &str, f: &mut Findings) {
    let diagnostics = source.check();
    let subscription = source.subscription().filter(|s| diagnostics.iter().all(|d| d.key != s.key));
    f.take(table, diagnostics);
    if let Some(Subscription { filter, key }) = subscription
        && (filter.starts_with(&format!("{prefix}/")) || filter == "#")
    {
        f.warn(
            Problem::new(format!("{table}.{key}"), "also catches what leptond itself publishes")
                .found(quoted(filter))
                .help(format!("choose a topic outside of {prefix}/")),
        );
    }
}
