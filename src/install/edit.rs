//! From answers to the text of a configuration. Pure: comments, other pipelines and keys that setup does not know stay.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use super::answers::{Answers, Broker, Meter, Pipeline, Work};
use crate::preprocess::Region;
use crate::source;

/// A configuration that cannot be edited.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML: the person mends it first.
    #[error("the file is not valid TOML, mend it first (leptond check says where): {0}")]
    NotToml(String),
    /// There is a pipeline of that name: the person decides.
    #[error("there is a pipeline or meter {0:?} already: give another --name, or --replace")]
    Exists(String),
    /// There is a meter of a pipeline's name, or the other way round: one does not become the other.
    #[error("there is a [[{0}]] {1:?} already, and this would be none: give another --name, or take it out by hand")]
    Otherwise(&'static str, String),
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
    if let Some(broker) = &answers.broker {
        set_broker(table(&mut document, "mqtt")?, broker)?;
    }
    let mut more = String::new();
    if answers.page {
        // As text at the end where it is new, as below.
        match document.get_mut("page") {
            Some(page) => set(page.as_table_mut().ok_or(EditError::Shape("page"))?, "enabled", true.into()),
            None => more = "[page]\nenabled = true\n".into(),
        }
    }
    if let Some(work) = &answers.work {
        set_work(&mut document, work, replace, &mut more)?;
    }
    // As text at the end: comments behind the last table would else end up in the new one, and with them the keys that a person
    // uncomments.
    let before = document.to_string();
    Ok(match (more.is_empty(), before.trim().is_empty()) {
        (true, _) => before,
        (false, true) => more,
        (false, false) => format!("{}\n\n{more}", before.trim_end()),
    })
}

/// Writes the table of the work; a new one comes to the end of `more`.
fn set_work(document: &mut DocumentMut, work: &Work, replace: bool, more: &mut String) -> Result<(), EditError> {
    let name = work.name();
    let (key, other) = match work {
        Work::Pipeline(_) => ("pipeline", "meter"),
        Work::Meter(_) => ("meter", "pipeline"),
    };
    if position(document, other, name)?.is_some() {
        return Err(EditError::Otherwise(other, name.to_owned()));
    }
    match position(document, key, name)? {
        Some(_) if !replace => return Err(EditError::Exists(name.to_owned())),
        Some(index) => {
            let tables = document.get_mut(key).and_then(Item::as_array_of_tables_mut);
            let table = tables.and_then(|tables| tables.get_mut(index)).ok_or(EditError::Shape(key))?;
            match work {
                Work::Pipeline(pipeline) => replace_pipeline(table, pipeline)?,
                Work::Meter(meter) => replace_meter(table, meter)?,
            }
        }
        None => {
            if !more.is_empty() {
                more.push('\n');
            }
            *more += &match work {
                Work::Pipeline(pipeline) => fresh("pipeline", fresh_pipeline(pipeline)),
                Work::Meter(meter) => fresh("meter", fresh_meter(meter)),
            };
        }
    }
    Ok(())
}

/// The index of the pipeline or meter of that name.
fn position(document: &DocumentMut, key: &'static str, name: &str) -> Result<Option<usize>, EditError> {
    let Some(item) = document.get(key) else { return Ok(None) };
    let tables = item.as_array_of_tables().ok_or(EditError::Shape(key))?;
    Ok(tables.iter().position(|p| p.get("name").and_then(Item::as_str) == Some(name)))
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
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        _ => false,
    }
}

/// The keys of the source that were chosen.
fn source_table(source: &source::Config, keys: &[String]) -> Table {
    let mut table = Table::new();
    let Ok(all) = toml_edit::ser::to_document(source) else { return table };
    if let Some(kind) = all.get("type") {
        table.insert("type", kind.clone());
    }
    for key in keys {
        if let Some(item) = all.get(key) {
            table.insert(key, item.clone());
        }
    }
    table
}

/// An array of tables, one a line.
fn array(tables: impl Iterator<Item = InlineTable>) -> Item {
    let mut array = Array::new();
    for table in tables {
        let mut item = Value::InlineTable(table);
        item.decor_mut().set_prefix("\n  ");
        array.push_formatted(item);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    value(array)
}

fn drawn(regions: &[Region]) -> Item {
    // To a tenth of a pixel: single precision as a longer number of double precision would be digits of nothing.
    let number = |v: &f32| -> Value {
        let tenths = (f64::from(*v) * 10.0).round();
        if tenths % 10.0 == 0.0 { Value::from((tenths / 10.0) as i64) } else { Value::from(tenths / 10.0) }
    };
    array(regions.iter().map(|region| match region {
        Region::Rect(rect) => inline("rect", rect.iter().map(number).collect()),
        Region::Quad(quad) => inline("quad", quad.iter().map(number).collect()),
    }))
}

fn inline(key: &str, values: Array) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert(key, Value::Array(values));
    table
}

fn fresh(key: &str, table: Table) -> String {
    let mut all = toml_edit::ArrayOfTables::new();
    all.push(table);
    let mut document = DocumentMut::new();
    document.insert(key, Item::ArrayOfTables(all));
    document.to_string()
}

fn fresh_pipeline(pipeline: &Pipeline) -> Table {
    let mut table = Table::new();
    table.insert("name", value(&pipeline.name));
    if let Some(model) = &pipeline.model {
        table.insert("model", value(model));
    }
    table.insert("source", Item::Table(source_table(&pipeline.source, &pipeline.source_keys)));
    let mut task = Table::new();
    set_task(&mut task, pipeline);
    if !task.is_empty() {
        table.insert("task", Item::Table(task));
    }
    table
}

/// The keys of a task that were answered.
fn set_task(task: &mut dyn TableLike, pipeline: &Pipeline) {
    if pipeline.model.is_none() {
        task.insert("type", value("baseline"));
    }
    if let Some(learn_s) = pipeline.learn_s {
        task.insert("learn_s", value(learn_s));
    }
    match pipeline.labels.as_deref() {
        None => {}
        Some([]) => drop(task.remove("labels")),
        Some(labels) => drop(task.insert("labels", value(Array::from_iter(labels.iter().map(String::as_str))))),
    }
    if let Some(least) = pipeline.min_score {
        task.insert("min_score", value((f64::from(least) * 1000.0).round() / 1000.0));
    }
}

fn fresh_meter(meter: &Meter) -> Table {
    let mut table = Table::new();
    table.insert("name", value(&meter.name));
    set_meter(&mut table, meter);
    table.insert("source", Item::Table(source_table(&meter.source, &meter.source_keys)));
    table
}

/// The keys of a meter beside its name and source.
fn set_meter(table: &mut Table, meter: &Meter) {
    let mut one = |key: &str, new: Option<Value>| match new {
        Some(new) => set(table, key, new),
        None => drop(table.remove(key)),
    };
    one("kind", meter.kind.map(|kind| kind.word().into()));
    one("unit", meter.unit.as_deref().map(Value::from));
    one("decimals", meter.decimals.map(|decimals| i64::from(decimals).into()));
    for (key, regions) in [("digits", &meter.digits), ("dials", &meter.dials)] {
        if meter.keep_regions {
            continue;
        }
        if regions.is_empty() {
            table.remove(key);
        } else {
            table.insert(key, drawn(regions));
        }
    }
}

fn replace_meter(table: &mut Table, meter: &Meter) -> Result<(), EditError> {
    set_meter(table, meter);
    if !meter.keep_regions {
        // Marks are patches of the picture that the regions before were drawn on.
        table.remove("align");
        table.remove("reference");
    }
    replace_source(table, source_table(&meter.source, &meter.source_keys), "meter.source")
}

fn replace_source(table: &mut Table, new: Table, key: &'static str) -> Result<(), EditError> {
    let kind = |table: &dyn toml_edit::TableLike| table.get("type").and_then(Item::as_str).map(str::to_owned);
    match table.get_mut("source") {
        // The same kind of source keeps its other keys and comments.
        Some(old) if old.as_table_like().is_some_and(|old| kind(old) == kind(&new)) => {
            let old = old.as_table_like_mut().ok_or(EditError::Shape(key))?;
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
    Ok(())
}

fn replace_pipeline(table: &mut Table, pipeline: &Pipeline) -> Result<(), EditError> {
    let old_model = table.get("model").and_then(Item::as_str).map(str::to_owned);
    match &pipeline.model {
        Some(model) => set(table, "model", model.as_str().into()),
        None => drop(table.remove("model")),
    }
    replace_source(table, source_table(&pipeline.source, &pipeline.source_keys), "pipeline.source")?;
    let preprocess = table.entry("preprocess").or_insert_with(|| Item::Table(Table::new()));
    let preprocess = preprocess.as_table_like_mut().ok_or(EditError::Shape("pipeline.preprocess"))?;
    if !pipeline.keep_regions {
        preprocess.remove("regions");
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
            "learn_s",
            "spreads",
            "accept_s",
            "limit",
            "monotonic",
            "confirm_s",
            "max_rate",
            "max_step",
            "quantity",
            "unit",
            "decimals",
            "learn_s",
            "spreads",
            "accept_s",
            "limit",
        ] {
            task.remove(key);
        }
    }
    if pipeline.model.is_none() || pipeline.labels.is_some() || pipeline.min_score.is_some() {
        let task = table.entry("task").or_insert_with(|| Item::Table(Table::new()));
        set_task(task.as_table_like_mut().ok_or(EditError::Shape("pipeline.task"))?, pipeline);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
