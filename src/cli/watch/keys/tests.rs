use std::time::SystemTime;

use super::*;
use crate::frame::Incoming;

fn watched(messages: &[(&str, &str)]) -> Watched {
    let mut watched = Watched::new("leptond", "me");
    for (topic, payload) in messages {
        let incoming = Incoming { topic: format!("leptond/{topic}"), payload: (*payload).into(), retain: false };
        watched.take(&incoming, Instant::now(), SystemTime::UNIX_EPOCH);
    }
    watched
}

fn two_nodes() -> Watched {
    watched(&[
        ("attic/state", r#"{"state":"online"}"#),
        ("attic/door/result", r#"{"task":"raw"}"#),
        ("attic/meter/result", r#"{"task":"raw"}"#),
        ("cellar/state", r#"{"state":"online"}"#),
    ])
}

fn shown(ui: &Ui) -> String {
    let chosen = ui.chosen.as_ref();
    chosen.map_or("-".into(), |row| format!("{}/{}", row.node, row.pipeline.as_deref().unwrap_or_default()))
}

fn press(ui: &mut Ui, watched: &Watched, code: KeyCode) -> Action {
    ui.key(KeyEvent::new(code, KeyModifiers::NONE), watched, true, Instant::now())
}

#[test]
fn a_pipeline_is_chosen_as_soon_as_there_is_one_and_stays_with_its_name() {
    let mut ui = Ui::new("me");
    let now = Instant::now();
    ui.settle(&watched(&[]), Vec::new(), now);
    assert_eq!(shown(&ui), "-");
    ui.settle(&watched(&[("attic/state", r#"{"state":"online"}"#)]), Vec::new(), now);
    assert_eq!(shown(&ui), "attic/");
    let nodes = two_nodes();
    ui.settle(&nodes, Vec::new(), now);
    assert_eq!(shown(&ui), "attic/door");
    press(&mut ui, &nodes, KeyCode::Down);
    assert_eq!(shown(&ui), "attic/meter");
    // A node that is heard of later, before it in the list, does not move the choice.
    let mut more = two_nodes();
    let incoming =
        Incoming { topic: "leptond/a/state".into(), payload: br#"{"state":"online"}"#.into(), retain: false };
    more.take(&incoming, now, SystemTime::UNIX_EPOCH);
    ui.settle(&more, Vec::new(), now);
    assert_eq!(shown(&ui), "attic/meter");
    let gone = watched(&[("attic/state", r#"{"state":"online"}"#)]);
    ui.settle(&gone, Vec::new(), now);
    assert_eq!(shown(&ui), "attic/", "the pipeline is gone, its node is there");
}

#[test]
fn keys_move_the_choice_within_the_list() {
    let nodes = two_nodes();
    let mut ui = Ui::new("me");
    ui.settle(&nodes, Vec::new(), Instant::now());
    for (key, expected) in [
        (KeyCode::Up, "attic/"),
        (KeyCode::Up, "attic/"),
        (KeyCode::Char('j'), "attic/door"),
        (KeyCode::Tab, "cellar/"),
        (KeyCode::Down, "cellar/"),
        (KeyCode::Tab, "attic/"),
        (KeyCode::BackTab, "cellar/"),
        (KeyCode::Char('k'), "attic/meter"),
        (KeyCode::Char('x'), "attic/meter"),
    ] {
        assert_eq!(press(&mut ui, &nodes, key), Action::None);
        assert_eq!(shown(&ui), expected, "{key:?}");
    }
    let empty = watched(&[]);
    let mut ui = Ui::new("me");
    for key in [KeyCode::Up, KeyCode::Down, KeyCode::Tab, KeyCode::BackTab, KeyCode::Char('p'), KeyCode::PageUp] {
        assert_eq!(press(&mut ui, &empty, key), Action::None, "{key:?} without a node");
    }
}

#[test]
fn a_request_is_asked_answered_and_told() {
    let nodes = two_nodes();
    let mut ui = Ui::new("me");
    let now = Instant::now();
    ui.settle(&nodes, Vec::new(), now);
    let Action::Ask { node, verb, payload } = press(&mut ui, &nodes, KeyCode::Char('p')) else { panic!() };
    assert_eq!(
        (&*node, verb, payload.as_str()),
        ("attic", "pipeline/pause", r#"{"pipeline":"door","transaction":"me-1"}"#)
    );
    let words = |ui: &Ui| ui.notice.as_ref().map(|notice| notice.text.clone()).unwrap_or_default();
    assert_eq!(words(&ui), "pause door: asked attic");
    let answer = |transaction: &str, status: &str, error: Option<&str>| Response {
        status: status.into(),
        error: error.map(Into::into),
        transaction: Some(transaction.into()),
    };
    let cellar = NodeName::new("cellar").unwrap();
    for other in [(node.clone(), answer("me-2", "ok", None)), (cellar, answer("me-1", "ok", None))] {
        ui.settle(&nodes, vec![other], now);
        assert_eq!(words(&ui), "pause door: asked attic", "that answers something else");
    }
    ui.settle(&nodes, vec![(node.clone(), answer("me-1", "ok", None))], now);
    assert_eq!(words(&ui), "pause door: done by attic");
    ui.settle(&nodes, Vec::new(), now + NOTICE);
    assert_eq!(words(&ui), "");

    press(&mut ui, &nodes, KeyCode::Char('r'));
    let refusal = answer("me-2", "error", Some("not allowed: mqtt.requests\n\u{1b}[2J"));
    ui.settle(&nodes, vec![(node, refusal)], now);
    assert_eq!(words(&ui), "resume door: not allowed: mqtt.requests\u{b7}\u{b7}[2J");

    press(&mut ui, &nodes, KeyCode::Char('p'));
    ui.settle(&nodes, Vec::new(), Instant::now() + ANSWER);
    assert_eq!(words(&ui), "pause door: no answer from attic");
}

#[test]
fn nothing_is_asked_while_the_broker_is_away() {
    let nodes = two_nodes();
    let mut ui = Ui::new("me");
    ui.settle(&nodes, Vec::new(), Instant::now());
    let key = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE);
    assert_eq!(ui.key(key, &nodes, false, Instant::now()), Action::None);
    assert_eq!(ui.notice.unwrap().text, "pause door: the broker is away");
}

#[test]
fn a_mode_is_chosen_in_a_menu_that_begins_at_the_one_in_force() {
    let nodes = watched(&[("attic/governor", r#"{"mode":"quiet","state":"normal"}"#)]);
    let mut ui = Ui::new("me");
    ui.settle(&nodes, Vec::new(), Instant::now());
    press(&mut ui, &nodes, KeyCode::Char('m'));
    assert_eq!(ui.popup, Popup::Mode(1));
    for (key, at) in [(KeyCode::Down, 2), (KeyCode::Down, 2), (KeyCode::Up, 1), (KeyCode::Up, 0), (KeyCode::Up, 0)] {
        press(&mut ui, &nodes, key);
        assert_eq!(ui.popup, Popup::Mode(at));
    }
    press(&mut ui, &nodes, KeyCode::Char('j'));
    press(&mut ui, &nodes, KeyCode::Char('j'));
    let Action::Ask { verb, payload, .. } = press(&mut ui, &nodes, KeyCode::Enter) else { panic!() };
    assert_eq!((verb, payload.as_str()), ("governor/set", r#"{"mode":"performance","transaction":"me-1"}"#));
    assert_eq!(ui.popup, Popup::None);
    press(&mut ui, &nodes, KeyCode::Char('m'));
    assert_eq!(press(&mut ui, &nodes, KeyCode::Esc), Action::None);
    assert_eq!(ui.popup, Popup::None, "left without a choice");
}

#[test]
fn the_program_ends_and_rests_by_the_usual_keys() {
    let nodes = two_nodes();
    let mut ui = Ui::new("me");
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    for (key, expected) in [
        (KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE), Action::Quit),
        (control('c'), Action::Quit),
        (control('z'), Action::Suspend),
        (control('p'), Action::None),
    ] {
        for popup in [Popup::None, Popup::Help] {
            ui.popup = popup;
            assert_eq!(ui.key(key, &nodes, true, Instant::now()), expected, "{key:?} {popup:?}");
        }
    }
    let release = KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    assert_eq!(ui.key(release, &nodes, true, Instant::now()), Action::None);
}
