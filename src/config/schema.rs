//! The JSON schema of the configuration, derived from the types, and its interpretation.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

use super::root::Config;

/// The JSON schema (draft 2020-12) of the whole configuration: every key with its meaning, type, range and default.
pub fn schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = schemars::schema_for!(Config).to_value();
        shorten_floats(&mut schema);
        schema
    })
}

/// Restores single-precision defaults as written (0.2) from their widened form (0.20000000298…).
pub(super) fn shorten_floats(json: &mut Json) {
    match json {
        Json::Number(n) if n.is_f64() => {
            if let Some(short) = n.as_f64().map(shorten).and_then(serde_json::Number::from_f64) {
                *n = short;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(shorten_floats),
        Json::Object(map) => map.values_mut().for_each(shorten_floats),
        _ => {}
    }
}

/// The shortest decimal of the same single-precision number, for values that are exactly one.
pub(super) fn shorten(value: f64) -> f64 {
    let single = value as f32;
    if f64::from(single) == value { single.to_string().parse().unwrap_or(value) } else { value }
}

/// One node of the schema.
#[derive(Clone, Copy)]
pub(super) struct Node(&'static Json);

/// Allowed form of a value.
pub(super) enum Shape {
    /// A table with these keys.
    Table(Keys),
    /// A table whose `type` decides its other keys.
    Tagged(Vec<(&'static str, Keys)>),
    /// Text, a table whose `type` decides its other keys, or a table with `key` and these keys instead of a `type`.
    Reference { name: Node, tagged: Vec<(&'static str, Keys)>, key: &'static str, keys: Keys },
    /// A table with exactly one of these keys.
    OneOf(Vec<Keys>),
    /// One of these words.
    Choice(Vec<&'static str>),
    /// One of these words, or a list of such items.
    ChoiceOrList { words: Vec<&'static str>, items: Node },
    /// A list.
    Array { items: Node, min: Option<usize>, max: Option<usize> },
    /// A whole number, ends included.
    Integer { min: i64, max: i64 },
    /// A number, ends included.
    Number { min: f64, max: f64 },
    /// Text.
    Text { pattern: Option<Pattern>, reserved: Vec<&'static str>, may_be_empty: bool },
    /// `true` or `false`.
    Bool,
    /// A form that this reader does not support (a unit test shows that there is none).
    Unknown,
}

/// The keys of a table.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    properties: &'static Map<String, Json>,
    required: Option<&'static Vec<Json>>,
}

impl Keys {
    fn of(object: &'static Json) -> Option<Keys> {
        Some(Keys {
            properties: object.get("properties")?.as_object()?,
            required: object.get("required").and_then(Json::as_array),
        })
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        self.properties.keys().map(String::as_str)
    }

    pub(super) fn get(self, key: &str) -> Option<Node> {
        self.properties.get(key).map(Node)
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'static str> {
        self.required.into_iter().flatten().filter_map(Json::as_str)
    }

    fn constant(self, key: &str) -> Option<&'static str> {
        self.properties.get(key)?.get("const")?.as_str()
    }
}

impl Node {
    /// The whole file.
    pub(super) fn root() -> Node {
        Node(schema())
    }

    /// `true` for secrets.
    pub(super) fn is_secret(self) -> bool {
        self.0.get("writeOnly").and_then(Json::as_bool).unwrap_or(false)
    }

    /// First sentence of its description.
    pub(super) fn description(self) -> Option<&'static str> {
        self.0.get("description").and_then(Json::as_str)
    }

    /// Follows `$ref` and takes the non-null branch of an optional value.
    fn resolved(self) -> &'static Json {
        let mut json = self.0;
        loop {
            let target = if let Some(reference) = json.get("$ref").and_then(Json::as_str) {
                reference.strip_prefix('#').and_then(|pointer| schema().pointer(pointer))
            } else if let Some(any) = json.get("anyOf").and_then(Json::as_array) {
                any.iter().find(|branch| branch.get("type").and_then(Json::as_str) != Some("null"))
            } else {
                None
            };
            match target {
                Some(target) => json = target,
                None => return json,
            }
        }
    }

    /// Both branches of a value that is a word or a list.
    fn choice_or_list(self) -> Option<Shape> {
        let reference = self.0.get("$ref").and_then(Json::as_str).and_then(|reference| reference.strip_prefix('#'));
        let json = reference.and_then(|pointer| schema().pointer(pointer)).unwrap_or(self.0);
        let [choice, list] = json.get("anyOf")?.as_array()?.as_slice() else { return None };
        let Shape::Choice(words) = one_of(choice.get("oneOf")?.as_array()?) else { return None };
        Some(Shape::ChoiceOrList { words, items: Node(list.get("items")?) })
    }

    /// A value that is a name or a table of one of two forms: the three branches.
    fn reference(self) -> Option<Shape> {
        let reference = self.0.get("$ref").and_then(Json::as_str).and_then(|reference| reference.strip_prefix('#'));
        let json = reference.and_then(|pointer| schema().pointer(pointer)).unwrap_or(self.0);
        let [name, other, tagged] = json.get("anyOf")?.as_array()?.as_slice() else { return None };
        let (Shape::Table(keys), Shape::Tagged(tagged)) = (Node(other).shape(), Node(tagged).shape()) else {
            return None;
        };
        Some(Shape::Reference { name: Node(name), tagged, key: keys.required().next()?, keys })
    }

    /// Shape of the value.
    pub(super) fn shape(self) -> Shape {
        if let Some(shape) = self.choice_or_list().or_else(|| self.reference()) {
            return shape;
        }
        let json = self.resolved();
        if let Some(variants) = json.get("oneOf").and_then(Json::as_array) {
            return one_of(variants);
        }
        let kind = match json.get("type") {
            Some(Json::String(kind)) => kind.as_str(),
            Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).find(|k| *k != "null").unwrap_or(""),
            _ => "",
        };
        let size = |key: &str| json.get(key).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
        let format = json.get("format").and_then(Json::as_str).unwrap_or("");
        match kind {
            "object" => Keys::of(json).map_or(Shape::Unknown, Shape::Table),
            "array" => json.get("items").map_or(Shape::Unknown, |items| Shape::Array {
                items: Node(items),
                min: size("minItems"),
                max: size("maxItems"),
            }),
            "integer" => {
                let (least, most) = match format {
                    "uint8" => (0, i64::from(u8::MAX)),
                    "uint16" => (0, i64::from(u16::MAX)),
                    "uint32" => (0, i64::from(u32::MAX)),
                    "int8" => (i64::from(i8::MIN), i64::from(i8::MAX)),
                    "int16" => (i64::from(i16::MIN), i64::from(i16::MAX)),
                    "int32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
                    "uint" | "uint64" => (0, i64::MAX),
                    _ => (i64::MIN, i64::MAX),
                };
                let end = |key: &str, else_: i64| json.get(key).and_then(Json::as_f64).map_or(else_, |v| v as i64);
                Shape::Integer { min: end("minimum", least), max: end("maximum", most) }
            }
            "number" => {
                let most = if format == "float" { f64::from(f32::MAX) } else { f64::MAX };
                let end = |key: &str, else_: f64| json.get(key).and_then(Json::as_f64).unwrap_or(else_);
                Shape::Number { min: end("minimum", -most), max: end("maximum", most) }
            }
            "string" => {
                let pattern = json.get("pattern").and_then(Json::as_str);
                let read = pattern.and_then(Pattern::parse);
                if pattern.is_some() && read.is_none() {
                    return Shape::Unknown;
                }
                let reserved = json.get("not").and_then(|not| not.get("enum")?.as_array()).into_iter().flatten();
                Shape::Text {
                    pattern: read,
                    reserved: reserved.filter_map(Json::as_str).collect(),
                    may_be_empty: json.get("minLength").is_none(),
                }
            }
            "boolean" => Shape::Bool,
            _ => Shape::Unknown,
        }
    }

    /// The node of `key` inside this table, for any `type`; gives environment variables their type.
    pub(super) fn child(self, key: &str) -> Option<Node> {
        match self.shape() {
            Shape::Table(keys) => keys.get(key),
            Shape::Tagged(variants) => variants.into_iter().find_map(|(_, keys)| keys.get(key)),
            Shape::Reference { tagged, keys, .. } => {
                tagged.into_iter().map(|(_, keys)| keys).chain([keys]).find_map(|keys| keys.get(key))
            }
            Shape::OneOf(variants) => variants.into_iter().find_map(|keys| keys.get(key)),
            _ => None,
        }
    }

    /// The node of the items of this list.
    pub(super) fn item(self) -> Option<Node> {
        match self.shape() {
            Shape::Array { items, .. } => Some(items),
            _ => None,
        }
    }

    /// Every key of this table, for any `type`.
    pub(super) fn child_names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = match self.shape() {
            Shape::Table(keys) => keys.names().collect(),
            Shape::Tagged(variants) => variants.into_iter().flat_map(|(_, keys)| keys.names()).collect(),
            Shape::Reference { tagged, keys, .. } => {
                tagged.into_iter().map(|(_, keys)| keys).chain([keys]).flat_map(Keys::names).collect()
            }
            Shape::OneOf(variants) => variants.into_iter().flat_map(Keys::names).collect(),
            _ => Vec::new(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn one_of(variants: &'static [Json]) -> Shape {
    let words: Vec<_> = variants.iter().filter_map(|v| v.get("const").and_then(Json::as_str)).collect();
    if words.len() == variants.len() {
        return Shape::Choice(words);
    }
    let tables: Vec<_> = variants.iter().filter_map(Keys::of).collect();
    if tables.len() != variants.len() {
        return Shape::Unknown;
    }
    let tagged: Vec<_> = tables.iter().filter_map(|keys| Some((keys.constant("type")?, *keys))).collect();
    if tagged.len() == tables.len() { Shape::Tagged(tagged) } else { Shape::OneOf(tables) }
}

/// A pattern of the form `^[class]{least,most}$`, the only one that the configuration uses.
pub(super) struct Pattern {
    class: Vec<(char, char)>,
    least: usize,
    most: usize,
}

impl Pattern {
    fn parse(pattern: &str) -> Option<Pattern> {
        let (class, bounds) = pattern.strip_prefix("^[")?.strip_suffix("}$")?.split_once("]{")?;
        let (least, most) = bounds.split_once(',')?;
        let chars: Vec<char> = class.chars().collect();
        let mut ranges = Vec::new();
        let mut i = 0;
        while let Some(&from) = chars.get(i) {
            if from == '^' || from == '\\' {
                return None;
            }
            match (chars.get(i + 1), chars.get(i + 2)) {
                (Some('-'), Some(&to)) => {
                    ranges.push((from, to));
                    i += 3;
                }
                _ => {
                    ranges.push((from, from));
                    i += 1;
                }
            }
        }
        Some(Pattern { class: ranges, least: least.parse().ok()?, most: most.parse().ok()? })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let count = text.chars().count();
        (self.least..=self.most).contains(&count) && self.first_foreign(text).is_none()
    }

    /// The first disallowed character.
    pub(super) fn first_foreign(&self, text: &str) -> Option<char> {
        text.chars().find(|c| !self.class.iter().any(|(from, to)| (from..=to).contains(&c)))
    }

    pub(super) fn describe(&self) -> String {
        let class: Vec<_> =
            self.class.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") }).collect();
        format!("{} to {} characters out of {}", self.least, self.most, class.join(" "))
    }
}
