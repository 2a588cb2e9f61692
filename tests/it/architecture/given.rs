//! The checks themselves, on text that is given to them.

use super::*;

/// A library `leptond`, and a member `leptond_engine` if the files have one.
fn given(files: &[(&str, &str)]) -> House {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut house = House::default();
    for (name, root) in &CRATES[..3] {
        if files.contains_key(root) {
            house.read(name, root, &|path| files.get(path).map(|text| text.to_string()));
        }
    }
    house
}

/// Names that the file of the room `task` uses, against a table where it may name `frame`.
fn of_task(text: &str) -> Vec<String> {
    let house = given(&[
        ("src/lib.rs", "pub mod frame; pub mod model; pub mod task;"),
        ("src/frame.rs", "pub struct Event;"),
        ("src/model/mod.rs", "pub struct Bundle; pub mod plan;"),
        ("src/model/plan.rs", "pub fn compile() {}"),
        ("src/task.rs", text),
        ("src/engine/lib.rs", "pub mod int8;"),
        ("src/engine/int8.rs", "pub struct Plan;"),
    ]);
    let rooms: &[(&str, &[&str])] =
        &[("engine::int8", &[]), ("engine", &[]), ("frame", &[]), ("model", &["frame"]), ("task", &["frame"])];
    forbidden(&house, rooms).into_iter().collect()
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    for text in [
        "use crate::model::Bundle;",
        "use crate::{frame::Event, model::Bundle as B};",
        "use super::model;",
        "use crate::{frame, model::{self}};",
        "use crate::model::*;",
        "pub use crate::model::plan::compile;",
        "fn f() { crate::model::plan::compile() }",
        "fn f() { use crate::model::Bundle; }",
        "fn f(bundle: &crate::model::Bundle) {}",
        "struct S { bundle: Vec<super::model::Bundle> }",
        "impl From<crate::model::Bundle> for () {}",
        "fn f() { println!(\"{}\", crate::model::plan::compile()) }",
        "macro_rules! m { () => { crate::model::plan::compile() } }",
        "mod inner { use super::super::model::Bundle; }",
        "use leptond_engine::int8::Plan;",
        "#[cfg(not(test))] use crate::model::Bundle;",
        "#[cfg(any(test, unix))] use crate::model::Bundle;",
        "#[cfg(all(unix, not(test)))] use crate::model::Bundle;",
    ] {
        assert_eq!(of_task(text).len(), 1, "{text}: {:?}", of_task(text));
    }
}

#[test]
fn what_is_allowed_or_only_in_tests_or_words_is_not_found() {
    for text in [
        "use crate::frame::Event;",
        "use super::frame;",
        "mod inner { use super::Own; } struct Own;",
        "// crate::model::Bundle\n/// [`crate::model::Bundle`]\nfn f() -> &'static str { \"crate::model::Bundle\" }",
        "#[cfg(test)] use crate::model::Bundle;",
        "#[cfg(test)] mod tests { use crate::model::Bundle; }",
        "#[cfg(any(test, all(test, unix)))] use crate::model::Bundle;",
        "#[cfg(all(test, unix))] fn f() { crate::model::plan::compile() }",
        "#[test] fn t() { crate::model::plan::compile() }",
        "struct S; impl S { #[cfg(test)] fn f() { crate::model::plan::compile() } }",
        "use std::model::Bundle;",
    ] {
        assert_eq!(of_task(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_room_without_a_rule_is_found() {
    let house = given(&[("src/lib.rs", "pub mod cellar;"), ("src/cellar.rs", "")]);
    assert_eq!(list(forbidden(&house, &[])), "src/cellar.rs: the room cellar has no rule\n");
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    described_circles(&given(files))
}

#[test]
fn a_circle_is_told_with_the_names_that_tie_it() {
    let found = circles_of(&[
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "use crate::b::B; pub struct A(B);"),
        ("src/b.rs", "pub struct B; fn f() { super::c::run() }"),
        ("src/c.rs", "pub fn run() { vec![crate::a::A::new()] }"),
    ]);
    assert_eq!(
        found,
        ["a circle of 3 files:\n  src/a.rs -> src/b.rs: B\n  src/b.rs -> src/c.rs: run\n  src/c.rs -> src/a.rs: A"]
    );
}

#[test]
fn a_parent_that_only_hands_names_on_is_in_no_circle() {
    let lib = ("src/lib.rs", "pub mod room;");
    let child = ("src/room/child.rs", "use super::other::Other; pub struct Child(Other);");
    let other = ("src/room/other.rs", "pub struct Other;");
    let face = "mod child; mod other; pub use child::Child; pub use other::Other;";
    assert_eq!(circles_of(&[lib, child, other, ("src/room/mod.rs", face)]), Vec::<String>::new());
    // A name that is taken through the parent is its own file's.
    let through = ("src/room/child.rs", "use super::Other; pub struct Child(Other);");
    assert_eq!(circles_of(&[lib, through, other, ("src/room/mod.rs", face)]), Vec::<String>::new());
    // The parent that also uses the child is in one as soon as the child uses the parent.
    let with_type = format!("{face} pub struct Error; fn open() -> Child {{}}");
    assert_eq!(circles_of(&[lib, child, other, ("src/room/mod.rs", &with_type)]), Vec::<String>::new());
    let up = ("src/room/child.rs", "pub struct Child(super::Error);");
    let found = circles_of(&[lib, up, other, ("src/room/mod.rs", &with_type)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("src/room/mod.rs -> src/room/child.rs: Child"), "{found:?}");
}

#[test]
fn a_circle_through_a_glob_an_alias_or_a_crate_name_is_found() {
    let lib = ("src/lib.rs", "mod a; mod b;");
    let b = ("src/b.rs", "pub struct B; fn f(a: crate::a::A) {}");
    for a in [
        "use crate::b::*; pub struct A(B);",
        "use crate::b as other; pub struct A(other::B);",
        "use crate::b::B as Other; pub struct A(Other);",
        "pub struct A; fn f() { leptond::b::B; }",
    ] {
        assert_eq!(circles_of(&[lib, b, ("src/a.rs", a)]).len(), 1, "{a}");
    }
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; /// [`crate::b::B`]\nfn f() {}",
        "use b::B; pub struct A;",
    ] {
        assert_eq!(circles_of(&[lib, b, ("src/a.rs", a)]), Vec::<String>::new(), "{a}");
    }
}

#[test]
fn names_of_other_crates_lead_nowhere() {
    let house = given(&[
        ("src/lib.rs", "mod glob; use glob::glob; use png::png; fn f() { png::Decoder::new(); std::mem::take(x) }"),
        ("src/glob.rs", "pub fn glob() {}"),
    ]);
    assert_eq!(house.resolve(0, &["png".into()]), None);
    assert_eq!(house.resolve(0, &["std".into(), "mem".into()]), None);
}

#[test]
fn a_function_and_a_module_of_one_name_are_told_apart() {
    let house = given(&[("src/lib.rs", "mod run; fn run() {}"), ("src/run.rs", "pub fn failure() {}")]);
    let found = |path: &[&str]| house.resolve(0, &path.iter().map(|name| name.to_string()).collect::<Vec<_>>());
    assert_eq!(found(&["run", "failure"]), Some(house::Found::Item(1, "failure".into())));
    assert_eq!(found(&["run"]), Some(house::Found::Item(0, "run".into())));
}

#[test]
fn unsafe_code_is_found_in_every_form() {
    let with = |text: &str| !files_with_unsafe_code(&given(&[("src/lib.rs", text)])).is_empty();
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for S {}",
        "unsafe trait T {}",
        "unsafe extern \"C\" { fn f(); }",
        "impl S { unsafe fn f() {} }",
        "fn f() { vec![unsafe { g() }] }",
        "macro_rules! m { () => { unsafe { g() } } }",
        "mod inner { fn f() { unsafe { g() } } }",
    ] {
        assert!(with(text), "{text}");
    }
    for text in
        ["// unsafe\nfn f() -> &'static str { \"unsafe\" }", "#[cfg(test)] mod tests { fn f() { unsafe { g() } } }"]
    {
        assert!(!with(text), "{text}");
    }
    assert!(
        files_with_unsafe_code(&given(&[("src/lib.rs", "mod sys;"), ("src/sys/mod.rs", "unsafe fn f() {}")]))
            .is_empty()
    );
}

#[test]
#[should_panic(expected = "src/lib.rs: mod gone: neither src/gone.rs nor src/gone/mod.rs")]
fn a_module_without_a_file_is_named() {
    given(&[("src/lib.rs", "mod gone;")]);
}
