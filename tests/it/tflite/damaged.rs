//! Damaged files: an error or a model, never a panic, never much memory.

use leptond_engine::tflite::convert;
use proptest::prelude::*;

use super::build::{self, Call, I8, I32, byte, int, spec};

/// A file with a bit of everything that the reader follows.
fn sound() -> Vec<u8> {
    let call = |code: i32, union: u8, options, inputs: &[i32], outputs: &[i32]| Call {
        code,
        custom: None,
        union,
        options,
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
    };
    let conv = vec![(0, byte(0)), (1, int(1)), (2, int(1)), (3, byte(1))];
    let tensors = [
        spec("x", I8, &[1, 4, 4, 2]).quant(0.05, 3).open(),
        spec("w", I8, &[3, 3, 3, 2]).per_channel(0, vec![0.1, 0.2, 0.3]).data((0..54).collect()),
        spec("b", I32, &[3]).per_channel(0, vec![0.005, 0.01, 0.015]).ints(&[1, 2, 3]),
        spec("c", I8, &[1, 4, 4, 3]).quant(0.1, -128),
        spec("axes", I32, &[2]).ints(&[1, 2]),
        spec("m", I8, &[1, 3]).quant(0.1, -128),
        spec("y", I8, &[1, 3]).quant(1.0 / 256.0, -128).open(),
    ];
    let calls = [
        call(3, 1, conv, &[0, 1, 2], &[3]),
        call(40, 27, vec![(0, byte(0))], &[3, 4], &[5]),
        call(25, 9, vec![(0, build::real(1.0))], &[5], &[6]),
    ];
    build::model(&tensors, &calls, &[0], &[6])
}

#[test]
fn a_sound_file_converts_and_no_part_of_it_does() {
    let bytes = sound();
    convert(&bytes).unwrap();
    for end in 0..bytes.len() {
        // Some ends are padding.
        let _ = convert(&bytes[..end]);
    }
    assert!(convert(&bytes[..bytes.len() / 2]).unwrap_err().to_string().contains("not a complete"));
}

#[test]
fn every_byte_may_be_anything() {
    let bytes = sound();
    for at in 0..bytes.len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let _ = convert(&damaged);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::common::cases(2000)))]

    #[test]
    fn many_bytes_may_be_anything(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = sound();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = convert(&bytes);
    }

    #[test]
    fn words_may_be_anything(changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0u32, 1, 4, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0, 100])), 1..4)) {
        let mut bytes = sound();
        for (at, value) in changes {
            let at = at.index(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let _ = convert(&bytes);
    }

    #[test]
    fn noise_behind_the_identifier(mut bytes in prop::collection::vec(any::<u8>(), 8..400)) {
        bytes[4..8].copy_from_slice(b"TFL3");
        let _ = convert(&bytes);
    }
}

#[test]
fn parts_that_many_share_do_not_multiply() {
    // Thousands of operators that read one large constant under another order of axes each would copy it each time.
    let mut tensors = vec![
        spec("x", I8, &[1, 64, 64, 8]).quant(0.05, 0),
        spec("big", I8, &[1, 64, 64, 8]).quant(0.05, 0).data(vec![1; 64 * 64 * 8]),
    ];
    let mut calls = Vec::new();
    for index in 0..2000i32 {
        tensors.push(spec("y", I8, &[1, 64, 64, 8]).quant(0.05, 0));
        let previous = if index == 0 { 0 } else { index + 1 };
        calls.push(Call {
            code: 0,
            custom: None,
            union: 0,
            options: vec![],
            inputs: vec![previous, 1],
            outputs: vec![index + 2],
        });
    }
    let bytes = build::model(&tensors, &calls, &[0], &[2001]);
    let onnx = convert(&bytes).unwrap();
    assert!(onnx.len() < 16 * bytes.len() + (1 << 20), "{} bytes of {}", onnx.len(), bytes.len());
}
