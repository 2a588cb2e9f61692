use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;

const SIZE: [u16; 2] = [320, 240];

fn street(seed: u64, weather: Weather, density: f32) -> Street {
    Street::new(seed, weather, density, SIZE[0], SIZE[1])
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn picture(street: &Street, s: f64) -> Vec<u8> {
    let mut pixels = Vec::new();
    street.draw(seconds(s), &mut pixels);
    pixels
}

/// Share of values that differ by more than the noise of a day.
fn changed(a: &[u8], b: &[u8]) -> f64 {
    let count = a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 24).count();
    count as f64 / a.len() as f64
}

#[test]
fn equal_seeds_give_equal_streets_and_others_do_not() {
    let [a, b, c] = [5, 5, 6].map(|seed| street(seed, Weather::Storm, 1.0));
    for s in [0.0, 7.25, 61.0, 86_400.0 * 365.0] {
        assert_eq!(a.truth(seconds(s)), b.truth(seconds(s)));
        assert_eq!(picture(&a, s), picture(&b, s));
    }
    assert_ne!(picture(&a, 1.0), picture(&c, 1.0));
}

#[test]
fn the_truth_is_within_the_picture_and_has_every_kind() {
    let mut seen: BTreeMap<&str, BTreeSet<(u64, u64)>> = BTreeMap::new();
    let mut hidden = 0;
    for seed in 0..12 {
        let street = street(seed, Weather::Day, 1.0);
        for tick in 0..240 {
            let truth = street.truth(seconds(f64::from(tick) * 0.5));
            let numbers: BTreeSet<u64> = truth.iter().map(|o| o.id).collect();
            assert_eq!(numbers.len(), truth.len(), "numbers are unique");
            for object in &truth {
                seen.entry(object.label).or_default().insert((seed, object.id));
                hidden += u32::from(object.visible_fraction < 0.3);
                let inside = |b: [f32; 4]| b[0] >= 0.0 && b[1] >= 0.0 && b[2] <= 320.0 && b[3] <= 240.0;
                assert!(inside(object.bbox) && inside(object.visible_bbox), "{object:?}");
                assert!((0.0..=1.0).contains(&object.visible_fraction));
            }
        }
    }
    let counts: Vec<(&str, usize)> = seen.iter().map(|(label, ids)| (*label, ids.len())).collect();
    let of = |label: &str| seen.get(label).map_or(0, BTreeSet::len);
    // Twelve streets for two minutes.
    assert!(of("person") > 120 && of("car") > 100 && of("bicycle") > 25 && of("dog") > 10, "{counts:?}");
    assert!(hidden > 500, "hardly anything is ever hidden: {hidden}");
}

#[test]
fn things_move_without_leaps_whatever_the_time() {
    for seed in 0..6 {
        let street = street(seed, Weather::Day, 1.0);
        let mut before: BTreeMap<u64, [f32; 2]> = BTreeMap::new();
        for tick in 0..1200 {
            let now: BTreeMap<u64, [f32; 2]> =
                street.truth(seconds(f64::from(tick) * 0.05)).into_iter().map(|o| (o.id, o.foot)).collect();
            for (id, foot) in &now {
                let Some(was) = before.get(id) else { continue };
                let gone = (foot[0] - was[0]).hypot(foot[1] - was[1]);
                // 14 m/s at 13 m are 16 pixels in a twentieth of a second.
                assert!(gone < 20.0, "seed {seed}: {id} leapt {gone} pixels");
            }
            before = now;
        }
    }
}

#[test]
fn the_place_in_the_truth_is_where_the_picture_changes() {
    let (mut inside, mut all) = (0usize, 0usize);
    for seed in 0..4 {
        let (empty, full) = (street(seed, Weather::Day, 0.0), street(seed, Weather::Day, 1.0));
        for s in [10.0, 20.0, 30.0] {
            let (a, b) = (picture(&empty, s), picture(&full, s));
            let truth = full.truth(seconds(s));
            for (i, (a, b)) in a.chunks(3).zip(b.chunks(3)).enumerate() {
                if a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 40) {
                    let (x, y) = ((i % 320) as f32 + 0.5, (i / 320) as f32 + 0.5);
                    // A shadow reaches a little beyond.
                    let within = |o: &TruthObject| {
                        let b = o.bbox;
                        x > b[0] - 2.0 && x < b[2] + 2.0 && y > b[1] - 2.0 && y < b[3] + 8.0
                    };
                    all += 1;
                    inside += usize::from(truth.iter().any(within));
                }
            }
        }
    }
    assert!(all > 5000, "{all} pixels changed");
    assert!(inside * 100 >= all * 97, "{inside} of {all} changed pixels are of something");
}

#[test]
fn the_size_of_the_picture_changes_nothing_else() {
    let large = Street::new(3, Weather::Day, 1.0, 640, 480);
    let small = street(3, Weather::Day, 1.0);
    let (a, b) = (large.truth(seconds(33.0)), small.truth(seconds(33.0)));
    assert_eq!(a.iter().map(|o| o.id).collect::<Vec<_>>(), b.iter().map(|o| o.id).collect::<Vec<_>>());
    for (a, b) in a.iter().zip(&b) {
        assert!((a.foot[0] - 2.0 * b.foot[0]).abs() < 0.1 && (a.foot[1] - 2.0 * b.foot[1]).abs() < 0.1);
    }
}

#[test]
fn weather_is_seen_without_traffic() {
    let mean = |p: &[u8]| p.iter().map(|v| f64::from(*v)).sum::<f64>() / p.len() as f64;
    let idle = |weather: Weather| Street::new(2, weather, 0.0, 96, 72);
    let still = |weather: Weather| {
        let street = idle(weather);
        let moments: Vec<Vec<u8>> = (0..60).map(|i| picture(&street, 0.1 + f64::from(i))).collect();
        let most = moments.windows(2).map(|w| changed(&w[0], &w[1])).fold(0.0, f64::max);
        let means: Vec<f64> = moments.iter().map(|p| mean(p)).collect();
        let (low, high) = means.iter().fold((f64::MAX, 0.0f64), |(l, h), m| (l.min(*m), h.max(*m)));
        (most, low, high)
    };
    let day = still(Weather::Day);
    assert!(day.0 < 0.002 && day.2 - day.1 < 1.0, "a day is still: {day:?}");
    let night = still(Weather::Night);
    assert!(night.1 < day.1 * 0.5, "a night is dark: {night:?}");
    let wind = still(Weather::Wind);
    assert!(wind.0 > 0.003, "the trees move: {wind:?}");
    let rain = still(Weather::Rain);
    assert!(rain.0 > 0.001, "rain is seen: {rain:?}");
    let clouds = still(Weather::Clouds);
    assert!(clouds.2 - clouds.1 > 5.0, "shadows pass: {clouds:?}");
    let lamp = still(Weather::Lamp);
    assert!(lamp.0 > 0.02 && lamp.2 > lamp.1 * 1.15, "the lamp goes off: {lamp:?}");
    let street = idle(Weather::Storm);
    let flashes: Vec<f64> = (0..1200).map(|i| mean(&picture(&street, f64::from(i) * 0.05))).collect();
    let usual = flashes[0].min(flashes[40]);
    assert!(flashes.iter().any(|m| *m > usual * 1.6), "lightning");
    assert!(flashes.iter().filter(|m| **m > usual * 1.2).count() < 120, "and it is short");
}
