//! Times at which a label counts as there and as gone: by time and by frames, at many frames a second and at few.

use super::*;

const BOX: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

fn one(label: &str, score: f32) -> Detection {
    Detection::new(label.into(), score, BOX)
}

/// A presence with the defaults, looked at every `interval_ms`.
struct Run {
    presence: Presence,
    now: Duration,
    interval: Duration,
}

impl Run {
    fn new(appear_s: f32, vanish_s: f32, interval_ms: u64) -> Run {
        let [appear, vanish] = [appear_s, vanish_s].map(Duration::from_secs_f32);
        Run {
            presence: Presence::new(appear, vanish, 0.5),
            now: Duration::ZERO,
            interval: Duration::from_millis(interval_ms),
        }
    }

    fn frame(&mut self, detections: &[Detection]) -> Vec<Event> {
        let events = self.presence.update(detections, self.now, SystemTime::UNIX_EPOCH + self.now);
        self.now += self.interval;
        events
    }

    /// Frames by letters: how many cats each shows, `.` for none. Gives `new` and `end` with the number of their frame.
    fn cats(&mut self, frames: &str) -> Vec<(EventKind, usize)> {
        let mut told = Vec::new();
        for (index, letter) in frames.chars().enumerate() {
            let count = letter.to_digit(10).unwrap_or(0) as usize;
            let events = self.frame(&vec![one("cat", 0.9); count]);
            told.extend(events.into_iter().map(|e| (e.kind, index)));
        }
        told
    }

    fn count(&self) -> usize {
        self.presence.counts().get("cat").copied().unwrap_or(0)
    }
}

use EventKind::{End, New};

#[test]
fn begins_and_ends_once_at_any_rate() {
    // Ten frames a second: there after half a second, gone after two.
    let frames = format!("{}{}", "1".repeat(20), ".".repeat(30));
    assert_eq!(Run::new(0.5, 2.0, 100).cats(&frames), [(New, 5), (End, 39)]);
    // A frame in ten seconds: the second one tells.
    assert_eq!(Run::new(0.5, 2.0, 10_000).cats("..111..."), [(New, 3), (End, 6)]);
    assert_eq!(Run::new(0.5, 2.0, 10_000).cats("..1.1.1."), [(New, 4)], "half of the frames");
    assert_eq!(
        Run::new(0.0, 0.0, 10_000).cats(".1.1"),
        [(New, 1), (End, 2), (New, 3)],
        "each frame, where that is wanted"
    );
    // One frame is nothing.
    assert_eq!(Run::new(0.5, 2.0, 100).cats("..1......1.....1....."), []);
}

#[test]
fn flicker_is_one_event() {
    let frames = format!("{}{}", "1.1.11.1..1.1111.1.1".repeat(20), ".".repeat(40));
    let told = Run::new(0.5, 2.0, 66).cats(&frames);
    assert_eq!(told.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [New, End], "{told:?}");
    // Seen in fewer than half of the frames, it never comes.
    assert_eq!(Run::new(0.5, 2.0, 66).cats(&"1..".repeat(100)), []);
}

#[test]
fn an_event_says_when_where_and_how_sure() {
    let mut run = Run::new(0.5, 1.0, 250);
    let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    assert_eq!(run.frame(&[]), []);
    assert_eq!(run.frame(&[one("cat", 0.6)]), []);
    let best = Detection { bbox: [5.0, 6.0, 7.0, 8.0], ..one("cat", 0.7) };
    assert_eq!(run.frame(&[best.clone(), one("cat", 0.55)]), []);
    let begun = run.frame(&[one("cat", 0.65)]);
    let [begun] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!((begun.kind, &*begun.label, begun.score, begun.bbox), (New, "cat", 0.7, Some(best.bbox)));
    assert_eq!((begun.start_time, begun.end_time), (at(250), None));
    run.frame(&[Detection { bbox: [0.0, 0.0, 9.0, 9.0], ..one("cat", 0.95) }]);
    let ended: Vec<Event> = (0..6).flat_map(|_| run.frame(&[])).collect();
    let [ended] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((ended.kind, ended.score, ended.bbox), (End, 0.95, Some([0.0, 0.0, 9.0, 9.0])));
    assert_eq!(
        (&ended.id, ended.start_time, ended.end_time),
        (&begun.id, at(250), Some(at(1000))),
        "when it was seen last"
    );
    assert_eq!(run.frame(&[]), []);
}

#[test]
fn a_score_around_the_least_one_does_not_end_it() {
    let mut run = Run::new(0.5, 1.0, 250);
    assert_eq!(run.presence.least_score(), 0.5);
    assert_eq!((0..20).flat_map(|_| run.frame(&[one("cat", 0.45)])).count(), 0, "it never begins by them");
    let begun: Vec<Event> = (0..3).flat_map(|_| run.frame(&[one("cat", 0.55)])).collect();
    assert_eq!(begun.len(), 1);
    assert_eq!(run.presence.least_score(), 0.4);
    assert_eq!((0..20).flat_map(|_| run.frame(&[one("cat", 0.45)])).count(), 0);
    assert_eq!(run.count(), 1);
}

#[test]
fn counts_change_when_it_lasts() {
    let mut run = Run::new(0.5, 1.0, 100);
    let mut seen = Vec::new();
    let frames = ["1212121212", "2222222222", "2121121212", "1111111111", "1111111111", "3........."].concat();
    for letter in frames.chars() {
        run.cats(&letter.to_string());
        if seen.last() != Some(&run.count()) {
            seen.push(run.count());
        }
    }
    assert_eq!(seen, [0, 1, 2, 1], "{frames}");
    run.cats("............");
    assert_eq!(run.count(), 0);
    assert!(run.presence.counts().is_empty() && run.presence.labels.is_empty(), "nothing is kept of what has gone");
}

#[test]
fn labels_are_told_apart() {
    let mut run = Run::new(0.2, 0.2, 100);
    let both = [one("cat", 0.9), one("dog", 0.8)];
    let begun: Vec<Event> = (0..5).flat_map(|_| run.frame(&both)).collect();
    let labels: Vec<&str> = begun.iter().map(|e| e.label.as_str()).collect();
    assert_eq!(labels, ["cat", "dog"]);
    assert_ne!(begun[0].id, begun[1].id);
    let ended: Vec<Event> = (0..5).flat_map(|_| run.frame(&both[..1])).collect();
    assert_eq!(ended.iter().map(|e| (e.kind, &e.id)).collect::<Vec<_>>(), [(End, &begun[1].id)]);
}

#[test]
fn a_stop_and_a_long_silence_end_what_is_going_on() {
    let mut run = Run::new(0.5, 2.0, 100);
    run.cats("1111111111");
    let last = SystemTime::UNIX_EPOCH + Duration::from_millis(900);
    assert_eq!(run.presence.idle(run.now + Duration::from_secs(50)), [], "a source may pause");
    let ended = run.presence.idle(run.now + Duration::from_secs(70));
    assert_eq!(ended.iter().map(|e| (e.kind, e.end_time)).collect::<Vec<_>>(), [(End, Some(last))]);
    assert_eq!(run.presence.idle(run.now + Duration::from_secs(80)), []);
    // The next frame after a silence begins anew, also where nothing looked meanwhile.
    let mut run = Run::new(0.5, 2.0, 100);
    run.cats("1111111111");
    run.now += Duration::from_secs(3600);
    assert_eq!(run.cats("1111111111"), [(End, 0), (New, 5)]);
    let ended = run.presence.end();
    assert_eq!(ended.iter().map(|e| e.kind).collect::<Vec<_>>(), [End]);
    assert_eq!(run.presence.end(), []);
    // Where a frame in ten minutes is usual, ten minutes are no silence.
    assert_eq!(Run::new(0.5, 2.0, 600_000).cats("1111"), [(New, 1)]);
}
