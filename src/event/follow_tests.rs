//! Objects of a detector over time: events, counts, zones, lines.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::super::config::{Config, Confirm, EventConfig, LineConfig, TrackConfig, ZoneConfig};
use super::super::settings::Subject;
use super::*;
use crate::frame::EventKind::{self, End, New, Update as Changed};
use crate::frame::TaskKind;

const SIZE: [u32; 2] = [640, 480];

/// A box of 40 by 100 pixels that stands at `[x, y]`.
fn one(label: &str, score: f32, [x, y]: [f32; 2]) -> Detection {
    Detection::new(label.into(), score, [x - 20.0, y - 100.0, x + 20.0, y])
}

fn person(x: f32) -> Detection {
    one("person", 0.8, [x, 300.0])
}

fn zone(name: &str, [x1, x2]: [f32; 2]) -> ZoneConfig {
    ZoneConfig {
        name: ZoneName::new(name).unwrap(),
        polygon: vec![[x1, 0.0], [x2, 0.0], [x2, 1.0], [x1, 1.0]],
        labels: Vec::new(),
        loiter_s: 0.0,
        inertia_s: 0.2,
    }
}

fn gate() -> LineConfig {
    LineConfig { name: LineName::new("gate").unwrap(), from: [0.5, 0.0], to: [0.5, 1.0], labels: Vec::new() }
}

/// A follower looked at every `dt`.
struct Run {
    follower: Follower,
    now: Duration,
    dt: Duration,
    size: [u32; 2],
    last: Option<Outcome>,
}

impl Run {
    fn new(config: Config, dt_ms: u64) -> Run {
        let seconds = Duration::from_secs_f32;
        let objects = ObjectSettings { min_score: 0.5, appear: seconds(0.5), vanish: seconds(2.0) };
        let settings = Settings { config, subject: Subject::Objects(objects.clone()) };
        Run {
            follower: Follower::new(&settings, &objects),
            now: Duration::ZERO,
            dt: Duration::from_millis(dt_ms),
            size: SIZE,
            last: None,
        }
    }

    fn frame(&mut self, detections: &[Detection]) -> Vec<Event> {
        let (sure, faint): (Vec<Detection>, Vec<Detection>) =
            detections.iter().cloned().partition(|detection| detection.score >= 0.5);
        let mut outcome = Outcome::Detect {
            task: TaskKind::Detect,
            detections: sure,
            counts: LabelCounts::new(),
            zones: BTreeMap::new(),
            lines: BTreeMap::new(),
            source_width: self.size[0],
            source_height: self.size[1],
        };
        let events = self.follower.frame(&mut outcome, &faint, self.now, SystemTime::UNIX_EPOCH + self.now);
        self.now += self.dt;
        self.last = Some(outcome);
        events
    }

    fn frames(&mut self, frames: usize, scene: impl Fn(usize) -> Vec<Detection>) -> Vec<(usize, Event)> {
        (0..frames).flat_map(|i| self.frame(&scene(i)).into_iter().map(move |event| (i, event))).collect()
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        let Some(Outcome::Detect { counts, .. }) = &self.last else { return BTreeMap::new() };
        counts.iter().map(|(label, count)| (label.to_string(), *count)).collect()
    }

    fn in_zone(&self, zone: &str) -> usize {
        let Some(Outcome::Detect { zones, .. }) = &self.last else { panic!("no frame") };
        zones[zone].values().sum()
    }

    fn crossed(&self, line: &str, label: &str) -> LineCount {
        let Some(Outcome::Detect { lines, .. }) = &self.last else { panic!("no frame") };
        lines[line].get(label).copied().unwrap_or_default()
    }

    fn detections(&self) -> &[Detection] {
        let Some(Outcome::Detect { detections, .. }) = &self.last else { panic!("no frame") };
        detections
    }
}

fn kinds(events: &[(usize, Event)]) -> Vec<(usize, EventKind)> {
    events.iter().map(|(i, event)| (*i, event.kind)).collect()
}

#[test]
fn an_object_comes_and_goes_once_at_any_rate() {
    let still =
        |from: usize, to: usize| move |i: usize| if (from..to).contains(&i) { vec![person(200.0)] } else { vec![] };
    assert_eq!(kinds(&Run::new(Config::default(), 100).frames(60, still(0, 20))), [(5, New), (39, End)]);
    assert_eq!(kinds(&Run::new(Config::default(), 10_000).frames(9, still(2, 5))), [(3, New), (6, End)]);
    assert_eq!(kinds(&Run::new(Config::default(), 100).frames(60, still(3, 4))), [], "one frame is nothing");
}

#[test]
fn flicker_is_one_event_and_each_object_has_its_own() {
    let pattern: Vec<char> = "1.1.11.1..1.1111.1.1".chars().collect();
    let flicker = |i: usize| if i < 400 && pattern[i % 20] == '1' { vec![person(200.0)] } else { vec![] };
    let told = Run::new(Config::default(), 66).frames(460, flicker);
    let told: Vec<EventKind> = told.iter().map(|(_, e)| e.kind).filter(|kind| *kind != Changed).collect();
    assert_eq!(told, [New, End]);
    let mut run = Run::new(Config::default(), 100);
    let two = run.frames(10, |_| vec![person(100.0), person(500.0)]);
    assert_eq!(kinds(&two), [(5, New), (5, New)]);
    assert_ne!(two[0].1.id, two[1].1.id);
    assert_eq!(run.counts(), [("person".to_string(), 2)].into());
    let ids: Vec<Option<u64>> = run.detections().iter().map(|d| d.track_id).collect();
    assert_eq!(ids, [two[0].1.track_id, two[1].1.track_id]);
    let ended = run.frames(40, |_| vec![person(500.0)]);
    let [(_, ended)] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((ended.kind, &ended.id), (End, &two[0].1.id));
    assert_eq!(run.counts(), [("person".to_string(), 1)].into());
}

#[test]
fn an_event_says_when_where_and_how_sure() {
    let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    let mut run = Run::new(Config::default(), 250);
    let scores = [0.0, 0.6, 0.7, 0.65, 0.95, 0.55];
    let scene = |i: usize| match scores.get(i) {
        Some(score) if *score > 0.0 => vec![one("cat", *score, [100.0 + i as f32, 200.0])],
        _ => vec![],
    };
    let told = run.frames(20, scene);
    let [(3, begun), (13, ended)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((begun.kind, begun.score, begun.best_score), (New, 0.65, Some(0.7)));
    assert_eq!((begun.start_time, begun.end_time), (at(250), None));
    assert_eq!(begun.bbox, Some(one("cat", 0.0, [103.0, 200.0]).bbox));
    assert_eq!(begun.source_size, Some(SourceSize { width: 640, height: 480 }));
    assert_eq!((ended.kind, ended.score, ended.best_score), (End, 0.95, Some(0.95)));
    assert_eq!(ended.bbox, Some(one("cat", 0.0, [104.0, 200.0]).bbox), "its best moment");
    assert_eq!(
        (&ended.id, ended.start_time, ended.end_time),
        (&begun.id, at(250), Some(at(1250))),
        "when it was seen last"
    );
    assert_eq!((begun.track_id, ended.track_id), (Some(1), Some(1)));
}

#[test]
fn faint_detections_go_on_with_an_object_and_are_not_published() {
    let mut run = Run::new(Config::default(), 250);
    assert_eq!(run.follower.least_score(), 0.5);
    assert_eq!(kinds(&run.frames(20, |_| vec![one("cat", 0.45, [100.0, 200.0])])), [], "none begins by them");
    let begun = run.frames(4, |_| vec![one("cat", 0.55, [100.0, 200.0])]);
    assert_eq!(kinds(&begun), [(2, New)]);
    assert_eq!(run.follower.least_score(), 0.25);
    assert_eq!(
        kinds(&run.frames(40, |_| vec![one("cat", 0.3, [100.0, 200.0])])),
        [(36, Changed)],
        "stationary by then"
    );
    assert_eq!((run.counts(), run.detections().len()), ([("cat".to_string(), 1)].into(), 0));
    // A single sure sighting is not confirmed by faint ones.
    let mut run = Run::new(Config::default(), 250);
    let once = |i: usize| vec![one("cat", if i == 0 { 0.6 } else { 0.4 }, [100.0, 200.0])];
    assert_eq!(kinds(&run.frames(20, once)), []);
}

#[test]
fn zones_are_counted_told_and_required() {
    let config = Config { zones: vec![zone("left", [0.0, 0.4]), zone("right", [0.6, 1.0])], ..Config::default() };
    let mut run = Run::new(config.clone(), 100);
    let walk = |i: usize| vec![person(60.0 + 10.0 * (i as f32).min(45.0))];
    let told = run.frames(70, walk);
    let seen: Vec<(EventKind, Vec<&str>)> =
        told.iter().map(|(_, e)| (e.kind, e.zones.iter().map(|zone| zone.as_str()).collect())).collect();
    assert_eq!(seen, [(New, vec!["left"]), (Changed, vec![]), (Changed, vec!["right"])]);
    assert_eq!(told[2].1.entered_zones.iter().map(|z| z.as_str()).collect::<Vec<_>>(), ["left", "right"]);
    assert_eq!((run.in_zone("left"), run.in_zone("right")), (0, 1));
    assert_eq!(run.detections()[0].zones, ["right"]);
    let ended = run.frames(30, |_| vec![]);
    assert_eq!(ended[0].1.zones, ["right"], "where it was last");
    assert_eq!(run.in_zone("right"), 0);
    // Nothing is told before it was in the zone that is required; it is counted all the same.
    let event = EventConfig { required_zones: vec![ZoneName::new("right").unwrap()], ..EventConfig::default() };
    let mut run = Run::new(Config { event, ..config }, 100);
    assert_eq!(kinds(&run.frames(30, walk)), []);
    assert_eq!(run.counts(), [("person".to_string(), 1)].into());
    let begun = run.frames(40, |i| walk(i + 30));
    assert_eq!(begun[0].1.kind, New);
    assert_eq!(begun[0].1.start_time, SystemTime::UNIX_EPOCH);
}

#[test]
fn loitering_and_rest_are_told_once() {
    let loiter = ZoneConfig { loiter_s: 3.0, ..zone("door", [0.0, 1.0]) };
    let track = TrackConfig { stationary_s: 6.0, ..TrackConfig::default() };
    let mut run = Run::new(Config { zones: vec![loiter], track, ..Config::default() }, 200);
    let told = run.frames(60, |_| vec![person(200.0)]);
    assert_eq!(kinds(&told), [(3, New), (15, Changed), (30, Changed)]);
    assert_eq!((told[1].1.loitering.len(), told[1].1.stationary), (1, false));
    assert!(told[2].1.stationary && run.detections()[0].stationary);
}

#[test]
fn traffic_over_a_line_is_counted_by_direction_at_any_rate() {
    for dt in [66, 200, 500] {
        let config = Config { lines: vec![gate()], ..Config::default() };
        let mut run = Run::new(config, dt);
        let mut events = Vec::new();
        // Ten cars to the right on one lane, five to the left on another, one after the other.
        for car in 0..10 {
            let steps = 4000 / dt as usize;
            let scene = |i: usize| {
                let part = i as f32 / steps as f32;
                let mut found = vec![one("car", 0.8, [640.0 * part, 420.0])];
                if car % 2 == 0 {
                    found.push(one("car", 0.8, [640.0 * (1.0 - part), 200.0]));
                }
                found
            };
            events.extend(run.frames(steps + 1, scene));
            events.extend(run.frames(3000 / dt as usize, |_| vec![]));
        }
        assert_eq!(run.crossed("gate", "car"), LineCount { forward: 5, backward: 10 }, "every {dt} ms");
        let ends: Vec<&Event> = events.iter().map(|(_, e)| e).filter(|e| e.kind == End).collect();
        assert_eq!(ends.len(), 15, "every {dt} ms");
        assert!(ends.iter().all(|end| end.crossings.len() == 1), "each tells its own: {ends:?}");
    }
}

#[test]
fn a_crossing_before_the_confirmation_counts_once_it_is_confirmed() {
    let config = Config { lines: vec![gate()], ..Config::default() };
    let scene = |i: usize| vec![person(290.0 + 30.0 * i as f32)];
    let mut run = Run::new(config.clone(), 100);
    run.frames(4, scene);
    assert_eq!(run.crossed("gate", "person"), LineCount::default());
    run.frames(4, |i| scene(i + 4));
    assert_eq!(run.crossed("gate", "person"), LineCount { forward: 0, backward: 1 });
    let event = EventConfig { confirm: Some(Confirm { seen: 50, of: 50 }), ..EventConfig::default() };
    let mut run = Run::new(Config { event, ..config }, 100);
    run.frames(10, scene);
    assert_eq!(run.crossed("gate", "person"), LineCount::default(), "a mistake is not traffic");
}

#[test]
fn a_better_moment_is_told_now_and_then_and_a_touch_soon() {
    let event = EventConfig { update_every_s: 2.0, snapshot: true, ..EventConfig::default() };
    let mut run = Run::new(Config { event, ..Config::default() }, 100);
    let scene = |i: usize| vec![one("cat", 0.55 + 0.01 * i as f32, [100.0, 200.0])];
    let told = run.frames(40, scene);
    assert_eq!(kinds(&told), [(5, New), (25, Changed)]);
    assert_eq!((told[0].1.snapshot, told[1].1.snapshot), (false, true));
    run.follower.touch(1);
    run.follower.touch(99);
    assert_eq!(kinds(&run.frames(3, |_| scene(39))), [(0, Changed)]);
}

#[test]
fn a_repetition_confirms_what_shows_now_and_then() {
    let event = EventConfig { repeat_within_s: Some(20.0), appear_s: Some(0.0), ..EventConfig::default() };
    let config = Config { event, ..Config::default() };
    let scene = |i: usize| if i % 100 == 50 { vec![person(200.0)] } else { vec![] };
    assert_eq!(kinds(&Run::new(config.clone(), 100).frames(160, scene)), [(150, New)]);
    assert_eq!(kinds(&Run::new(config, 300).frames(160, scene)), [], "30 s apart is too long");
}

#[test]
fn a_stop_and_a_long_silence_end_what_is_going_on() {
    let mut run = Run::new(Config::default(), 100);
    run.frames(10, |_| vec![person(200.0)]);
    let last = SystemTime::UNIX_EPOCH + Duration::from_millis(900);
    assert_eq!(run.follower.idle(run.now + Duration::from_secs(50)), [], "a source may pause");
    let ended = run.follower.idle(run.now + Duration::from_secs(70));
    assert_eq!(ended.iter().map(|e| (e.kind, e.end_time)).collect::<Vec<_>>(), [(End, Some(last))]);
    assert_eq!(run.follower.idle(run.now + Duration::from_secs(80)), []);
    let mut run = Run::new(Config::default(), 100);
    run.frames(10, |_| vec![person(200.0)]);
    run.now += Duration::from_secs(3600);
    assert_eq!(kinds(&run.frames(10, |_| vec![person(200.0)])), [(0, End), (5, New)]);
    assert_eq!(run.follower.end(run.now).len(), 1);
    assert_eq!(run.follower.end(run.now), []);
    // Where a frame in ten minutes is usual, ten minutes are no silence.
    let rare = Run::new(
        Config { track: TrackConfig { stationary_s: 0.0, ..TrackConfig::default() }, ..Config::default() },
        600_000,
    )
    .frames(4, |_| vec![person(200.0)]);
    assert_eq!(kinds(&rare), [(1, New)]);
}

#[test]
fn a_picture_that_does_not_move_keeps_its_objects() {
    let mut run = Run::new(Config::default(), 100);
    run.frames(10, |_| vec![person(200.0)]);
    for _ in 0..200 {
        run.now += Duration::from_secs(1);
        run.follower.unchanged(run.now, SystemTime::UNIX_EPOCH + run.now);
        assert_eq!(run.follower.idle(run.now), []);
    }
    assert_eq!(kinds(&run.frames(3, |_| vec![person(200.0)])), [(0, Changed)], "stationary by now");
    assert_eq!(run.counts(), [("person".to_string(), 1)].into());
}

#[test]
fn a_smaller_capture_changes_nothing_but_the_pixels() {
    let config = Config { zones: vec![zone("left", [0.0, 0.4])], lines: vec![gate()], ..Config::default() };
    let mut run = Run::new(config, 100);
    let begun = run.frames(10, |i| vec![person(100.0 + 10.0 * i as f32)]);
    run.size = [320, 240];
    let half = |i: usize| {
        let [x1, y1, x2, y2] = person(200.0 + 10.0 * i as f32).bbox;
        vec![Detection::new("person".into(), 0.8, [x1 / 2.0, y1 / 2.0, x2 / 2.0, y2 / 2.0])]
    };
    let told = run.frames(30, half);
    assert!(told.iter().all(|(_, event)| event.id == begun[0].1.id && event.kind == Changed), "{told:?}");
    assert_eq!(told[0].1.source_size, Some(SourceSize { width: 320, height: 240 }));
    assert_eq!(run.crossed("gate", "person"), LineCount { forward: 0, backward: 1 });
    assert_eq!(run.in_zone("left"), 0);
}

#[test]
fn an_event_follows_an_object_s_label() {
    let mut run = Run::new(Config::default(), 100);
    run.frames(8, |_| vec![one("car", 0.6, [200.0, 300.0])]);
    let told = run.frames(80, |_| vec![one("truck", 0.9, [200.0, 300.0])]);
    let labels: Vec<&str> = told.iter().map(|(_, event)| event.label.as_str()).collect();
    assert_eq!(labels.first(), Some(&"truck"));
    assert_eq!(run.counts(), [("truck".to_string(), 1)].into());
}

/// A few objects that come and go and jump, and what no picture shows.
fn any() -> impl Strategy<Value = Detection> {
    let place = (0.0_f32..640.0, 0.0_f32..480.0).prop_map(|(x, y)| [x - 20.0, y - 50.0, x + 20.0, y]);
    let number = prop_oneof![-1e9_f32..1e9, prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::MIN, 0.0])];
    let bbox = prop_oneof![9 => place, 1 => prop::array::uniform4(number)];
    let label = prop::sample::select(vec!["person", "car", "truck"]);
    (label, 0.1_f32..1.0, bbox).prop_map(|(label, score, bbox)| Detection::new(label.into(), score, bbox))
}

proptest! {
    #[test]
    fn every_new_has_one_end_and_updates_lie_between(
        frames in prop::collection::vec((prop::collection::vec(any(), 0..8), 0_u64..1500), 1..60)
    ) {
        let event = EventConfig { appear_s: Some(0.1), vanish_s: Some(0.5), update_every_s: 0.0, ..EventConfig::default() };
        let zones = vec![zone("left", [0.0, 0.5]), ZoneConfig { inertia_s: 0.0, loiter_s: 0.5, ..zone("all", [0.0, 1.0]) }];
        let mut run = Run::new(Config { event, zones, lines: vec![gate()], ..Config::default() }, 0);
        let mut open: HashSet<String> = HashSet::new();
        let mut over: HashMap<String, usize> = HashMap::new();
        let mut crossed = 0;
        let mut all = Vec::new();
        for (i, (mut detections, ms)) in frames.into_iter().enumerate() {
            run.now += Duration::from_millis(ms);
            if i % 7 == 6 {
                run.size = if run.size == SIZE { [320, 240] } else { SIZE };
            }
            detections.sort_by(|a, b| b.score.total_cmp(&a.score));
            all.extend(run.frame(&detections));
            let count = run.crossed("gate", "person");
            prop_assert!(count.forward + count.backward >= crossed, "counts never fall");
            crossed = count.forward + count.backward;
            let ids: Vec<u64> = run.detections().iter().filter_map(|d| d.track_id).collect();
            prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        }
        all.extend(run.follower.end(run.now));
        for event in all {
            let numbers = event.bbox.iter().flatten().chain(&event.best_score).copied().chain([event.score]);
            prop_assert!(numbers.into_iter().all(f32::is_finite), "{:?}", event);
            match event.kind {
                New => prop_assert!(open.insert(event.id.clone()) && !over.contains_key(&event.id)),
                Changed => prop_assert!(open.contains(&event.id)),
                End => {
                    prop_assert!(open.remove(&event.id));
                    *over.entry(event.id).or_default() += 1;
                }
            }
        }
        prop_assert!(open.is_empty() && over.values().all(|ends| *ends == 1));
    }
}
