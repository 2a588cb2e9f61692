//! The search without the models.

use super::circle::{circles, settled};
use super::judge::{DialSeen, DigitSeen, Judge};
use super::level::Levels;
use super::order::by_significance;
use super::row::Row;

/// Sees a digit and a dial in everything.
struct Credulous;

impl Judge for Credulous {
    type Error = std::convert::Infallible;

    fn digit_size(&self) -> [usize; 2] {
        [32, 24]
    }

    fn dial_size(&self) -> [usize; 2] {
        [32, 32]
    }

    fn digits(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DigitSeen>, Self::Error> {
        assert!(pictures.iter().all(|picture| picture.len() == 32 * 24));
        Ok(vec![DigitSeen { digit: 7, score: 1.0, position: Some((7.0, 1.0)) }; pictures.len()])
    }

    fn dials(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DialSeen>, Self::Error> {
        assert!(pictures.iter().all(|picture| picture.len() == 32 * 32 * 3));
        Ok(vec![DialSeen { position: Some((3.0, 1.0)) }; pictures.len()])
    }
}

/// A light picture with dark shapes: `inside` says where.
fn picture(size: [usize; 2], inside: impl Fn(f32, f32) -> bool) -> Vec<u8> {
    let pixel = |i: usize| inside((i % size[0]) as f32 + 0.5, (i / size[0]) as f32 + 0.5);
    (0..size[0] * size[1]).flat_map(|i| [if pixel(i) { 30 } else { 210 }; 3]).collect()
}

#[test]
fn a_picture_without_ink_has_no_places_whatever_the_models_say() {
    for size in [[1, 1], [3, 200], [320, 240], [2, 5000]] {
        let rgb = picture(size, |_, _| false);
        let found = super::find(&rgb, size.map(|v| v as u32), &mut Credulous).unwrap();
        assert!(found.digits.is_empty() && found.dials.is_empty(), "{size:?}");
    }
    assert!(super::find(&[0; 5], [4, 4], &mut Credulous).unwrap().digits.is_empty());
}

#[test]
fn even_bars_are_a_row() {
    // Six upright bars of 16 by 28 pixels, 30 apart.
    let bar = |x: f32, y: f32| (80.0..260.0).contains(&x) && (x - 80.0) % 30.0 < 16.0 && (100.0..128.0).contains(&y);
    let found = super::find(&picture([360, 240], bar), [360, 240], &mut Credulous).unwrap();
    assert!((4..=8).contains(&found.digits.len()), "{found:?}");
    let middles: Vec<f32> = found.digits.iter().map(|d| d.corners.iter().map(|c| c[1]).sum::<f32>() / 4.0).collect();
    assert!(middles.iter().all(|y| (y - 114.0).abs() < 4.0), "{middles:?}");
}

#[test]
fn a_ring_is_found_where_it_is() {
    let ring = |x: f32, y: f32| ((x - 120.0).hypot(y - 90.0) - 40.0).abs() < 1.5;
    let levels = Levels::new(&picture([240, 180], ring), [240, 180]);
    let level = &levels.0[0];
    let found = circles(level, [0.0, 0.0, 240.0, 180.0], [20.0, 60.0], 5);
    let best = settled(level, found[0]);
    let apart = (best.middle[0] - 120.0).hypot(best.middle[1] - 90.0);
    assert!(apart < 4.0 && (best.radius / 40.0).ln().abs() < 0.1, "{best:?}");
}

#[test]
fn a_part_of_a_row_has_its_digits_where_they_were() {
    let row = Row { middle: [50.0, 60.0], angle: 0.3, pitch: 10.0, height: 14.0, grow: 0.02, shear: 0.1, count: 5 };
    let part = row.part(-1, 4);
    for index in 0..4 {
        let ([ax, ay], [bx, by]) = (part.place(index), row.place(index - 1));
        assert!((ax - bx).hypot(ay - by) < 0.3, "{index}");
    }
    let turned = row.turned();
    let ([ax, ay], [bx, by]) = (turned.place(0), row.place(4));
    assert!((ax - bx).hypot(ay - by) < 1e-3);
}

#[test]
fn dials_go_clockwise_from_the_right_unless_their_pointers_say_otherwise() {
    let places = [[146.0, 104.0], [64.0, 164.0], [-40.0, 172.0], [-134.0, 122.0]];
    let sorted = |positions: [f32; 4], order: [usize; 4]| {
        let mut dials: Vec<(usize, [f32; 2], f32)> = order.map(|i| (i, places[i], positions[i])).to_vec();
        by_significance(&mut dials, |dial| (dial.1, dial.2));
        dials.iter().map(|dial| dial.0).collect::<Vec<_>>()
    };
    for order in [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]] {
        // 5.278, 2.78, 7.8, 8.0.
        assert_eq!(sorted([5.28, 2.78, 7.8, 8.0], order), [0, 1, 2, 3]);
        assert_eq!(sorted([8.0, 7.8, 2.78, 5.28], order), [3, 2, 1, 0]);
        // Nothing to tell by.
        assert_eq!(sorted([0.0, 0.0, 0.0, 0.0], order), [0, 1, 2, 3]);
    }
}
