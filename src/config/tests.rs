//! Properties of the schema that its readers rely on.

use super::Config;
use super::layers::PREFIX;
use super::path::Path;
use super::problem::nearest;
use super::schema::{Node, Shape};

/// Every node of the schema with its path; tables of a tagged source once for each type.
fn nodes(node: Node, path: &str, out: &mut Vec<(String, Node)>) {
    out.push((path.to_owned(), node));
    let tables = match node.shape() {
        Shape::Table(keys) => vec![keys],
        Shape::Tagged(variants) => variants.into_iter().map(|(_, keys)| keys).collect(),
        Shape::Reference { name, tagged, keys, .. } => {
            assert!(matches!(name.shape(), Shape::Text { .. }), "{path}");
            tagged.into_iter().map(|(_, keys)| keys).chain([keys]).collect()
        }
        Shape::OneOf(variants) => variants,
        Shape::Array { items, .. } => {
            nodes(items, &format!("{path}[]"), out);
            Vec::new()
        }
        _ => Vec::new(),
    };
    for keys in tables {
        for name in keys.names() {
            let is_tag = name == "type" && (path.ends_with(".source") || path.ends_with(".source[]"));
            if let Some(child) = keys.get(name).filter(|_| !is_tag) {
                nodes(child, &format!("{path}.{name}"), out);
            }
        }
    }
}

#[test]
fn every_form_in_the_schema_is_understood() {
    let mut all = Vec::new();
    nodes(Node::root(), "", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    for (path, node) in all {
        assert!(!matches!(node.shape(), Shape::Unknown), "{path}: the schema has a form that is not read");
        let last = path.rsplit('.').next().unwrap_or("");
        assert_eq!(last, last.to_lowercase(), "{path}: could not be set by a {PREFIX} variable");
        assert!(!last.contains("__"), "{path}: could not be set by a {PREFIX} variable");
        let is_item = path.ends_with(']')
            || path.is_empty()
            || path.contains("regions[]")
            || path.contains(".align[]")
            || path.contains(".digits[]");
        assert!(is_item || node.description().is_some(), "{path}: has no description");
    }
}

#[test]
fn only_passwords_are_secrets() {
    let mut all = Vec::new();
    nodes(Node::root(), "", &mut all);
    let secrets: Vec<_> = all.iter().filter(|(_, node)| node.is_secret()).map(|(path, _)| path.as_str()).collect();
    let fleet = cfg!(feature = "fleet").then_some(".fleet.password");
    assert_eq!(secrets, fleet.into_iter().chain([".mqtt.password", ".page.password"]).collect::<Vec<_>>());
}

#[test]
fn paths_read_back_as_they_are_written() {
    for text in ["mqtt", "mqtt.port", "pipeline[0].source.device", "a[1][2].b"] {
        assert_eq!(Path::parse(text).map(|path| path.to_string()).as_deref(), Some(text));
    }
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a[]",
        "a[x]",
        "a[1",
        "a]1[",
        "a[1]b",
        "a b",
        "é",
        "a[-1]",
        "a[99999999999999999999]",
    ] {
        assert_eq!(Path::parse(text), None, "{text:?}");
    }
}

#[test]
fn the_nearest_word_is_near() {
    let words = ["host", "port", "password", "password_file", "prefix"];
    for (word, meant) in [
        ("hots", Some("host")),
        ("Host", Some("host")),
        ("pasword", Some("password")),
        ("passwordfile", Some("password_file")),
        ("prefx", Some("prefix")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, words), meant, "{word:?}");
    }
}

#[test]
fn a_configuration_that_everyone_may_change_is_warned_of() {
    let warned = |toml: &str| {
        let config: Config = toml_edit::de::from_str(toml).unwrap();
        config.check().warnings.iter().any(|warning| warning.key == "mqtt.requests")
    };
    let set = "requests = [\"config/set\"]";
    assert!(warned(&format!("[mqtt]\n{set}\n")));
    assert!(!warned("[mqtt]\nrequests = \"all\"\n"));
    assert!(!warned(&format!("[mqtt]\nusername = \"u\"\n{set}\n")));
    let inside = |listen: &str| format!("[mqtt]\n{set}\n[broker]\nenabled = true\nlisten = \"{listen}:1883\"\n");
    assert!(warned(&inside("0.0.0.0")) && !warned(&inside("127.0.0.1")));
}
