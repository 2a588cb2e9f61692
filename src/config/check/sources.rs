//! `[[source]]` and the `source` of each pipeline: names, devices, and what the keys of a source say together.

use std::collections::HashMap;

use super::{Findings, topic_filter, unique};
use crate::config::problem::{Problem, nearest, quoted};
use crate::config::secret::redact;
use crate::config::{Config, PipelineConfig};
use crate::pipeline::Input;
use crate::source::{self, SensorKind};

/// Checks every source, and every pipeline's reference to one.
pub(super) fn check(config: &Config, f: &mut Findings) {
    names(config, f);
    devices(config, f);
    for (prefix, source) in config.declared_sources() {
        let at = |key: &str| format!("{prefix}.{key}");
        sense(source, &config.mqtt.prefix, &at, f);
    }
    for (i, pipeline) in config.pipelines.iter().enumerate() {
        match &pipeline.source {
            Input::Named(name) => reference(config, name, &format!("pipeline[{i}].source"), f),
            Input::Crops(crops) => {
                let at = |key: &str| format!("pipeline[{i}].source.{key}");
                unique(&crops.labels, &at("labels"), f);
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
        let Some((device, key)) = exclusive_device(source) else { continue };
        let Some(first) = devices.insert(device.clone(), prefix.clone()) else { continue };
        let owner = |prefix: &str| {
            let named = config.sources.iter().enumerate().find(|(i, _)| prefix == format!("source[{i}]"));
            let own = config.pipelines.iter().enumerate().find(|(i, _)| prefix == format!("pipeline[{i}].source"));
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
            config.pipelines.iter().map(|one| one.name.as_str()).filter(|other| *other != pipeline.name).collect();
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
    } else if config.source_of(&parent.source).is_some_and(gives_numbers) {
        f.problem(
            Problem::new(key, "crops are cut out of pictures, but this pipeline's source gives numbers")
                .found(quoted(name)),
        );
    }
}

/// Values of one source that do not go together.
fn sense(source: &source::Config, prefix: &str, at: &dyn Fn(&str) -> String, f: &mut Findings) {
    let window = |window: u32, stride: u32, f: &mut Findings| {
        if stride > window {
            f.warn(
                Problem::new(at("stride"), "longer than the window: readings between two windows are lost")
                    .found(format!("stride {stride}, window {window}")),
            );
        }
    };
    let channels = |channels: &[String], f: &mut Findings| unique(channels, &at("channels"), f);
    match source {
        source::Config::Rtsp(s) => {
            if let Some(doubt) = source::address::doubt(&s.url) {
                let problem = Problem::new(at("url"), doubt.why).found(quoted(&redact(&s.url))).help(doubt.how);
                if doubt.usable { f.warn(problem) } else { f.problem(problem) }
            }
        }
        source::Config::Sensor(s) => {
            window(s.window, s.stride, f);
            channels(&s.channels, f);
            let reads_file = matches!(s.kind, SensorKind::Jsonl | SensorKind::Csv);
            if reads_file && s.path.is_empty() {
                f.problem(
                    Problem::new(at("path"), "missing: kind \"jsonl\" and \"csv\" read a file")
                        .allowed("a file, a FIFO, or \"-\" for standard input"),
                );
            }
            if s.kind == SensorKind::Machine && !s.path.is_empty() {
                f.warn(Problem::new(at("path"), "has no effect with kind \"machine\""));
            }
            if !reads_file && s.interval_ms == 0 {
                f.problem(
                    Problem::new(at("interval_ms"), "0 is for files only")
                        .found("0")
                        .allowed("a whole number, 1 to 3600000 ms"),
                );
            }
            let (header, delimiter, decimal) = (s.header, s.delimiter, s.decimal);
            for (key, is_default) in [
                ("source.header", header == source::Header::default()),
                ("source.delimiter", delimiter == source::Delimiter::default()),
                ("source.decimal", decimal == source::Decimal::default()),
            ] {
                if !is_default && s.kind != SensorKind::Csv {
                    f.warn(Problem::new(at(key), "has no effect: it is for kind \"csv\""));
                }
            }
            if delimiter == source::Delimiter::Comma && decimal == source::Decimal::Comma {
                f.warn(
                    Problem::new(at("decimal"), "numbers with a comma must be in quotes between commas")
                        .help("delimiter is \"comma\" as well"),
                );
            }
            if s.repeat && (!reads_file || s.path == "-") {
                f.warn(Problem::new(at("loop"), "has no effect: there is no file to begin again"));
            }
        }
        source::Config::Mqtt(s) => {
            if let Err(reason) = topic_filter(&s.topic) {
                f.problem(
                    Problem::new(at("topic"), format!("not an MQTT topic filter: {reason}")).found(quoted(&s.topic)),
                );
            } else if s.topic.starts_with(&format!("{}/", prefix)) || s.topic == "#" {
                f.warn(
                    Problem::new(at("topic"), "also catches what leptond itself publishes")
                        .found(quoted(&s.topic))
                        .help(format!("choose a topic outside of {}/", prefix)),
                );
            }
            channels(&s.channels, f);
            match s.content {
                source::MqttContent::Numbers => window(s.window, s.stride, f),
                source::MqttContent::Jpeg => {
                    if s.window != 1 || s.stride != 1 || !s.channels.is_empty() {
                        f.warn(Problem::new(at("content"), "window, stride and channels have no effect on pictures"));
                    }
                }
            }
        }
        _ => {}
    }
}

/// A device that only one source can read, and the key that names it.
fn exclusive_device(source: &source::Config) -> Option<(String, &'static str)> {
    match source {
        source::Config::V4l2(s) => Some((s.device.display().to_string(), "device")),
        source::Config::Rpicam(s) => Some((format!("camera {}", s.camera), "camera")),
        source::Config::Sensor(s) if s.path == "-" => Some(("standard input".into(), "path")),
        _ => None,
    }
}

/// A source of numbers rather than of pictures.
pub(in crate::config) fn gives_numbers(source: &source::Config) -> bool {
    match source {
        source::Config::Sensor(_) => true,
        source::Config::Mqtt(s) => s.content == source::MqttContent::Numbers,
        _ => false,
    }
}
