//! Pixel formats: each decodes to the encoded picture.

use jpeg_encoder::SamplingFactor;

use super::support::{close, frame, jpeg, noise, plain, run, smooth};
use crate::frame::{Colour, PixelFormat};
use crate::preprocess::PreprocessError;

fn luma(rgb: &[u8]) -> Vec<f32> {
    rgb.chunks(3).map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&b| f32::from(b)).collect()
}

/// Limited-range BT.601, per pixel: `[Y, Cb, Cr]`.
fn ycbcr(rgb: &[u8]) -> Vec<[f32; 3]> {
    let each = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(|v| f32::from(v) / 255.0);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        [16.0 + 219.0 * y, 128.0 + 224.0 * (b - y) / 1.772, 128.0 + 224.0 * (r - y) / 1.402]
    };
    rgb.chunks(3).map(each).collect()
}

#[test]
fn jpeg_in_colour_and_grey_for_every_sampling_and_awkward_sizes() {
    use SamplingFactor::*;
    for sampling in [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1] {
        for (width, height) in [(64, 48), (65, 47), (17, 33), (16, 16), (7, 5), (1, 1), (130, 3)] {
            let rgb = smooth(width, height);
            let data = jpeg(&rgb, width as u16, height as u16, sampling);
            let frame = frame(PixelFormat::Jpeg, 0, 0, 0, data);
            let context = format!("{sampling:?} {width}x{height}");
            let grey = run(&plain(height, width, Colour::Grey), &[], &frame).expect(&context);
            println!("{context}");
            close(&grey, &luma(&rgb), 8.0);
            let colour = run(&plain(height, width, Colour::Rgb), &[], &frame).expect(&context);
            let mean = colour.iter().zip(&rgb).map(|(a, &b)| (a - f32::from(b)).abs()).sum::<f32>() / rgb.len() as f32;
            // The pattern is steep in a tiny picture, which subsampled chroma cannot follow.
            let tolerance = if width.min(height) < 32 { 20.0 } else { 6.0 };
            assert!(mean < tolerance, "{context}: mean difference {mean}");
        }
    }
}

#[test]
fn jpeg_progressive_grey_and_cmyk() {
    let (width, height) = (70, 50);
    let rgb = smooth(width, height);
    let encode = |change: &dyn Fn(&mut jpeg_encoder::Encoder<&mut Vec<u8>>), data: &[u8], kind| {
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
        change(&mut encoder);
        encoder.encode(data, width as u16, height as u16, kind).unwrap();
        frame(PixelFormat::Jpeg, 0, 0, 0, out)
    };
    let progressive = encode(&|e| e.set_progressive(true), &rgb, jpeg_encoder::ColorType::Rgb);
    close(&run(&plain(height, width, Colour::Grey), &[], &progressive).unwrap(), &luma(&rgb), 8.0);
    close(&run(&plain(height, width, Colour::Rgb), &[], &progressive).unwrap(), &floats(&rgb), 16.0);
    let grey: Vec<u8> = luma(&rgb).iter().map(|v| *v as u8).collect();
    let luma_only = encode(&|e| e.set_restart_interval(3), &grey, jpeg_encoder::ColorType::Luma);
    close(&run(&plain(height, width, Colour::Grey), &[], &luma_only).unwrap(), &floats(&grey), 8.0);
    let spread: Vec<f32> = grey.iter().flat_map(|&g| [f32::from(g); 3]).collect();
    close(&run(&plain(height, width, Colour::Bgr), &[], &luma_only).unwrap(), &spread, 8.0);
    let cmyk: Vec<u8> = rgb.chunks(3).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    let cmyk = encode(&|_| {}, &cmyk, jpeg_encoder::ColorType::Cmyk);
    close(&run(&plain(height, width, Colour::Rgb), &[], &cmyk).unwrap(), &floats(&rgb), 16.0);
    close(&run(&plain(height, width, Colour::Grey), &[], &cmyk).unwrap(), &luma(&rgb), 16.0);
}

#[test]
fn jpeg_without_huffman_tables_as_usb_cameras_send_it() {
    let rgb = smooth(64, 48);
    let full = jpeg(&rgb, 64, 48, SamplingFactor::F_2_1);
    let mut bare = full[..2].to_vec();
    let mut at = 2;
    while full[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([full[at + 2], full[at + 3]]));
        if full[at + 1] != 0xC4 {
            bare.extend_from_slice(&full[at..at + 2 + length]);
        }
        at += 2 + length;
    }
    bare.extend_from_slice(&full[at..]);
    assert!(bare.len() < full.len() - 100);
    let spec = plain(48, 64, Colour::Rgb);
    let decode = |data| run(&spec, &[], &frame(PixelFormat::Jpeg, 0, 0, 0, data)).unwrap();
    assert_eq!(decode(bare), decode(full));
}

#[test]
fn png_of_every_colour_type() {
    let (width, height) = (9_usize, 5_usize);
    let rgb = smooth(width, height);
    let encode = |kind, depth, palette: Option<Vec<u8>>, data: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        if let Some(palette) = palette {
            encoder.set_palette(palette);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        frame(PixelFormat::Png, 0, 0, 0, out)
    };
    use png::{BitDepth::*, ColorType::*};
    let (colour, grey) = (plain(height, width, Colour::Rgb), plain(height, width, Colour::Grey));
    let exact = |frame| assert_eq!(run(&colour, &[], &frame).unwrap(), floats(&rgb));
    exact(encode(Rgb, Eight, None, &rgb));
    exact(encode(Rgba, Eight, None, &rgb.chunks(3).flat_map(|p| [p[0], p[1], p[2], 90]).collect::<Vec<_>>()));
    exact(encode(Rgb, Sixteen, None, &rgb.iter().flat_map(|&p| [p, p]).collect::<Vec<_>>()));
    let indices: Vec<u8> = (0..45).collect();
    exact(encode(Indexed, Eight, Some(rgb.clone()), &indices));
    close(&run(&grey, &[], &encode(Rgb, Eight, None, &rgb)).unwrap(), &luma(&rgb), 0.51);
    let flat: Vec<u8> = rgb.chunks(3).map(|p| p[0]).collect();
    assert_eq!(run(&grey, &[], &encode(Grayscale, Eight, None, &flat)).unwrap(), floats(&flat));
    let alpha: Vec<u8> = flat.iter().flat_map(|&p| [p, 3]).collect();
    assert_eq!(run(&grey, &[], &encode(GrayscaleAlpha, Eight, None, &alpha)).unwrap(), floats(&flat));
}

#[test]
fn raw_formats_with_and_without_padded_rows() {
    let (width, height) = (26_usize, 14_usize);
    let rgb = smooth(width, height);
    let yuv = ycbcr(&rgb);
    let at = |x: usize, y: usize| yuv[y * width + x];
    let chroma = |x: usize, y: usize, c: usize| {
        ((at(x, y)[c] + at(x + 1, y)[c] + at(x, y + 1)[c] + at(x + 1, y + 1)[c]) / 4.0).round() as u8
    };
    for padding in [0_usize, 6] {
        let padded = |rows: usize, row: usize, value: &dyn Fn(usize, usize) -> u8| -> Vec<u8> {
            (0..rows)
                .flat_map(|y| (0..row).map(move |x| value(x, y)).chain((0..padding).map(|_| 251)))
                .collect::<Vec<u8>>()
        };
        let stride = |row: usize| if padding == 0 { 0 } else { (row + padding) as u32 };
        let image = |format, row: usize, data| frame(format, width as u32, height as u32, stride(row), data);
        let bgr = padded(height, width * 3, &|x, y| rgb[(y * width + x / 3) * 3 + 2 - x % 3]);
        let plane = |x: usize, y: usize| at(x, y)[0].round() as u8;
        let yuyv = padded(height, width * 2, &|x, y| match x % 4 {
            1 => ((at(x / 4 * 2, y)[1] + at(x / 4 * 2 + 1, y)[1]) / 2.0).round() as u8,
            3 => ((at(x / 4 * 2, y)[2] + at(x / 4 * 2 + 1, y)[2]) / 2.0).round() as u8,
            _ => plane(x / 2, y),
        });
        let mut nv12 = padded(height, width, &plane);
        nv12.extend(padded(height / 2, width, &|x, y| chroma(x / 2 * 2, y * 2, 1 + x % 2)));
        let mut i420 = padded(height, width, &plane);
        for c in [1, 2] {
            for y in 0..height / 2 {
                i420.extend((0..width / 2).map(|x| chroma(x * 2, y * 2, c)));
                i420.extend(vec![9; padding / 2]);
            }
        }
        let frames = [
            (image(PixelFormat::Bgr8, width * 3, bgr), 0.0),
            (image(PixelFormat::Yuyv, width * 2, yuyv), 8.0),
            (image(PixelFormat::Nv12, width, nv12), 9.0),
            (image(PixelFormat::I420, width, i420), 9.0),
        ];
        for (i, (mut frame, tolerance)) in frames.into_iter().enumerate() {
            println!("format {i}, padding {padding}");
            // The last row's padding may be missing.
            let missing = if i == 3 { padding / 2 } else { padding };
            let image = frame.image_mut();
            image.data.truncate(image.data.len() - missing);
            close(&run(&plain(height, width, Colour::Rgb), &[], &frame).unwrap(), &floats(&rgb), tolerance);
            close(&run(&plain(height, width, Colour::Grey), &[], &frame).unwrap(), &luma(&rgb), 1.3);
        }
    }
}

#[test]
fn sizes_that_cannot_be_are_errors() {
    let spec = plain(8, 8, Colour::Grey);
    let bad = [
        frame(PixelFormat::Gray8, 0, 0, 0, vec![0; 64]),
        frame(PixelFormat::Gray8, 8, 8, 0, vec![0; 63]),
        frame(PixelFormat::Gray8, 8, 8, 4, vec![0; 64]),
        frame(PixelFormat::Rgb8, 8, 8, 0, vec![0; 64]),
        frame(PixelFormat::Yuyv, 8, 8, 0, vec![0; 127]),
        frame(PixelFormat::Nv12, 8, 8, 0, vec![0; 63]),
        frame(PixelFormat::I420, u32::MAX, u32::MAX, u32::MAX, noise(100, 1)),
        frame(PixelFormat::Rgb8, 20_000, 20_000, 0, noise(100, 1)),
        frame(PixelFormat::Gray8, 2, u32::MAX, u32::MAX, noise(100, 1)),
    ];
    for frame in bad {
        for colour in [Colour::Grey, Colour::Rgb] {
            let spec = crate::frame::InputSpec { colour, ..spec.clone() };
            let error = run(&spec, &[], &frame).unwrap_err();
            assert!(matches!(error, PreprocessError::Size(_)), "{error}");
        }
    }
}
