//! Input of a pipeline: a named source, a source of its own, or crops of another pipeline's detections.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::frame::{PipelineName, SourceName};
use crate::source;

/// `source` of a `[[pipeline]]`: the name of a `[[source]]`, a source of the pipeline's own, or crops of another pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Input {
    /// Name of a `[[source]]`.
    Named(SourceName),
    /// Crops of another pipeline's detections.
    Crops(Crops),
    /// A source that no other pipeline reads.
    Inline(source::Config),
}

/// Crops of the detections of another pipeline, out of the frame that they were found in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crops {
    /// Name of the pipeline whose detections are cropped; its task is `detect`.
    pub pipeline: PipelineName,
    /// Labels whose detections are cropped; empty = all.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Margin on each side of a crop, as a share of the detection's width and height.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pad: f32,
    /// Crops of one frame at most, the highest scores first.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 16))]
    pub max: u32,
}

fn tenth() -> f32 {
    0.1
}

fn four() -> u32 {
    4
}

impl From<source::Config> for Input {
    fn from(source: source::Config) -> Self {
        Input::Inline(source)
    }
}

impl JsonSchema for Input {
    fn schema_name() -> Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (crops, source) = (generator.subschema_for::<Crops>(), generator.subschema_for::<source::Config>());
        json_schema!({
            "description": "The name of a `[[source]]`, a source of the pipeline's own, or crops of another pipeline's detections.",
            "anyOf": [{ "type": "string", "pattern": r"^[a-zA-Z0-9_-]{1,64}$" }, crops, source],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Table {
        source: Input,
    }

    fn read(source: &str) -> Result<Input, String> {
        let table = toml_edit::de::from_str::<Table>(&format!("source = {source}"));
        table.map(|table| table.source).map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_reads_back_as_it_is_written() {
        let crops = |labels: &[&str], pad, max| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Input::Crops(Crops { pipeline: "street".try_into().unwrap(), labels, pad, max })
        };
        let synthetic = source::Config::Synthetic(source::SyntheticConfig { fps: 5.0, ..Default::default() });
        for (text, expected) in [
            ("'camera'", Input::Named("camera".try_into().unwrap())),
            ("{ type = 'synthetic', fps = 5.0 }", Input::Inline(synthetic)),
            ("{ pipeline = 'street' }", crops(&[], 0.1, 4)),
            ("{ pipeline = 'street', labels = ['car'], pad = 0.25, max = 1 }", crops(&["car"], 0.25, 1)),
        ] {
            let input = read(text).unwrap();
            assert_eq!(input, expected);
            let json = serde_json::to_value(&input).unwrap();
            assert_eq!(serde_json::from_value::<Input>(json).unwrap(), expected);
        }
        for text in ["3", "{ type = 'sythentic' }", "{ pipeline = 'a', type = 'synthetic' }", "{ labels = ['a'] }"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
