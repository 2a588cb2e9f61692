//! Objects on simulated streets: who is who must not depend on the frame rate.

use proptest::prelude::*;

use super::*;

fn at(label: &str, score: f32, [x, y]: [f32; 2], [w, h]: [f32; 2]) -> Detection {
    Detection::new(label.into(), score, [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0])
}

/// Runs frames at these times in s; `scene` gives the detections of a moment. Gives the ids of each frame.
fn run(times: impl IntoIterator<Item = f32>, scene: impl Fn(f32) -> Vec<Detection>) -> Vec<Vec<Option<u64>>> {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let frame = |t: f32| {
        let now = Duration::from_secs_f32(t);
        tracker.update(&scene(t), now, SystemTime::UNIX_EPOCH + now).ids
    };
    times.into_iter().map(frame).collect()
}

fn every(dt: f32, seconds: f32) -> Vec<f32> {
    (0..(seconds / dt) as usize).map(|i| i as f32 * dt).collect()
}

/// Ids of the detection with this index over all frames that have it, without repetition.
fn ids_of(frames: &[Vec<Option<u64>>], index: usize) -> Vec<Option<u64>> {
    let mut ids: Vec<_> = frames.iter().filter_map(|ids| ids.get(index).copied()).collect();
    ids.dedup();
    ids
}

const RATES: [f32; 4] = [1.0 / 15.0, 0.1, 0.2, 0.5];

#[test]
fn a_fast_car_is_one_object_at_any_rate() {
    // 4 of its own lengths a second: at 2 frames a second its boxes are two lengths apart.
    let car = |t: f32| vec![at("car", 0.8, [100.0 + 400.0 * t, 300.0], [100.0, 60.0])];
    for dt in RATES {
        assert_eq!(ids_of(&run(every(dt, 4.0), car), 0), [Some(1)], "every {dt} s");
    }
}

#[test]
fn frames_may_be_dropped_and_come_unevenly() {
    let times = [0.0, 0.07, 0.13, 0.6, 0.66, 1.4, 1.47, 1.9, 2.0, 2.8, 2.81, 3.5];
    let two = |t: f32| {
        vec![
            at("person", 0.7, [100.0 + 90.0 * t, 300.0], [40.0, 100.0]),
            at("person", 0.7, [600.0 - 110.0 * t, 420.0], [50.0, 120.0]),
        ]
    };
    let frames = run(times, two);
    assert_eq!(ids_of(&frames, 0), [Some(1)]);
    assert_eq!(ids_of(&frames, 1), [Some(2)]);
}

#[test]
fn people_who_cross_keep_their_numbers() {
    for dt in RATES {
        // They walk towards each other a little apart in depth; while they overlap, only the nearer one is seen.
        let scene = |t: f32| {
            let near = at("person", 0.8, [200.0 + 120.0 * t, 320.0], [60.0, 150.0]);
            let far = at("person", 0.7, [680.0 - 120.0 * t, 300.0], [50.0, 125.0]);
            let hidden = (near.bbox[0] - far.bbox[0]).abs() < 45.0;
            if hidden { vec![near] } else { vec![near, far] }
        };
        let frames = run(every(dt, 4.0), scene);
        assert_eq!(ids_of(&frames, 0), [Some(1)], "every {dt} s");
        assert_eq!(ids_of(&frames, 1), [Some(2)], "every {dt} s");
    }
}

#[test]
fn behind_a_tree_an_object_is_remembered_for_a_while() {
    let walk = |t: f32| {
        let person = at("person", 0.8, [100.0 + 100.0 * t, 300.0], [50.0, 120.0]);
        if (1.5..2.8).contains(&t) { Vec::new() } else { vec![person] }
    };
    for dt in RATES {
        assert_eq!(ids_of(&run(every(dt, 5.0), walk), 0), [Some(1)], "every {dt} s");
    }
    // Away for longer than it is remembered, it is another.
    let away = |t: f32| if (1.5..4.5).contains(&t) { Vec::new() } else { walk(0.0) };
    assert_eq!(ids_of(&run(every(0.1, 6.0), away), 0), [Some(1), Some(2)]);
}

#[test]
fn uncertain_detections_go_on_with_an_object_and_begin_none() {
    let faint = |t: f32| vec![at("person", if t < 0.5 { 0.8 } else { 0.25 }, [100.0 + 50.0 * t, 300.0], [50.0, 120.0])];
    assert_eq!(ids_of(&run(every(0.1, 6.0), faint), 0), [Some(1)]);
    let only = |_: f32| vec![at("person", 0.3, [100.0, 300.0], [50.0, 120.0])];
    assert_eq!(ids_of(&run(every(0.1, 3.0), only), 0), [None]);
}

#[test]
fn a_label_that_flickers_is_one_object_with_the_label_of_most_sightings() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let mut ids = Vec::new();
    for i in 0..40_u16 {
        let label = if i % 3 == 2 { "truck" } else { "car" };
        let x = 100.0 + 20.0 * f32::from(i);
        let mut found = vec![at(label, 0.7, [x, 300.0], [100.0, 60.0])];
        // Both labels at once, as a suppression class by class leaves them.
        if i % 5 == 0 {
            let other = if label == "car" { "truck" } else { "car" };
            found.push(at(other, 0.5, [x + 2.0, 301.0], [102.0, 60.0]));
        }
        let now = Duration::from_millis(u64::from(i) * 100);
        ids.extend(tracker.update(&found, now, SystemTime::UNIX_EPOCH + now).ids.into_iter().flatten());
    }
    ids.dedup();
    assert_eq!(ids, [1]);
    assert_eq!(&**tracker.tracks()[0].label(), "car");
    // A bicycle and who rides it are two.
    let both = |t: f32| {
        vec![at("person", 0.8, [100.0 + t, 200.0], [40.0, 90.0]), at("bicycle", 0.7, [100.0 + t, 240.0], [80.0, 60.0])]
    };
    let frames = run(every(0.1, 2.0), both);
    assert_eq!((ids_of(&frames, 0), ids_of(&frames, 1)), (vec![Some(1)], vec![Some(2)]));
}

#[test]
fn a_smaller_capture_is_the_same_scene() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let look = |tracker: &mut Tracker, i: u64, by: f32| {
        let x = (100.0 + 12.0 * i as f32) * by;
        let now = Duration::from_millis(i * 200);
        let found = [at("person", 0.8, [x, 300.0 * by], [50.0 * by, 120.0 * by])];
        tracker.update(&found, now, SystemTime::UNIX_EPOCH + now).ids
    };
    for i in 0..10 {
        assert_eq!(look(&mut tracker, i, 1.0), [Some(1)]);
    }
    tracker.rescale([0.5, 0.5]);
    for i in 10..20 {
        assert_eq!(look(&mut tracker, i, 0.5), [Some(1)]);
    }
}

#[test]
fn the_number_of_objects_is_bounded() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let crowd = |shift: f32| -> Vec<Detection> {
        (0..400_u16).map(|i| at("person", 0.8, [f32::from(i) * 50.0 + shift, 100.0], [20.0, 50.0])).collect()
    };
    for i in 0..5_u8 {
        tracker.update(&crowd(f32::from(i) * 2.0), Duration::from_millis(u64::from(i) * 100), SystemTime::UNIX_EPOCH);
        assert!(tracker.tracks().len() <= MAX_TRACKS);
    }
    assert_eq!(tracker.clear().len(), MAX_TRACKS);
}

/// Any floats, those that are none with the rest.
fn hostile() -> impl Strategy<Value = Detection> {
    let number = prop_oneof![
        -2000.0_f32..2000.0,
        prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, 1e-38])
    ];
    let score = prop_oneof![0.0_f32..1.0, prop::sample::select(vec![f32::NAN, f32::INFINITY, -1.0])];
    let label = prop::sample::select(vec!["person", "car", "truck", "dog", "cat", "bus"]);
    (label, score, prop::array::uniform4(number))
        .prop_map(|(label, score, bbox)| Detection::new(label.into(), score, bbox))
}

proptest! {
    #[test]
    fn numbers_are_unique_and_nothing_becomes_nan(
        frames in prop::collection::vec((prop::collection::vec(hostile(), 0..12), 0_u64..3000), 1..30)
    ) {
        let mut tracker = Tracker::new(TrackerSettings::default());
        let (mut now, mut ended) = (Duration::ZERO, std::collections::HashSet::new());
        for (detections, ms) in frames {
            now += Duration::from_millis(ms);
            let update = tracker.update(&detections, now, SystemTime::UNIX_EPOCH + now);
            prop_assert_eq!(update.ids.len(), detections.len());
            let mut ids: Vec<u64> = update.ids.iter().copied().flatten().collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), count, "one detection for each object");
            prop_assert!(ids.iter().all(|id| !ended.contains(id)), "an object that ended does not come back");
            ended.extend(update.ended.iter().map(|track| track.id));
            for track in tracker.tracks() {
                prop_assert!(track.bbox().iter().chain(&track.anchor()).all(|v| v.is_finite()), "{:?}", track);
                prop_assert!(track.velocity().iter().all(|v| v.is_finite()));
            }
        }
    }
}
