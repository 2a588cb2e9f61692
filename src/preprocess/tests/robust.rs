//! Bad bytes are errors, never panics, and leave the preprocessor usable; buffers stop growing.

use jpeg_encoder::SamplingFactor;

use super::support::{Input, frame, jpeg, noise, plain, smooth};
use crate::frame::{Colour, Fit, Frame, InputSpec, PixelFormat, Spec};
use crate::preprocess::{PreprocessError, Preprocessor, Region};

fn encoded(width: u16, height: u16) -> Vec<u8> {
    jpeg(&smooth(width.into(), height.into()), width, height, SamplingFactor::F_2_2)
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&smooth(width as usize, height as usize)).unwrap();
    out
}

/// The same file with another size in its header.
fn with_jpeg_size(mut data: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let at = data.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    data[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    data[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    data
}

fn bad_frames() -> Vec<(String, Frame)> {
    let (good, progressive) = (encoded(160, 120), {
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, 90);
        encoder.set_progressive(true);
        encoder.encode(&smooth(160, 120), 160, 120, jpeg_encoder::ColorType::Rgb).unwrap();
        out
    });
    let whole_png = png(40, 30);
    let mut bad = Vec::new();
    let mut add = |what: String, format, data| bad.push((what, frame(format, 160, 120, 0, data)));
    for (name, format, whole) in [
        ("JPEG", PixelFormat::Jpeg, &good),
        ("progressive", PixelFormat::Jpeg, &progressive),
        ("PNG", PixelFormat::Png, &whole_png),
    ] {
        // Every length near the beginning and the end, steps in between. The last 12 bytes of a PNG are an empty chunk.
        let end = whole.len() - if name == "PNG" { 12 } else { 0 };
        for length in (0..80).chain((80..end).step_by(whole.len() / 120 + 1)).chain(end - 40..end) {
            add(format!("{name} cut to {length}"), format, whole[..length].to_vec());
        }
    }
    for seed in 0..60 {
        add(format!("noise {seed}"), PixelFormat::Jpeg, noise(3000, seed));
        add(format!("noise {seed}"), PixelFormat::Png, noise(3000, seed));
        let mut data = good.clone();
        data.splice(2..data.len() - 2, noise(2000, seed));
        add(format!("noise {seed} between the markers"), PixelFormat::Jpeg, data);
    }
    add("PNG as JPEG".into(), PixelFormat::Jpeg, whole_png.clone());
    add("JPEG as PNG".into(), PixelFormat::Png, good.clone());
    add("empty".into(), PixelFormat::Jpeg, Vec::new());
    for (width, height) in [(0, 0), (0, 120), (160, 0), (65535, 65535), (4000, 3000), (16000, 16000), (9000, 7000)] {
        add(format!("JPEG header of {width}x{height}"), PixelFormat::Jpeg, with_jpeg_size(good.clone(), width, height));
    }
    for (width, height) in [(0_u32, 0_u32), (0, 30), (u32::MAX, u32::MAX), (100_000, 100_000), (8000, 8000)] {
        let mut data = whole_png.clone();
        data[16..20].copy_from_slice(&width.to_be_bytes());
        data[20..24].copy_from_slice(&height.to_be_bytes());
        add(format!("PNG header of {width}x{height}"), PixelFormat::Png, data);
    }
    for (format, least) in
        [(PixelFormat::Yuyv, 38400), (PixelFormat::Nv12, 28800), (PixelFormat::I420, 28800), (PixelFormat::Bgr8, 57600)]
    {
        add(format!("{format:?} short"), format, noise(least / 2, 1));
    }
    bad
}

#[test]
fn every_bad_frame_is_an_error_and_the_next_good_one_works() {
    let bad = bad_frames();
    assert!(bad.len() >= 500, "{}", bad.len());
    let good = frame(PixelFormat::Jpeg, 0, 0, 0, encoded(160, 120));
    for colour in [Colour::Grey, Colour::Rgb] {
        let spec = plain(24, 32, colour);
        let mut input = Input::for_spec(&spec);
        let mut preprocessor = Preprocessor::new(Spec::Image(spec), Vec::new());
        preprocessor.run(&good, input.view(), 0).unwrap();
        let wanted = input.values();
        for (i, (what, frame)) in bad.iter().enumerate() {
            let mut untouched = Input::for_spec(&plain(24, 32, colour));
            let before = untouched.values();
            match preprocessor.run(frame, untouched.view(), 0) {
                Err(PreprocessError::Decode { .. } | PreprocessError::Size(_)) => {}
                Err(other) => panic!("{what}: {other}"),
                Ok(_) => panic!("{what}: taken for a good frame"),
            }
            assert_eq!(untouched.values(), before, "{what}: something was written");
            if i % 25 == 0 {
                preprocessor.run(&good, input.view(), 0).unwrap();
                assert_eq!(input.values(), wanted, "after {what}");
            }
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let (jpeg, png) = (encoded(96, 64), png(40, 30));
    let spec = plain(24, 32, Colour::Grey);
    let mut input = Input::for_spec(&spec);
    let mut preprocessor = Preprocessor::new(Spec::Image(spec), Vec::new());
    let mut errors = 0;
    for seed in 0..1500_usize {
        let random = noise(9, seed as u64);
        let (format, whole) = if seed % 3 == 0 { (PixelFormat::Png, &png) } else { (PixelFormat::Jpeg, &jpeg) };
        let mut data = whole.clone();
        for pair in random.chunks_exact(3) {
            let at = (usize::from(pair[0]) << 8 | usize::from(pair[1])) % data.len();
            data[at] = pair[2];
        }
        errors += usize::from(preprocessor.run(&frame(format, 0, 0, 0, data), input.view(), 0).is_err());
    }
    assert!(errors > 500, "{errors} of 1500 were seen to be damaged");
}

#[test]
fn buffers_do_not_grow_after_the_first_frame_of_a_size() {
    let regions =
        vec![Region::Rect([10.0, 10.0, 50.0, 80.0]), Region::Quad([70.0, 20.0, 120.0, 25.0, 118.0, 90.0, 69.0, 85.0])];
    let frames = [
        frame(PixelFormat::Jpeg, 0, 0, 0, encoded(160, 120)),
        frame(PixelFormat::Png, 0, 0, 0, png(160, 120)),
        frame(PixelFormat::Yuyv, 160, 120, 0, noise(38400, 1)),
        frame(PixelFormat::Nv12, 160, 120, 192, noise(192 * 180 - 32, 1)),
        frame(PixelFormat::I420, 160, 120, 0, noise(28800, 1)),
        frame(PixelFormat::Bgr8, 160, 120, 0, noise(57600, 1)),
    ];
    for colour in [Colour::Grey, Colour::Rgb] {
        let spec = InputSpec { batch: 2, fit: Fit::Letterbox, ..plain(32, 24, colour) };
        let mut input = Input::for_spec(&spec);
        let mut preprocessor = Preprocessor::new(Spec::Image(spec), regions.clone());
        let mut after_first = 0;
        for round in 0..4 {
            for frame in &frames {
                preprocessor.run(frame, input.view(), 0).unwrap();
            }
            match round {
                0 => after_first = preprocessor.capacity(),
                _ => assert_eq!(preprocessor.capacity(), after_first, "round {round}"),
            }
        }
    }
}
