//! The page, read: its sections with their examples and tables.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// The page.
pub struct Page {
    /// Its sections, each from one heading to the next.
    pub sections: Vec<Section>,
    /// Topics in the first column of the first table.
    pub topics: BTreeSet<String>,
    /// Verbs in the first column of their table.
    pub verbs: BTreeSet<String>,
}

/// A section.
#[derive(Default)]
pub struct Section {
    pub title: String,
    pub examples: Vec<Example>,
    /// Keys in its tables of fields.
    pub fields: BTreeSet<String>,
}

/// A block of JSON with a name.
pub struct Example {
    pub name: String,
    pub text: String,
}

impl Example {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{}: {e}\n{}", self.name, self.text))
    }

    /// It is what others send.
    pub fn is_request(&self) -> bool {
        self.verb().is_some()
    }

    /// It is a request or an answer of its own form, which a daemon is asked for.
    pub fn is_asked(&self) -> bool {
        self.is_request() || self.name.starts_with("response ")
    }

    /// The verb of a request.
    pub fn verb(&self) -> Option<&str> {
        self.name.strip_prefix("request ")
    }
}

impl Page {
    pub fn read() -> Page {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mqtt.md");
        Page::of(&without_comments(&without_pending(&std::fs::read_to_string(path).unwrap())))
    }

    pub fn examples(&self) -> impl Iterator<Item = &Example> {
        self.sections.iter().flat_map(|section| &section.examples)
    }

    fn of(text: &str) -> Page {
        let mut page = Page { sections: vec![Section::default()], topics: BTreeSet::new(), verbs: BTreeSet::new() };
        let mut lines = text.lines();
        let mut table = "";
        while let Some(line) = lines.next() {
            let section = page.sections.last_mut().unwrap();
            if let Some(fence) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
                if let Some(name) = fence.strip_prefix("json") {
                    let name = name.trim().to_owned();
                    assert!(!name.is_empty(), "an example has no name:\n{}", block.join("\n"));
                    section.examples.push(Example { name, text: block.join("\n") });
                }
            } else if line.starts_with('#') {
                page.sections.push(Section { title: line.trim_start_matches(['#', ' ']).into(), ..Section::default() });
            } else if let Some(row) = line.strip_prefix("| ") {
                let cell = row.split(" | ").next().unwrap_or_default();
                let code = cell.split('`').skip(1).step_by(2).map(str::to_owned);
                match table {
                    "" => table = cell,
                    "field" => section.fields.extend(code),
                    "topic" => page.topics.extend(code),
                    "verb" => page.verbs.extend(code),
                    _ => {}
                }
            } else if !line.starts_with('|') {
                table = "";
            }
        }
        page
    }
}

/// The page without the parts between `<!-- with NAME -->` and `<!-- end with -->`: they are of code that is still to come.
pub fn without_pending(text: &str) -> String {
    let mut pending = false;
    let is_kept = |line: &&str| {
        pending |= line.starts_with("<!-- with ");
        let kept = !pending;
        pending &= *line != "<!-- end with -->";
        kept
    };
    text.lines().filter(is_kept).collect::<Vec<_>>().join("\n")
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").expect("a comment that ends").1;
    }
    kept + rest
}

/// The name of the keys of a map, where `path` is one: they differ from node to node.
fn key_of(path: &str) -> Option<&'static str> {
    Some(match path {
        "counts" | "zones.<zone>" | "lines.<line>" => "<label>",
        "zones" => "<zone>",
        "lines" => "<line>",
        "pipelines" | "data.pipelines" | "attributes" => "<pipeline>",
        "sources" => "<source>",
        "fleet.for" | "fleet.given.by" => "<node>",
        "fleet.refused" | "fleet.given.refused" => "<reason>",
        _ => return None,
    })
}

/// Objects that are told elsewhere.
const OPAQUE: [&str; 2] = ["data.schema", "values"];

/// Paths of the values in `value`: `a.b`, `list[].a`, `map.<key>`.
pub fn leaves(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(value, "", &mut |path, _| _ = found.insert(path.to_owned()));
    found
}

/// Paths and kinds of the values in `value`, as text.
pub fn shape(value: &Value) -> String {
    let mut found = BTreeSet::new();
    walk(value, "", &mut |path, kind| _ = found.insert(format!("{path}: {kind}")));
    found.into_iter().collect::<Vec<_>>().join(", ")
}

fn walk(value: &Value, path: &str, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(object) if !OPAQUE.contains(&path) => {
            for (key, value) in object {
                let key = key_of(path).unwrap_or(key);
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                walk(value, &path, found);
            }
        }
        // A list of values has one name; of a list of objects, each key.
        Value::Array(list) => {
            let is_of_objects = list.iter().any(Value::is_object);
            let path = if is_of_objects { format!("{path}[]") } else { path.to_owned() };
            list.iter().for_each(|value| walk(value, &path, found));
        }
        Value::Object(_) => found(path, "object"),
        Value::Null => found(path, "null"),
        Value::Bool(_) => found(path, "true or false"),
        Value::Number(_) => found(path, "number"),
        Value::String(_) => found(path, "text"),
    }
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let page = Page::of(&without_comments(
        "| topic | payload |\n|---|---|\n| `a` | x |\n| `<b>/c` | `y` |\n\n<!-- | `d` | x | -->\n## One\n```json one\n{\"a\":[{\"b\":1}]}\n```\n\
         | field | |\n|---|---|\n| `a[].b`, `c` | `d` |\n\n| verb | |\n|---|---|\n| `e/f` | x |\n```sh\njson\n```\n### Two\n```json request e/f\n{}\n```\n",
    ));
    assert_eq!(page.topics, BTreeSet::from(["a".into(), "<b>/c".into()]));
    assert_eq!(page.verbs, BTreeSet::from(["e/f".into()]));
    let [_, one, two] = &page.sections[..] else { panic!() };
    assert_eq!((one.title.as_str(), two.title.as_str()), ("One", "Two"));
    assert_eq!(one.fields, BTreeSet::from(["a[].b".into(), "c".into()]));
    assert_eq!(leaves(&one.examples[0].value()), BTreeSet::from(["a[].b".into()]));
    assert_eq!(two.examples[0].verb(), Some("e/f"));
}

#[test]
fn the_form_of_a_value_is_its_keys_and_kinds() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let one = value(
        r#"{"a":1,"list":[{"b":null},{"b":"x"}],"box":[1,2],"counts":{"cat":1},"zones":{"z":{"cat":2}},"values":{"x":1}}"#,
    );
    assert_eq!(
        shape(&one),
        "a: number, box: number, counts.<label>: number, list[].b: null, list[].b: text, values: object, zones.<zone>.<label>: number"
    );
    for other in [
        r#"{"a":"1","list":[{"b":null},{"b":"x"}],"box":[1,2],"counts":{"cat":1},"zones":{"z":{"cat":2}},"values":{}}"#,
        r#"{"a":1,"list":[{"b":null}],"box":[1,2],"counts":{"cat":1},"zones":{"z":{"cat":2}},"values":{}}"#,
        r#"{"a":1,"c":1,"list":[{"b":null},{"b":"x"}],"box":[1,2],"counts":{"cat":1},"zones":{"z":{"cat":2}},"values":{}}"#,
    ] {
        assert_ne!(shape(&one), shape(&value(other)));
    }
}
