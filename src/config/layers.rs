//! Layers of a configuration: file, then environment, then flags, merged by the `config` crate, with the origin of each value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use config::{Map, Source, Value, ValueKind};

use super::document::{Reader, plain_words};
use super::path::{Path, Step};
use super::problem::{Origin, Problem, nearest, quoted};
use super::provenance::{Provenance, note, to_value};
use super::schema::{Node, Shape};
use super::unknown::unknown_key;

/// Prefix of environment variables.
pub(super) const PREFIX: &str = "LEPTOND__";

/// A value given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Dotted path: `mqtt.port`, `pipeline[0].source.device`.
    pub key: String,
    /// The value as text: lists and tables as TOML writes them, strings without quotes.
    pub value: String,
    /// The flag as it was typed, for messages.
    pub flag: String,
}

impl Override {
    /// Parses one `--set KEY=VALUE`.
    ///
    /// # Errors
    /// `=` is missing.
    pub fn set(text: &str) -> Result<Override, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE, for instance mqtt.port=1884"))?;
        Ok(Override { key: key.trim().into(), value: value.trim().into(), flag: format!("--set {}", key.trim()) })
    }
}

/// Merged layers.
pub(super) struct Layers {
    builder: config::ConfigBuilder<config::builder::DefaultState>,
    places: BTreeMap<String, Provenance>,
    pipelines: usize,
    /// The file has pipelines; otherwise variables and flags may add some.
    pipelines_in_file: bool,
    /// The file, as the origin of problems without a position.
    pub(super) whole: Option<PathBuf>,
    /// Problems of the layers themselves.
    pub(super) problems: Vec<Problem>,
    /// Warnings of the layers themselves.
    pub(super) warnings: Vec<Problem>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Layers {
            builder: config::Config::builder(),
            places: BTreeMap::new(),
            pipelines: 0,
            pipelines_in_file: false,
            whole: None,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a file's text on top.
    pub(super) fn file(&mut self, file: &std::path::Path, text: &str) {
        let reader = Reader::new(file, text);
        let document = match toml_edit::Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let origin = reader.origin(error.span()).unwrap_or(Origin::Whole { file: reader.file.clone() });
                let words = plain_words(&error, text);
                self.problems.push(
                    Problem::new("", format!("not valid TOML: {words}"))
                        .help("the rest of the file is checked once this is mended")
                        .at(origin),
                );
                return;
            }
        };
        let mut root = Map::new();
        for (key, item) in document.as_table().iter() {
            let path = Path::default().key(key);
            let span = document.as_table().get_key_value(key).and_then(|(key, _)| key.span());
            let value = reader.item(item, span, &path, &mut self.places);
            // The config crate would read a dot or bracket in a top-level key as a path.
            if key.contains(['.', '[']) {
                self.problems.push(unknown_key(Node::root(), &path).at(self.key_origin(&path)));
                continue;
            }
            if key == "pipeline"
                && let ValueKind::Array(items) = &value.kind
            {
                self.pipelines = items.len();
                self.pipelines_in_file = !items.is_empty();
            }
            root.insert(key.to_owned(), value);
        }
        self.add(Layer(root));
    }

    /// Adds environment variables on top, in the order of their names.
    pub(super) fn environment(&mut self, env: &[(OsString, OsString)]) {
        let mut ours: Vec<_> = env.iter().filter(|(name, _)| name.to_string_lossy().starts_with("LEPTOND_")).collect();
        ours.sort();
        for (name, value) in ours {
            let variable = name.to_string_lossy().into_owned();
            let Some(rest) = variable.strip_prefix(PREFIX) else {
                self.single_underscores(&variable);
                continue;
            };
            let origin = Origin::Env { variable: variable.clone() };
            if rest.split("__").any(str::is_empty) {
                let problem = Problem::new("", "names no key").help(format!("write for instance {PREFIX}MQTT__HOST"));
                self.problems.push(problem.at(origin));
                continue;
            }
            let mut path = Path::default();
            for part in rest.split("__") {
                path = match part.parse() {
                    Ok(index) => path.index(index),
                    Err(_) => path.key(&part.to_lowercase()),
                };
            }
            match value.to_str() {
                Some(text) => self.single(&path, text, &origin),
                None => self.problems.push(
                    Problem::new(path.to_string(), "the value is not UTF-8 text")
                        .found(format!("{value:?}"))
                        .at(origin),
                ),
            }
        }
    }

    /// Adds flags on top, in the given order.
    pub(super) fn overrides(&mut self, overrides: &[Override]) {
        for Override { key, value, flag } in overrides {
            let origin = Origin::Flag { flag: flag.clone() };
            match Path::parse(key) {
                Some(path) => self.single(&path, value, &origin),
                None => self.problems.push(
                    Problem::new("", "not a key")
                        .found(quoted(key))
                        .allowed("a dotted path such as mqtt.port or pipeline[0].source.device")
                        .at(origin),
                ),
            }
        }
    }

    /// The merged values; the caller takes the problems first.
    pub(super) fn build(&self) -> Result<Value, config::ConfigError> {
        self.builder.build_cloned().map(|built| built.cache)
    }

    /// `true` when no layer has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn place(&self, path: &Path) -> Option<&Provenance> {
        self.places.get(&path.to_string())
    }

    /// Origin of each value that is not a default.
    pub(super) fn origins(&self) -> BTreeMap<String, Origin> {
        self.places.iter().map(|(key, place)| (key.clone(), place.value.clone())).collect()
    }

    /// Origin of a value; of a missing one, the value of its table.
    pub(super) fn value_origin(&self, path: &Path) -> Origin {
        self.nearest_place(path).map_or(Origin::Default, |place| place.value.clone())
    }

    /// Origin of a key; of a missing one, the key of its table.
    pub(super) fn key_origin(&self, path: &Path) -> Origin {
        self.nearest_place(path).map_or(Origin::Default, |place| place.key.clone())
    }

    fn nearest_place(&self, path: &Path) -> Option<&Provenance> {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.place(&path) {
                return Some(place);
            }
            path = path.parent()?;
        }
    }

    fn add(&mut self, layer: Layer) {
        self.builder = std::mem::take(&mut self.builder).add_source(layer);
    }

    /// Adds one value from outside the file, converted to the type of its key.
    fn single(&mut self, path: &Path, text: &str, origin: &Origin) {
        let node = match self.find(path) {
            Ok(node) => node,
            Err(mut problem) => {
                if matches!(origin, Origin::Env { .. })
                    && let Some(meant) = self.meant(&problem.key, path)
                {
                    problem.help = Some(format!("did you mean {meant}?"));
                }
                self.problems.push(problem.at(origin.clone()));
                return;
            }
        };
        let value = typed(node, text, origin);
        let key = path.to_string();
        self.places.retain(|place, _| !(place.starts_with(&key) && place[key.len()..].starts_with(['.', '['])));
        note(&mut self.places, path, &value, origin);
        let mut around = path.parent();
        while let Some(table) = around.filter(|table| !table.0.is_empty()) {
            let place = || Provenance { key: origin.clone(), value: origin.clone(), date: None };
            self.places.entry(table.to_string()).or_insert_with(place);
            around = table.parent();
        }
        if let [Step::Key(first), rest @ ..] = path.0.as_slice()
            && first == "pipeline"
        {
            self.pipelines = match (rest.first(), &value.kind) {
                (Some(Step::Index(index)), _) => self.pipelines.max(index + 1),
                (_, ValueKind::Array(items)) => items.len(),
                _ => self.pipelines,
            };
        }
        self.add(Layer(Map::from_iter([(key, value)])));
    }

    /// The schema's node of `path`, or the problem with the path.
    fn find(&self, path: &Path) -> Result<Node, Box<Problem>> {
        let mut node = Node::root();
        let mut walked = Path::default();
        for step in &path.0 {
            match step {
                Step::Key(key) => {
                    let next = walked.key(key);
                    node = node.child(key).ok_or_else(|| match node.shape() {
                        Shape::Array { .. } => Box::new(
                            Problem::new(next.to_string(), "a number is wanted here, not a name")
                                .help(format!("count from 0: {} is the first", walked.index(0))),
                        ),
                        _ => Box::new(unknown_key(node, &next)),
                    })?;
                    walked = next;
                }
                Step::Index(index) => {
                    let next = walked.index(*index);
                    let Shape::Array { items, .. } = node.shape() else {
                        return Err(Box::new(Problem::new(next.to_string(), format!("{walked} is not a list"))));
                    };
                    let is_pipeline = walked == Path::default().key("pipeline");
                    if !is_pipeline {
                        return Err(Box::new(
                            Problem::new(next.to_string(), "items of this list cannot be set one by one")
                                .help("set the whole list, written as TOML: [\"a\", \"b\"]"),
                        ));
                    }
                    let most = if self.pipelines_in_file { self.pipelines } else { self.pipelines + 1 };
                    if *index >= most {
                        return Err(Box::new(Problem::new(next.to_string(), "there is no such pipeline").allowed(
                            match most {
                                1 => "0: pipelines are counted from 0, and there is one".into(),
                                n => format!("0 to {}: pipelines are counted from 0", n - 1),
                            },
                        )));
                    }
                    node = items;
                    walked = next;
                }
            }
        }
        Ok(node)
    }

    /// The variable most likely meant when `unknown`, a key on the way to `path`, does not exist.
    fn meant(&self, unknown: &str, path: &Path) -> Option<String> {
        let unknown = Path::parse(unknown)?;
        let (parent, depth) = (unknown.parent()?, unknown.0.len());
        let meant = nearest(unknown.last_key(), self.find(&parent).ok()?.child_names())?;
        let rest = Path(path.0.get(depth..)?.to_vec());
        let name = [parent.variable(), meant.to_uppercase(), rest.variable()];
        Some(format!("{PREFIX}{}", name.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("__")))
    }

    /// Warns of `LEPTOND_MQTT_PORT` instead of `LEPTOND__MQTT__PORT`, which has no effect.
    fn single_underscores(&mut self, variable: &str) {
        let rest = variable.trim_start_matches("LEPTOND_").to_lowercase();
        let Some((section, key)) = rest.split_once('_') else { return };
        let key = key.trim_start_matches('_');
        if Node::root().child(section).is_some_and(|node| node.child(key).is_some()) {
            self.warnings.push(
                Problem::new("", "has no effect")
                    .help(format!("write {PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase()))
                    .at(Origin::Env { variable: variable.to_owned() }),
            );
        }
    }
}

/// One layer, already typed.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Text from outside the file as the type of its key. Unparsable text stays text, which the schema check then reports like any
/// other wrong value.
fn typed(node: Node, text: &str, origin: &Origin) -> Value {
    let from = origin.to_string();
    let as_text = || Value::new(Some(&from), ValueKind::String(text.to_owned()));
    let as_toml = || text.trim().parse::<toml_edit::Value>().ok();
    match node.shape() {
        Shape::Text { .. } | Shape::Choice(_) => as_text(),
        Shape::Integer { .. } | Shape::Number { .. } | Shape::Bool => match as_toml() {
            Some(
                value @ (toml_edit::Value::Integer(_) | toml_edit::Value::Float(_) | toml_edit::Value::Boolean(_)),
            ) => to_value(&value, &from),
            _ => as_text(),
        },
        _ => as_toml().map_or_else(as_text, |value| to_value(&value, &from)),
    }
}
