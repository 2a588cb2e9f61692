//! The structure of `src/`, read from the parsed code: who may name whom, no circles between files, where `unsafe` is.
//!
//! Code that only tests compile is left out.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/given.rs"]
mod given;
#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/names.rs"]
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use circles::{circles, described};
use house::House;

/// Rooms from the ground up, and which of those above it in this list each may name. A member's rooms stand under its name.
const ROOMS: &[(&str, &[&str])] = &[
    ("engine::onnx", &[]),
    ("engine::operators", &["engine::onnx"]),
    ("engine::tflite", &["engine::onnx", "engine::operators"]),
    ("engine::int8", &["engine::onnx"]),
    ("engine::compress", &["engine::onnx"]),
    ("engine", &["engine::onnx", "engine::operators", "engine::tflite", "engine::int8", "engine::compress"]),
    ("governor", &[]),
    ("governor::simulate", &["governor"]),
    ("frame", &[]),
    ("sys", &[]),
    ("telemetry", &[]),
    ("scene", &["frame"]),
    ("draw", &["frame"]),
    ("source", &["frame", "scene", "sys"]),
    ("preprocess", &["frame"]),
    ("model", &["frame", "engine", "sys"]),
    ("task", &["frame"]),
    ("join", &["frame"]),
    ("propose", &[]),
    ("event", &["frame"]),
    ("evaluate", &["frame"]),
    ("publish", &["frame", "sys"]),
    ("page", &["frame", "draw", "sys"]),
    ("fleet", &["frame", "sys"]),
    ("board", &["governor", "sys"]),
    ("catalog", &["model", "sys"]),
    (
        "pipeline",
        &[
            "frame",
            "scene",
            "source",
            "preprocess",
            "model",
            "task",
            "join",
            "propose",
            "event",
            "governor",
            "board",
            "telemetry",
            "sys",
        ],
    ),
    (
        "config",
        &[
            "frame",
            "source",
            "preprocess",
            "model",
            "task",
            "event",
            "publish",
            "page",
            "fleet",
            "pipeline",
            "governor",
            "telemetry",
            "sys",
        ],
    ),
    ("credentials", &["config", "publish", "sys"]),
    ("runtime", BELOW_RUNTIME),
    ("diagnose", BELOW_CLI),
    ("install", BELOW_CLI),
    (
        "cli",
        &[
            "diagnose",
            "install",
            "credentials",
            "draw",
            "page",
            "fleet",
            "runtime",
            "catalog",
            "scene",
            "frame",
            "source",
            "preprocess",
            "model",
            "task",
            "event",
            "evaluate",
            "publish",
            "pipeline",
            "governor",
            "governor::simulate",
            "board",
            "telemetry",
            "config",
            "engine",
            "sys",
        ],
    ),
    ("main", &["cli"]),
];
const BELOW_RUNTIME: &[&str] = &[
    "page",
    "fleet",
    "draw",
    "frame",
    "draw",
    "scene",
    "source",
    "preprocess",
    "model",
    "task",
    "event",
    "publish",
    "pipeline",
    "governor",
    "board",
    "telemetry",
    "config",
    "sys",
];
const BELOW_CLI: &[&str] = &[
    "runtime",
    "fleet",
    "catalog",
    "credentials",
    "draw",
    "scene",
    "frame",
    "source",
    "preprocess",
    "model",
    "task",
    "event",
    "publish",
    "pipeline",
    "governor",
    "board",
    "telemetry",
    "config",
    "engine",
    "sys",
];

/// Crates by the names that code calls them, and the files of their roots.
const CRATES: &[(&str, &str)] = &[
    ("leptond_engine", "src/engine/lib.rs"),
    ("leptond_governor", "src/governor/lib.rs"),
    ("leptond", "src/lib.rs"),
    ("main", "src/main.rs"),
];

/// `unsafe` is in these places only.
const UNSAFE: &[&str] = &["src/engine/int8/kernels/", "src/sys/"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every crate of the workspace, read once for all tests.
static WHOLE: LazyLock<House> = LazyLock::new(|| {
    let mut house = House::default();
    for (name, file) in CRATES {
        house.read(name, file, &|path| std::fs::read_to_string(repository().join(path)).ok());
    }
    house
});

/// Room that a path from a crate's root leads into; empty for a crate's root itself, which only lists modules.
fn room(path: &[String]) -> String {
    let first = path.get(1).map_or("", String::as_str);
    match path[0].as_str() {
        "leptond_engine" if matches!(first, "onnx" | "operators" | "tflite" | "int8" | "compress") => {
            format!("engine::{first}")
        }
        "leptond_engine" => "engine".to_string(),
        "leptond_governor" if first == "simulate" => "governor::simulate".to_string(),
        "leptond_governor" => "governor".to_string(),
        "main" => "main".to_string(),
        _ => first.to_string(),
    }
}

fn may_name(room: &str, named: &str, rooms: &[(&str, &[&str])]) -> bool {
    let allowed = rooms.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| allowed);
    // The whole engine includes its rooms.
    room == named || allowed.iter().any(|a| *a == named || *a == "engine" && named.starts_with("engine::"))
}

/// Paths that lead into a room that theirs may not name, and files of rooms that the table lacks.
fn forbidden(house: &House, rooms: &[(&str, &[&str])]) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for (index, module) in house.modules.iter().enumerate() {
        let here = room(&module.path);
        if here.is_empty() {
            continue;
        }
        if !rooms.iter().any(|(name, _)| *name == here) {
            wrong.insert(format!("{}: the room {here} has no rule", module.file));
            continue;
        }
        for path in module.names.imports.iter().map(|import| &import.target).chain(&module.names.paths) {
            let Some(absolute) = house.absolute(index, path) else { continue };
            let named = room(&absolute);
            if !named.is_empty() && !may_name(&here, &named, rooms) {
                wrong.insert(format!("{}: {here} names {named}: {}", module.file, path.join("::")));
            }
        }
    }
    wrong
}

/// Circles of files, each with the names that tie it.
fn described_circles(house: &House) -> Vec<String> {
    let uses = house.uses();
    let tell = |circle: &BTreeSet<&str>| format!("a circle of {} files:\n{}", circle.len(), described(circle, &uses));
    circles(&uses).iter().map(tell).collect()
}

fn files_with_unsafe_code(house: &House) -> BTreeSet<&str> {
    let with = house.modules.iter().filter(|module| module.names.unsafe_code);
    with.map(|module| module.file.as_str()).filter(|file| !UNSAFE.iter().any(|dir| file.starts_with(dir))).collect()
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

fn list(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.as_ref())).collect()
}

#[test]
fn rooms_name_only_what_they_may() {
    let rooms: BTreeSet<String> = WHOLE.modules.iter().map(|module| room(&module.path)).collect();
    assert!(rooms.contains("frame") && rooms.contains("engine::int8"), "src/ was not read: {rooms:?}");
    let wrong = forbidden(&WHOLE, ROOMS);
    assert!(wrong.is_empty(), "against the table of rooms (here and in ARCHITECTURE.md):\n{}", list(wrong));
}

#[test]
fn no_room_may_name_one_above_it() {
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for named in *allowed {
            assert!(
                ROOMS[..at].iter().any(|(below, _)| below == named),
                "{room} may name {named}, which is not below it"
            );
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let wrong = described_circles(&WHOLE);
    assert!(wrong.is_empty(), "{}", list(wrong));
}

#[test]
fn unsafe_code_is_in_the_kernels_and_sys() {
    assert!(WHOLE.modules.iter().any(|module| module.names.unsafe_code), "the kernels' unsafe code was not seen");
    let wrong = files_with_unsafe_code(&WHOLE);
    assert!(wrong.is_empty(), "unsafe code outside of {UNSAFE:?}:\n{}", list(wrong));
}

#[test]
fn members_depend_on_nothing_of_leptond() {
    for member in ["engine", "governor"] {
        let file = repository().join("src").join(member).join("Cargo.toml");
        let manifest: toml_edit::DocumentMut = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest
                .get(table)
                .and_then(|t| t.as_table_like())
                .into_iter()
                .flat_map(|t| t.iter().map(|(name, _)| name));
            let own: Vec<_> = names.filter(|name| name.starts_with("leptond")).collect();
            assert!(own.is_empty(), "{}: [{table}] names {own:?}", file.display());
        }
    }
}

/// A file that no module declares is not compiled, and not read by these tests either.
#[test]
fn every_file_is_part_of_a_crate_or_of_its_tests() {
    let read = WHOLE.files();
    let mut files = Vec::new();
    rust_files(&repository().join("src"), &mut files);
    let tests_only = |file: &str| {
        let (dir, name) = file.rsplit_once('/').unwrap_or(("", file));
        let named = matches!(name, "tests.rs" | "testing.rs") || name.ends_with("_tests.rs");
        named || dir.split('/').any(|part| matches!(part, "tests" | "examples" | "benches"))
    };
    let names = files.iter().map(|file| file.strip_prefix(repository()).unwrap().to_string_lossy().into_owned());
    let strange: Vec<String> = names.filter(|file| !read.contains(file.as_str()) && !tests_only(file)).collect();
    assert!(strange.is_empty(), "declared by no module:\n{}", list(strange));
}
