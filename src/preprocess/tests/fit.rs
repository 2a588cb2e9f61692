//! Cutting and scaling, against the slow reference; geometry.

use proptest::prelude::*;

use super::support::{Input, close, frame, noise, plain, resample, run};
use crate::frame::{Colour, DType, Fit, Frame, InputSpec, Layout, PixelFormat, Quant, Spec};
use crate::preprocess::{PreprocessError, Preprocessor, Region};

fn random_picture(width: usize, height: usize, seed: u64) -> (Frame, Vec<u8>) {
    let rgb = noise(width * height * 3, seed);
    (frame(PixelFormat::Rgb8, width as u32, height as u32, 0, rgb.clone()), rgb)
}

#[test]
fn letterbox_pads_with_grey_and_crop_cuts_the_middle() {
    let (width, height) = (40, 20);
    let flat = frame(PixelFormat::Gray8, width, height, 0, vec![200; 800]);
    let letterbox = InputSpec { fit: Fit::Letterbox, ..plain(16, 16, Colour::Grey) };
    let values = run(&letterbox, &[], &flat).unwrap();
    for (row, line) in values.chunks(16).enumerate() {
        let wanted = if (4..12).contains(&row) { 200.0 } else { 114.0 };
        assert!(line.iter().all(|&v| v == wanted), "row {row}: {line:?}");
    }
    let corner = InputSpec { fit: Fit::Pad, ..plain(16, 16, Colour::Grey) };
    let values = run(&corner, &[], &flat).unwrap();
    let wanted = |row: usize| if row < 8 { 200.0 } else { 114.0 };
    assert!(values.chunks(16).enumerate().all(|(row, line)| line.iter().all(|&v| v == wanted(row))), "{values:?}");
    // Left and right quarters are cut off: the rest is 200 everywhere.
    let mut data = vec![0; 800];
    data.chunks_mut(40).for_each(|line| line[10..30].fill(200));
    let crop = InputSpec { fit: Fit::Crop, ..plain(20, 20, Colour::Grey) };
    let values = run(&crop, &[], &frame(PixelFormat::Gray8, width, height, 0, data)).unwrap();
    assert!(values.iter().all(|&v| v == 200.0), "{values:?}");
}

#[test]
fn regions_are_items_from_the_first_one_on() {
    let mut data = vec![0; 30 * 10];
    for (i, value) in [10, 20, 30].into_iter().enumerate() {
        data.chunks_mut(30).for_each(|line| line[i * 10..i * 10 + 10].fill(value));
    }
    let frame = frame(PixelFormat::Gray8, 30, 10, 0, data);
    let spec = InputSpec { batch: 4, ..plain(4, 4, Colour::Grey) };
    // Each keeps a distance from its neighbours, which the kernel would otherwise mix in at the edge.
    let regions = (0..3).map(|i| Region::Rect([i as f32 * 10.0 + 3.0, 2.0, 4.0, 4.0])).collect();
    let mut input = Input::for_spec(&spec);
    let mut preprocessor = Preprocessor::new(Spec::Image(spec), regions);
    let geometry = preprocessor.run(&frame, input.view(), 1).unwrap();
    assert_eq!(geometry.len(), 3);
    assert_eq!(geometry[2].to_source([0.0, 0.0, 4.0, 4.0]), [23.0, 2.0, 27.0, 6.0]);
    let items: Vec<f32> = input.values().chunks(16).map(|item| item.iter().sum::<f32>() / 16.0).collect();
    assert_eq!(items, [7.0, 10.0, 20.0, 30.0]);
    let error = preprocessor.run(&frame, input.view(), 2).unwrap_err();
    assert!(matches!(error, PreprocessError::Mismatch(_)), "{error}");
}

#[test]
fn regions_follow_a_lowered_picture() {
    // Left third 10, middle 20, right 30; the same picture at half the width and a quarter of the height.
    let picture = |width: usize, height: usize| {
        let line: Vec<u8> = (0..width).map(|x| [10, 20, 30][x * 3 / width]).collect();
        frame(PixelFormat::Gray8, width as u32, height as u32, 0, line.repeat(height))
    };
    let regions = [
        Region::Rect([46.0, 8.0, 28.0, 24.0]),
        Region::Quad([90.0, 4.0, 110.0, 4.0, 110.0, 36.0, 90.0, 36.0]),
        // Up to the edge of the picture, which rounding must not exceed.
        Region::Rect([90.0, 0.0, 30.0, 40.0]),
    ];
    let spec = InputSpec { batch: 3, ..plain(4, 4, Colour::Grey) };
    let mut lowered = picture(60, 10);
    lowered.image_mut().full = Some([120, 40]);
    for (frame, source) in [(picture(120, 40), [120, 40]), (lowered, [60, 10])] {
        let mut input = Input::for_spec(&spec);
        let mut preprocessor = Preprocessor::new(Spec::Image(spec.clone()), regions.to_vec());
        let geometry = preprocessor.run(&frame, input.view(), 0).unwrap();
        assert!(geometry.iter().all(|g| g.source == source), "boxes are in pixels of this picture: {geometry:?}");
        let [w, h] = [source[0] as f32 / 120.0, source[1] as f32 / 40.0];
        assert_eq!(geometry[0].to_source([0.0, 0.0, 4.0, 4.0]), [46.0 * w, 8.0 * h, 74.0 * w, 32.0 * h]);
        let items: Vec<f32> = input.values().chunks(16).map(|item| item.iter().sum::<f32>() / 16.0).collect();
        assert_eq!(items, [20.0, 30.0, 30.0]);
    }
}

#[test]
fn a_region_outside_the_picture_writes_nothing() {
    let (frame, _) = random_picture(20, 10, 1);
    let good = Region::Rect([0.0, 0.0, 20.0, 10.0]);
    let outside = [
        Region::Rect([15.0, 0.0, 6.0, 4.0]),
        Region::Rect([-1.0, 0.0, 6.0, 4.0]),
        Region::Rect([0.0, 5.0, 6.0, 5.5]),
        Region::Quad([0.0, 0.0, 25.0, 0.0, 20.0, 5.0, 0.0, 5.0]),
    ];
    let senseless = [
        Region::Rect([1.0, 1.0, 0.0, 4.0]),
        Region::Rect([f32::NAN, 1.0, 1.0, 4.0]),
        Region::Quad([0.0, 0.0, 5.0, 5.0, 5.0, 0.0, 0.0, 5.0]),
        Region::Quad([3.0; 8]),
    ];
    let spec = InputSpec { batch: 2, ..plain(4, 4, Colour::Grey) };
    for (region, is_outside) in outside.into_iter().map(|r| (r, true)).chain(senseless.into_iter().map(|r| (r, false)))
    {
        let mut input = Input::for_spec(&spec);
        let before = input.values();
        let mut preprocessor = Preprocessor::new(Spec::Image(spec.clone()), vec![good.clone(), region]);
        let error = preprocessor.run(&frame, input.view(), 0).unwrap_err();
        match &error {
            PreprocessError::Region { index: 1, .. } => assert!(is_outside, "{error}"),
            PreprocessError::BadRegion { index: 1, .. } => assert!(!is_outside, "{error}"),
            other => panic!("{other}"),
        }
        assert_eq!(input.values(), before);
    }
}

#[test]
fn a_straight_quadrilateral_is_the_rectangle() {
    let (frame, _) = random_picture(120, 90, 3);
    for rect in [[10.0, 20.0, 64.0, 48.0], [10.5, 20.25, 30.0, 50.0], [40.0, 40.0, 9.0, 7.0]] {
        let [x, y, w, h] = rect;
        let quad = [x, y, x + w, y, x + w, y + h, x, y + h];
        let spec = plain(12, 16, Colour::Rgb);
        let straight = run(&spec, &[Region::Rect(rect)], &frame).unwrap();
        let warped = run(&spec, &[Region::Quad(quad)], &frame).unwrap();
        let mean = straight.iter().zip(&warped).map(|(a, b)| (a - b).abs()).sum::<f32>() / warped.len() as f32;
        assert!(mean < 6.0, "{rect:?}: mean difference {mean} on noise");
    }
}

#[test]
fn a_quadrilateral_is_straightened_by_perspective() {
    // A plane seen at an angle: source = H(u, v) with a real perspective term; the picture's value is a function of u.
    let (width, height) = (200_usize, 160_usize);
    let quad: [f64; 8] = [30.0, 20.0, 170.0, 45.0, 160.0, 120.0, 40.0, 140.0];
    // The inverse map by Newton's method on the projective form, independent of the code under test.
    let corners: Vec<[f64; 2]> = quad.chunks(2).map(|p| [p[0], p[1]]).collect();
    let coefficients = solve_homography(&corners);
    let forward = |u: f64, v: f64| {
        let c = &coefficients;
        let w = c[6] * u + c[7] * v + 1.0;
        [(c[0] * u + c[1] * v + c[2]) / w, (c[3] * u + c[4] * v + c[5]) / w]
    };
    let invert = |x: f64, y: f64| {
        let (mut u, mut v) = (0.5, 0.5);
        for _ in 0..40 {
            let [fx, fy] = forward(u, v);
            let e = 1e-6;
            let (du, dv) = (forward(u + e, v), forward(u, v + e));
            let j = [(du[0] - fx) / e, (dv[0] - fx) / e, (du[1] - fy) / e, (dv[1] - fy) / e];
            let det = j[0] * j[3] - j[1] * j[2];
            u += (j[3] * (x - fx) - j[1] * (y - fy)) / det;
            v += (j[0] * (y - fy) - j[2] * (x - fx)) / det;
        }
        [u, v]
    };
    let pattern = |u: f64, v: f64| (128.0 + 60.0 * (6.0 * u).sin() + 50.0 * (5.0 * v).cos()).clamp(0.0, 255.0);
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let [u, v] = invert(x as f64 + 0.5, y as f64 + 0.5);
            data.push(if u.abs() < 3.0 && v.abs() < 3.0 { pattern(u, v).round() as u8 } else { 0 });
        }
    }
    let frame = frame(PixelFormat::Gray8, width as u32, height as u32, 0, data);
    let (h, w) = (24, 32);
    let found = run(&plain(h, w, Colour::Grey), &[Region::Quad(quad.map(|v| v as f32))], &frame).unwrap();
    let wanted: Vec<f32> = (0..h * w)
        .map(|i| pattern(((i % w) as f64 + 0.5) / w as f64, ((i / w) as f64 + 0.5) / h as f64) as f32)
        .collect();
    close(&found, &wanted, 3.0);
}

/// Eight equations, Gaussian elimination: the textbook way, unlike the closed form under test.
fn solve_homography(corners: &[[f64; 2]]) -> Vec<f64> {
    let unit = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
    let mut m: Vec<Vec<f64>> = Vec::new();
    for ([u, v], [x, y]) in unit.into_iter().zip(corners.iter().copied()) {
        m.push(vec![u, v, 1.0, 0.0, 0.0, 0.0, -u * x, -v * x, x]);
        m.push(vec![0.0, 0.0, 0.0, u, v, 1.0, -u * y, -v * y, y]);
    }
    for i in 0..8 {
        let pivot = (i..8).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs())).unwrap();
        m.swap(i, pivot);
        for r in 0..8 {
            if r != i {
                let f = m[r][i] / m[i][i];
                let pivot = m[i].clone();
                m[r].iter_mut().zip(&pivot).for_each(|(v, p)| *v -= f * p);
            }
        }
    }
    (0..8).map(|i| m[i][8] / m[i][i]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("LEPTOND_TEST_EMULATED").is_some() { 16 } else { 64 }))]

    /// Every layout, colour, type and normalisation against the slow reference.
    #[test]
    fn scaling_and_storing_match_the_reference(
        (width, height) in (1_usize..60, 1_usize..60),
        (out_w, out_h) in (1_usize..24, 1_usize..24),
        cut in [0.0_f64..0.5, 0.0_f64..0.5, 0.3_f64..1.0, 0.3_f64..1.0],
        colour in prop_oneof![Just(Colour::Rgb), Just(Colour::Bgr), Just(Colour::Grey)],
        layout in prop_oneof![Just(Layout::Nchw), Just(Layout::Nhwc)],
        dtype in prop_oneof![Just(DType::F32), Just(DType::I8), Just(DType::U8)],
        mean in [0.0_f32..1.0, 0.0_f32..1.0, 0.0_f32..1.0],
        std in [0.1_f32..1.0, 0.1_f32..1.0, 0.1_f32..1.0],
        (scale, zero_point) in (0.005_f32..0.1, -20_i32..150),
        seed in any::<u64>(),
    ) {
        let (frame, rgb) = random_picture(width, height, seed);
        let (w, h) = (width as f64, height as f64);
        let rect = [cut[0] * w, cut[1] * h, (cut[2] * w).min(w - cut[0] * w), (cut[3] * h).min(h - cut[1] * h)];
        let region = Region::Rect(rect.map(|v| v as f32));
        let quant = (dtype != DType::F32).then_some(Quant { scale, zero_point });
        let spec = InputSpec {
            batch: 1, height: out_h, width: out_w, layout, colour, fit: Fit::Stretch, mean, std, dtype, quant,
        };
        let found = run(&spec, &[region], &frame).unwrap();
        let plane = |c: usize| {
            let pixel = |x: usize, y: usize| {
                let p = &rgb[(y * width + x) * 3..][..3];
                match c { 3 => 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]), c => f32::from(p[c]) }
            };
            resample(pixel, [width, height], rect, [out_w, out_h])
        };
        let order: &[usize] = match colour { Colour::Rgb => &[0, 1, 2], Colour::Bgr => &[2, 1, 0], Colour::Grey => &[3] };
        let planes: Vec<Vec<f32>> = order.iter().map(|&c| plane(c)).collect();
        let (count, area) = (planes.len(), out_w * out_h);
        let smallest = std[..count].iter().copied().fold(1.0, f32::min);
        let mut wanted = vec![0.0; count * area];
        for (c, plane) in planes.iter().enumerate() {
            for (i, p) in plane.iter().enumerate() {
                let real = (p / 255.0 - mean[c]) / std[c];
                let stored = match dtype {
                    DType::F32 => real,
                    DType::I8 => (real / scale + zero_point as f32).clamp(-128.0, 127.0),
                    _ => (real / scale + zero_point as f32).clamp(0.0, 255.0),
                };
                wanted[if layout == Layout::Nchw { c * area + i } else { i * count + c }] = stored;
            }
        }
        // Two roundings to whole pixel values while scaling, one for luminance; then half a quantum.
        let pixels = 2.2 / 255.0 / smallest;
        close(&found, &wanted, if dtype == DType::F32 { pixels } else { pixels / scale + 0.51 });
    }

    /// A box in model pixels maps back to its origin with every fit.
    #[test]
    fn geometry_maps_a_marked_spot_back(
        (width, height) in (40_u32..200, 40_u32..200),
        (out_w, out_h) in (24_usize..64, 24_usize..64),
        spot in (0.3_f32..0.7, 0.3_f32..0.7),
        fit in prop_oneof![Just(Fit::Stretch), Just(Fit::Crop), Just(Fit::Letterbox), Just(Fit::Pad)],
    ) {
        // Crop keeps the middle only: keep to shapes where the spot survives.
        prop_assume!(fit != Fit::Crop || (0.6..1.6).contains(&(width as f32 / height as f32 * out_h as f32 / out_w as f32)));
        let centre = [spot.0 * width as f32, spot.1 * height as f32];
        let sigma = width.min(height) as f32 / 12.0;
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let d2 = (x as f32 + 0.5 - centre[0]).powi(2) + (y as f32 + 0.5 - centre[1]).powi(2);
                data.push((255.0 * (-d2 / (2.0 * sigma * sigma)).exp()) as u8);
            }
        }
        let frame = frame(PixelFormat::Gray8, width, height, 0, data);
        let spec = InputSpec { fit, ..plain(out_h, out_w, Colour::Grey) };
        let mut input = Input::for_spec(&spec);
        let mut preprocessor = Preprocessor::new(Spec::Image(spec), Vec::new());
        let geometry = preprocessor.run(&frame, input.view(), 0).unwrap()[0];
        prop_assert_eq!(geometry.source, [width, height]);
        // Centre of mass of the bright part, without padding.
        let (mut sum, mut mx, mut my) = (0.0, 0.0, 0.0);
        for (i, v) in input.values().into_iter().enumerate().filter(|v| v.1 > 120.0) {
            let weight = v - 120.0;
            sum += weight;
            mx += weight * ((i % out_w) as f32 + 0.5);
            my += weight * ((i / out_w) as f32 + 0.5);
        }
        prop_assume!(sum > 0.0);
        let found = geometry.to_source([mx / sum, my / sum, mx / sum, my / sum]);
        let slack = 0.6 * geometry.scale[0].max(geometry.scale[1]) + 0.6;
        prop_assert!((found[0] - centre[0]).abs() < slack && (found[1] - centre[1]).abs() < slack, "{found:?} {centre:?}");
    }
}
