use super::*;
use crate::frame::{Image, PixelFormat};
use crate::preprocess::to_rgb;
use crate::scene::{Fault, Gears, Knock, Scene};

/// The unit, the first figures of the meter's number, and the star below the counter: nothing that turns.
const MARKS: [[f32; 4]; 3] = [[400.0, 134.0, 60.0, 44.0], [186.0, 136.0, 60.0, 40.0], [298.0, 302.0, 44.0, 44.0]];

fn rgb(seed: u64, fault: Option<Fault>, knock: Knock, counts: f64) -> (Vec<u8>, [u32; 2]) {
    let mut scene = Scene::with_dials(seed, 640, 480, fault, knock);
    let mut image = Image { format: PixelFormat::Jpeg, width: 640, height: 480, ..Image::default() };
    scene.render_positions(&Gears::new(seed).at(counts), 7, &mut image.data).unwrap();
    let mut pixels = Vec::new();
    let size = to_rgb(&image, &mut pixels).unwrap();
    (pixels, size)
}

fn picture<'a>(pixels: &'a [u8], size: [u32; 2]) -> Picture<'a> {
    Picture { width: size[0], height: size[1], channels: Channels::Rgb, limited: false, sideways: false, data: pixels }
}

fn aligner(seed: u64) -> Aligner {
    let (pixels, size) = rgb(seed, None, Knock::default(), 123_456_789.0);
    let regions = MARKS.map(Region::Rect);
    Aligner::new(Arc::new(Marks::new(size, &pixels, &regions).unwrap()))
}

#[test]
fn marks_are_found_again_between_pixels() {
    let mut worst: f32 = 0.0;
    for seed in [1, 2, 5] {
        let mut aligner = aligner(seed);
        for (shift, degrees) in [([0.0, 0.0], 0.0), ([9.5, -7.25], 0.0), ([-20.0, 14.0], 1.5), ([4.0, 4.0], -3.0)] {
            let (pixels, size) = rgb(seed, None, Knock { shift, degrees }, 623_456_712.0);
            let found = aligner.find(&picture(&pixels, size)).unwrap_or_else(|| panic!("{seed} {shift:?} {degrees}"));
            let (sin, cos) = f32::to_radians(degrees).sin_cos();
            for [x, y] in [[180.0, 240.0], [460.0, 250.0], [466.0, 344.0], [186.0, 362.0]] {
                let (dx, dy) = (x - 320.0, y - 240.0);
                let wanted = [320.0 + dx * cos - dy * sin + shift[0], 240.0 + dx * sin + dy * cos + shift[1]];
                let at = found.apply([x, y]);
                worst = worst.max((at[0] - wanted[0]).hypot(at[1] - wanted[1]));
            }
        }
    }
    assert!(worst < 1.2, "{worst} pixels off");
}

#[test]
fn a_camera_that_looks_elsewhere_or_sees_nothing_is_noticed() {
    let mut aligner = aligner(1);
    let lost = |aligner: &mut Aligner, seed: u64, fault: Option<Fault>, shift: [f32; 2], degrees: f32| {
        let (pixels, size) = rgb(seed, fault, Knock { shift, degrees }, 623_456_712.0);
        aligner.find(&picture(&pixels, size)).is_none()
    };
    assert!(lost(&mut aligner, 1, None, [160.0, 90.0], 0.0), "far away");
    assert!(lost(&mut aligner, 1, None, [0.0, 0.0], 40.0), "turned");
    assert!(lost(&mut aligner, 4, None, [0.0, 0.0], 0.0), "another meter");
    for fault in [Fault::Dark, Fault::White, Fault::Noise, Fault::Blur] {
        assert!(lost(&mut aligner, 1, Some(fault), [0.0, 0.0], 0.0), "{fault:?}");
    }
    assert!(!lost(&mut aligner, 1, None, [3.0, 2.0], 0.5));
}

#[test]
fn marks_that_cannot_be_found_again_are_refused() {
    let flat = vec![90_u8; 200 * 100 * 3];
    let refused = |rect| Marks::new([200, 100], &flat, &[Region::Rect(rect)]).unwrap_err();
    assert_eq!(refused([10.0, 10.0, 40.0, 40.0]), MarkError::Plain(1));
    assert_eq!(refused([180.0, 10.0, 40.0, 40.0]), MarkError::Outside(1, 200, 100));
    assert_eq!(refused([10.0, 10.0, 8.0, 40.0]), MarkError::Small(1));
    // Edges in one direction only: it may be anywhere along them.
    let mut stripes = vec![90_u8; 200 * 100 * 3];
    stripes.chunks_exact_mut(600).skip(40).for_each(|row| row.fill(200));
    let error = Marks::new([200, 100], &stripes, &[Region::Rect([20.0, 20.0, 40.0, 40.0])]).unwrap_err();
    assert_eq!(error, MarkError::Plain(1));
}

#[test]
fn a_smaller_picture_of_the_same_view_has_the_same_marks() {
    let mut aligner = aligner(2);
    let (pixels, size) = rgb(2, None, Knock { shift: [8.0, 6.0], degrees: 0.0 }, 1e8);
    let half: Vec<u8> = (0..240)
        .flat_map(|y| (0..320).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let at = |dx: usize, dy: usize, c: usize| u32::from(pixels[((2 * y + dy) * 640 + 2 * x + dx) * 3 + c]);
            (0..3).map(move |c| ((at(0, 0, c) + at(1, 0, c) + at(0, 1, c) + at(1, 1, c)) / 4) as u8).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(size, [640, 480]);
    let at = aligner.find(&picture(&half, [320, 240])).unwrap().apply([160.0, 120.0]);
    assert!((at[0] - 164.0).abs() < 1.0 && (at[1] - 123.0).abs() < 1.0, "{at:?}");
}
