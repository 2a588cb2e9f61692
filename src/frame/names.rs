//! Names of nodes, sources and pipelines, and topic filters: types that only hold valid ones, and every rule about them.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Longest name of a node, source or pipeline, in characters.
const NAME_CHARS: usize = 64;

/// Longest prefix of topics, in bytes.
const PREFIX_BYTES: usize = 256;

/// Names of the node's own topics, which no pipeline may take.
const RESERVED: [&str; 6] = ["state", "info", "health", "governor", "request", "response"];

/// The kinds of text that have a rule of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A node's name, one topic level.
    Node,
    /// A source's name.
    Source,
    /// A pipeline's name, one topic level beside the node's own topics.
    Pipeline,
    /// The name of a zone of a picture.
    Zone,
    /// The name of a line across a picture.
    Line,
    /// The first levels of every topic of a node.
    Prefix,
    /// A topic filter (MQTT 3.1.1, section 4.7).
    Filter,
}

/// Text that breaks the rule of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {found:?}: {reason}{}", allowed.as_ref().map(|allowed| format!(" (allowed: {allowed})")).unwrap_or_default())]
pub struct NameError {
    /// The kind that was wanted.
    pub kind: NameKind,
    /// The text.
    pub found: String,
    /// The rule that it breaks.
    pub reason: String,
    /// Everything that is allowed, where one line can say so.
    pub allowed: Option<String>,
}

impl NameKind {
    /// Checks `text` against the rule of its kind.
    ///
    /// # Errors
    /// [`NameError`] with the first fault.
    pub fn check(self, text: &str) -> Result<(), NameError> {
        let fault = match self {
            NameKind::Node | NameKind::Source | NameKind::Zone | NameKind::Line => name_fault(text),
            NameKind::Pipeline => name_fault(text).or_else(|| {
                let reserved = RESERVED.contains(&text).then(|| "the name is reserved for a topic of the node".into());
                reserved.map(|reason| (reason, Some(format!("any but {}", RESERVED.join(", ")))))
            }),
            NameKind::Prefix => prefix_fault(text).map(|reason| (reason, None)),
            NameKind::Filter => filter_fault(text).map(|reason| (reason.to_owned(), None)),
        };
        match fault {
            None => Ok(()),
            Some((reason, allowed)) => Err(NameError { kind: self, found: text.to_owned(), reason, allowed }),
        }
    }

    /// The JSON schema of a name.
    fn schema(self) -> Schema {
        match self {
            NameKind::Node | NameKind::Source | NameKind::Zone | NameKind::Line => {
                json_schema!({ "type": "string", "pattern": pattern(1) })
            }
            NameKind::Pipeline => {
                json_schema!({ "type": "string", "pattern": pattern(1), "not": { "enum": RESERVED } })
            }
            NameKind::Prefix | NameKind::Filter => json_schema!({ "type": "string", "minLength": 1 }),
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameKind::Node => "node",
            NameKind::Source => "source",
            NameKind::Pipeline => "pipeline",
            NameKind::Zone => "zone",
            NameKind::Line => "line",
            NameKind::Prefix => "prefix",
            NameKind::Filter => "topic filter",
        })
    }
}

/// The pattern of a name of `least` or more characters.
fn pattern(least: usize) -> String {
    format!("^[a-zA-Z0-9_-]{{{least},{NAME_CHARS}}}$")
}

fn name_fault(text: &str) -> Option<(String, Option<String>)> {
    let foreign = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    let reason = match foreign {
        Some(c) => format!("the character {c:?} is not allowed"),
        None if text.is_empty() => "must not be empty".into(),
        None if text.len() > NAME_CHARS => format!("too long: {} characters", text.len()),
        None => return None,
    };
    Some((reason, Some(format!("1 to {NAME_CHARS} characters out of a-z A-Z 0-9 _ -"))))
}

fn prefix_fault(text: &str) -> Option<String> {
    if let Some(c) = text.chars().find(|c| matches!(c, '+' | '#') || c.is_control()) {
        return Some(format!("the character {c:?} cannot stand in a topic"));
    }
    if text.starts_with('$') || text.split('/').any(str::is_empty) {
        return Some("must not begin with '/' or '$', end with '/' or have an empty level".into());
    }
    (text.len() > PREFIX_BYTES).then(|| format!("longer than {PREFIX_BYTES} bytes"))
}

fn filter_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > usize::from(u16::MAX) {
        return Some("it is longer than 65535 bytes");
    }
    if text.contains('\0') {
        return Some("it contains a NUL character");
    }
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Some("'#' must be the whole last level, as in meters/#");
        }
        if level.contains('+') && level != "+" {
            return Some("'+' must be a whole level, as in meters/+/value");
        }
    }
    None
}

macro_rules! name_types {
    ($($(#[$doc:meta])* $Name:ident: $kind:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Name(Arc<str>);

        impl $Name {
            /// Takes `text`, if it keeps the rule.
            ///
            /// # Errors
            /// [`NameError`] otherwise.
            pub fn new(text: &str) -> Result<Self, NameError> {
                NameKind::$kind.check(text)?;
                Ok($Name(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $Name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $Name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl PartialEq<str> for $Name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $Name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl TryFrom<&str> for $Name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                $Name::new(text)
            }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                $Name::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $Name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                NameKind::$kind.schema()
            }
        }
    )+};
}

name_types! {
    /// A pipeline's name.
    PipelineName: Pipeline;
    /// A source's name.
    SourceName: Source;
    /// A node's name.
    NodeName: Node;
    /// A zone's name.
    ZoneName: Zone;
    /// A line's name.
    LineName: Line;
    /// A topic filter.
    TopicFilter: Filter;
}

impl NodeName {
    /// The name of a computer where none is configured: `leptond-` and eight hex digits out of the machine id, so that it stays the
    /// same and does not give the machine id away (machine-id(5)); without one, the host's name.
    pub fn of_machine(machine_id: Option<&str>, hostname: Option<&str>) -> NodeName {
        let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(id) = machine_id.map(str::trim).filter(is_id) {
            let digest = Sha256::digest(format!("{id} leptond node").as_bytes());
            let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return NodeName(format!("leptond-{digits}").into());
        }
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let host: String = hostname.unwrap_or_default().trim().chars().take(56).map(keep).collect();
        NodeName(if host.is_empty() { "leptond".into() } else { format!("leptond-{host}").into() })
    }
}

/// `node.name` in a configuration: a name, or empty for none.
pub mod optional_node {
    use super::*;

    /// Reads a name, or an empty text as none.
    ///
    /// # Errors
    /// That of the format, or a [`NameError`] in it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NodeName>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let name = (!text.is_empty()).then(|| NodeName::new(&text));
        name.transpose().map_err(serde::de::Error::custom)
    }

    /// Writes the name, or an empty text for none.
    ///
    /// # Errors
    /// That of the format.
    pub fn serialize<S: Serializer>(name: &Option<NodeName>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_deref().unwrap_or_default())
    }

    /// The JSON schema.
    pub fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": pattern(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_topics_are_refused() {
        for name in ["", "a b", "a/b", "küche", "+", "#", "a\0", &"x".repeat(65)] {
            for kind in [NameKind::Node, NameKind::Source, NameKind::Pipeline] {
                let error = kind.check(name).unwrap_err();
                assert!(error.to_string().contains("1 to 64 characters"), "{error}");
            }
        }
        for name in ["a", "Attic_2-b", &"x".repeat(64)] {
            assert_eq!(NodeName::new(name).unwrap(), name);
            assert_eq!(PipelineName::new(name).unwrap().to_string(), name);
        }
        for name in RESERVED {
            assert!(PipelineName::new(name).is_err() && NodeName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn prefixes_are_topics_without_wildcards() {
        for prefix in ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a\nb", "a\0", &"x".repeat(257)] {
            assert!(NameKind::Prefix.check(prefix).is_err(), "{prefix:?}");
        }
        assert_eq!(NameKind::Prefix.check("site 7/leptond"), Ok(()));
    }

    #[test]
    fn topic_filters_are_those_of_mqtt() {
        for good in ["a", "a/b", "/", "+", "#", "a/+/b", "a/#", "+/+/#", "a b/ü", "$SYS/#"] {
            assert_eq!(TopicFilter::new(good).unwrap(), good);
        }
        for bad in ["", "a#", "a/#/b", "#/a", "a+", "+a/b", "a/b+/c", "a\0b", &"x".repeat(65_536)] {
            assert!(TopicFilter::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_checked_when_it_is_read() {
        assert_eq!(serde_json::from_str::<PipelineName>("\"meter\"").unwrap(), "meter");
        let error = serde_json::from_str::<PipelineName>("\"health\"").unwrap_err().to_string();
        assert!(error.contains("reserved"), "{error}");
        assert_eq!(serde_json::to_string(&NodeName::new("attic").unwrap()).unwrap(), "\"attic\"");
    }

    #[test]
    fn the_default_name_is_stable_and_hides_the_machine_id() {
        let id = "0123456789abcdef0123456789abcdef\n";
        let name = NodeName::of_machine(Some(id), Some("host"));
        assert_eq!(name, NodeName::of_machine(Some(id.trim()), None));
        assert_eq!(NodeName::new(&name).as_ref(), Ok(&name));
        assert_eq!(name.len(), "leptond-".len() + 8);
        assert!(!id.contains(&name["leptond-".len()..]));
        assert_ne!(name, NodeName::of_machine(Some("1123456789abcdef0123456789abcdef"), None));
    }

    #[test]
    fn without_a_machine_id_the_host_gives_the_name() {
        for machine_id in [None, Some(""), Some("uninitialized\n")] {
            assert_eq!(NodeName::of_machine(machine_id, Some("pi.kitchen\n")), "leptond-pi-kitchen");
        }
        assert_eq!(NodeName::of_machine(None, Some("\n")), "leptond");
        let long = NodeName::of_machine(None, Some(&"ä".repeat(300)));
        assert_eq!(NodeName::new(&long), Ok(long));
    }
}
