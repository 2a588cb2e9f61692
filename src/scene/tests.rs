use super::font::{FONTS, Face};
use super::look::Look;
use super::*;

fn tiles(face: &Face) -> Vec<Vec<f32>> {
    (0..10)
        .map(|digit| {
            let mut tile = vec![0.0; 48 * 64];
            face.draw(digit, 56.0, 48, 64, &mut tile);
            tile
        })
        .collect()
}

#[test]
fn every_font_draws_ten_digits_that_differ_and_stay_inside() {
    for font in &FONTS {
        let tiles = tiles(&Face::choose(font, &mut Chance::new(7, 0)));
        for (digit, tile) in tiles.iter().enumerate() {
            let ink: f32 = tile.iter().sum();
            assert!((60.0..1500.0).contains(&ink), "{} {digit}: {ink} pixels of ink", font.name);
            let rim: f32 = tile.iter().enumerate().filter(|(i, _)| i / 48 == 0 || i / 48 == 63).map(|(_, v)| v).sum();
            assert_eq!(rim, 0.0, "{} {digit} touches the edge", font.name);
        }
        for a in 0..10 {
            for b in 0..a {
                let apart: f32 = tiles[a].iter().zip(&tiles[b]).map(|(x, y)| (x - y).abs()).sum();
                assert!(apart > 40.0, "{}: {a} and {b} differ by {apart} pixels", font.name);
            }
        }
    }
}

#[test]
fn fonts_differ_from_each_other() {
    let all: Vec<_> = FONTS.iter().map(|f| (f.name, tiles(&Face::choose(f, &mut Chance::new(1, 0))))).collect();
    for (i, (name, tiles)) in all.iter().enumerate() {
        for (other, others) in &all[..i] {
            let apart: f32 = tiles.iter().flatten().zip(others.iter().flatten()).map(|(x, y)| (x - y).abs()).sum();
            assert!(apart > 600.0, "{name} and {other} differ by {apart} pixels over ten digits");
        }
    }
}

#[test]
fn held_out_fonts_are_kept_from_training() {
    let names = |fonts| -> Vec<_> { (0..200).map(|seed| Look::new(seed, fonts, 64, 48).face.font.name).collect() };
    let (train, held_out) = (names(Fonts::Train), names(Fonts::HeldOut));
    assert!(train.iter().all(|name| !held_out.contains(name)));
    for font in &FONTS {
        assert!(train.contains(&font.name) || held_out.contains(&font.name), "no seed chose {}", font.name);
    }
}

#[test]
fn a_carry_takes_every_nine_along() {
    let half = Shown { value: 12_399, roll: 0.25 };
    assert_eq!(half.drums(), [1.0, 2.0, 3.25, 9.25, 9.25]);
    assert_eq!(half.truth(), "12399");
    assert_eq!(Shown { roll: 0.5, ..half }.truth(), "12400");
    assert_eq!(Shown { value: 99_999, roll: 0.9 }.truth(), "00000");
}

#[test]
fn a_counter_goes_up_by_one_at_a_time() {
    for seed in 0..20 {
        let counter = Counter::new(seed);
        let read = |frame: u32| counter.at(f64::from(frame) / 15.0).truth().parse::<u32>().unwrap();
        let steps: Vec<u32> = (0..900).map(|f| (read(f + 1) + 100_000 - read(f)) % 100_000).collect();
        assert!(steps.iter().all(|s| *s <= 1), "seed {seed} jumps");
        let counted: u32 = steps.iter().sum();
        assert!((14..=31).contains(&counted), "seed {seed} counted {counted} in a minute");
    }
}

#[test]
fn a_drum_between_two_digits_has_no_digit_to_read() {
    let seed = (0..50).find(|seed| !Look::new(*seed, Fonts::All, 64, 48).face.font.lcd).unwrap();
    let scene = Scene::new(seed, Fonts::All, 64, 48);
    let at = |value, roll| scene.readable(&Shown { value, roll });
    assert_eq!(at(12_349, 0.2), [Some(1), Some(2), Some(3), Some(4), Some(9)]);
    assert_eq!(at(12_349, 0.5), [Some(1), Some(2), Some(3), None, None]);
    assert_eq!(at(12_349, 0.8), [Some(1), Some(2), Some(3), Some(5), Some(0)]);
    let lcd = (0..50).find(|seed| Look::new(*seed, Fonts::All, 64, 48).face.font.lcd).unwrap();
    let scene = Scene::new(lcd, Fonts::All, 64, 48);
    assert_eq!(scene.readable(&Shown { value: 99_999, roll: 0.5 }), [Some(0); 5], "a display changes at once");
}
