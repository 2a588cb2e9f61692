//! The requests over MQTT that there are, and `[mqtt] requests`: those that are obeyed. Every client that may publish to the node's request
//! topics is obeyed, so an open broker calls for less than all.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `config/get`.
    ConfigGet,
    /// `config/set`.
    ConfigSet,
    /// `config/schema`.
    ConfigSchema,
    /// `governor/set`.
    GovernorSet,
    /// `pipeline/pause`.
    PipelinePause,
    /// `pipeline/resume`.
    PipelineResume,
    /// `detect/set`, on a topic of each pipeline.
    DetectSet,
    /// `snapshot`.
    Snapshot,
    /// `reading`.
    Reading,
    /// `model/list`.
    ModelList,
    /// `model/update`.
    ModelUpdate,
    /// `restart`.
    Restart,
}

/// Effect of a request on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It changes something that ends with the process, or makes the node publish a picture.
    Change,
    /// It changes what stays: only a list that names it permits it.
    Lasting,
}

/// An entry of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The request.
    pub verb: Verb,
    /// Its name in topics and in `mqtt.requests`.
    pub name: &'static str,
    /// Its effect.
    pub effect: Effect,
    /// One sentence for people.
    pub about: &'static str,
    /// Payloads, beside `transaction`, in the notation of the documentation.
    pub payload: &'static str,
}

/// The registry: every request, in the order of the documentation.
pub const REGISTRY: [Entry; 12] = [
    Entry {
        verb: Verb::ConfigGet,
        name: "config/get",
        effect: Effect::Read,
        about: "the effective configuration without secrets, or a part of it",
        payload: r#"{} or {"path":"pipeline.door.task"}"#,
    },
    Entry {
        verb: Verb::ConfigSet,
        name: "config/set",
        effect: Effect::Lasting,
        about: "changes values of the configuration file, and takes them back where they do not work",
        payload: r#"{"values":{"pipeline.door.task.min_score":0.6}}"#,
    },
    Entry {
        verb: Verb::ConfigSchema,
        name: "config/schema",
        effect: Effect::Read,
        about: "the JSON schema of the configuration, as `leptond schema` prints it: some 70 kB",
        payload: "{}",
    },
    Entry {
        verb: Verb::GovernorSet,
        name: "governor/set",
        effect: Effect::Change,
        about: "another mode or rung of the governor, for a time or until the next order",
        payload: r#"{"mode":"quiet"}, {"rung":2,"pipeline":"door"} or {"release":true}; "for_s":600 with the first two"#,
    },
    Entry {
        verb: Verb::PipelinePause,
        name: "pipeline/pause",
        effect: Effect::Change,
        about: "pauses a pipeline, or all of them",
        payload: r#"{"pipeline":"door"} or {}"#,
    },
    Entry {
        verb: Verb::PipelineResume,
        name: "pipeline/resume",
        effect: Effect::Change,
        about: "ends a pause",
        payload: r#"{"pipeline":"door"} or {}"#,
    },
    Entry {
        verb: Verb::DetectSet,
        name: "detect/set",
        effect: Effect::Change,
        about: "the same as a switch, on <pipeline>/detect/set",
        payload: "ON or OFF",
    },
    Entry {
        verb: Verb::Snapshot,
        name: "snapshot",
        effect: Effect::Change,
        about: "publishes the next picture of a pipeline with its results on <pipeline>/snapshot",
        payload: r#"{"pipeline":"door"}"#,
    },
    Entry {
        verb: Verb::Reading,
        name: "reading",
        effect: Effect::Change,
        about: "reads the next picture of a pipeline now, whatever its interval; a meter's light is switched on for it",
        payload: r#"{"pipeline":"water"}"#,
    },
    Entry {
        verb: Verb::ModelList,
        name: "model/list",
        effect: Effect::Read,
        about: "the models on this board, and the pipelines that use them",
        payload: "{}",
    },
    Entry {
        verb: Verb::ModelUpdate,
        name: "model/update",
        effect: Effect::Change,
        about: "not yet: an answer says so",
        payload: "{}",
    },
    Entry {
        verb: Verb::Restart,
        name: "restart",
        effect: Effect::Change,
        about: "ends the process in order; systemd starts it again",
        payload: "{}",
    },
];

impl Verb {
    /// The request of this name.
    pub fn named(name: &str) -> Option<Verb> {
        REGISTRY.iter().find(|entry| entry.name == name).map(|entry| entry.verb)
    }

    /// Its entry in the registry.
    pub fn entry(self) -> &'static Entry {
        REGISTRY.iter().find(|entry| entry.verb == self).unwrap_or(&REGISTRY[0])
    }

    /// Its name in topics and in `mqtt.requests`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Names of the requests on `request/<verb>`, for messages.
    pub fn known() -> String {
        let names: Vec<_> = REGISTRY.iter().filter(|e| e.verb != Verb::DetectSet).map(|entry| entry.name).collect();
        names.join(", ")
    }
}

/// Permitted requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Requests {
    /// By their effect.
    Level(Level),
    /// Those of these names.
    Verbs(Vec<String>),
}

/// Requests by their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every request but those with a [lasting](Effect::Lasting) effect.
    All,
    /// Those that change nothing.
    Read,
    /// None.
    Off,
}

impl Default for Requests {
    fn default() -> Self {
        Requests::Level(Level::All)
    }
}

impl Requests {
    /// Requests with `verb` are permitted.
    pub fn allow(&self, verb: Verb) -> bool {
        match self {
            Requests::Level(Level::All) => verb.entry().effect != Effect::Lasting,
            Requests::Level(Level::Read) => verb.entry().effect == Effect::Read,
            Requests::Level(Level::Off) => false,
            Requests::Verbs(names) => names.iter().any(|name| name == verb.name()),
        }
    }

    /// The permitted requests, in the order of the registry.
    pub fn permitted(&self) -> Vec<Verb> {
        REGISTRY.iter().map(|entry| entry.verb).filter(|verb| self.allow(*verb)).collect()
    }

    /// The value as the configuration has it.
    pub fn shown(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl JsonSchema for Requests {
    fn schema_name() -> Cow<'static, str> {
        "Requests".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let verbs = REGISTRY.map(|entry| serde_json::json!({ "const": entry.name }));
        json_schema!({
            "anyOf": [
                { "oneOf": [{ "const": "all" }, { "const": "read" }, { "const": "off" }] },
                { "type": "array", "items": { "oneOf": verbs } },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_allows_what_it_says() {
        let read = |json: &str| serde_json::from_str::<Requests>(json).unwrap();
        let every: Vec<_> = REGISTRY.iter().map(|entry| entry.name).collect();
        let but_lasting: Vec<_> = every.iter().copied().filter(|name| *name != "config/set").collect();
        for (setting, allowed) in [
            ("\"all\"", &but_lasting[..]),
            ("\"read\"", &["config/get", "config/schema", "model/list"]),
            ("\"off\"", &[]),
            ("[]", &[]),
            ("[\"pipeline/pause\",\"config/set\"]", &["config/set", "pipeline/pause"]),
        ] {
            let requests = read(setting);
            let found: Vec<_> = requests.permitted().into_iter().map(Verb::name).collect();
            assert_eq!(found, allowed, "{setting}");
            assert_eq!(requests.shown(), setting);
        }
        assert_eq!(Requests::default(), read("\"all\""));
    }

    #[test]
    fn every_request_has_one_entry() {
        for entry in &REGISTRY {
            assert_eq!(Verb::named(entry.name), Some(entry.verb), "{}", entry.name);
            assert_eq!(entry.verb.entry().name, entry.name);
        }
        assert_eq!(Verb::named("config"), None);
    }
}
