//! `[pipeline.task]`: the kinds of task that there are, and their keys.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::anomaly::AnomalyConfig;
use super::baseline::{BaselineConfig, ThresholdConfig};
use super::classify::config::ClassifyConfig;
use super::contract::{SetupError, TaskConfig};
use super::detect::config::DetectConfig;
use super::detect::kinds::{ObbConfig, PoseConfig, SegmentConfig};
use super::position::PositionConfig;
use super::raw::RawConfig;
use super::semantic::SemanticConfig;
use super::text::TextConfig;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::{Label, TaskKind};

/// Registers the kinds of task: a variant of [`Settings`] for each.
macro_rules! kinds {
    ($($kind:ident($config:ty),)*) => {
        /// Settings of one task, tagged by its kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Settings {
            $(
                #[doc = concat!("Of a `", stringify!($kind), "` task.")]
                $kind($config),
            )*
        }

        const KINDS: &[TaskKind] = &[$(TaskKind::$kind),*];

        impl Settings {
            /// The kind.
            pub fn kind(&self) -> TaskKind {
                match self {
                    $(Settings::$kind(_) => TaskKind::$kind,)*
                }
            }

            /// The configuration, whatever its kind.
            pub fn config(&self) -> &dyn TaskConfig {
                match self {
                    $(Settings::$kind(config) => config,)*
                }
            }

            /// Reads `keys`, which are all of `kind`.
            fn read(kind: TaskKind, keys: Map<String, Value>) -> serde_json::Result<Settings> {
                let keys = Value::Object(keys);
                match kind {
                    $(TaskKind::$kind => serde_json::from_value(keys).map(Settings::$kind),)*
                }
            }

            /// The keys that differ from their defaults.
            fn keys(&self) -> serde_json::Result<Map<String, Value>> {
                let (own, default) = match self {
                    $(Settings::$kind(config) => {
                        (serde_json::to_value(config)?, serde_json::to_value(<$config>::default())?)
                    })*
                };
                let Value::Object(mut keys) = own else { return Ok(Map::new()) };
                keys.retain(|key, value| default.get(key) != Some(value));
                Ok(keys)
            }

            /// These settings, with those `below`, of the same kind, for what they leave unset.
            fn over(self, below: Settings) -> Settings {
                match (self, below) {
                    $((Settings::$kind(own), Settings::$kind(below)) => Settings::$kind(own.over(below)),)*
                    (own, _) => own,
                }
            }
        }

        fn schema_of(kind: TaskKind, generator: &mut SchemaGenerator) -> Schema {
            match kind {
                $(TaskKind::$kind => <$config>::json_schema(generator),)*
            }
        }

        $(impl From<$config> for Config {
            fn from(config: $config) -> Config {
                let settings = Settings::$kind(config);
                Config { kind: Some(settings.kind()), keys: settings.keys().unwrap_or_default() }
            }
        })*
    };
}

kinds! {
    Classify(ClassifyConfig),
    Detect(DetectConfig),
    Pose(PoseConfig),
    Segment(SegmentConfig),
    Obb(ObbConfig),
    Semantic(SemanticConfig),
    Text(TextConfig),
    Position(PositionConfig),
    Anomaly(AnomalyConfig),
    Baseline(BaselineConfig),
    Threshold(ThresholdConfig),
    Raw(RawConfig),
}

impl From<&Settings> for Config {
    fn from(settings: &Settings) -> Config {
        Config { kind: Some(settings.kind()), keys: settings.keys().unwrap_or_default() }
    }
}

impl Settings {
    /// The keys of a task that finds objects.
    pub fn objects(&self) -> Option<&DetectConfig> {
        match self {
            Settings::Detect(config) => Some(config),
            Settings::Pose(PoseConfig(config))
            | Settings::Segment(SegmentConfig(config))
            | Settings::Obb(ObbConfig(config)) => Some(config),
            Settings::Classify(_)
            | Settings::Semantic(_)
            | Settings::Text(_)
            | Settings::Position(_)
            | Settings::Anomaly(_)
            | Settings::Baseline(_)
            | Settings::Threshold(_)
            | Settings::Raw(_) => None,
        }
    }
}

/// `[pipeline.task]`: the task as it is written. Without `type` it is the model's own, and its keys may be those of any kind
/// until the model is known. A key of another kind has no effect and is warned of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    kind: Option<TaskKind>,
    /// Keys that are set, each with a value that is right for the kinds that have it.
    keys: Map<String, Value>,
}

impl Config {
    /// The kind that is written.
    pub fn kind(&self) -> Option<TaskKind> {
        self.kind
    }

    /// True unless the kind that is written looks at the readings themselves.
    pub fn needs_model(&self) -> bool {
        self.kind.is_none_or(TaskKind::needs_model)
    }

    /// The settings for a model whose own task is `model_task`, with `defaults` (the bundle's `[defaults]`, same keys) for what is
    /// left unset.
    ///
    /// # Errors
    /// [`SetupError`] naming a fault of the bundle's defaults.
    pub fn over(&self, model_task: TaskKind, defaults: &Map<String, Value>) -> Result<Settings, SetupError> {
        let bad = |e: serde_json::Error| SetupError { key: "defaults", reason: e.to_string() };
        let below: Config = serde_json::from_value(Value::Object(defaults.clone())).map_err(bad)?;
        let kind = self.kind.or(below.kind).unwrap_or(model_task);
        Ok(self.of(kind).map_err(bad)?.over(below.of(kind).map_err(bad)?))
    }

    /// Faults that show without the model, for a pipeline with so many `regions`: keys without effect, or that do not fit each
    /// other.
    pub fn check(&self, regions: usize) -> Vec<Diagnostic> {
        let kinds = self.kind.as_ref().map_or(KINDS, std::slice::from_ref);
        let mut found: Vec<Diagnostic> = Vec::new();
        for settings in kinds.iter().filter_map(|kind| self.of(*kind).ok()) {
            for diagnostic in settings.config().check(regions) {
                if !found.contains(&diagnostic) {
                    found.push(diagnostic);
                }
            }
        }
        let whole = self.kind.and_then(|kind| self.of(kind).ok()).and_then(|settings| settings.config().check_whole());
        found.extend(whole);
        found.extend(self.kind.into_iter().flat_map(|kind| self.foreign(kind)));
        found
    }

    /// Faults for a model whose own task is `model_task` and that has these `labels`, beside those of [`Config::check`].
    pub fn check_model(&self, model_task: TaskKind, labels: &[Label]) -> Vec<Diagnostic> {
        let foreign = if self.kind.is_none() { self.foreign(model_task) } else { Vec::new() };
        let settings = self.of(self.kind.unwrap_or(model_task));
        let unknown = settings.map(|settings| settings.config().check_labels(labels)).unwrap_or_default();
        foreign.into_iter().chain(unknown).collect()
    }

    /// The keys of `kind`.
    fn of(&self, kind: TaskKind) -> serde_json::Result<Settings> {
        let own = self.keys.iter().filter(|(key, _)| has(kind, key));
        Settings::read(kind, own.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Warns of the keys that are not of `kind`.
    fn foreign(&self, kind: TaskKind) -> Vec<Diagnostic> {
        let foreign = self.keys.keys().filter(|key| !has(kind, key));
        let warning = |key: &String| {
            let owners: Vec<_> = KINDS.iter().filter(|owner| has(**owner, key)).map(|owner| quoted(*owner)).collect();
            let owners = match owners.as_slice() {
                [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
                few => few.concat(),
            };
            let message = format!("has no effect: it is for type {owners}, not {}", quoted(kind));
            Diagnostic::warning(key, message)
        };
        foreign.map(warning).collect()
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind.map(|kind| (TYPE.to_owned(), Value::from(kind.word())));
        serializer.collect_map(kind.iter().map(|(key, value)| (key, value)).chain(&self.keys))
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        let mut written = Map::deserialize(deserializer)?;
        written.retain(|_, value| !value.is_null());
        let kind = written.remove(TYPE).map(serde_json::from_value).transpose().map_err(D::Error::custom)?;
        if let Some(unknown) = written.keys().find(|key| !KINDS.iter().any(|kind| has(*kind, key))) {
            return Err(D::Error::custom(format_args!("unknown field `{unknown}`")));
        }
        let written = Config { kind, keys: written };
        let mut keys = Map::new();
        for kind in KINDS {
            keys.extend(written.of(*kind).and_then(|settings| settings.keys()).map_err(D::Error::custom)?);
        }
        Ok(Config { kind, keys })
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "TaskConfig".into()
    }

    /// One table with the keys of all kinds: a value is right or wrong whatever the type.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        /// The key that all kinds have.
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Tag {
            /// Kind of task; unset = as the model bundle says, else `raw`.
            #[schemars(rename = "type", default)]
            kind: Option<TaskKind>,
        }
        let mut table = Tag::json_schema(generator);
        let mut properties = Map::new();
        // Of each key the kinds that mean the same by it.
        let mut meanings: BTreeMap<String, Vec<(String, Vec<String>)>> = BTreeMap::new();
        for kind in KINDS {
            let Some(Value::Object(own)) = schema_of(*kind, generator).remove("properties") else { continue };
            for (key, property) in own {
                let about = property["description"].as_str().unwrap_or_default().to_owned();
                let known = meanings.entry(key.clone()).or_default();
                match known.iter_mut().find(|(text, _)| *text == about) {
                    Some((_, kinds)) => kinds.push(kind.word().to_owned()),
                    None => known.push((about, vec![kind.word().to_owned()])),
                }
                properties.entry(key).or_insert(property);
            }
        }
        for (key, meanings) in meanings {
            let quoted = |kinds: &[String]| kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
            let about: Vec<String> =
                meanings.iter().map(|(about, kinds)| format!("{}: {about}", quoted(kinds))).collect();
            properties[&key]["description"] = about.join(" ").into();
        }
        if let Some(Value::Object(all)) = table.get_mut("properties") {
            all.extend(properties);
        }
        table.insert("description".into(), "`[pipeline.task]`: the task that interprets the model's output.".into());
        table.insert("additionalProperties".into(), false.into());
        table
    }
}

/// The key that tells the kind.
const TYPE: &str = "type";

/// True if `kind` has `key`.
fn has(kind: TaskKind, key: &str) -> bool {
    static KEYS: OnceLock<Vec<(TaskKind, Map<String, Value>)>> = OnceLock::new();
    let properties = |kind: &TaskKind| match schema_of(*kind, &mut SchemaGenerator::default()).remove("properties") {
        Some(Value::Object(properties)) => (*kind, properties),
        _ => (*kind, Map::new()),
    };
    let all = KEYS.get_or_init(|| KINDS.iter().map(properties).collect());
    all.iter().any(|(known, keys)| *known == kind && keys.contains_key(key))
}

fn quoted(kind: TaskKind) -> String {
    format!("{:?}", kind.word())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
