//! Several operators in a row.

use super::super::build::{self, Call, F32, Fields, I8, I32, byte, spec};
use super::cases::{conv, pool, q8, terms, weights};
use super::{Case, Want};

fn call(code: i32, union: u8, options: Fields, inputs: &[i32], outputs: &[i32]) -> Call {
    Call { code, custom: None, union, options, inputs: inputs.to_vec(), outputs: outputs.to_vec() }
}

pub fn nets() -> Vec<Case> {
    use Want::{Halves, Near, Same};
    // Channels of pictures split, shuffled and joined; a shape that is computed for a Reshape; two inputs and outputs.
    let net = vec![
        q8("x", &[1, 6, 6, 4]),
        q8("y", &[1, 6, 6, 4]),
        weights(&[4, 3, 3, 4], 0),
        terms(4),
        q8("c", &[1, 6, 6, 4]),
        spec("sum", I8, &[1, 6, 6, 4]).quant(0.08, -10),
        spec("axes", I32, &[2]).ints(&[1, 2]),
        spec("mean", I8, &[1, 1, 1, 4]).quant(0.06, -10),
        spec("shape", I32, &[4]),
        spec("flat", I8, &[1, 4]).quant(0.06, -10),
        spec("gate", I8, &[1, 1, 1, 4]).quant(1.0 / 256.0, -128),
        spec("gated", I8, &[1, 6, 6, 4]).quant(0.08, -10),
    ];
    let calls = vec![
        call(3, 1, conv([0, 1, 1, 1, 1, 1]), &[0, 2, 3], &[4]),
        call(0, 11, vec![], &[4, 1], &[5]),
        call(40, 27, vec![(0, byte(1))], &[5, 6], &[7]),
        call(77, 55, vec![(0, byte(2))], &[7], &[8]),
        call(43, 30, vec![(0, build::ints(&[1, 2]))], &[7], &[9]),
        call(14, 0, vec![], &[7], &[10]),
        call(18, 21, vec![], &[5, 10], &[11]),
    ];
    let gate =
        Case { name: "net-gate".into(), want: Halves, tensors: net, calls, inputs: vec![0, 1], outputs: vec![9, 11] };
    // Halves of floats as weights, widened by an operator, as converters write them to save space.
    let halves: Vec<u8> =
        [0x3800u16, 0xb400, 0x3c00, 0x0000, 0x4000, 0xbc00].iter().flat_map(|h| h.to_le_bytes()).collect();
    let tensors = vec![
        spec("x", F32, &[2, 3]),
        spec("half", 1, &[2, 3]).data(halves),
        spec("weights", F32, &[2, 3]),
        spec("out", F32, &[2, 2]),
    ];
    let calls = vec![call(6, 38, vec![], &[1], &[2]), call(9, 8, vec![], &[0, 2], &[3])];
    let half = Case { name: "net-half-weights".into(), want: Near, tensors, calls, inputs: vec![0], outputs: vec![3] };
    // A model made from a channels-first one.
    let tensors = vec![
        q8("x", &[1, 3, 6, 5]),
        spec("order", I32, &[4]).ints(&[0, 2, 3, 1]),
        q8("last", &[1, 6, 5, 3]),
        q8("pooled", &[1, 3, 2, 3]),
        spec("back", I32, &[4]).ints(&[0, 3, 1, 2]),
        q8("out", &[1, 3, 3, 2]),
    ];
    let calls = vec![
        call(39, 26, vec![], &[0, 1], &[2]),
        call(17, 5, pool([1, 2, 2, 2, 2, 0]), &[2], &[3]),
        call(39, 26, vec![], &[3, 4], &[5]),
    ];
    let first =
        Case { name: "net-channels-first".into(), want: Same, tensors, calls, inputs: vec![0], outputs: vec![5] };
    vec![gate, half, first]
}
