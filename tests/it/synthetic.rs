//! The synthetic camera through its public face: what a pipeline is given.

use std::time::{Duration, Instant};

use leptond::frame::{Frame, Payload, PixelFormat};
use leptond::scene::{Counter, Fonts, Scene, Shown, regions};
use leptond::source::{Config, Next, Source, SyntheticConfig, open};

fn picture(seed: u64, width: u16, height: u16, shown: Shown, frame: u64) -> Vec<u8> {
    let mut jpeg = Vec::new();
    Scene::new(seed, Fonts::All, width, height).render(&shown, frame, &mut jpeg).expect("a picture in memory");
    jpeg
}

/// Luminance of a JPEG, `[H, W]`.
fn luminance(jpeg: &[u8]) -> Vec<u8> {
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::Luma);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(jpeg), options).decode().expect("a whole JPEG")
}

fn camera(config: SyntheticConfig) -> Box<dyn Source> {
    open(&Config::Synthetic(config), Default::default()).expect("a valid configuration")
}

#[test]
fn equal_seeds_give_equal_pictures() {
    let mut cameras = [(); 2].map(|()| camera(SyntheticConfig { fps: 240.0, seed: 5, ..Default::default() }));
    let (mut a, mut b) = (Frame::empty(), Frame::empty());
    for _ in 0..4 {
        assert_eq!((cameras[0].next(&mut a).unwrap(), cameras[1].next(&mut b).unwrap()), (Next::Frame, Next::Frame));
        let (Payload::Image(x), Payload::Image(y)) = (&a.payload, &b.payload) else { panic!("not a picture") };
        assert_eq!((x.format, x.width, x.height), (PixelFormat::Jpeg, 640, 480));
        assert!(x.data == y.data, "equal seeds, different pictures");
        assert_eq!(a.truth, b.truth);
    }
    let shown = Shown { value: 12_345, roll: 0.0 };
    let first = picture(5, 640, 480, shown, 0);
    assert!(first != picture(6, 640, 480, shown, 0), "another seed gives the same picture");
    assert!(first != picture(5, 640, 480, shown, 1), "noise does not change from picture to picture");
}

#[test]
fn the_truth_is_five_digits_and_the_pictures_end_where_the_configuration_says() {
    let mut camera =
        camera(SyntheticConfig { width: 64, height: 48, fps: 240.0, seed: 3, frames: 6, ..Default::default() });
    assert!(camera.describe().starts_with("synthetic 64x48"), "{}", camera.describe());
    let mut frame = Frame::empty();
    for _ in 0..6 {
        assert_eq!(camera.next(&mut frame).unwrap(), Next::Frame);
        let truth = frame.truth.clone().expect("the truth is known");
        assert!(truth.len() == 5 && truth.bytes().all(|b| b.is_ascii_digit()), "{truth}");
    }
    assert_eq!(camera.next(&mut frame).unwrap(), Next::End);
}

#[test]
fn a_slow_camera_is_idle_in_between() {
    let mut camera = camera(SyntheticConfig { width: 64, height: 48, fps: 0.01, ..Default::default() });
    let mut frame = Frame::empty();
    assert_eq!(camera.next(&mut frame).unwrap(), Next::Frame);
    let asked = Instant::now();
    assert!(matches!(camera.next(&mut frame).unwrap(), Next::Idle(_)));
    assert!(asked.elapsed() >= Duration::from_millis(100), "it spins");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let good = SyntheticConfig::default();
    let bad = [
        (SyntheticConfig { width: 63, ..good.clone() }, "width = 63"),
        (SyntheticConfig { height: 5000, ..good.clone() }, "height = 5000"),
        (SyntheticConfig { fps: 0.0, ..good.clone() }, "fps = 0"),
        (SyntheticConfig { traffic: 4.5, ..good.clone() }, "traffic = 4.5"),
        (SyntheticConfig { fps: f64::NAN, ..good }, "fps = NaN"),
    ];
    for (config, words) in bad {
        let error = open(&Config::Synthetic(config), Default::default()).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn each_digit_changes_its_own_region_and_nothing_else() {
    for (seed, width, height) in [(1, 640, 480), (2, 640, 480), (3, 320, 240), (4, 800, 480)] {
        // The same frame number has the same noise, so that only the digits differ.
        let looks = [0, 11_111].map(|value| {
            let jpeg = picture(seed, width, height, Shown { value, roll: 0.0 }, 0);
            luminance(&jpeg)
        });
        let changed = |x: f32, y: f32, w: f32, h: f32| {
            let (mut inside, columns) = (0u32, usize::from(width));
            for row in y as usize..(y + h) as usize {
                for column in x as usize..(x + w) as usize {
                    let i = row * columns + column;
                    inside += u32::from(looks[0][i].abs_diff(looks[1][i]) > 24);
                }
            }
            inside
        };
        let all = changed(0.0, 0.0, width.into(), height.into());
        let inside: Vec<u32> =
            regions(width.into(), height.into()).into_iter().map(|[x, y, w, h]| changed(x, y, w, h)).collect();
        assert!(inside.iter().all(|n| *n > 20), "seed {seed}: changed pixels per region {inside:?}");
        let within: u32 = inside.iter().sum();
        assert!(within * 100 >= all * 98, "seed {seed}: {all} pixels changed, {within} of them inside the regions");
    }
}

#[test]
fn only_the_rolling_drums_move() {
    // Seed 1 has drums. 12 399 on its way to 12 400: the first two stand still.
    let still = luminance(&picture(1, 640, 480, Shown { value: 12_399, roll: 0.0 }, 0));
    let moved = luminance(&picture(1, 640, 480, Shown { value: 12_399, roll: 0.4 }, 0));
    let places = regions(640, 480);
    let change = |[x, y, w, h]: [f32; 4]| -> u32 {
        // Away from the neighbours' edges, which share JPEG blocks.
        let columns = x as usize + 10..(x + w) as usize - 10;
        let rows = y as usize..(y + h) as usize;
        rows.flat_map(|r| columns.clone().map(move |c| r * 640 + c))
            .map(|i| u32::from(still[i].abs_diff(moved[i]) > 24))
            .sum()
    };
    let moves = places.map(change);
    assert!(moves[0] == 0 && moves[1] == 0 && moves[2] > 100 && moves[3] > 100 && moves[4] > 100, "{moves:?}");
}

#[test]
fn the_counter_never_runs_backwards() {
    let counter = Counter::new(1);
    let read: Vec<u32> = (0..2000).map(|f| counter.at(f64::from(f) / 15.0).truth().parse().unwrap()).collect();
    assert!(read.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1), "{read:?}");
    assert!(read[1999] - read[0] >= 30, "it stands still");
}
