//! The editor's requests: what is drawn is read, compared and saved; what has no right to is refused.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::{Answer, get, post};
use crate::daemon::Daemon;
use crate::meter::table;
use crate::mosquitto::{free_port, wait_until};

/// A page with a drawn water meter and a street; `more` are further keys of `[page]`.
fn config(more: &str) -> String {
    let street = "[[pipeline]]\nname = \"street\"\nmodel = \"leptonnet-digits\"\n\
                  source = { type = \"synthetic\", scene = \"street\", fps = 5.0 }\n";
    let head = format!(
        "[node]\nname = \"test\"\nstate_dir = \"{{dir}}/state\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[governor]\nmode = \"manual\"\n\
         [page]\nenabled = true\nlisten = \"127.0.0.1:0\"\n{more}\n",
        free_port()
    );
    let meter = table(
        "source = { type = \"synthetic\", scene = \"dials\", seed = 2005, fps = 5.0 }\ngovernor = { interval_ms = 200 }",
    );
    format!("{head}{meter}{street}")
}

/// A person with the page's token.
struct Person {
    address: SocketAddr,
    lines: String,
}

impl Person {
    fn of(address: SocketAddr) -> Person {
        let drawings = get(address, "/api/drawings").json();
        let token = drawings["token"].as_str().unwrap();
        Person { address, lines: format!("X-Leptond-Token: {token}\r\nContent-Type: application/json\r\n") }
    }

    fn send(&self, path: &str, body: &Value) -> Answer {
        post(self.address, path, &self.lines, body.to_string().as_bytes())
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The words of a refusal.
    fn refused(&self, path: &str, body: &Value) -> String {
        let answer = self.send(path, body);
        assert_eq!(answer.status, 422, "{path}: {}", answer.text());
        answer.text()
    }
}

#[test]
fn what_is_drawn_is_read_compared_and_saved() {
    let daemon = Daemon::start(&config(""));
    let address = super::address(&daemon, 0);
    let person = Person::of(address);
    let drawings = get(address, "/api/drawings").json();
    let meter = &drawings["meters"][0];
    assert_eq!(
        (&meter["name"], meter["reference"].as_bool(), &drawings["end"]),
        (&json!("water"), Some(false), &Value::Null)
    );
    assert_eq!(drawings["pipelines"][0]["name"], "street", "a meter's own pipeline is not drawn on: {drawings}");
    let (digits, dials) = (meter["digits"].clone(), meter["dials"].clone());

    let taken = post(address, "/api/photos?pipeline=water", &person.lines, b"").json();
    assert_eq!(taken["size"], json!([640, 480]));
    let photo = taken["photo"].as_u64().unwrap();
    let file = get(address, &format!("/api/photos/{photo}"));
    assert!(file.status == 200 && file.head.contains("content-type: image/jpeg") && file.body.starts_with(b"\xff\xd8"));
    let read = person.ask("/api/read", &json!({ "photo": photo, "meter": "water", "digits": digits, "dials": dials }));
    let places = |key: &str| read[key].as_array().unwrap().len();
    assert_eq!((places("digits"), places("dials")), (5, 4), "{read}");
    let near = read["digits"].as_array().unwrap().iter().filter(|place| place["score"].as_f64().unwrap() > 0.5).count();
    assert!(near >= 4 && read["words"].is_string(), "{read}");
    // The same photo, sent as a file.
    let sent = post(address, "/api/photos", &person.lines, &file.body).json();
    let again =
        person.ask("/api/read", &json!({ "photo": sent["photo"], "meter": "water", "digits": digits, "dials": dials }));
    assert_eq!((&again["label"], &again["digits"], &again["dials"]), (&read["label"], &read["digits"], &read["dials"]));
    let street = person
        .ask("/api/read", &json!({ "photo": photo, "pipeline": "street", "regions": [{ "rect": [1, 2, 30, 40] }] }));
    assert!(street["words"].is_string(), "{street}");

    for (body, words) in [
        (json!({ "meter": "water", "digits": digits }), "photo is wanted"),
        (json!({ "photo": 99, "meter": "water", "digits": digits }), "forgotten"),
        (json!({ "photo": photo, "meter": "gas", "digits": digits }), "no meter \"gas\""),
        (json!({ "photo": photo, "meter": "water", "digits": [{ "quad": [0, 0, 9, 9, 9, 0, 0, 9] }] }), "digits[0]"),
        (json!({ "photo": photo, "meter": "water", "digits": [{ "circle": 1 }] }), "unknown variant"),
    ] {
        let refused = person.refused("/api/read", &body);
        assert!(refused.contains(words), "{body}: {refused}");
    }
    assert_eq!(post(address, "/api/photos", &person.lines, b"no picture").status, 422);
    let huge = b"BM\x1a\x00\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00\x28\x00\x00\x00\xe8\xff\x00\x00\x18\xfc\xff\xff\x01\x00\x18\x00";
    let refused = post(address, "/api/photos", &person.lines, huge);
    assert!(
        refused.status == 422 && refused.text().starts_with("65512x1000 pixels, and at most 16 million"),
        "{}",
        refused.text()
    );

    // One digit less, and marks, which make this picture the reference.
    let fewer: Vec<Value> = digits.as_array().unwrap()[1..].to_vec();
    let marks = json!([{ "rect": [400, 134, 60, 44] }, { "rect": [186, 136, 60, 40] }]);
    let change = json!({
        "values": { "meter.water.digits": fewer, "meter.water.align": marks, "meter.water.reference": "/etc/passwd" },
        "reference": "water", "photo": photo,
    });
    let difference = person.ask("/api/difference", &change)["difference"].as_str().unwrap().to_owned();
    for line in ["+    { rect = [212.0, 192.0, 72.0, 96.0] },", "+align = [", "+reference = ", "-digits = "] {
        assert!(difference.contains(line), "{line} is not in\n{difference}");
    }
    let file = daemon.dir().join("leptond.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(!before.contains("align"), "comparing writes nothing");
    let saved = person.ask("/api/change", &change);
    assert_eq!(saved["changed"].as_array().unwrap().len(), 3, "{saved}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("/state/references/water-") && !text.contains("/etc/passwd"), "{text}");
    assert!(text.contains("max_rate") == before.contains("max_rate") && text.contains("scene = \"street\""));
    let now = get(address, "/api/drawings").json();
    assert_eq!(
        (now["meters"][0]["digits"].as_array().unwrap().len(), &now["meters"][0]["reference"]),
        (4, &json!(true))
    );
    let reference = post(address, "/api/photos?reference=water", &person.lines, b"").json();
    assert_eq!(reference["size"], json!([640, 480]));
    wait_until("it reads four digits", || {
        let results = super::get(address, "/api/status").json();
        results["working"] == true && daemon.log().contains("on trial for a minute")
    });
    let busy = person.refused("/api/change", &json!({ "values": { "meter.water.align": null } }));
    assert!(busy.contains("on trial until"), "{busy}");
}

#[test]
fn nothing_is_changed_without_the_token_by_other_sites_or_beyond_what_is_drawn() {
    let daemon = Daemon::start(&config(""));
    let address = super::address(&daemon, 0);
    let person = Person::of(address);
    let before = std::fs::read_to_string(daemon.dir().join("leptond.toml")).unwrap();
    let change = json!({ "values": { "meter.water.digits": [{ "rect": [1, 2, 3, 4] }] } });
    let body = change.to_string();
    let json_kind = "Content-Type: application/json\r\n";
    for path in ["/api/photos", "/api/read", "/api/propose", "/api/difference", "/api/change"] {
        for lines in [json_kind.to_owned(), format!("{json_kind}X-Leptond-Token: 0123456789abcdef0123456789abcdef\r\n")]
        {
            assert_eq!(post(address, path, &lines, body.as_bytes()).status, 403, "{path}");
        }
        for site in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"] {
            let answer = post(address, path, &format!("{}{site}", person.lines), body.as_bytes());
            assert_eq!((answer.status, answer.text().as_str()), (403, "another site asks\n"), "{path}");
        }
    }
    for (path, value, words) in [
        ("mqtt.host", json!("evil.example"), "cannot be changed"),
        ("meter.water.max_rate", json!(1e9), "cannot be changed"),
        ("meter.water.light", json!({ "on": ["reboot"], "off": ["reboot"] }), "cannot be changed"),
        ("meter.water.digits", json!([]), "a meter without digits"),
        ("meter.water.digits", json!([{ "rect": [900, 0, 10, 10] }]), "outside of the picture"),
        ("meter.gas.digits", json!([]), "there is no meter.gas"),
        ("pipeline.street.zone", json!([{ "name": "a b", "polygon": [[0, 0], [1, 0], [1, 1]] }]), "zone[0].name"),
    ] {
        let change = json!({ "values": { (path): value } });
        // Digits gone leave dials: a meter of dials alone is one.
        let change = if words.starts_with("a meter") {
            json!({ "values": { "meter.water.digits": null, "meter.water.dials": null } })
        } else {
            change
        };
        for request in ["/api/difference", "/api/change"] {
            let refused = person.refused(request, &change);
            assert!(refused.contains(words), "{change}: {refused}");
        }
    }
    let forged = json!({ "values": { "meter.water.reference": "/etc/passwd" } });
    assert_eq!(person.ask("/api/difference", &forged)["difference"], "", "a browser names no file");
    let large = vec![b'x'; 80 << 10];
    assert_eq!(post(address, "/api/change", &person.lines, &large).status, 413);
    let token = person.lines.lines().next().unwrap();
    assert_eq!(post(address, "/api/photos", &format!("{token}\r\n"), &vec![0; (12 << 20) + 1]).status, 413);
    assert_eq!(post(address, "/api/change", &format!("{token}\r\nContent-Type: text/plain\r\n"), b"{}").status, 415);
    assert_eq!(person.refused("/api/change", &json!({ "values": [] })).lines().count(), 1);
    for path in ["/api/photos/x", "/api/photos/-1", "/api/photos/7"] {
        assert!([400, 404].contains(&get(address, path).status), "{path}");
    }
    assert_eq!(std::fs::read_to_string(daemon.dir().join("leptond.toml")).unwrap(), before);
}

#[test]
fn an_editor_that_is_turned_off_takes_nothing() {
    let daemon = Daemon::start(&config("edit = false"));
    let address = super::address(&daemon, 0);
    let drawings = get(address, "/api/drawings").json();
    assert_eq!((&drawings["edits"], &drawings["token"]), (&json!(false), &Value::Null));
    for path in ["/api/photos?pipeline=water", "/api/read", "/api/change"] {
        let answer = post(address, path, "X-Leptond-Token: \r\nContent-Type: application/json\r\n", b"{}");
        assert_eq!(answer.status, 405, "{path}");
    }
}
