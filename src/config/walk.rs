//! Checks a document against the schema and collects all problems.

use config::{Value, ValueKind};

use super::layers::Layers;
use super::path::Path;
use super::problem::{Origin, Problem, nearest, quoted};
use super::schema::{Keys, Node, Shape, shorten};
use super::unknown::unknown_key_of;
use crate::frame::TaskKind;

/// Problems of `document` according to the schema.
pub(super) fn walk(document: &Value, layers: &Layers) -> Vec<Problem> {
    let mut walker = Walker { layers, problems: Vec::new() };
    walker.value(document, Node::root(), &Path::default());
    walker.problems
}

struct Walker<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Walker<'_> {
    fn value(&mut self, value: &Value, node: Node, path: &Path) {
        if self.layers.place(path).is_some_and(|place| place.date.is_some()) {
            return self.wrong_type(value, node, path);
        }
        match (node.shape(), &value.kind) {
            (Shape::Table(keys), ValueKind::Table(_)) => self.table(value, keys, path),
            (Shape::Tagged(variants), ValueKind::Table(_)) => self.tagged(value, &variants, path),
            (Shape::Reference { name, .. }, ValueKind::String(found)) => {
                let pattern = match name.shape() {
                    Shape::Text { pattern, .. } => pattern,
                    _ => None,
                };
                if pattern.is_some_and(|pattern| !pattern.matches(found)) {
                    let problem = Problem::new(path.to_string(), "not a name").found(quoted(found));
                    self.push_value(problem.allowed(describe(node, path)), path);
                }
            }
            (Shape::Reference { tagged, key, keys, .. }, ValueKind::Table(table)) => {
                if table.contains_key(key) && !table.contains_key("type") {
                    self.table(value, keys, path);
                } else {
                    self.tagged(value, &tagged, path);
                }
            }
            (Shape::OneOf(variants), ValueKind::Table(_)) => self.one_of(value, &variants, path),
            (Shape::Array { items, min, max }, ValueKind::Array(found)) => {
                for (i, item) in found.iter().enumerate() {
                    self.value(item, items, &path.index(i));
                }
                if min.is_some_and(|min| found.len() < min) || max.is_some_and(|max| found.len() > max) {
                    let problem = Problem::new(path.to_string(), "a list of the wrong length")
                        .found(count(found.len()))
                        .allowed(describe(node, path));
                    self.push_value(problem, path);
                }
            }
            (Shape::Integer { min, max }, ValueKind::I64(found)) => {
                if !(min..=max).contains(found) {
                    self.out_of_range(found.to_string(), node, path);
                }
            }
            (Shape::Number { min, max }, ValueKind::I64(_) | ValueKind::Float(_)) => {
                let found = match value.kind {
                    ValueKind::I64(i) => i as f64,
                    ValueKind::Float(f) => f,
                    _ => f64::NAN,
                };
                if !found.is_finite() {
                    let problem = Problem::new(path.to_string(), "must be a finite number")
                        .found(format!("{found:?}").to_lowercase())
                        .allowed(describe(node, path));
                    self.push_value(problem, path);
                } else if found < min || found > max {
                    self.out_of_range(show(value), node, path);
                }
            }
            (Shape::Text { pattern, reserved, may_be_empty }, ValueKind::String(found)) => {
                if let Some(pattern) = pattern.filter(|p| !p.matches(found)) {
                    let message = match pattern.first_foreign(found) {
                        Some(c) => format!("the character {c:?} is not allowed"),
                        None if found.is_empty() => "must not be empty".into(),
                        None => format!("too long: {} characters", found.chars().count()),
                    };
                    let problem =
                        Problem::new(path.to_string(), message).found(quoted(found)).allowed(pattern.describe());
                    self.push_value(problem, path);
                } else if reserved.contains(&found.as_str()) {
                    let problem = Problem::new(path.to_string(), "the name is reserved for a topic of the node")
                        .found(quoted(found))
                        .allowed(format!("any but {}", reserved.join(", ")));
                    self.push_value(problem, path);
                } else if found.is_empty() && !may_be_empty {
                    self.push_value(self.explained(Problem::new(path.to_string(), "must not be empty"), node), path);
                } else if found.contains('\0') {
                    self.push_value(Problem::new(path.to_string(), "must not contain a NUL character"), path);
                }
            }
            (Shape::ChoiceOrList { items, .. }, ValueKind::Array(found)) => {
                for (i, item) in found.iter().enumerate() {
                    self.value(item, items, &path.index(i));
                }
            }
            (Shape::Choice(words) | Shape::ChoiceOrList { words, .. }, ValueKind::String(found)) => {
                if !words.contains(&found.as_str()) {
                    let mut problem = Problem::new(path.to_string(), "not one of the allowed values")
                        .found(quoted(found))
                        .allowed(describe(node, path));
                    problem.help = nearest(found, words).map(|meant| format!("did you mean {meant:?}?"));
                    self.push_value(problem, path);
                }
            }
            (Shape::Bool, ValueKind::Boolean(_)) => {}
            _ => self.wrong_type(value, node, path),
        }
    }

    fn table(&mut self, value: &Value, keys: Keys, path: &Path) {
        let ValueKind::Table(table) = &value.kind else { return };
        for (key, value) in table {
            let path = path.key(key);
            match keys.get(key) {
                Some(node) => self.value(value, node, &path),
                None => {
                    let names: Vec<_> = keys.names().collect();
                    let problem = unknown_key_of(&names, &path).at(self.layers.key_origin(&path));
                    self.problems.push(problem);
                }
            }
        }
        let is_wanted = |key: &&str| !(table.contains_key(*key) || *key == "model" && has_no_model(table));
        for key in keys.required().filter(is_wanted) {
            let (path, node) = (path.key(key), keys.get(key));
            let problem = Problem::new(path.to_string(), "missing");
            let problem = match node {
                Some(node) => self.explained(problem, node).allowed(describe(node, &path)),
                None => problem,
            };
            self.push_value(problem, &path);
        }
    }

    fn tagged(&mut self, value: &Value, variants: &[(&'static str, Keys)], path: &Path) {
        let ValueKind::Table(table) = &value.kind else { return };
        let tags: Vec<_> = variants.iter().map(|(tag, _)| *tag).collect();
        let at = path.key("type");
        match table.get("type").map(|tag| &tag.kind) {
            Some(ValueKind::String(tag)) => match variants.iter().find(|(name, _)| name == tag) {
                Some((_, keys)) => {
                    // The tag itself is valid; everything else is checked like any table.
                    self.table(value, *keys, path);
                }
                None => {
                    let mut problem = Problem::new(at.to_string(), "not one of the allowed values")
                        .found(quoted(tag))
                        .allowed(tags.join(", "));
                    problem.help = nearest(tag, tags).map(|meant| format!("did you mean {meant:?}?"));
                    self.push_value(problem, &at);
                }
            },
            Some(_) => {
                let found = table.get("type").map(show).unwrap_or_default();
                let problem = Problem::new(at.to_string(), "must be text").found(found).allowed(tags.join(", "));
                self.push_value(problem, &at);
            }
            None => {
                let problem = Problem::new(at.to_string(), "missing").allowed(tags.join(", "));
                self.push_value(problem, &at);
            }
        }
    }

    fn one_of(&mut self, value: &Value, variants: &[Keys], path: &Path) {
        let ValueKind::Table(table) = &value.kind else { return };
        let names: Vec<_> = variants.iter().flat_map(|keys| keys.names()).collect();
        let mut unknown = false;
        for key in table.keys().filter(|key| !names.contains(&key.as_str())) {
            let path = path.key(key);
            self.problems.push(unknown_key_of(&names, &path).at(self.layers.key_origin(&path)));
            unknown = true;
        }
        for (key, value) in table {
            if let Some(node) = variants.iter().find_map(|keys| keys.get(key)) {
                self.value(value, node, &path.key(key));
            }
        }
        let known = table.keys().filter(|key| names.contains(&key.as_str())).count();
        if known > 1 || (known == 0 && !unknown) {
            let mut keys: Vec<_> = table.keys().map(String::as_str).collect();
            keys.sort_unstable();
            let problem = Problem::new(path.to_string(), "exactly one of these keys is wanted")
                .found(if keys.is_empty() { "none".into() } else { keys.join(", ") })
                .allowed(names.join(", "));
            self.push_value(problem, path);
        }
    }

    fn out_of_range(&mut self, found: String, node: Node, path: &Path) {
        let problem = Problem::new(path.to_string(), "out of range").found(found).allowed(describe(node, path));
        self.push_value(problem, path);
    }

    fn wrong_type(&mut self, value: &Value, node: Node, path: &Path) {
        let wanted = match node.shape() {
            Shape::Table(_) | Shape::Tagged(_) | Shape::OneOf(_) => "must be a table",
            Shape::Reference { .. } => "must be a name or a table",
            Shape::Choice(_) | Shape::Text { .. } => "must be text",
            Shape::Array { .. } => "must be a list",
            Shape::ChoiceOrList { .. } => "must be text or a list",
            Shape::Integer { .. } => "must be a whole number",
            Shape::Number { .. } => "must be a number",
            Shape::Bool => "must be true or false",
            Shape::Unknown => "cannot be read",
        };
        let date = self.layers.place(path).and_then(|place| place.date.clone());
        let from_file = matches!(self.layers.value_origin(path), Origin::File { .. });
        let found = match &date {
            _ if node.is_secret() => "(a secret, not shown)".into(),
            Some(date) => format!("the date {date}"),
            None => show(value),
        };
        let mut problem = Problem::new(path.to_string(), wanted).found(found).allowed(describe(node, path));
        problem.help = match (node.shape(), &value.kind) {
            (Shape::Integer { .. } | Shape::Number { .. } | Shape::Bool, ValueKind::String(s))
                if from_file && date.is_none() && s.trim().parse::<toml_edit::Value>().is_ok_and(|v| !v.is_str()) =>
            {
                Some("remove the quotes".into())
            }
            (
                Shape::Text { .. } | Shape::Choice(_),
                ValueKind::I64(_) | ValueKind::Float(_) | ValueKind::Boolean(_),
            ) => Some("put it in quotes".into()),
            (Shape::Bool, ValueKind::String(_)) if from_file && date.is_none() => {
                Some("write true or false, without quotes".into())
            }
            (Shape::Text { .. }, ValueKind::String(_)) if date.is_some() => Some("put it in quotes".into()),
            (Shape::Array { items, .. }, ValueKind::Table(_))
                if matches!(items.shape(), Shape::Table(_) | Shape::Tagged(_)) =>
            {
                let name = path.last_key();
                Some(format!("write [[{name}]] with two brackets: there may be several"))
            }
            (Shape::Array { items, .. }, ValueKind::String(_)) if matches!(items.shape(), Shape::Text { .. }) => {
                Some("put it in brackets: [\"…\"]".into())
            }
            (Shape::Table(_) | Shape::Tagged(_) | Shape::Reference { .. }, ValueKind::Array(_)) => {
                let name = path.to_string().replace(|c: char| c.is_ascii_digit(), "").replace("[]", "");
                Some(format!("write [{name}] with single brackets: there is only one"))
            }
            _ => None,
        };
        self.push_value(problem, path);
    }

    fn explained(&self, problem: Problem, node: Node) -> Problem {
        match node.description() {
            Some(text) => problem.help(text.replace('\n', " ")),
            None => problem,
        }
    }

    fn push_value(&mut self, problem: Problem, path: &Path) {
        let origin = self.layers.value_origin(path);
        self.problems.push(problem.at(origin));
    }
}

/// A value as TOML would write it; tables and lists by their size.
fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "nothing".into(),
        ValueKind::Boolean(b) => b.to_string(),
        ValueKind::I64(i) => i.to_string(),
        ValueKind::Float(f) => format!("{:?}", shorten(*f)),
        ValueKind::String(s) => quoted(s),
        ValueKind::Table(_) => "a table".into(),
        ValueKind::Array(items) => count(items.len()),
        other => other.to_string(),
    }
}

fn count(items: usize) -> String {
    match items {
        0 => "an empty list".into(),
        1 => "a list with one item".into(),
        n => format!("a list with {n} items"),
    }
}

/// The allowed values for people: type, range and unit.
pub(super) fn describe(node: Node, path: &Path) -> String {
    let unit = unit(path.last_key());
    match node.shape() {
        Shape::Table(keys) => format!("a table with {}", keys.names().collect::<Vec<_>>().join(", ")),
        Shape::Tagged(variants) => {
            let tags: Vec<_> = variants.iter().map(|(tag, _)| *tag).collect();
            format!("a table with type = one of {}", tags.join(", "))
        }
        Shape::Reference { tagged, key, .. } => {
            let tags: Vec<_> = tagged.iter().map(|(tag, _)| *tag).collect();
            format!("the name of a [[source]], a table with type = one of {}, or a table with {key}", tags.join(", "))
        }
        Shape::OneOf(variants) => {
            let names: Vec<_> = variants.iter().flat_map(|keys| keys.names()).collect();
            format!("a table with exactly one of {}", names.join(", "))
        }
        Shape::Choice(words) => words.join(", "),
        Shape::ChoiceOrList { words, items } => {
            format!("{}, or a list out of {}", words.join(", "), describe(items, path))
        }
        Shape::Array { items, min, max } => {
            let of = match items.shape() {
                Shape::Text { .. } => "texts",
                Shape::Number { .. } | Shape::Integer { .. } => "numbers",
                Shape::OneOf(_) | Shape::Table(_) | Shape::Tagged(_) | Shape::Reference { .. } => "tables",
                _ => "values",
            };
            match (min, max) {
                (Some(min), Some(max)) if min == max => format!("a list of {min} {of}"),
                _ => format!("a list of {of}"),
            }
        }
        Shape::Integer { min, max } => match (min, max) {
            (i64::MIN, i64::MAX) => format!("a whole number{unit}"),
            (min, i64::MAX) => format!("a whole number, {min} or more{unit}"),
            (min, max) => format!("a whole number, {min} to {max}{unit}"),
        },
        Shape::Number { min, max } => {
            if min <= f64::from(f32::MIN) {
                format!("a number{unit}")
            } else if max >= f64::from(f32::MAX) {
                format!("a number, {} or more{unit}", shorten(min))
            } else {
                format!("a number, {} to {}{unit}", shorten(min), shorten(max))
            }
        }
        Shape::Text { pattern: Some(pattern), .. } => pattern.describe(),
        Shape::Text { .. } => "text in quotes".into(),
        Shape::Bool => "true, false".into(),
        Shape::Unknown => "anything".into(),
    }
}

/// Unit in a key's name.
fn unit(key: &str) -> &'static str {
    let suffixes = [
        ("_ms", " ms"),
        ("_s", " s"),
        ("_celsius", " °C"),
        ("_percent", " %"),
        ("_bytes", " bytes"),
        ("fps", " per second"),
        ("width", " pixels"),
        ("height", " pixels"),
        ("resolution", " pixels"),
    ];
    suffixes.iter().find(|(suffix, _)| key.ends_with(suffix)).map_or("", |(_, unit)| unit)
}

/// True for the table of a pipeline whose task looks at the readings themselves.
fn has_no_model(table: &config::Map<String, Value>) -> bool {
    let Some(ValueKind::Table(task)) = table.get("task").map(|task| &task.kind) else { return false };
    let Some(ValueKind::String(kind)) = task.get("type").map(|kind| &kind.kind) else { return false };
    [TaskKind::Baseline, TaskKind::Threshold].iter().any(|without| without.word() == kind)
}
