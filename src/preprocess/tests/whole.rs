//! Incomplete JPEG pictures are refused, and unusual complete ones decode correctly.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::support::{close, frame, noise, plain, run, smooth};
use crate::frame::{Colour, PixelFormat};
use crate::preprocess::PreprocessError;

const WIDTH: u16 = 80;
const HEIGHT: u16 = 64;

type Setup = fn(&mut Encoder<&mut Vec<u8>>);

/// Encodes a picture with some detail everywhere.
fn encode(kind: ColorType, setup: Setup) -> Vec<u8> {
    let mut pixels = smooth(WIDTH.into(), HEIGHT.into());
    pixels
        .iter_mut()
        .zip(noise(WIDTH as usize * HEIGHT as usize * 3, 5))
        .for_each(|(p, n)| *p = p.saturating_add(n / 16));
    let pixels: Vec<u8> = if kind == ColorType::Luma { pixels.iter().copied().step_by(3).collect() } else { pixels };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    setup(&mut encoder);
    encoder.encode(&pixels, WIDTH, HEIGHT, kind).unwrap();
    out
}

/// A file of each kind, by name.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let setups: [(&str, ColorType, Setup); 8] = [
        ("4:2:0", ColorType::Rgb, |e| e.set_sampling_factor(SamplingFactor::F_2_2)),
        ("4:2:2 with restarts", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_1);
            e.set_restart_interval(3);
        }),
        ("grey", ColorType::Luma, |_| ()),
        ("grey with restarts", ColorType::Luma, |e| e.set_restart_interval(7)),
        ("three scans", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_2);
            e.set_optimized_huffman_tables(true);
        }),
        ("three scans with restarts", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_4_1);
            e.set_restart_interval(4);
        }),
        ("progressive", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_2);
            e.set_progressive(true);
        }),
        ("progressive grey", ColorType::Luma, |e| e.set_progressive(true)),
    ];
    setups.into_iter().map(|(name, kind, setup)| (name, encode(kind, setup))).collect()
}

fn read(data: &[u8], colour: Colour) -> Result<Vec<f32>, String> {
    let spec = plain(HEIGHT.into(), WIDTH.into(), colour);
    match run(&spec, &[], &frame(PixelFormat::Jpeg, 0, 0, 0, data.to_vec())) {
        Err(PreprocessError::Decode { format: "JPEG", reason }) => Err(reason),
        other => Ok(other.unwrap()),
    }
}

/// Position of the segment with this code, from `from` on.
fn position(data: &[u8], code: u8, from: usize) -> Option<usize> {
    data.get(from..)?.windows(2).position(|pair| pair == [0xff, code]).map(|at| at + from)
}

/// Position of the entropy-coded data of the first scan.
fn data_begins(data: &[u8]) -> usize {
    let at = position(data, 0xda, 0).unwrap();
    at + 2 + usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]))
}

#[test]
fn a_picture_that_was_cut_is_refused_also_with_an_end_behind_the_cut() {
    for (name, whole) in kinds() {
        let good = read(&whole, Colour::Grey).expect(name);
        assert!(good.iter().any(|v| *v != 128.0));
        let from = data_begins(&whole);
        for at in (from..whole.len() - 3).step_by(17) {
            for ended in [&[][..], &[0xff, 0xd9]] {
                let cut = [&whole[..at], ended].concat();
                for colour in [Colour::Grey, Colour::Rgb] {
                    let reason = read(&cut, colour).expect_err(&format!("{name}, cut at {at} of {}", whole.len()));
                    // With several scans, the cut may be in a later one's header.
                    let one = !name.contains("scans") && !name.contains("progressive");
                    assert!(!one || reason.starts_with("the picture ends early"), "{name}, {at}: {reason}");
                }
            }
        }
        assert_eq!(read(&whole, Colour::Grey).unwrap(), good, "{name}");
    }
}

#[test]
fn the_row_where_the_data_ends_is_named() {
    let whole = encode(ColorType::Luma, |_| ());
    let from = data_begins(&whole);
    let cut = [&whole[..from + (whole.len() - from) / 2], &[0xff, 0xd9]].concat();
    let reason = read(&cut, Colour::Grey).unwrap_err();
    assert!(
        ["24", "32", "40"].iter().any(|row| reason == format!("the picture ends early: row {row} of 64")),
        "{reason}"
    );
}

#[test]
fn restart_markers_have_to_be_there_in_their_order() {
    let whole = encode(ColorType::Luma, |e| e.set_restart_interval(7));
    let second = position(&whole, 0xd1, 0).unwrap();
    let third = position(&whole, 0xd2, 0).unwrap();
    let interval = &whole[second..third];
    let renamed = [&whole[..second + 1], &[0xd3], &whole[second + 2..]].concat();
    let lost = [&whole[..second], &whole[third..]].concat();
    let twice = [&whole[..third], interval, &whole[third..]].concat();
    let without = [&whole[..second], &whole[second + 2..]].concat();
    for (data, expected) in [
        (renamed, "restart marker 3 where 1 belongs"),
        (lost, "restart marker 2 where 1 belongs"),
        (twice, "restart marker 1 where 2 belongs"),
    ] {
        let reason = read(&data, Colour::Grey).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
    assert!(read(&without, Colour::Grey).is_err());
}

#[test]
fn damaged_data_is_refused() {
    let whole = encode(ColorType::Luma, |_| ());
    let from = data_begins(&whole);
    let all_ones = [&whole[..from + 40], &[0xff, 0, 0xff, 0, 0xff, 0], &whole[from + 46..]].concat();
    assert!(read(&all_ones, Colour::Grey).unwrap_err().contains("bits that are no code"));
    // The data twice: the last block comes long before the end.
    let twice = [&whole[..whole.len() - 2], &whole[from..]].concat();
    assert!(read(&twice, Colour::Grey).unwrap_err().contains("bytes more than its blocks need"));
}

#[test]
fn several_scans_give_what_one_scan_gives() {
    for (sampling, tolerance) in
        [(SamplingFactor::F_1_1, 3.0), (SamplingFactor::F_2_2, 3.0), (SamplingFactor::F_2_1, 3.0)]
    {
        let picture = |setup: &dyn Fn(&mut Encoder<&mut Vec<u8>>)| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, 90);
            encoder.set_sampling_factor(sampling);
            setup(&mut encoder);
            encoder.encode(&smooth(WIDTH.into(), HEIGHT.into()), WIDTH, HEIGHT, ColorType::Rgb).unwrap();
            out
        };
        let one = picture(&|_| ());
        let scans = |data: &[u8]| data.windows(2).filter(|pair| *pair == [0xff, 0xda]).count();
        assert_eq!(scans(&one), 1);
        for (name, several) in [
            ("sequential", picture(&|e| e.set_optimized_huffman_tables(true))),
            ("progressive", picture(&|e| e.set_progressive(true))),
        ] {
            println!("{name} {sampling:?}");
            assert!(scans(&several) > 2, "{name}");
            for colour in [Colour::Rgb, Colour::Grey] {
                close(&read(&several, colour).unwrap(), &read(&one, colour).unwrap(), tolerance);
            }
        }
    }
}

#[test]
fn a_scan_that_is_missing_or_comes_twice_is_refused() {
    let whole = encode(ColorType::Rgb, |e| e.set_optimized_huffman_tables(true));
    let second = position(&whole, 0xda, data_begins(&whole)).unwrap();
    let third = position(&whole, 0xda, second + 2).unwrap();
    let without = [&whole[..second], &whole[third..]].concat();
    assert!(read(&without, Colour::Grey).unwrap_err().contains("of component 2"));
    let twice = [&whole[..third], &whole[second..]].concat();
    assert!(read(&twice, Colour::Grey).unwrap_err().contains("do not follow each other"));
}

#[test]
fn bytes_that_belong_to_no_segment_are_passed_over() {
    for (name, whole) in kinds() {
        let good = read(&whole, Colour::Rgb).unwrap();
        let mut places = vec![2];
        while let Some(&at) = places.last().filter(|&&at| whole[at + 1] != 0xda) {
            places.push(at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]])));
        }
        assert!(places.len() >= 4, "{name}: {places:?}");
        for at in places {
            for strays in [&[0][..], &[0xff, 0xff, 0xff], &[0x12; 608], &[1, 0xff, 0, 2], b"\r\n--frame"] {
                let data = [&whole[..at], strays, &whole[at..]].concat();
                assert_eq!(read(&data, Colour::Rgb).as_ref(), Ok(&good), "{name}: {} bytes at {at}", strays.len());
            }
        }
        // Before the end, as in the files of webcams.
        let end = whole.len() - 2;
        for strays in [&[0; 700][..], &[0xff, 0xff], &[0x12, 0x34], &[0]] {
            let data = [&whole[..end], strays, &whole[end..]].concat();
            assert_eq!(read(&data, Colour::Rgb).as_ref(), Ok(&good), "{name}: {} bytes before the end", strays.len());
        }
    }
}

#[test]
fn what_is_not_decoded_is_refused_by_name() {
    let whole = encode(ColorType::Luma, |_| ());
    let frame_header = position(&whole, 0xc0, 0).unwrap();
    let with = |at: usize, byte: u8| {
        let mut data = whole.clone();
        data[frame_header + at] = byte;
        data
    };
    let mut no_height = with(5, 0);
    no_height[frame_header + 6] = 0;
    let mut taller = whole.clone();
    taller.splice(data_begins(&whole) - 10..data_begins(&whole) - 10, [0xff, 0xdc, 0, 4, 0, 65]);
    for (data, expected) in [
        (with(1, 0xc3), "lossless"),
        (with(1, 0xc9), "arithmetic"),
        (with(4, 12), "12 bits a sample"),
        (with(9, 2), "2 components"),
        (no_height, "DNL"),
        (taller, "DNL segment gives another height"),
        (with(6, 80), "the picture ends early: row 64 of 80"),
    ] {
        let reason = read(&data, Colour::Grey).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_thumbnail_is_not_the_picture() {
    let whole = encode(ColorType::Rgb, |_| ());
    let thumbnail = encode(ColorType::Luma, |_| ());
    let with = |inside: &[u8], picture: &[u8]| {
        let length = u16::try_from(inside.len() + 8).unwrap().to_be_bytes();
        [&picture[..2], &[0xff, 0xe1], &length, b"Exif\0\0", inside, &picture[2..]].concat()
    };
    let good = read(&whole, Colour::Rgb).unwrap();
    assert_eq!(read(&with(&thumbnail, &whole), Colour::Rgb).unwrap(), good);
    assert_eq!(
        read(&with(&thumbnail[..thumbnail.len() / 2], &whole), Colour::Rgb).unwrap(),
        good,
        "cut in the thumbnail"
    );
    let cut = [&whole[..whole.len() / 2], &[0xff, 0xd9]].concat();
    assert!(read(&with(&thumbnail, &cut), Colour::Rgb).is_err(), "cut in the picture");
}
