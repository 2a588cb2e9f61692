//! JSON as a reading: an object, an array or a bare value, flattened to paths.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::number::{Field, Mark};
use super::values::{Key, Naming, Values};

/// Most values of one object or array, those of objects within it included.
const MOST_VALUES: usize = 1 << 16;

/// Reads a JSON object, an array or a single value. Objects and arrays within it are flattened: their values are named by
/// their paths, and they themselves are there as what is no number. An array of scalars is a list without names.
///
/// Numbers are numbers, also within strings (`"21.5"`, as Zigbee and Shelly devices send them); `true` and `false` are 1 and
/// 0; words such as `"on"` are text.
///
/// # Errors
/// A message saying what is wrong with it: no JSON, a key that an object has twice, too many values.
pub fn read(text: &[u8]) -> Result<Values<'static>, String> {
    let mut flat = Flat::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let root = Collect { flat: &mut flat }.deserialize(&mut deserializer).map_err(|e| e.to_string())?;
    deserializer.end().map_err(|e| e.to_string())?;
    let listed = match root {
        Root::Scalar => true,
        Root::Array => flat.fields.iter().all(|(path, _)| path.len() == 1),
        Root::Object => false,
    };
    if listed {
        return Ok(Values::Listed(flat.fields.into_iter().map(|(_, field)| field).collect()));
    }
    let (keys, fields): (Vec<Key>, _) = flat
        .fields
        .into_iter()
        .map(|(path, field)| {
            let nested = matches!(field, Field::Nested(_));
            (Key { path, column: None, nested }, field)
        })
        .unzip();
    Ok(Values::Named { keys: keys.into(), fields, naming: Naming::Object })
}

/// Kind of the outermost value.
enum Root {
    Scalar,
    Array,
    Object,
}

/// Values met so far, and the path to the next one.
#[derive(Default)]
struct Flat {
    fields: Vec<(Vec<String>, Field<'static>)>,
    path: Vec<String>,
}

impl Flat {
    fn push<E: Error>(&mut self, field: Field<'static>) -> Result<(), E> {
        if self.fields.len() >= MOST_VALUES {
            return Err(E::custom(format_args!("more than {MOST_VALUES} values")));
        }
        self.fields.push((self.path.clone(), field));
        Ok(())
    }

    /// An object or array within another is there as what is no number.
    fn open<E: Error>(&mut self, what: &'static str) -> Result<(), E> {
        if self.path.is_empty() { Ok(()) } else { self.push(Field::Nested(what)) }
    }
}

/// Reads any value into the list.
struct Collect<'a> {
    flat: &'a mut Flat,
}

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = Root;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Root, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = Root;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, an array or an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
        self.flat.open("an object")?;
        let mut known = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !known.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("the key {key:?} is there twice")));
            }
            self.flat.path.push(key);
            map.next_value_seed(Collect { flat: &mut *self.flat })?;
            self.flat.path.pop();
        }
        Ok(Root::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Root, A::Error> {
        self.flat.open("an array")?;
        for index in 0_usize.. {
            self.flat.path.push(index.to_string());
            let more = seq.next_element_seed(Collect { flat: &mut *self.flat })?;
            self.flat.path.pop();
            if more.is_none() {
                break;
            }
        }
        Ok(Root::Array)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Root, E> {
        let fits = (number as f32).is_finite();
        self.flat.push(if fits { Field::Number(number) } else { Field::Other(format!("{number:e}").into()) })?;
        Ok(Root::Scalar)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Root, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Root, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Root, E> {
        self.flat.push(Field::of_text(text.to_owned(), Mark::Point))?;
        Ok(Root::Scalar)
    }

    fn visit_bool<E: Error>(self, set: bool) -> Result<Root, E> {
        self.visit_f64(f64::from(u8::from(set)))
    }

    fn visit_unit<E: Error>(self) -> Result<Root, E> {
        self.flat.push(Field::Missing)?;
        Ok(Root::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and values, in order.
    #[track_caller]
    fn check(text: &str, expected: &[(&str, Field<'_>)]) {
        let Values::Named { keys, fields, .. } = read(text.as_bytes()).unwrap() else { panic!("{text} is a list") };
        let found: Vec<(String, Field<'_>)> = keys.iter().map(Key::escaped).zip(fields).collect();
        let expected: Vec<_> = expected.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn objects_within_objects_are_paths() {
        let (object, array) = (Field::Nested("an object"), Field::Nested("an array"));
        check(
            r#"{"Time":"2024-07-27T10:51:55","ENERGY":{"Power":143,"Today":"0.78","on":true},"x":null}"#,
            &[
                ("Time", Field::Other("2024-07-27T10:51:55".into())),
                ("ENERGY", object.clone()),
                ("ENERGY.Power", Field::Number(143.0)),
                ("ENERGY.Today", Field::Number(0.78)),
                ("ENERGY.on", Field::Number(1.0)),
                ("x", Field::Missing),
            ],
        );
        check(
            r#"{"a":[1,{"b":2}],"c.d":3,"c":{"d":4}}"#,
            &[
                ("a", array),
                ("a.0", Field::Number(1.0)),
                ("a.1", object.clone()),
                ("a.1.b", Field::Number(2.0)),
                ("c\\.d", Field::Number(3.0)),
                ("c", object.clone()),
                ("c.d", Field::Number(4.0)),
            ],
        );
        check(r#"[{"a":1}]"#, &[("0", object), ("0.a", Field::Number(1.0))]);
    }

    #[test]
    fn lists_and_faults() {
        let list = |text: &str| match read(text.as_bytes()) {
            Ok(Values::Listed(fields)) => fields,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(list("[1,\"2\",null]"), [Field::Number(1.0), Field::Number(2.0), Field::Missing]);
        assert_eq!(list("21.5"), [Field::Number(21.5)]);
        assert_eq!(list("[]"), []);
        assert!(read(br#"{"a":1,"b":2,"a":3}"#).unwrap_err().contains("the key \"a\" is there twice"));
        assert!(read(br#"{"x":{"a":1,"a":1}}"#).unwrap_err().contains("\"a\" is there twice"));
        assert!(read(br#"{"x":{"\u0061":1,"a":1}}"#).unwrap_err().contains("\"a\" is there twice"));
        let many = format!("[{}1]", "1,".repeat(MOST_VALUES));
        assert!(read(many.as_bytes()).unwrap_err().contains("more than 65536 values"));
        for text in ["", "{", "{\"a\":1", "nope", "{\"a\":1}}", "[1,]", "\u{0}", "{\"a\":NaN}", &"[".repeat(100_000)] {
            assert!(read(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(read(b"{\"a\":\"\xff\"}").is_err());
    }
}
