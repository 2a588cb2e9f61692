//! From answers to the text of a configuration. Pure: comments, other pipelines and keys that setup does not know stay.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

use super::answers::{Answers, Broker, Pipeline};

/// A configuration that cannot be edited.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML: the person mends it first.
    #[error("the file is not valid TOML, mend it first (leptond check says where): {0}")]
    NotToml(String),
    /// There is a pipeline of that name: the person decides.
    #[error("there is a pipeline {0:?} already: give another --name, or --replace")]
    Exists(String),
    /// A key holds something else than setup can edit.
    #[error("{0} is not written as a table: setup does not edit that, change the file by hand")]
    Shape(&'static str),
}

/// `text` with the answers in it.
///
/// # Errors
/// See [`EditError`].
pub fn edited(text: &str, answers: &Answers, replace: bool) -> Result<String, EditError> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| EditError::NotToml(error.message().to_owned()))?;
    if let Some(node) = &answers.node {
        put(table(&mut document, "node")?, "name", node.as_str(), "");
    }
    set_broker(table(&mut document, "mqtt")?, &answers.broker)?;
    let there = position(&document, &answers.pipeline.name)?;
    match there {
        Some(_) if !replace => Err(EditError::Exists(answers.pipeline.name.clone())),
        Some(index) => {
            let table =
                document.get_mut("pipeline").and_then(Item::as_array_of_tables_mut).and_then(|p| p.get_mut(index));
            replace_pipeline(table.ok_or(EditError::Shape("pipeline"))?, &answers.pipeline)?;
            Ok(document.to_string())
        }
        // As text at the end: comments behind the last table would else end up in the new pipeline, and with them the
        // keys that a person uncomments.
        None => {
            let before = document.to_string();
            let gap = if before.trim().is_empty() { "" } else { "\n" };
            Ok(format!(
                "{}{gap}{}",
                before.trim_end().to_owned() + if gap.is_empty() { "" } else { "\n" },
                fresh(&answers.pipeline)
            ))
        }
    }
}

/// The index of the pipeline of that name.
fn position(document: &DocumentMut, name: &str) -> Result<Option<usize>, EditError> {
    let Some(item) = document.get("pipeline") else { return Ok(None) };
    let pipelines = item.as_array_of_tables().ok_or(EditError::Shape("pipeline"))?;
    Ok(pipelines.iter().position(|p| p.get("name").and_then(Item::as_str) == Some(name)))
}

fn table<'a>(document: &'a mut DocumentMut, key: &'static str) -> Result<&'a mut Table, EditError> {
    document.entry(key).or_insert_with(|| Item::Table(Table::new())).as_table_mut().ok_or(EditError::Shape(key))
}

fn set_broker(mqtt: &mut Table, broker: &Broker) -> Result<(), EditError> {
    put(mqtt, "host", broker.host.as_str(), "localhost");
    let port = i64::from(broker.port);
    if mqtt.contains_key("port") || port != 1883 {
        set(mqtt, "port", port.into());
    }
    put(mqtt, "username", broker.username.as_str(), "");
    match &broker.password_file {
        Some(file) => {
            // One place for the password: what stood in the file itself would win or lose without a word.
            mqtt.remove("password");
            set(mqtt, "password_file", file.display().to_string().into());
        }
        None => {
            mqtt.remove("password_file");
            if broker.username.is_empty() {
                mqtt.remove("password");
            }
        }
    }
    match (&broker.ca_file, mqtt.get_mut("tls")) {
        (None, None) => {}
        // Without a file of its own it means the system's authorities.
        (None, Some(tls)) if tls.as_table_like().is_some_and(|tls| !tls.contains_key("ca_file")) => {}
        (None, Some(_)) => {
            mqtt.remove("tls");
        }
        (Some(file), Some(tls)) => {
            let tls = tls.as_table_like_mut().ok_or(EditError::Shape("mqtt.tls"))?;
            let file = file.display().to_string();
            if tls.get("ca_file").and_then(Item::as_str) != Some(&file) {
                tls.insert("ca_file", value(file));
            }
        }
        // Inline: a table of its own would take the commented keys of [mqtt] that follow.
        (Some(file), None) => {
            let mut tls = InlineTable::new();
            tls.insert("ca_file", file.display().to_string().into());
            mqtt.insert("tls", value(tls));
        }
    }
    Ok(())
}

/// Sets a string, unless it is absent and the default.
fn put(table: &mut Table, key: &str, text: &str, default: &str) {
    if table.contains_key(key) || text != default {
        set(table, key, text.into());
    }
}

/// Sets a value and keeps the comment behind it; the same value stays as it was written.
fn set(table: &mut Table, key: &str, new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) if same(old, &new) => {}
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        _ => false,
    }
}

/// The keys of the source that were chosen.
fn source_table(pipeline: &Pipeline) -> Table {
    let mut table = Table::new();
    let Ok(all) = toml_edit::ser::to_document(&pipeline.source) else { return table };
    if let Some(kind) = all.get("type") {
        table.insert("type", kind.clone());
    }
    for key in &pipeline.source_keys {
        if let Some(item) = all.get(key) {
            table.insert(key, item.clone());
        }
    }
    table
}

fn array(regions: &[[u32; 4]]) -> Item {
    let mut array = Array::new();
    for region in regions {
        let mut rect = InlineTable::new();
        rect.insert("rect", Value::Array(region.iter().map(|v| i64::from(*v)).collect()));
        let mut item = Value::InlineTable(rect);
        item.decor_mut().set_prefix("\n  ");
        array.push_formatted(item);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    value(array)
}

fn fresh(pipeline: &Pipeline) -> String {
    let mut table = Table::new();
    table.insert("name", value(&pipeline.name));
    table.insert("model", value(&pipeline.model));
    table.insert("source", Item::Table(source_table(pipeline)));
    if let Some(regions) = pipeline.regions.as_deref().filter(|regions| !regions.is_empty()) {
        let mut preprocess = Table::new();
        preprocess.insert("regions", array(regions));
        table.insert("preprocess", Item::Table(preprocess));
    }
    let mut all = toml_edit::ArrayOfTables::new();
    all.push(table);
    let mut document = DocumentMut::new();
    document.insert("pipeline", Item::ArrayOfTables(all));
    document.to_string()
}

fn replace_pipeline(table: &mut Table, pipeline: &Pipeline) -> Result<(), EditError> {
    let old_model = table.get("model").and_then(Item::as_str).unwrap_or_default().to_owned();
    set(table, "model", pipeline.model.as_str().into());
    let new = source_table(pipeline);
    let kind = |table: &dyn toml_edit::TableLike| table.get("type").and_then(Item::as_str).map(str::to_owned);
    match table.get_mut("source") {
        // The same kind of source keeps its other keys and comments.
        Some(old) if old.as_table_like().is_some_and(|old| kind(old) == kind(&new)) => {
            let old = old.as_table_like_mut().ok_or(EditError::Shape("pipeline.source"))?;
            for (key, item) in new.iter() {
                let unchanged = old.get(key).is_some_and(|o| o.to_string().trim() == item.to_string().trim());
                if !unchanged {
                    old.insert(key, item.clone());
                }
            }
        }
        Some(old) => {
            let mut new = new;
            if let Some(before) = old.as_table() {
                *new.decor_mut() = before.decor().clone();
                new.set_position(before.position());
            }
            *old = Item::Table(new);
        }
        None => {
            table.insert("source", Item::Table(new));
        }
    }
    let preprocess = table.entry("preprocess").or_insert_with(|| Item::Table(Table::new()));
    let preprocess = preprocess.as_table_like_mut().ok_or(EditError::Shape("pipeline.preprocess"))?;
    match pipeline.regions.as_deref() {
        None => {}
        Some([]) => drop(preprocess.remove("regions")),
        Some(regions) => drop(preprocess.insert("regions", array(regions))),
    }
    if preprocess.is_empty() && table.get("preprocess").is_some_and(|p| p.is_table()) {
        let comments = table.get("preprocess").and_then(Item::as_table).and_then(|p| p.decor().prefix()).is_some();
        if !comments {
            table.remove("preprocess");
        }
    }
    // What a task was told for another model does not hold for this one.
    if old_model != pipeline.model
        && let Some(task) = table.get_mut("task").and_then(Item::as_table_like_mut)
    {
        for key in [
            "type",
            "labels",
            "threshold",
            "monotonic",
            "confirm_s",
            "max_rate",
            "max_step",
            "quantity",
            "unit",
            "decimals",
        ] {
            task.remove(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
