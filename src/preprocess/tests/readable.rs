//! Regions without contrast or focus are found, in every format and at every size; digits pass.

use jpeg_encoder::SamplingFactor;

use super::support::{Input, frame, jpeg, noise, plain};
use crate::frame::PixelFormat::{Bgr8, Gray8, I420, Jpeg, Nv12, Rgb8, Yuyv};
use crate::frame::Unreadable::{LowContrast, OutOfFocus};
use crate::frame::{Colour, Frame, PixelFormat, Spec, Unreadable};
use crate::preprocess::{Checks, Config, Preprocessor, Region};

const FORMATS: [PixelFormat; 7] = [Jpeg, Yuyv, Nv12, I420, Rgb8, Bgr8, Gray8];

/// Luminance of two regions side by side, `[H, 2 × W]`, as a function of the position in a region: x and y from 0 to 1.
struct Scene {
    width: usize,
    height: usize,
    light: Vec<f32>,
}

impl Scene {
    fn new(width: usize, height: usize, light: impl Fn(f32, f32) -> f32) -> Self {
        let at = |i: usize| {
            // The right one mirrors the left one, so that there is no edge between them.
            let (column, y) = (i % (2 * width), i / (2 * width));
            let x = column.min(2 * width - 1 - column);
            light((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32)
        };
        Scene { width, height, light: (0..2 * width * height).map(at).collect() }
    }

    /// The five of a display, two thirds of the region high.
    fn five(width: usize, height: usize, ground: f32, ink: f32) -> Self {
        Scene::new(width, height, |x, y| {
            let bar = |x0: f32, y0: f32, x1: f32, y1: f32| (x0..x1).contains(&x) && (y0..y1).contains(&y);
            let across = [0.17, 0.45, 0.73].iter().any(|top| bar(0.25, *top, 0.75, *top + 0.1));
            if across || bar(0.25, 0.17, 0.38, 0.5) || bar(0.62, 0.5, 0.75, 0.83) { ink } else { ground }
        })
    }

    /// Noise of this standard deviation over it.
    fn noisy(mut self, deviation: f32) -> Self {
        let noise = noise(self.light.len() * 3, 5);
        for (light, parts) in self.light.iter_mut().zip(noise.chunks_exact(3)) {
            let sum: f32 = parts.iter().map(|&v| f32::from(v) / 255.0 - 0.5).sum();
            *light += sum * 2.0 * deviation;
        }
        self
    }

    /// Blurred by three means over `share` of a region's height each, which is nearly a Gaussian of half of it.
    fn blurred(mut self, share: f32) -> Self {
        let reach = (share * self.height as f32 / 2.0).round() as isize;
        let (columns, rows) = (2 * self.width as isize, self.height as isize);
        for pass in 0..6 {
            let source = self.light.clone();
            let at = |x: isize, y: isize| source[(y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1)) as usize];
            for (i, light) in self.light.iter_mut().enumerate() {
                let (x, y) = (i as isize % columns, i as isize / columns);
                let along = |d: isize| if pass % 2 == 0 { at(x + d, y) } else { at(x, y + d) };
                *light = (-reach..=reach).map(along).sum::<f32>() / (2 * reach + 1) as f32;
            }
        }
        self
    }

    fn frame(&self, format: PixelFormat) -> Frame {
        let grey: Vec<u8> = self.light.iter().map(|v| v.clamp(0.0, 255.0) as u8).collect();
        let rgb: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
        let limited: Vec<u8> = grey.iter().map(|&v| (16 + u32::from(v) * 219 / 255) as u8).collect();
        let (width, height) = (2 * self.width, self.height);
        let data = match format {
            Gray8 => grey,
            Rgb8 | Bgr8 => rgb,
            Yuyv => limited.iter().flat_map(|&v| [v, 128]).collect(),
            Nv12 | I420 => limited.iter().copied().chain(std::iter::repeat_n(128, width * height / 2)).collect(),
            _ => jpeg(&rgb, width as u16, height as u16, SamplingFactor::F_2_2),
        };
        frame(format, width as u32, height as u32, 0, data)
    }

    fn regions(&self) -> [Region; 2] {
        let (w, h) = (self.width as f32, self.height as f32);
        [Region::Rect([0.0, 0.0, w, h]), Region::Quad([w, 0.0, 2.0 * w, 0.0, 2.0 * w, h, w, h])]
    }
}

fn judge(scene: &Scene, frame: &Frame, input: [usize; 2], colour: Colour) -> Vec<Option<Unreadable>> {
    let spec = plain(input[0], input[1], colour);
    let spec = crate::frame::InputSpec { batch: 2, ..spec };
    let mut preprocessor =
        Preprocessor::new(Spec::Image(spec.clone()), scene.regions().to_vec()).with_checks(Config::default().checks());
    preprocessor.run(frame, Input::for_spec(&spec).view(), 0).unwrap();
    preprocessor.unreadable().to_vec()
}

/// Region sizes in pixels, and model inputs as `[height, width]` in pixels.
const SIZES: [[usize; 2]; 3] = [[18, 24], [48, 64], [96, 128]];
const INPUTS: [([usize; 2], Colour); 3] = [([32, 24], Colour::Grey), ([24, 18], Colour::Grey), ([96, 96], Colour::Rgb)];

#[track_caller]
fn check(what: &str, scene: impl Fn(usize, usize) -> Scene, allowed: &[Option<Unreadable>]) {
    for [width, height] in SIZES {
        let scene = scene(width, height);
        for format in FORMATS {
            let frame = scene.frame(format);
            for (input, colour) in INPUTS {
                let found = judge(&scene, &frame, input, colour);
                assert_eq!(found.len(), 2);
                let fits = found.iter().all(|found| allowed.contains(found));
                assert!(fits, "{what} of {width}x{height} pixels as {format:?} for {input:?}: {found:?}");
            }
        }
    }
}

#[test]
fn digits_are_let_through() {
    let all = [(200.0, 20.0), (20.0, 200.0), (40.0, 60.0), (230.0, 200.0), (30.0, 10.0)];
    for (ground, ink) in all {
        check(&format!("ink {ink} on {ground}"), |w, h| Scene::five(w, h, ground, ink), &[None]);
        let soft = |w, h| Scene::five(w, h, ground, ink).blurred(0.06).noisy(1.5);
        check(&format!("soft and noisy ink {ink} on {ground}"), soft, &[None]);
    }
    let uneven = |w, h| {
        let mut scene = Scene::five(w, h, 90.0, 130.0);
        let columns = 2 * scene.width;
        let height = scene.height as f32;
        scene.light.iter_mut().enumerate().for_each(|(i, v)| *v *= 0.5 + (i / columns) as f32 / height);
        scene
    };
    check("unevenly lit", uneven, &[None]);
    check("very noisy", |w, h| Scene::five(w, h, 60.0, 180.0).noisy(12.0), &[None]);
}

#[test]
fn what_has_no_contrast_is_not_read() {
    for level in [0.0, 16.0, 127.0, 255.0] {
        let what = format!("a level of {level}");
        check(&what, |w, h| Scene::new(w, h, |_, _| level), &[Some(LowContrast)]);
        check(&(what + " with noise"), |w, h| Scene::new(w, h, |_, _| level).noisy(2.0), &[Some(LowContrast)]);
    }
    for (across, down, bent) in [(120.0, 0.0, 0.0), (0.0, 150.0, 0.0), (40.0, 40.0, 60.0)] {
        let slope = |w, h| Scene::new(w, h, |x, y| 40.0 + across * x + down * y + bent * (x - 0.5) * (x - 0.5));
        check(&format!("a slope of {across}, {down}, {bent}"), slope, &[Some(LowContrast)]);
    }
    check("fog", |w, h| Scene::five(w, h, 150.0, 152.0), &[Some(LowContrast)]);
    check("fog with noise", |w, h| Scene::five(w, h, 150.0, 152.0).noisy(1.5), &[Some(LowContrast)]);
}

#[test]
fn noise_is_no_contrast() {
    for deviation in [8.0, 20.0, 50.0] {
        for [width, height] in SIZES {
            let scene = Scene::new(width, height, |_, _| 128.0).noisy(deviation);
            for format in [Gray8, Rgb8, Yuyv] {
                let found = judge(&scene, &scene.frame(format), [32, 24], Colour::Grey);
                assert_eq!(found, [Some(LowContrast); 2], "noise of {deviation} in {width}x{height} as {format:?}");
            }
        }
    }
}

#[test]
fn what_is_far_out_of_focus_is_not_read() {
    for [width, height] in [[48, 64], [96, 128]] {
        for (ground, ink) in [(240.0, 10.0), (20.0, 200.0), (90.0, 150.0)] {
            let scene = Scene::five(width, height, ground, ink).blurred(0.4);
            for format in FORMATS {
                let frame = scene.frame(format);
                for (input, colour) in INPUTS {
                    let found = judge(&scene, &frame, input, colour);
                    let fits = found.iter().all(|f| matches!(f, Some(OutOfFocus | LowContrast)));
                    assert!(fits, "{ink} on {ground}, {width}x{height} as {format:?} for {input:?}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn checks_can_be_switched_off_and_whole_pictures_are_not_checked() {
    let scene = Scene::new(24, 32, |_, _| 0.0);
    let spec = crate::frame::InputSpec { batch: 2, ..plain(32, 24, Colour::Grey) };
    let unreadable = |regions: &[Region], checks: Checks| {
        let mut preprocessor = Preprocessor::new(Spec::Image(spec.clone()), regions.to_vec()).with_checks(checks);
        preprocessor.run(&scene.frame(Gray8), Input::for_spec(&spec).view(), 0).unwrap();
        preprocessor.unreadable().to_vec()
    };
    let checks = Config::default().checks();
    assert_eq!(unreadable(&scene.regions(), checks), [Some(LowContrast); 2]);
    assert_eq!(unreadable(&scene.regions(), Checks { min_contrast: 0.0, ..checks }), [None; 2]);
    assert_eq!(unreadable(&scene.regions(), Checks::NONE), []);
    assert_eq!(unreadable(&[], checks), []);
}
