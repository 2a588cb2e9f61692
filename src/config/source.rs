//! `[[source]]`: a source with a name, which any number of pipelines read.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::frame::SourceName;
use crate::source;

/// `[[source]]`: opened once for all pipelines that say `source = "NAME"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceConfig {
    /// Name that pipelines refer to, `[a-zA-Z0-9_-]`, unique.
    pub name: SourceName,
    /// The source itself, as a pipeline has it inline.
    #[serde(flatten)]
    pub source: source::Config,
}

impl JsonSchema for SourceConfig {
    fn schema_name() -> Cow<'static, str> {
        "SourceConfig".into()
    }

    /// The schema of a source, with `name` among the keys of every type.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = source::Config::json_schema(generator);
        let name = json!({
            "description": "Name that pipelines refer to (`source = \"NAME\"`), `[a-zA-Z0-9_-]`, unique.",
            "type": "string",
            "pattern": r"^[a-zA-Z0-9_-]{1,64}$",
        });
        let variants = schema.get_mut("oneOf").and_then(Json::as_array_mut);
        for variant in variants.into_iter().flatten().filter_map(Json::as_object_mut) {
            let properties = variant.entry("properties").or_insert_with(|| Json::Object(Map::new()));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert("name".into(), name.clone());
            }
            let required = variant.entry("required").or_insert_with(|| Json::Array(Vec::new()));
            if let Some(required) = required.as_array_mut() {
                required.push("name".into());
            }
        }
        schema.insert("description".into(), "`[[source]]`: opened once for all pipelines that name it.".into());
        schema
    }
}
