//! Screens of the demo at several sizes.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::*;
use crate::cli::watch::ascii::to_ascii;
use crate::frame::Incoming;

/// Everything that a demo has told by now.
struct Told {
    watched: Watched,
    picture: Picture,
    means: Means,
    colour: bool,
    verbose: bool,
}

impl Told {
    fn new() -> Told {
        let picture = Picture { width: 40, height: 30, rgb: (0..3600).map(|n| (n % 251) as u8).collect() };
        Told { watched: Watched::new("leptond", ""), picture, means: Means::Colours, colour: true, verbose: false }
    }

    /// With a reading, a rung and an anomaly.
    fn at_work() -> Told {
        let mut told = Told::new();
        told.tell(
            "health",
            r#"{"cpu_percent":97.0,"soc_celsius":71.5,"rss_bytes":41000000,"governor":{"mode":"auto","state":"reduced"},"pipelines":{"meter":{"fps":14.9},"machine":{"fps":2.0}}}"#,
        );
        told.tell(
            "governor",
            r#"{"mode":"auto","state":"reduced","pipelines":{"meter":{"rung":2,"of":13,"interval_ms":200,"reason":"71.5 °C, limit 70.0 °C: less work until it is cooler, as the law of this board wants it"}}}"#,
        );
        told.tell(
            "meter/result",
            r#"{"task":"meter","label":"57238.2865","unit":"m³","quality":"good","held":false,"score":0.981,"truth":"572382865","frame_age_ms":4.2}"#,
        );
        told.tell(
            "machine/result",
            r#"{"task":"anomaly","score":13.8,"threshold":3.0,"anomalous":true,"channels":[{"channel":"cpu_percent","share":0.6},{"channel":"cpu_min_percent","share":0.3}]}"#,
        );
        told.tell(
            "machine/event",
            r#"{"type":"new","label":"anomaly","score":13.8,"channels":[{"channel":"cpu_percent","share":0.6}]}"#,
        );
        told
    }

    fn tell(&mut self, topic: &str, payload: &str) {
        let topic = format!("leptond/pi/{topic}");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_240_000);
        self.watched.take(&Incoming { topic, payload: payload.into(), retain: false }, Instant::now(), time);
    }

    fn buffer(&self, width: u16, height: u16) -> Buffer {
        let broker = ("127.0.0.1".to_owned(), 1883);
        let shown = Shown {
            page: Some("127.0.0.1:8099".parse().unwrap()),
            broker: Some(&broker),
            watched: &self.watched,
            meter: "meter",
            machine: "machine",
            picture: &self.picture,
            means: self.means,
            palette: Palette { colour: self.colour },
            verbose: self.verbose,
            stops: false,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_240_000),
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &shown)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn rows(&self, width: u16, height: u16) -> Vec<String> {
        let buffer = self.buffer(width, height);
        let row = |y| (0..width).map(|x| buffer.cell((x, y)).unwrap().symbol()).collect::<String>();
        (0..height).map(row).collect()
    }
}

/// The colour of the first letter of `text` on a screen.
fn colour_of(buffer: &Buffer, text: &str) -> Color {
    let [width, height] = [buffer.area.width, buffer.area.height];
    for y in 0..height {
        let row: String = (0..width).map(|x| buffer.cell((x, y)).unwrap().symbol()).collect();
        if let Some(at) = row.find(text) {
            return buffer.cell((row[..at].chars().count() as u16, y)).unwrap().fg;
        }
    }
    panic!("{text:?} is not on the screen");
}

#[test]
fn twenty_four_lines_say_where_to_look_what_is_read_and_what_is_wrong() {
    let told = Told::at_work();
    for (width, height) in [(80, 24), (120, 24), (120, 40), (200, 60)] {
        let rows = told.rows(width, height);
        let text = rows.join("\n");
        assert!(rows[0].contains("http://127.0.0.1:8099/  open it in a browser"), "{text}");
        for part in [
            "71.5 °C",
            "cpu 97 %",
            "rung 2 of 13",
            "71.5 °C, limit 70.0 °C",
            "ANOMALY",
            "cpu_percent 60 %",
            "cpu_min_percent 30 %",
            "57238.2865 m³  good, 98.1 %  and right",
            "and right  after 4 ms",
            "new    anomaly 13.800  in cpu_percent 60 %",
        ] {
            assert!(text.contains(part), "{part} is not at {width} by {height}:\n{text}");
        }
        assert!(rows[usize::from(height) - 1].contains("Ctrl-C ends it"), "{text}");
        assert!(text.contains("leptond watch --host 127.0.0.1 --port 1883"), "{text}");
        let large = big("57238.2865").unwrap();
        assert!(large.iter().all(|row| text.contains(row.trim())), "no large reading at {width} by {height}:\n{text}");
    }
}

#[test]
fn colours_mean_what_people_think_and_are_not_needed() {
    let mut told = Told::at_work();
    let buffer = told.buffer(80, 24);
    assert_eq!(colour_of(&buffer, "ANOMALY"), Color::Red);
    assert_eq!(colour_of(&buffer, "57238.2865 m³  good"), Color::Green);
    assert_eq!(colour_of(&buffer, "███"), Color::Yellow, "less work than there might be");
    told.tell("machine/result", r#"{"task":"anomaly","score":0.3,"threshold":3.0,"anomalous":false}"#);
    told.tell("meter/result", r#"{"task":"meter","label":"57238.2865","unit":"m³","quality":"unconfirmed","held":true,"problem":"unconfirmed"}"#);
    let buffer = told.buffer(80, 24);
    assert_eq!(colour_of(&buffer, "nothing: as usual"), Color::Green);
    assert_eq!(colour_of(&buffer, "57238.2865 m³  held: unconfirmed"), Color::Yellow);
    told.tell("meter/result", r#"{"task":"meter","label":"57238.2865","quality":"good","truth":"999","score":0.9}"#);
    assert_eq!(colour_of(&told.buffer(80, 24), "WRONG, it is 999"), Color::Red);
    (told.colour, told.means) = (false, Means::Shades);
    let buffer = told.buffer(80, 24);
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "NO_COLOR");
}

#[test]
fn any_size_is_drawn_and_nothing_is_needed_to_begin() {
    let (nothing, mut told) = (Told::new(), Told::at_work());
    told.verbose = true;
    for width in (1..=140).step_by(7) {
        for height in 1..=45 {
            for told in [&nothing, &told] {
                let rows = told.rows(width, height);
                assert!(rows.iter().all(|row| row.chars().count() == usize::from(width)));
            }
        }
    }
    let text = nothing.rows(80, 24).join("\n");
    assert!(text.contains("no reading yet") && text.contains("nothing known yet"), "{text}");
    // The page's address and the way out are there to the last.
    let rows = told.rows(40, 6);
    assert!(rows[0].contains("http://127.0.0.1:8099/") && rows[5].contains("Ctrl-C ends it"), "{rows:?}");
    let text = told.rows(80, 24).join("\n");
    assert!(text.contains("figures") && text.contains("14.9 fps"), "{text}");
}

#[test]
fn a_terminal_without_utf8_gets_the_same_in_ascii() {
    let mut told = Told::at_work();
    told.means = Means::Ascii;
    let mut buffer = told.buffer(80, 24);
    to_ascii(&mut buffer);
    let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
    assert!(text.is_ascii(), "{text}");
    for part in ["-- this computer -", "71.5  C", "ANOMALY", "57238.2865 m3  good, 98.1 %"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
