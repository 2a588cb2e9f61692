//! EXIF orientation: the model's picture and the coordinates are upright.

use std::borrow::Cow;

use jpeg_encoder::{ColorType, Encoder};

use super::support::{Input, close, frame, plain, smooth};
use crate::frame::{Colour, Frame, Geometry, PixelFormat, Spec};
use crate::preprocess::{Preprocessor, Region, to_rgb};

const WIDTH: usize = 96;
const HEIGHT: usize = 64;

/// A TIFF structure with the orientation alone.
fn tiff(orientation: u8) -> Vec<u8> {
    [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..], &[0; 4]].concat()
}

/// The picture as stored by a camera held in this orientation: rotated back from upright.
fn stored(orientation: u8) -> (Vec<u8>, [usize; 2]) {
    let upright = smooth(WIDTH, HEIGHT);
    let sideways = orientation >= 5;
    let [width, height] = if sideways { [HEIGHT, WIDTH] } else { [WIDTH, HEIGHT] };
    let mut out = Vec::new();
    for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
        // EXIF: sides of the upright picture at row 0 and column 0.
        let (x, y) = match orientation {
            1 => (column, row),
            2 => (WIDTH - 1 - column, row),
            3 => (WIDTH - 1 - column, HEIGHT - 1 - row),
            4 => (column, HEIGHT - 1 - row),
            5 => (row, column),
            6 => (WIDTH - 1 - row, column),
            7 => (WIDTH - 1 - row, HEIGHT - 1 - column),
            _ => (row, HEIGHT - 1 - column),
        };
        out.extend_from_slice(&upright[(y * WIDTH + x) * 3..][..3]);
    }
    (out, [width, height])
}

fn jpeg(orientation: u8) -> Frame {
    let (pixels, [width, height]) = stored(orientation);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 95);
    encoder.add_exif_metadata(&tiff(orientation)).unwrap();
    encoder.encode(&pixels, width as u16, height as u16, ColorType::Rgb).unwrap();
    frame(PixelFormat::Jpeg, 0, 0, 0, out)
}

fn png(orientation: u8) -> Frame {
    let (pixels, [width, height]) = stored(orientation);
    let mut out = Vec::new();
    let mut info = png::Info::with_size(width as u32, height as u32);
    (info.color_type, info.bit_depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
    info.exif_metadata = Some(Cow::Owned(tiff(orientation)));
    let encoder = png::Encoder::with_info(&mut out, info).unwrap();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    frame(PixelFormat::Png, 0, 0, 0, out)
}

/// The model's view of a region, and its mapping.
fn see(frame: &Frame, region: [f32; 4], colour: Colour) -> (Vec<f32>, Geometry) {
    let spec = plain(16, 24, colour);
    let mut input = Input::for_spec(&spec);
    let mut preprocessor = Preprocessor::new(Spec::Image(spec), vec![Region::Rect(region)]);
    let geometry = preprocessor.run(frame, input.view(), 0).unwrap()[0];
    (input.values(), geometry)
}

#[test]
fn every_orientation_gives_the_same_picture_region_and_geometry() {
    // Off the middle, so that no rotation maps it onto itself.
    let region = [60.0, 8.0, 24.0, 16.0];
    for colour in [Colour::Rgb, Colour::Grey] {
        let (wanted, geometry) = see(&jpeg(1), region, colour);
        assert_eq!(geometry.source, [WIDTH as u32, HEIGHT as u32]);
        for orientation in 1..=8 {
            for (frame, tolerance) in [(jpeg(orientation), 4.0), (png(orientation), 4.0)] {
                println!("{orientation} {colour:?}");
                let (found, cut) = see(&frame, region, colour);
                assert_eq!(cut, geometry);
                close(&found, &wanted, tolerance);
            }
        }
    }
}

#[test]
fn a_lowered_picture_is_turned_with_the_size_that_it_would_have() {
    for orientation in [3, 6] {
        let mut lowered = jpeg(orientation);
        // As a camera reports it: size of the stored picture, twice as large.
        let stored = if orientation == 6 { [HEIGHT, WIDTH] } else { [WIDTH, HEIGHT] };
        lowered.image_mut().full = Some(stored.map(|side| 2 * side as u32));
        let (found, cut) = see(&lowered, [120.0, 16.0, 48.0, 32.0], Colour::Rgb);
        let (wanted, _) = see(&jpeg(1), [60.0, 8.0, 24.0, 16.0], Colour::Rgb);
        assert_eq!(cut.source, [WIDTH as u32, HEIGHT as u32]);
        close(&found, &wanted, 4.0);
    }
}

#[test]
fn pictures_for_people_are_upright_too() {
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    assert_eq!(to_rgb(png(1).image_mut(), &mut wanted).unwrap(), [WIDTH as u32, HEIGHT as u32]);
    for orientation in 2..=8 {
        assert_eq!(to_rgb(png(orientation).image_mut(), &mut found).unwrap(), [WIDTH as u32, HEIGHT as u32]);
        assert_eq!(found, wanted, "{orientation}");
    }
}

#[test]
fn an_orientation_that_is_none_leaves_the_picture() {
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    to_rgb(jpeg(1).image_mut(), &mut wanted).unwrap();
    let (pixels, _) = stored(1);
    for exif in [tiff(0), tiff(9), tiff(6)[..12].to_vec(), b"II*\0\xff\xff\xff\xff".to_vec(), Vec::new()] {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, 95);
        encoder.add_exif_metadata(&exif).unwrap();
        encoder.encode(&pixels, WIDTH as u16, HEIGHT as u16, ColorType::Rgb).unwrap();
        to_rgb(frame(PixelFormat::Jpeg, 0, 0, 0, out).image_mut(), &mut found).unwrap();
        assert_eq!(found, wanted, "{exif:?}");
    }
}
