//! Screens against their pictures in `tests/data/watch`; `LEPTOND_WRITE_SCREENS=1` writes them anew.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::keys::Ui;
use super::super::watched::Watched;
use super::*;
use crate::frame::Incoming;

/// A watcher in a test: messages and keys in, a screen out.
struct Scene {
    watched: Watched,
    ui: Ui,
    connection: Connection,
    begun: Instant,
    /// Time since the start.
    at: Duration,
}

impl Scene {
    fn new() -> Scene {
        let connection =
            Connection { broker: "homeassistant.local:1883".into(), connected: true, trouble: None, missed: 0 };
        let (watched, ui) = (Watched::new("leptond", "me"), Ui::new("me"));
        Scene { watched, ui, connection, begun: Instant::now(), at: Duration::ZERO }
    }

    fn now(&self) -> Instant {
        self.begun + self.at
    }

    fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_240_000) + self.at
    }

    fn tell(&mut self, topic: &str, payload: &str) {
        let incoming = Incoming { topic: format!("leptond/{topic}"), payload: payload.into(), retain: false };
        let (now, time) = (self.now(), self.time());
        self.watched.take(&incoming, now, time);
        self.ui.settle(&self.watched, Vec::new(), now);
    }

    fn wait(&mut self, seconds: f64) {
        self.at += Duration::from_secs_f64(seconds);
    }

    fn press(&mut self, code: KeyCode) {
        let now = self.now();
        self.ui.key(KeyEvent::new(code, KeyModifiers::NONE), &self.watched, true, now);
    }

    fn screen(&self, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let shown = Shown {
            watched: &self.watched,
            ui: &self.ui,
            connection: &self.connection,
            palette: Palette { colour: true },
            now: self.now(),
            time: self.time(),
        };
        terminal.draw(|frame| draw(frame, &shown)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| {
            let mut line = String::new();
            while columns(&line) < usize::from(width) {
                line.push_str(buffer.cell((columns(&line) as u16, y)).unwrap().symbol());
            }
            line
        };
        (0..height).map(row).collect()
    }

    /// Compares with the picture `name-WIDTHxHEIGHT.txt`.
    fn check(&self, name: &str, width: u16, height: u16) {
        let lines: Vec<String> = self.screen(width, height).iter().map(|line| line.trim_end().to_owned()).collect();
        let drawn = lines.join("\n") + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = path.join(format!("tests/data/watch/{name}-{width}x{height}.txt"));
        if std::env::var_os("LEPTOND_WRITE_SCREENS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(drawn, expected, "{} is not what is drawn:\n{drawn}", path.display());
    }
}

/// A board with a camera on a street and one on a meter.
fn street() -> Scene {
    let mut scene = Scene::new();
    scene.tell("attic/state", r#"{"state":"online"}"#);
    scene.tell("attic/info", r#"{"version":"0.1.0","board":"Raspberry Pi 4 Model B Rev 1.4","models":[]}"#);
    for (celsius, seconds) in [(52.0, 20), (55.5, 40), (58.0, 60), (60.1, 80), (61.3, 100)] {
        scene.wait(20.0);
        let health = format!(
            r#"{{"uptime_s":{},"rss_bytes":41000000,"cpu_percent":43.2,"soc_celsius":{celsius},"throttled":{{"now":false}},
                "governor":{{"mode":"auto","state":"normal"}},"mqtt":{{"connected":true}},
                "pipelines":{{"street":{{"fps":9.8,"latency_ms":{{"p50":60.0,"p95":84.0,"p99":120.0}},"drops":3}},
                    "water":{{"fps":0.5,"latency_ms":{{"p50":20.0,"p95":31.0,"p99":40.0}}}}}}}}"#,
            262_000 + seconds
        );
        scene.tell("attic/health", &health);
    }
    scene.tell(
        "attic/governor",
        r#"{"mode":"auto","state":"normal","forecast":{"soc_celsius":61.3,"in_30s_celsius":63.0,"steady_celsius":71.2,"limit_celsius":78.0},
            "pipelines":{"street":{"rung":0,"of":5,"reason":"full work","since":"2026-01-01T02:20:11.000Z","interval_ms":100,"resolution":320,"batch":1,"model":"nanodet-plus","threads":3,"paused":false},
                "water":{"rung":0,"of":7,"reason":"full work","interval_ms":2000,"batch":1,"model":"leptonnet-digits","threads":1,"paused":false}}}"#,
    );
    scene.tell(
        "attic/water/state",
        r#"{"task":"classify","label":"00425","value":425,"score":0.972,"quality":"good","held":false}"#,
    );
    scene.tell("attic/street/state", r#"{"task":"detect","counts":{"person":2,"car":11}}"#);
    for (age, tenth) in [(55.0, 0), (80.0, 1), (61.0, 2), (84.0, 3)] {
        scene.wait(1.1);
        let result = format!(
            r#"{{"seq":{tenth},"frame_age_ms":{age},"infer_ms":48.0,"rung":0,"task":"detect",
                "detections":[{{"label":"person","score":0.914,"box":[0,0,9,9],"track_id":17}},{{"label":"car","score":0.5}}]}}"#
        );
        scene.tell("attic/street/result", &result);
    }
    scene.tell(
        "attic/street/event",
        r#"{"type":"new","id":"a-1","label":"person","score":0.914,"track_id":17,"zones":["porch"]}"#,
    );
    scene.wait(3.0);
    scene.tell(
        "attic/street/event",
        r#"{"type":"update","id":"a-1","label":"person","score":0.95,"track_id":17,"zones":["porch"],"crossings":[{"line":"gate","direction":"forward"}]}"#,
    );
    scene.tell("attic/water/event", r#"{"type":"update","id":"b-1","label":"00425","score":0.97}"#);
    scene.wait(0.5);
    scene
}

#[test]
fn a_street_and_a_meter() {
    let mut scene = street();
    scene.check("street", 80, 24);
    scene.check("street", 120, 40);
    scene.check("street", 40, 12);
    scene.press(KeyCode::Down);
    scene.check("meter", 80, 24);
    scene.check("meter", 40, 12);
    scene.press(KeyCode::Tab);
    scene.check("node", 80, 24);
    scene.check("node", 40, 12);
}

#[test]
fn a_board_that_is_throttled_and_a_pipeline_that_gave_way() {
    let mut scene = street();
    scene.tell(
        "attic/health",
        r#"{"uptime_s":262200,"rss_bytes":41000000,"cpu_percent":99.0,"soc_celsius":84.9,"throttled":{"now":true,"under_voltage":true},
            "governor":{"mode":"auto","state":"critical"},"mqtt":{"connected":true,"queued":12,"dropped":3},"pipelines":{"street":{"fps":0.9}}}"#,
    );
    scene.tell(
        "attic/governor",
        r#"{"mode":"auto","state":"reduced","pipelines":{"street":{"rung":3,"of":5,"reason":"soc 77.3 °C, 78.4 °C in 30 s: above 78.0 °C","interval_ms":1000,
            "capture":640,"resolution":192,"batch":2,"model":"nanodet-plus/small","threads":1,"paused":false},"water":{"rung":0,"of":7,"paused":true,"reason":"too hot"}}}"#,
    );
    scene.check("throttled", 80, 24);
    scene.check("throttled", 40, 12);
}

#[test]
fn a_node_that_is_offline_beside_others() {
    let mut scene = street();
    scene.tell("attic/state", r#"{"state":"offline"}"#);
    scene.tell("shed/state", r#"{"state":"online"}"#);
    scene.tell(
        "shed/machine/result",
        r#"{"task":"anomaly","score":4.25,"threshold":3.0,"anomalous":true,"calibrating":false,"frame_age_ms":4.0}"#,
    );
    scene.tell("shed/machine/event", r#"{"type":"new","id":"c-1","label":"anomaly","score":4.25}"#);
    scene.wait(200.0);
    scene.check("offline", 80, 24);
    (0..4).for_each(|_| scene.press(KeyCode::Down));
    scene.check("anomaly", 120, 40);
}

#[test]
fn names_of_any_length() {
    let mut scene = Scene::new();
    scene.connection.broker = format!("{}:1883", "a-host-with-a-very-long-name".repeat(4));
    let node = "n".repeat(64);
    let pipeline = "p".repeat(64);
    scene.tell(&format!("{node}/state"), r#"{"state":"online"}"#);
    let label = "ein-sehr-langes-Etikett-日本語-".repeat(5);
    scene.tell(&format!("{node}/info"), &format!(r#"{{"version":"{label}","board":"{label}"}}"#));
    scene
        .tell(&format!("{node}/{pipeline}/result"), &format!(r#"{{"task":"classify","label":"{label}","score":0.5}}"#));
    scene.tell(&format!("{node}/{pipeline}/event"), &format!(r#"{{"type":"new","label":"{label}","score":0.5}}"#));
    let counts: String = (0..20).map(|n| format!(r#""{n}{label}":{},"#, 10u64.pow(n % 19))).collect();
    scene.tell(
        &format!("{node}/q{}/state", &pipeline[1..]),
        &format!(r#"{{"task":"detect","counts":{{{counts}"z":1}}}}"#),
    );
    scene.check("long", 80, 24);
    scene.check("long", 40, 12);
    scene.press(KeyCode::Down);
    scene.check("many", 80, 24);
}

#[test]
fn nobody_and_a_broker_that_is_away() {
    let mut scene = Scene::new();
    scene.check("nobody", 80, 24);
    scene.check("nobody", 40, 12);
    scene.connection.trouble =
        Some("MQTT broker homeassistant.local:1883: the subscription to leptond/+/health is refused".into());
    scene.check("refused", 80, 24);
    let mut away = street();
    for scene in [&mut scene, &mut away] {
        scene.connection.connected = false;
        scene.connection.trouble =
            Some("MQTT broker homeassistant.local:1883: no broker listens there; trying again".into());
    }
    scene.check("no-broker", 80, 24);
    scene.check("no-broker", 40, 12);
    away.check("away", 80, 24);
}

#[test]
fn popups_over_a_small_screen() {
    let mut scene = street();
    scene.press(KeyCode::Char('?'));
    scene.check("help", 40, 12);
    scene.check("help", 80, 24);
    scene.press(KeyCode::Esc);
    scene.press(KeyCode::Char('m'));
    scene.check("mode", 80, 24);
}

#[test]
fn any_size_and_any_text_makes_a_screen() {
    let mut scenes = [Scene::new(), street(), street(), street()];
    scenes[2].press(KeyCode::Char('?'));
    let hostile = r#"\u001b[2J\u001b]0;x\u0007\r\n\u202e\u0301\u200b日本"#;
    for topic in ["x/info", "x/health", "x/governor", "x/p/result", "x/p/state", "x/p/event"] {
        for payload in [
            format!(r#"{{"task":"classify","label":"{hostile}","quality":"{hostile}","type":"{hostile}","version":"{hostile}","board":"{hostile}"}}"#),
            format!(r#"{{"task":"{hostile}","mode":"{hostile}","state":"{hostile}","pipelines":{{"p":{{"rung":18446744073709551615,"of":0,"reason":"{hostile}","idle":"{hostile}","fps":1e30}}}}}}"#),
            format!(r#"{{"task":"detect","counts":{{"{hostile}":18446744073709551615}},"detections":[{{"label":"{hostile}","score":-1e300}}],"frame_age_ms":1e300}}"#),
            r#"{"task":"anomaly","score":1e300,"threshold":-1e300,"anomalous":true}"#.to_owned(),
            r#"{"forecast":{"soc_celsius":1e30,"in_30s_celsius":-1e30,"steady_celsius":0,"limit_celsius":1},"soc_celsius":1e30,"uptime_s":18446744073709551615}"#.to_owned(),
        ] {
            scenes[3].tell(topic, &payload);
        }
    }
    scenes[3].press(KeyCode::Tab);
    scenes[3].press(KeyCode::Down);
    for scene in &scenes {
        for width in (1..=30).chain([39, 71, 72, 73, 80, 109, 110, 200]) {
            for height in (1..=26).chain([40, 60]) {
                for line in scene.screen(width, height) {
                    assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{200b}'), "{line:?}");
                }
            }
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let scene = street();
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    for (colour, expected) in [(false, false), (true, true)] {
        let shown = Shown {
            watched: &scene.watched,
            ui: &scene.ui,
            connection: &scene.connection,
            palette: Palette { colour },
            now: scene.now(),
            time: scene.time(),
        };
        terminal.draw(|frame| draw(frame, &shown)).unwrap();
        let cells = terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != ratatui::style::Color::Reset), expected);
    }
}
