//! Single values of a configuration, read and changed by those who are not at the board. Pure.
//!
//! Requests change the keys of [`OPEN`] only: none of them names a broker, a credential, a file, a device, an address or a program. The page
//! changes those of [`DRAWN`] only.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, TableLike, Value};

use super::path::{Path, Step};
use super::root::Config;
use super::secret::masked;

/// Keys that can be changed; `[]` stands for any item, and `*` at the end for each key of the table.
const OPEN: [&str; 18] = [
    "log.level",
    "node.health_interval_s",
    "governor.*",
    "pipeline[].task.*",
    "pipeline[].preprocess.*",
    "pipeline[].motion.*",
    "pipeline[].track.*",
    "pipeline[].event.*",
    "pipeline[].zone",
    "pipeline[].line",
    "pipeline[].governor.*",
    "meter[].digits",
    "meter[].dials",
    "meter[].align",
    "meter[].max_rate",
    "meter[].min_score",
    "meter[].confirm",
    "meter[].governor.*",
];

/// Keys that are drawn on the page: where things are in a picture. A meter's reference picture is chosen by the program, not by who draws.
const DRAWN: [&str; 7] = [
    "pipeline[].preprocess.regions",
    "pipeline[].zone",
    "pipeline[].line",
    "meter[].digits",
    "meter[].dials",
    "meter[].align",
    "meter[].reference",
];

/// Keys that somebody can change who is not at the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of requests.
    Requests,
    /// Those that are drawn on the page.
    Page,
}

impl Reach {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Reach::Requests => &OPEN,
            Reach::Page => &DRAWN,
        }
    }
}

/// Value that cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no path: write another one.
    #[error(
        "{0:?} is no path of a key; allowed is one such as governor.mode, pipeline.door.task.min_score or pipeline[0].task.min_score"
    )]
    Path(String),
    /// There is nothing at the path: write another one.
    #[error("there is no {0} in this configuration{1}")]
    Absent(String, String),
    /// The key cannot be changed in this way.
    #[error("{0} cannot be changed by a request; allowed are {1}")]
    Closed(String, String),
    /// TOML has no such value: write another one.
    #[error("{0}: a list or table with null in it, which TOML does not have")]
    Null(String),
    /// The text is not TOML: mend it first.
    #[error("the file is not valid TOML: {0}")]
    NotToml(String),
    /// The table is not where it can be edited: a person has to.
    #[error("{0} is not written as a table in the file: change it by hand")]
    Shape(String),
}

/// A changed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub text: String,
    /// The keys, as paths with numbers: `pipeline[0].task.min_score`.
    pub keys: Vec<String>,
}

/// The part of the effective configuration at `path` without secrets.
///
/// # Errors
/// [`EditError::Path`], [`EditError::Absent`].
pub fn part(config: &Config, path: &str) -> Result<Json, EditError> {
    let resolved = resolve(config, path)?;
    let mut json = masked(config);
    for (index, step) in resolved.0.iter().enumerate() {
        let next = match step {
            Step::Key(key) => json.get_mut(key.as_str()),
            Step::Index(index) => json.get_mut(index),
        };
        let absent = || {
            let walked = Path(resolved.0.get(..=index).unwrap_or_default().to_vec());
            EditError::Absent(walked.to_string(), String::new())
        };
        json = next.map(Json::take).ok_or_else(absent)?;
    }
    Ok(json)
}

/// `text` with `values` in it; `null` removes a key, so that its default applies. Comments and everything else stay. The result is still
/// to be [loaded](super::load()): whether the values are right is the configuration's own business.
///
/// # Errors
/// [`EditError`], before anything is changed.
pub fn edited(text: &str, config: &Config, values: &[(String, Json)], reach: Reach) -> Result<Edited, EditError> {
    let mut document = parsed(text)?;
    let mut keys = Vec::new();
    for (path, value) in values {
        let path = resolve(config, path)?;
        if !is_open(&path, reach) {
            return Err(EditError::Closed(path.to_string(), open(reach)));
        }
        match value {
            Json::Null => remove(document.as_table_mut(), &path.0),
            value => {
                let new = toml(value).ok_or_else(|| EditError::Null(path.to_string()))?;
                if let [Step::Key(section), _, ..] = path.0.as_slice()
                    && !document.contains_key(section)
                {
                    // As text at the end: comments behind the last table would else end up in the new one.
                    document = parsed(&format!("{}\n\n[{section}]\n", document.to_string().trim_end()))?;
                }
                put(document.as_table_mut(), &path, &path.0, new)?;
            }
        }
        keys.push(path.to_string());
    }
    Ok(Edited { text: document.to_string(), keys })
}

fn parsed(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| EditError::NotToml(error.message().to_owned()))
}

/// True where `after` differs from `before` in nothing but what can be changed within `reach`.
pub fn is_within_reach(before: &Config, after: &Config, reach: Reach) -> bool {
    let drawn = |config: &mut Config| {
        config.pipelines.retain(|pipeline| pipeline.meter.is_none());
        for meter in &mut config.meters {
            meter.digits.clear();
            meter.dials.clear();
            meter.align.clear();
            if reach == Reach::Page {
                meter.reference = None;
            }
        }
        for pipeline in &mut config.pipelines {
            pipeline.preprocess.regions.clear();
            pipeline.zones.clear();
            pipeline.lines.clear();
        }
    };
    let rest = |config: &Config| {
        let mut config = config.clone();
        drawn(&mut config);
        if reach == Reach::Page {
            return config;
        }
        let defaults = Config::default();
        config.log.level = defaults.log.level;
        config.node.health_interval_s = defaults.node.health_interval_s;
        config.governor = defaults.governor;
        for meter in &mut config.meters {
            (meter.max_rate, meter.min_score, meter.confirm) = (None, None, None);
            meter.governor = Default::default();
        }
        for pipeline in &mut config.pipelines {
            pipeline.task = Default::default();
            pipeline.preprocess = Default::default();
            pipeline.motion = Default::default();
            pipeline.track = Default::default();
            pipeline.event = Default::default();
            pipeline.governor = Default::default();
        }
        config
    };
    rest(before) == rest(after)
}

/// The keys that can be changed, as people write them.
fn open(reach: Reach) -> String {
    reach.keys().iter().map(|key| key.replace("[]", ".NAME")).collect::<Vec<_>>().join(", ")
}

fn is_open(path: &Path, reach: Reach) -> bool {
    let steps: Vec<&str> = path
        .0
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::Index(_) => "[]",
        })
        .collect();
    reach.keys().iter().any(|open| {
        let open = open.replace("[]", ".[]");
        let wanted: Vec<&str> = open.split('.').collect();
        wanted.len() == steps.len() && wanted.iter().zip(&steps).all(|(wanted, step)| *wanted == "*" || wanted == step)
    })
}

/// The path that `text` means; pipelines, meters and sources may be given by name.
fn resolve(config: &Config, text: &str) -> Result<Path, EditError> {
    let bad = || EditError::Path(text.chars().take(80).collect());
    let mut path = Path::parse(text).ok_or_else(bad)?;
    let [Step::Key(table), second, ..] = path.0.as_mut_slice() else { return Ok(path) };
    let names: Vec<&str> = match table.as_str() {
        // Those of meters are not in the file.
        "pipeline" => config.written().map(|one| one.name.as_str()).collect(),
        "meter" => config.meters.iter().map(|one| one.name.as_str()).collect(),
        "source" => config.sources.iter().map(|one| one.name.as_str()).collect(),
        _ => return Ok(path),
    };
    let absent = |what: String| EditError::Absent(what, format!("; there are {}", names.join(", ")));
    match second {
        Step::Key(name) => match names.iter().position(|known| known == name) {
            Some(index) => *second = Step::Index(index),
            None => return Err(absent(format!("{table}.{name}"))),
        },
        Step::Index(index) if *index >= names.len() => return Err(absent(format!("{table}[{index}]"))),
        Step::Index(_) => {}
    }
    Ok(path)
}

/// Removes the key at the end of `steps`, if it is there.
fn remove(table: &mut dyn TableLike, steps: &[Step]) {
    match steps {
        [Step::Key(key)] => {
            table.remove(key);
        }
        [Step::Key(key), Step::Index(index), rest @ ..] => {
            if let Some(table) = table.get_mut(key).and_then(|item| nth(item, *index)) {
                remove(table, rest);
            }
        }
        [Step::Key(key), rest @ ..] => {
            if let Some(table) = table.get_mut(key).and_then(Item::as_table_like_mut) {
                remove(table, rest);
            }
        }
        _ => {}
    }
}

/// Puts `new` at the end of `steps`, the rest of `path`.
fn put(table: &mut dyn TableLike, path: &Path, steps: &[Step], new: Value) -> Result<(), EditError> {
    let shape = || EditError::Shape(path.parent().unwrap_or_default().to_string());
    match steps {
        [Step::Key(key)] => {
            set(table, key, new);
            Ok(())
        }
        [Step::Key(key), Step::Index(index), rest @ ..] => {
            put(table.get_mut(key).and_then(|item| nth(item, *index)).ok_or_else(shape)?, path, rest, new)
        }
        [Step::Key(key), rest @ ..] => {
            if !table.contains_key(key) {
                // Inline: a table of its own would take the commented keys that follow.
                table.insert(key, Item::Value(InlineTable::new().into()));
            }
            put(table.get_mut(key).and_then(Item::as_table_like_mut).ok_or_else(shape)?, path, rest, new)
        }
        _ => Err(shape()),
    }
}

/// The table of this number in a list of tables.
fn nth(item: &mut Item, index: usize) -> Option<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.get_mut(index).map(|table| table as &mut dyn TableLike),
        Item::Value(Value::Array(items)) => match items.get_mut(index)? {
            Value::InlineTable(table) => Some(table),
            _ => None,
        },
        _ => None,
    }
}

/// Sets a value and keeps the comment behind it.
fn set(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

/// The value in TOML; `None` where there is a null in it.
fn toml(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(value) => (*value).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Json::Array(items) => {
            let mut array = items.iter().map(toml).collect::<Option<Array>>()?;
            // Tables stand on lines of their own, as people write them.
            if array.len() > 1 && array.iter().all(Value::is_inline_table) {
                array.iter_mut().for_each(|item| item.decor_mut().set_prefix("\n    "));
                array.set_trailing_comma(true);
                array.set_trailing("\n");
            }
            Value::Array(array)
        }
        Json::Object(map) => {
            let pairs = map.iter().map(|(key, value)| Some((key.as_str(), toml(value)?)));
            Value::InlineTable(pairs.collect::<Option<Vec<_>>>()?.into_iter().collect())
        }
    })
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
