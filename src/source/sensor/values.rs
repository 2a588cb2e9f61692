//! Numbers as others write them: JSON objects, arrays and bare numbers, or fields of a CSV line; and which of them are
//! channels.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// One value of a reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'a> {
    /// A number (also one written as a string; true and false are 1 and 0).
    Number(f64),
    /// `null`, an empty field, `nan`.
    Missing,
    /// Something else, as it was written.
    Other(Cow<'a, str>),
}

impl<'a> Field<'a> {
    /// What a text says.
    pub fn of_text(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Field::Missing;
        }
        match trimmed.parse::<f64>() {
            Ok(number) if number.is_nan() => Field::Missing,
            Ok(number) if (number as f32).is_finite() => Field::Number(number),
            _ => Field::Other(text),
        }
    }

    fn of_json(value: Value) -> Self {
        match value {
            Value::Null => Field::Missing,
            Value::Bool(set) => Field::Number(f64::from(u8::from(set))),
            Value::String(text) => Field::of_text(text),
            Value::Number(number) => Field::of_text(number.to_string()),
            Value::Array(_) => Field::Other("an array".into()),
            Value::Object(_) => Field::Other("an object".into()),
        }
    }
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<'a> {
    /// Each value has a name.
    Named(Vec<(Cow<'a, str>, Field<'a>)>),
    /// The values stand in the order of the channels.
    Listed(Vec<Field<'a>>),
}

impl Values<'static> {
    /// Reads a JSON object, an array or a single number, keeping the order of the keys.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_json(text: &[u8]) -> Result<Self, String> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let values = deserializer.deserialize_any(AnyJson).map_err(|e| e.to_string())?;
        deserializer.end().map_err(|e| e.to_string())?;
        Ok(values)
    }
}

/// Takes whatever comes.
struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Values<'static>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number, an array or an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            fields.push((name.into(), Field::of_json(value)));
        }
        Ok(Values::Named(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            fields.push(Field::of_json(value));
        }
        Ok(Values::Listed(fields))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Values::Listed(vec![Field::of_text(number.to_string())]))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Values::Listed(vec![Field::of_text(text.to_owned())]))
    }

    fn visit_bool<E: serde::de::Error>(self, set: bool) -> Result<Self::Value, E> {
        self.visit_f64(f64::from(u8::from(set)))
    }
}

/// Most channels of one reading.
const MOST_CHANNELS: usize = 4096;

/// Which values of a reading are channels, and in which order: those asked for, else the numbers of the first reading.
#[derive(Debug)]
pub struct Chooser {
    wanted: Vec<String>,
    channels: Arc<[String]>,
    /// One value per channel of the last reading.
    row: Vec<f32>,
    warned: bool,
}

impl Chooser {
    /// Chooses `wanted` (empty = what the first reading has).
    pub fn new(wanted: &[String]) -> Self {
        Chooser { wanted: wanted.to_vec(), channels: wanted.into(), row: Vec::new(), warned: false }
    }

    /// The channels; empty before the first reading when none were asked for.
    pub fn channels(&self) -> &Arc<[String]> {
        &self.channels
    }

    /// One value per channel, NaN where the reading has none.
    ///
    /// # Errors
    /// What is wrong with the reading: no number in it, none of the channels, a list of another length, a value of a
    /// channel that is no number.
    pub fn choose(&mut self, values: &Values<'_>) -> Result<&[f32], String> {
        if self.channels.is_empty() {
            self.channels = first_channels(values)?;
        }
        self.row.clear();
        match values {
            Values::Listed(fields) => {
                if fields.len() != self.channels.len() {
                    let (found, wanted) = (fields.len(), self.channels.len());
                    return Err(format!("{found} values, where {wanted} are wanted: {}", self.channels.join(", ")));
                }
                for (name, field) in self.channels.iter().zip(fields) {
                    self.row.push(value(name, field)?);
                }
            }
            Values::Named(fields) => {
                let mut missing = None;
                for (i, name) in self.channels.iter().enumerate() {
                    // Most writers keep their order, so the same place is looked at first.
                    let here = fields.get(i).filter(|f| f.0 == *name);
                    let Some((_, field)) = here.or_else(|| fields.iter().find(|f| f.0 == *name)) else {
                        missing = Some(name.clone());
                        self.row.push(f32::NAN);
                        continue;
                    };
                    self.row.push(value(name, field)?);
                }
                if let Some(missing) = missing {
                    self.absent(&missing, fields)?;
                }
            }
        }
        Ok(&self.row)
    }

    /// A reading without one of the channels: an error when it has none of them, otherwise told once.
    fn absent(&mut self, missing: &str, fields: &[(Cow<'_, str>, Field<'_>)]) -> Result<(), String> {
        if !fields.iter().any(|(name, _)| self.channels.iter().any(|c| c == name)) {
            let names: Vec<&str> = fields.iter().take(20).map(|(name, _)| name.as_ref()).collect();
            return Err(format!("none of {} among its values: {}", self.channels.join(", "), names.join(", ")));
        }
        if !self.wanted.is_empty() && !self.warned {
            self.warned = true;
            tracing::warn!(channel = missing, "a reading came without this channel; such values count as missing");
        }
        Ok(())
    }
}

fn first_channels(values: &Values<'_>) -> Result<Arc<[String]>, String> {
    let names: Vec<String> = match values {
        Values::Named(fields) => {
            let numbers = fields.iter().filter(|(_, field)| !matches!(field, Field::Other(_)));
            numbers.map(|(name, _)| name.clone().into_owned()).collect()
        }
        Values::Listed(fields) if fields.len() == 1 => vec!["value".into()],
        Values::Listed(fields) => (0..fields.len()).map(|i| i.to_string()).collect(),
    };
    match names.len() {
        0 => Err("no number in it".into()),
        n if n > MOST_CHANNELS => Err(format!("{n} values, and at most {MOST_CHANNELS} are read")),
        _ => Ok(names.into()),
    }
}

fn value(name: &str, field: &Field<'_>) -> Result<f32, String> {
    match field {
        Field::Number(number) => Ok(*number as f32),
        Field::Missing => Ok(f32::NAN),
        Field::Other(text) => {
            let start: String = text.chars().take(40).collect();
            Err(format!("channel {name:?}: {start:?} is not a number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &[&str], texts: &[&str], expected: &[&str]) {
        let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
        let mut chooser = Chooser::new(&wanted);
        let found: Vec<String> = texts
            .iter()
            .map(|text| {
                let row = Values::of_json(text.as_bytes())
                    .and_then(|values| chooser.choose(&values).map(|row| format!("{row:?}")));
                row.unwrap_or_else(|reason| reason)
            })
            .collect();
        assert_eq!(found, expected, "{texts:?}");
    }

    #[test]
    fn objects_arrays_and_numbers() {
        check(&[], &[r#"{"b":1,"a":"2.5","t":"12:00","on":true,"x":null}"#], &["[1.0, 2.5, 1.0, NaN]"]);
        check(
            &[],
            &[r#"{"b":1,"a":2}"#, r#"{"a":3,"b":4,"c":5}"#, r#"{"b":6}"#],
            &["[1.0, 2.0]", "[4.0, 3.0]", "[6.0, NaN]"],
        );
        check(&["a"], &[r#"{"b":1,"a":2}"#], &["[2.0]"]);
        check(&[], &["[1, \"2\", null]", " [3,4,5] "], &["[1.0, 2.0, NaN]", "[3.0, 4.0, 5.0]"]);
        check(&[], &["21.5", "\"22\"", "-3", "true", "4e2"], &["[21.5]", "[22.0]", "[-3.0]", "[1.0]", "[400.0]"]);
        check(&["x"], &["18446744073709551616"], &["[1.8446744e19]"]);
    }

    #[test]
    fn faults_say_what_is_wrong() {
        check(&["a"], &[r#"{"b":1,"c":2}"#], &["none of a among its values: b, c"]);
        check(
            &["a"],
            &[r#"{"a":"warm"}"#, r#"{"a":[1]}"#],
            &["channel \"a\": \"warm\" is not a number", "channel \"a\": \"an array\" is not a number"],
        );
        check(&[], &["{}", "[]", r#"{"t":"noon"}"#], &["no number in it", "no number in it", "no number in it"]);
        check(&["a", "b"], &["[1]"], &["1 values, where 2 are wanted: a, b"]);
        check(
            &["a"],
            &["1e39", "\"inf\""],
            &[
                "channel \"a\": \"1000000000000000000000000000000000000000\" is not a number",
                "channel \"a\": \"inf\" is not a number",
            ],
        );
        for text in ["", "{", "{\"a\":1", "nope", "{\"a\":1}}", "[1,]", "\u{0}", &"[".repeat(100_000)] {
            assert!(Values::of_json(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(Values::of_json(b"{\"a\":\"\xff\"}").is_err());
    }
}
