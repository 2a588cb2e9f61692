//! Names at the server: groups, subjects, streams and consumers.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::ModelDigest;

/// Longest name of a group, in characters.
const GROUP_CHARS: usize = 32;

/// Name of a group of nodes that work for each other: 1 to 32 characters out of `a-z A-Z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(String);

/// Text that is no name of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a group: 1 to {GROUP_CHARS} characters out of a-z A-Z 0-9 _ - are allowed")]
pub struct GroupError(String);

impl Group {
    /// Checks a name.
    ///
    /// # Errors
    /// [`GroupError`] with the rule.
    pub fn new(text: &str) -> Result<Group, GroupError> {
        let fits = (1..=GROUP_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if fits { Ok(Group(text.into())) } else { Err(GroupError(text.into())) }
    }

    /// Name of a stream.
    pub(super) fn stream(&self, lane: Lane) -> String {
        format!("leptond_{self}_{}", lane.word())
    }

    /// Every subject of a stream.
    pub(super) fn subjects(&self, lane: Lane) -> String {
        format!("leptond.{self}.{}.*", lane.word())
    }

    /// Subject of work for a model.
    pub(super) fn subject(&self, lane: Lane, model: &ModelDigest) -> String {
        format!("leptond.{self}.{}.{}", lane.word(), model.short())
    }

    /// Subject of the answers for whoever chose `token`.
    pub(super) fn answers(&self, token: &str) -> String {
        format!("leptond.{self}.answer.{token}")
    }
}

impl Default for Group {
    fn default() -> Self {
        Group("home".into())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Group, GroupError> {
        Group::new(text)
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Group::new(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Group {
    fn schema_name() -> Cow<'static, str> {
        "Group".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^[a-zA-Z0-9_-]{{1,{GROUP_CHARS}}}$") })
    }
}

/// The two streams of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Live frames: in memory, for seconds.
    Work,
    /// Files of `leptond map`: on disk, until they are done.
    Map,
}

impl Lane {
    /// Both, the more urgent one first.
    pub(super) const ALL: [Lane; 2] = [Lane::Work, Lane::Map];

    /// Word for it in subjects.
    pub(super) fn word(self) -> &'static str {
        match self {
            Lane::Work => "work",
            Lane::Map => "map",
        }
    }
}

/// Name of the consumer that every worker of a model shares.
pub(super) fn consumer(model: &ModelDigest) -> String {
    format!("model_{}", model.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_one_level_of_a_subject() {
        for name in ["home", "a", "A-1_b", &"x".repeat(32)] {
            assert_eq!(Group::new(name).unwrap().to_string(), name);
        }
        for name in ["", "a.b", "a b", "*", ">", "a*", "ü", "a\n", &"x".repeat(33)] {
            assert!(Group::new(name).unwrap_err().to_string().contains("1 to 32"), "{name:?}");
        }
    }

    #[test]
    fn names_hold_the_group_and_the_first_twelve_digits() {
        let group = Group::new("home").unwrap();
        let model = ModelDigest::new(&"0123456789abcdef".repeat(4)).unwrap();
        assert_eq!(group.subject(Lane::Map, &model), "leptond.home.map.0123456789ab");
        assert_eq!(
            (group.stream(Lane::Work).as_str(), consumer(&model).as_str()),
            ("leptond_home_work", "model_0123456789ab")
        );
        assert_eq!(group.subjects(Lane::Work), "leptond.home.work.*");
    }
}
