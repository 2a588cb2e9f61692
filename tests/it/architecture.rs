//! Who may import whom: reads the `use` lines and paths of `src/` and fails on a forbidden one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room → rooms that it may name. `cli` and `daemon` may name everything below them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("frame", &[]),
    ("source", &["frame", "sys"]),
    ("preprocess", &["frame"]),
    ("model", &["frame", "int8", "tflite", "sys"]),
    ("tflite", &[]),
    ("int8", &[]),
    ("task", &["frame"]),
    ("publish", &["frame", "sys"]),
    ("governor", &[]),
    ("board", &["governor", "sys"]),
    ("telemetry", &[]),
    ("simulate", &["governor", "sys"]),
    ("catalog", &["model", "sys"]),
    ("sys", &[]),
    ("config", &["source", "preprocess", "model", "task", "publish", "governor", "telemetry", "frame", "sys"]),
    (
        "daemon",
        &[
            "source",
            "preprocess",
            "model",
            "task",
            "publish",
            "governor",
            "telemetry",
            "frame",
            "config",
            "board",
            "sys",
            "daemon",
        ],
    ),
];

/// `(room, imported room)` pairs of one file's text that are not allowed.
fn forbidden(room: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(r, _)| *r == room) else { return Vec::new() };
    let rooms: Vec<&str> = ALLOWED.iter().map(|(r, _)| *r).chain(["cli"]).collect();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or(list).split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            for name in names {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if rooms.contains(&name.as_str()) && name != room && !allowed.contains(&name.as_str()) {
                    found.push(format!("{room} imports {name}: {line}"));
                }
            }
        }
    }
    found
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn rooms_import_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let room = first.strip_suffix(".rs").unwrap_or(&first).to_string();
        *seen.entry(room.clone()).or_default() += 1;
        let text = std::fs::read_to_string(file).unwrap();
        wrong.extend(forbidden(&room, &text).into_iter().map(|w| format!("{}: {w}", inside.display())));
    }
    assert!(seen.contains_key("frame") && seen.contains_key("publish"), "src/ was not read: {seen:?}");
    let known: Vec<&str> = ALLOWED.iter().map(|(r, _)| *r).chain(["cli", "main", "lib"]).collect();
    let strange: Vec<_> = seen.keys().filter(|r| !known.contains(&r.as_str())).collect();
    assert!(strange.is_empty(), "rooms without a rule: {strange:?}; add them here and in ARCHITECTURE.md");
    assert!(wrong.is_empty(), "forbidden imports:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_a_forbidden_import() {
    assert_eq!(forbidden("task", "use crate::frame::Event;"), Vec::<String>::new());
    assert_eq!(forbidden("task", "use crate::model::Bundle;").len(), 1);
    assert_eq!(forbidden("model", "use crate::{frame, config::Config};").len(), 1);
    assert_eq!(forbidden("source", "let x = crate::telemetry::now();").len(), 1);
    assert_eq!(forbidden("source", "// crate::telemetry is not for us").len(), 0);
}
