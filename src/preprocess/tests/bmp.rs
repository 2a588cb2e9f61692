//! BMP: every supported form, and refusals for the rest; PNG data that does not match its checksums.

use super::support::{close, frame, noise, plain, run};
use crate::frame::{Colour, PixelFormat};
use crate::preprocess::{PreprocessError, to_rgb};

const WIDTH: usize = 5;
const HEIGHT: usize = 3;

/// A picture of the eight corner colours and some between.
fn rgb(x: usize, y: usize) -> [u8; 3] {
    let level = |n: usize| (n % 3 * 127 + n % 3 / 2) as u8;
    [level(x), level(y), level(x + y)]
}

/// Form of a written file.
struct Form<'a> {
    /// Size of the information header.
    header: u32,
    bits: u16,
    compression: u32,
    top_down: bool,
    /// Behind the first 40 bytes of the information header.
    rest: Vec<u8>,
    /// Bytes of a row without its padding.
    row: &'a dyn Fn(usize) -> Vec<u8>,
}

fn bmp(form: &Form<'_>) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..HEIGHT {
        let mut row = (form.row)(if form.top_down { y } else { HEIGHT - 1 - y });
        row.resize(row.len().next_multiple_of(4), 0xee);
        pixels.extend(row);
    }
    let height = if form.top_down { -(HEIGHT as i32) } else { HEIGHT as i32 };
    let mut info = form.header.to_le_bytes().to_vec();
    if form.header == 12 {
        info.extend([WIDTH as u16, HEIGHT as u16, 1, form.bits].iter().flat_map(|v| v.to_le_bytes()));
    } else {
        info.extend((WIDTH as i32).to_le_bytes());
        info.extend(height.to_le_bytes());
        info.extend([1, form.bits].iter().flat_map(|v| v.to_le_bytes()));
        info.extend([form.compression, 0, 2835, 2835, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    }
    info.extend(&form.rest);
    let offset = 14 + info.len() as u32;
    let size = offset + pixels.len() as u32;
    [b"BM", &size.to_le_bytes()[..], &[0; 4], &offset.to_le_bytes(), &info, &pixels].concat()
}

fn wanted() -> Vec<u8> {
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| rgb(x, y))).collect()
}

fn colours(data: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match to_rgb(frame(PixelFormat::Bmp, 0, 0, 0, data).image_mut(), &mut out) {
        Ok(size) => {
            assert_eq!(size, [WIDTH as u32, HEIGHT as u32]);
            Ok(out)
        }
        Err(PreprocessError::Decode { format: "BMP", reason } | PreprocessError::Size(reason)) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

fn bgr_row(y: usize) -> Vec<u8> {
    (0..WIDTH).flat_map(|x| rgb(x, y).into_iter().rev()).collect()
}

/// The colours of the picture, and their numbers.
fn palette() -> (Vec<[u8; 3]>, impl Fn(usize) -> Vec<u8>) {
    let mut all: Vec<[u8; 3]> = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| rgb(x, y))).collect();
    all.sort_unstable();
    all.dedup();
    let colours = all.clone();
    (all, move |y| (0..WIDTH).map(|x| colours.iter().position(|c| *c == rgb(x, y)).unwrap() as u8).collect())
}

fn entries(colours: &[[u8; 3]], count: usize, with_zero: bool) -> Vec<u8> {
    let all = colours.iter().copied().chain(std::iter::repeat([9; 3])).take(count);
    all.flat_map(|[r, g, b]| [b, g, r, 0].into_iter().take(if with_zero { 4 } else { 3 })).collect()
}

#[test]
fn every_form_gives_the_picture() {
    let (all, index_row) = palette();
    let nibbles = |y: usize| index_row(y).chunks(2).map(|p| p[0] << 4 | p.get(1).unwrap_or(&0)).collect::<Vec<u8>>();
    let masked = |masks: [u32; 3], y: usize| -> Vec<u32> {
        let part = |mask: u32, v: u8| (u32::from(v) * (mask >> mask.trailing_zeros()) / 255) << mask.trailing_zeros();
        (0..WIDTH).map(|x| masks.iter().zip(rgb(x, y)).map(|(m, v)| part(*m, v)).sum()).collect()
    };
    let words = |masks, y| masked(masks, y).iter().flat_map(|v| (*v as u16).to_le_bytes()).collect::<Vec<u8>>();
    let longs = |masks, y| masked(masks, y).iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let le = |masks: [u32; 3]| masks.iter().flat_map(|m| m.to_le_bytes()).collect::<Vec<u8>>();
    let (m555, m565, m888, swapped) =
        ([0x7c00, 0x3e0, 0x1f], [0xf800, 0x7e0, 0x1f], [0xff_0000, 0xff00, 0xff], [0xff, 0xff00, 0xff_0000]);
    let (w555, w565) = (move |y| words(m555, y), move |y| words(m565, y));
    let (l888, lswapped) = (move |y| longs(m888, y), move |y| longs(swapped, y));
    for top_down in [false, true] {
        let form = |header, bits, compression, rest, row| Form { header, bits, compression, top_down, rest, row };
        let mut long_header = le(swapped);
        long_header.resize(124 - 40, 0);
        let forms: [(&str, Form<'_>, f32); 9] = [
            ("24", form(40, 24, 0, vec![], &bgr_row), 0.0),
            ("32", form(40, 32, 0, vec![], &l888), 0.0),
            ("32 fields", form(40, 32, 3, le(swapped), &lswapped), 0.0),
            ("32 fields, V5", form(124, 32, 3, long_header, &lswapped), 0.0),
            ("555", form(40, 16, 0, vec![], &w555), 8.0),
            ("565", form(40, 16, 3, le(m565), &w565), 8.0),
            ("8", form(40, 8, 0, entries(&all, 256, true), &index_row), 0.0),
            ("4", form(40, 4, 0, entries(&all, 16, true), &nibbles), 0.0),
            ("24 behind a gap", form(40, 24, 0, vec![7; 40], &bgr_row), 0.0),
        ];
        for (name, form, tolerance) in forms {
            let found = colours(bmp(&form)).unwrap_or_else(|reason| panic!("{name}: {reason}"));
            let floats = |v: &[u8]| v.iter().map(|&v| f32::from(v)).collect::<Vec<f32>>();
            println!("{name} top down: {top_down}");
            close(&floats(&found), &floats(&wanted()), tolerance);
        }
    }
    let core =
        Form { header: 12, bits: 8, compression: 0, top_down: false, rest: entries(&all, 256, false), row: &index_row };
    assert_eq!(colours(bmp(&core)).unwrap(), wanted());
}

#[test]
fn a_grey_palette_stays_grey_and_a_model_reads_it() {
    let greys: Vec<[u8; 3]> = (0..=255).map(|v| [v; 3]).collect();
    let row = |y: usize| (0..WIDTH).map(|x| (x * 40 + y * 10) as u8).collect::<Vec<u8>>();
    let data = bmp(&Form {
        header: 40,
        bits: 8,
        compression: 0,
        top_down: false,
        rest: entries(&greys, 256, true),
        row: &row,
    });
    let frame = frame(PixelFormat::Bmp, 0, 0, 0, data);
    let wanted: Vec<f32> = (0..HEIGHT).flat_map(row).map(f32::from).collect();
    assert_eq!(run(&plain(HEIGHT, WIDTH, Colour::Grey), &[], &frame).unwrap(), wanted);
}

#[test]
fn two_colours() {
    let bits = |y: usize| vec![(0..WIDTH).fold(0, |byte, x| byte | (((x + y) % 2) as u8) << (7 - x))];
    let rest = entries(&[[0, 0, 200], [255; 3]], 2, true);
    let found = colours(bmp(&Form { header: 40, bits: 1, compression: 0, top_down: true, rest, row: &bits })).unwrap();
    assert_eq!(found[..9], [0, 0, 200, 255, 255, 255, 0, 0, 200]);
}

#[test]
fn what_is_not_whole_or_not_read_is_refused_by_name() {
    let whole = bmp(&Form { header: 40, bits: 24, compression: 0, top_down: false, rest: vec![], row: &bgr_row });
    // The last row may lack its padding, one byte here.
    assert_eq!(colours(whole[..whole.len() - 1].to_vec()).unwrap(), wanted());
    for length in 0..whole.len() - 1 {
        let reason = colours(whole[..length].to_vec()).unwrap_err();
        assert!(reason.starts_with("the picture ends early") || length < 2, "{length}: {reason}");
    }
    let with = |at: usize, bytes: &[u8]| {
        let mut data = whole.clone();
        data[at..at + bytes.len()].copy_from_slice(bytes);
        data
    };
    for (data, expected) in [
        (with(14, &[41, 1, 0, 0]), "inside the header"),
        (with(14, &[13, 0, 0, 0]), "header of 13 bytes"),
        (with(30, &[1]), "run-length"),
        (with(30, &[4]), "JPEG or PNG"),
        (with(28, &[2]), "2 bits"),
        (with(18, &[0, 0, 0, 0]), "0x3"),
        (with(18, &[0, 0, 0, 0x80]), "a width of -2147483648"),
        (with(18, &[0xff, 0xff, 0, 0]), "the picture ends early"),
        (with(20, &[0xff, 0x0f, 0xff, 0x7f]), "pixels, at most"),
        (with(22, &[0, 0, 0, 0x80]), "pixels, at most"),
        (with(10, &[20]), "inside the header"),
        (with(10, &[0xff, 0xff, 0xff, 0xff]), "the picture ends early"),
    ] {
        let reason = colours(data).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
    let masks = Form {
        header: 40,
        bits: 16,
        compression: 3,
        top_down: false,
        rest: [5_u32, 0x3e0, 0x1f].iter().flat_map(|m| m.to_le_bytes()).collect(),
        row: &|_| vec![0; 10],
    };
    assert!(colours(bmp(&masks)).unwrap_err().contains("colour mask"));
    let short = Form {
        header: 40,
        bits: 8,
        compression: 0,
        top_down: false,
        rest: entries(&[[1; 3]; 256], 256, true),
        row: &|_| vec![200; WIDTH],
    };
    let mut short = bmp(&short);
    short[46] = 10;
    assert!(colours(short).unwrap_err().contains("colour 200 of a palette of 10"));
    for seed in 0..300 {
        let random = noise(200, seed);
        let mut data = whole.clone();
        for (i, pair) in random.chunks_exact(2).take(4).enumerate() {
            data[usize::from(pair[0]) % (14 + 40 + i)] = pair[1];
        }
        // Any result is allowed except a panic or an unexpected size.
        let mut out = Vec::new();
        let _ = to_rgb(frame(PixelFormat::Bmp, 0, 0, 0, data).image_mut(), &mut out);
    }
}

#[test]
fn png_data_that_does_not_match_its_checksum_is_refused() {
    let mut whole = Vec::new();
    let mut encoder = png::Encoder::new(&mut whole, 64, 48);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&noise(64 * 48 * 3, 1)).unwrap();
    let decode = |data: Vec<u8>| to_rgb(frame(PixelFormat::Png, 0, 0, 0, data).image_mut(), &mut Vec::new());
    decode(whole.clone()).unwrap();
    for at in (8..whole.len()).step_by(7) {
        let mut data = whole.clone();
        data[at] ^= 0x10;
        assert!(decode(data).is_err(), "byte {at} of {}", whole.len());
    }
    // The data chunk declares a shorter length, with a valid checksum.
    let begins = whole.windows(4).position(|w| w == b"IDAT").unwrap();
    let chunk = &whole[begins..begins + 4 + 2000];
    let crc = chunk.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let end = [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82];
    let short = [&whole[..begins - 4], &2000_u32.to_be_bytes(), chunk, &(!crc).to_be_bytes(), &end].concat();
    assert!(decode(short).is_err());
}
