//! `docs/mqtt.md` against the program: its examples have the form of what the program writes, its tables name every key and every topic,
//! and its requests are obeyed.
//!
//! An example is a block of JSON with a name, one of [`made::all`]; one that is named `request VERB` is sent to a daemon. A table that begins
//! with `| field | |` names the keys of its section's examples.

mod made;
pub mod page;

use std::collections::{BTreeMap, BTreeSet};

use leptond::frame::NodeName;
use leptond::publish::requests::REGISTRY;
use leptond::publish::topics::Topics;
use serde_json::Value;

use crate::daemon::{Daemon, meter, on};
use crate::mosquitto::{Client, Mosquitto};
use page::{Page, leaves, shape};

/// The functions of [`Topics`] that make a topic, and the topic as the page has it; empty for a filter.
fn topics() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("state", "state"),
        ("info", "info"),
        ("health", "health"),
        ("governor", "governor"),
        ("result", "<pipeline>/result"),
        ("event", "<pipeline>/event"),
        ("pipeline_state", "<pipeline>/state"),
        ("request", "request/<verb>"),
        ("response", "response/<verb>"),
        ("requests", ""),
        ("all", ""),
        ("snapshot", "<pipeline>/snapshot"),
        ("clean_snapshot", "<pipeline>/snapshot/clean"),
        ("detect_state", "<pipeline>/detect/state"),
        ("detect_set", "<pipeline>/detect/set"),
        ("detect_sets", "<pipeline>/detect/set"),
    ])
}

/// Topics that are not below the node's.
const OF_OTHERS: [&str; 2] = ["homeassistant/device/<node>/config", "homeassistant/status"];

/// Verbs that this daemon refuses: without a service manager it cannot be started again.
const REFUSED: [&str; 2] = ["restart", "model/update"];

#[test]
fn every_example_has_the_form_of_what_the_program_writes() {
    let page = Page::read();
    let made = made::all();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for example in page.examples().filter(|example| !example.is_asked()) {
        let Some(made) = made.get(&*example.name) else {
            wrong.push(format!("{}: nothing of this name is made", example.name));
            continue;
        };
        seen.insert(&*example.name);
        let (written, made) = (shape(&example.value()), shape(made));
        if written != made {
            wrong.push(format!("{}:\n  the page    {written}\n  the program {made}", example.name));
        }
    }
    wrong.extend(made.keys().filter(|name| !seen.contains(*name)).map(|name| format!("{name}: not on the page")));
    assert!(wrong.is_empty(), "docs/mqtt.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_key_is_explained_and_every_explained_key_is_there() {
    let page = Page::read();
    let made = made::all();
    let mut wrong = Vec::new();
    for section in &page.sections {
        let mut there = BTreeSet::new();
        for example in &section.examples {
            // A request is no value of the program: its keys are those that the daemon obeys.
            let value = made.get(&*example.name).cloned().unwrap_or_else(|| example.value());
            there.extend(leaves(&value));
        }
        let missing = there.difference(&section.fields).map(|field| format!("{field}: not explained"));
        let surplus = section.fields.difference(&there).map(|field| format!("{field}: explained, and not there"));
        wrong.extend(missing.chain(surplus).map(|fault| format!("{}: {fault}", section.title)));
    }
    assert!(wrong.is_empty(), "docs/mqtt.md:\n{}", wrong.join("\n"));
}

/// Names of the public functions of `impl Topics` that give a topic.
fn functions() -> BTreeSet<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/publish/topics.rs");
    let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    for item in &file.items {
        let syn::Item::Impl(item) = item else { continue };
        let is_of = |name| matches!(&*item.self_ty, syn::Type::Path(path) if path.path.is_ident(name));
        if !is_of("Topics") {
            continue;
        }
        for item in &item.items {
            let syn::ImplItem::Fn(function) = item else { continue };
            let syn::ReturnType::Type(_, kind) = &function.sig.output else { continue };
            if matches!(&**kind, syn::Type::Path(path) if path.path.is_ident("String")) {
                found.insert(function.sig.ident.to_string());
            }
        }
    }
    found
}

#[test]
fn every_topic_is_on_the_page_and_no_other() {
    let known = topics();
    let topic =
        |name: &String| *known.get(&**name).unwrap_or_else(|| panic!("Topics::{name}: which topic of the page?"));
    let there = functions();
    let expected = there.iter().map(topic).filter(|topic| !topic.is_empty()).chain(OF_OTHERS);
    let expected: BTreeSet<String> = expected.map(str::to_owned).collect();
    assert_eq!(Page::read().topics, expected, "the topics on the page, and those that the program has");

    let topics = Topics::new("leptond", &NodeName::new("attic").unwrap()).unwrap();
    for (made, written) in [
        (topics.state(), "state"),
        (topics.result("door"), "<pipeline>/result"),
        (topics.event("door"), "<pipeline>/event"),
        (topics.pipeline_state("door"), "<pipeline>/state"),
        (topics.request("governor/set"), "request/<verb>"),
        (topics.response("governor/set"), "response/<verb>"),
    ] {
        let written = written.replace("<pipeline>", "door").replace("<verb>", "governor/set");
        assert_eq!(made, format!("leptond/attic/{written}"));
    }
}

#[test]
fn every_verb_is_on_the_page_and_no_other() {
    let page = Page::read();
    // The switch is no verb of a request.
    let verbs = REGISTRY.iter().map(|entry| entry.name).filter(|verb| *verb != "detect/set");
    assert_eq!(page.verbs, verbs.map(str::to_owned).collect::<BTreeSet<_>>());
    let asked: BTreeSet<String> = page.examples().filter_map(page::Example::verb).map(str::to_owned).collect();
    assert_eq!(asked, page.verbs, "verbs with an example");
}

/// A daemon with the pipelines of the page does what each request on it asks for, and answers in the form that the page has.
#[test]
fn requests_on_the_page_are_obeyed() {
    let Some(broker) = Mosquitto::start("requests_on_the_page") else { return };
    let Some(client) = Client::find("requests_on_the_page") else { return };
    let listener = broker.listen("leptond/test/#");
    let verbs: Vec<&str> = REGISTRY.iter().map(|entry| entry.name).collect();
    let config = meter(broker.port, "").replace("\"meter\"", "\"water\"");
    let _daemon = Daemon::start(&config.replace("[governor]", &format!("requests = {verbs:?}\n[governor]")));
    listener.wait_for("a result", |m| !on(m, "leptond/test/water/result").is_empty());
    let page = Page::read();
    let answer_to = |verb: &str, payload: &str| {
        let answers = format!("leptond/test/response/{verb}");
        let before = on(&listener.messages(), &answers).len();
        let topic = format!("leptond/test/request/{verb}");
        assert!(client.publish(broker.port, &["-q", "1", "-t", &topic, "-m", payload]));
        let seen = listener.wait_for("an answer", |m| on(m, &answers).len() > before);
        on(&seen, &answers)[before].json()
    };
    // Most answers have a form of their own, those that say what is in force share one.
    let answer_of = |verb: &str| {
        let own = page.examples().find(|example| example.name == format!("response {verb}"));
        own.or_else(|| page.examples().find(|example| example.name == "response.in-force")).unwrap()
    };
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for example in page.examples().filter(|example| example.is_request()) {
        let (verb, payload) = (example.verb().unwrap(), &example.text);
        let answer = answer_to(verb, payload);
        assert_eq!(answer["transaction"], example.value()["transaction"], "{verb} {payload}");
        if REFUSED.contains(&verb) {
            assert_eq!(answer["status"], "error", "{verb} {payload}: {answer}");
            continue;
        }
        assert_eq!(answer["status"], "ok", "{verb} {payload}: {answer}");
        found.entry(&answer_of(verb).name).or_default().extend(leaves(&answer));
    }
    for (name, found) in found {
        let written = leaves(&page.examples().find(|example| example.name == name).unwrap().value());
        assert_eq!(found, written, "{name}: fields of the answers, and those on the page");
    }
    let error = page.examples().find(|example| example.name == "response.error").unwrap().value();
    let answer = answer_to("pipeline/pause", r#"{"pipeline":"wter","transaction":"7"}"#);
    assert_eq!(shape(&answer), shape(&error), "{answer}");
    let cut = |value: &Value| value["error"].as_str().unwrap().split(", there are").next().unwrap().to_owned();
    assert_eq!(cut(&answer), cut(&error));
}
