//! The components of a discovery message: one for each entity, by an id that never changes while it means the same.

use serde_json::{Map, Value, json};

use super::naming::slug;
use crate::frame::NodeName;

/// Platforms of Home Assistant that entities are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// On or off.
    BinarySensor,
    /// Something that happened.
    Event,
    /// A picture.
    Image,
    /// One of several.
    Select,
    /// A value.
    Sensor,
    /// On or off, by command.
    Switch,
    /// A version.
    Update,
}

impl Platform {
    /// Every platform.
    const ALL: [Platform; 7] = [
        Platform::BinarySensor,
        Platform::Event,
        Platform::Image,
        Platform::Select,
        Platform::Sensor,
        Platform::Switch,
        Platform::Update,
    ];

    /// Its name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Platform::BinarySensor => "binary_sensor",
            Platform::Event => "event",
            Platform::Image => "image",
            Platform::Select => "select",
            Platform::Sensor => "sensor",
            Platform::Switch => "switch",
            Platform::Update => "update",
        }
    }

    /// The platform of a component.
    pub(super) fn of(component: &Value) -> Option<Platform> {
        let word = component.get("platform")?.as_str()?;
        Platform::ALL.into_iter().find(|platform| platform.word() == word)
    }

    /// The component that takes an entity away.
    pub(super) fn removed(self) -> Value {
        json!({ "platform": self.word() })
    }
}

/// Place of an entity on the device's page; `Main` is where a person looks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Purpose of the device.
    Main,
    /// Settings of the device.
    Config,
    /// Health of the device.
    Diagnostic,
    /// Health in numbers that few want; switched off until somebody switches it on.
    Hidden,
}

/// Components by id.
pub(super) struct Components {
    node: NodeName,
    by_id: Map<String, Value>,
}

impl Components {
    /// None yet, for `node`.
    pub(super) fn new(node: &NodeName) -> Components {
        Components { node: node.clone(), by_id: Map::new() }
    }

    /// Adds the entity `key` of `pipeline`, or of the node itself, with a `name` for people and the `keys` of its platform.
    pub(super) fn add(
        &mut self,
        pipeline: Option<&str>,
        key: &str,
        (platform, place): (Platform, Place),
        name: &str,
        keys: Value,
    ) {
        let mut id = pipeline.map_or_else(|| key.to_owned(), |pipeline| format!("{pipeline}.{key}"));
        // Two labels may differ in what an id cannot hold.
        let mut number = 1;
        while self.by_id.contains_key(&id) {
            number += 1;
            id = pipeline.map_or_else(|| format!("{key}_{number}"), |pipeline| format!("{pipeline}.{key}_{number}"));
        }
        let object = match slug(name) {
            slugged if slugged.is_empty() => slug(key),
            slugged => slugged,
        };
        let mut component = Map::new();
        component.insert("platform".into(), platform.word().into());
        component.insert("unique_id".into(), format!("leptond.{}.{id}", self.node).into());
        let entity = format!("{}.{}_{object}", platform.word(), slug(&self.node));
        component.insert("default_entity_id".into(), entity.into());
        component.insert("name".into(), name.into());
        match place {
            Place::Main => {}
            Place::Config => _ = component.insert("entity_category".into(), "config".into()),
            Place::Diagnostic => _ = component.insert("entity_category".into(), "diagnostic".into()),
            Place::Hidden => {
                component.insert("entity_category".into(), "diagnostic".into());
                component.insert("enabled_by_default".into(), false.into());
            }
        }
        if let Value::Object(keys) = keys {
            component.extend(keys);
        }
        self.by_id.insert(id, component.into());
    }

    /// All of them.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.by_id
    }
}

/// The pipeline that a component's id is of; `None` for one of the node itself.
pub(super) fn owner(id: &str) -> Option<&str> {
    id.split_once('.').map(|(pipeline, _)| pipeline)
}
