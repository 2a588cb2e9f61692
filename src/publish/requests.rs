//! `[mqtt] requests`: the requests over MQTT that are obeyed. Every client that may publish to the node's request topics is obeyed,
//! so an open broker calls for less than all.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The verbs of requests, as they stand in a topic.
pub const VERBS: [&str; 3] = ["governor/set", "pipeline/pause", "pipeline/resume"];

/// Those of [`VERBS`] that change nothing: none so far.
const READING: [&str; 0] = [];

/// Permitted requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Requests {
    /// By their effect.
    Level(Level),
    /// Those of these verbs.
    Verbs(Vec<String>),
}

/// Requests by their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every request.
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
    pub fn allow(&self, verb: &str) -> bool {
        match self {
            Requests::Level(Level::All) => true,
            Requests::Level(Level::Read) => READING.contains(&verb),
            Requests::Level(Level::Off) => false,
            Requests::Verbs(verbs) => verbs.iter().any(|known| known == verb),
        }
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
        let verbs = VERBS.map(|verb| serde_json::json!({ "const": verb }));
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
        for (setting, allowed) in [
            ("\"all\"", &VERBS[..]),
            ("\"read\"", &[]),
            ("\"off\"", &[]),
            ("[]", &[]),
            ("[\"pipeline/pause\",\"pipeline/resume\"]", &["pipeline/pause", "pipeline/resume"]),
        ] {
            let requests = read(setting);
            let found: Vec<_> = VERBS.into_iter().filter(|verb| requests.allow(verb)).collect();
            assert_eq!(found, allowed, "{setting}");
            assert_eq!(requests.shown(), setting);
        }
        assert_eq!(Requests::default(), read("\"all\""));
    }
}
