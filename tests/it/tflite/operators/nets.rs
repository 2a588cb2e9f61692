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
    vec![gate, half, first, rows_of_a_sequence(), arithmetic_on_sizes(), item_of_a_list()]
}

/// A dense layer over a sequence as Keras exports it: the rows of an open batch are counted in the run, and the file says 1.
fn rows_of_a_sequence() -> Case {
    let tensors = vec![
        spec("x", F32, &[1, 4, 3]).open(),
        spec("dims", I32, &[3]),
        spec("around", I32, &[2]).ints(&[0, 1]),
        spec("outer", I32, &[2]),
        spec("zero", I32, &[1]).ints(&[0]),
        spec("rows", I32, &[]),
        spec("last", I32, &[1]).ints(&[2]),
        spec("inner", I32, &[1]),
        spec("columns", I32, &[]),
        spec("matrix", I32, &[2]),
        spec("flat", F32, &[1, 1]).open(),
        spec("weights", F32, &[2, 3]).floats(&[0.5, -1.0, 2.0, 0.25, 1.5, -0.75]),
        spec("product", F32, &[1, 2]).open(),
        spec("units", I32, &[1]).ints(&[2]),
        spec("made", I32, &[3]),
        spec("y", F32, &[1, 4, 2]).open(),
    ];
    let calls = vec![
        call(77, 55, vec![(0, byte(2))], &[0], &[1]),
        call(36, 23, vec![], &[1, 2], &[3]),
        call(81, 27, vec![], &[3, 4], &[5]),
        call(36, 23, vec![], &[1, 6], &[7]),
        call(81, 27, vec![], &[7, 4], &[8]),
        call(83, 59, vec![(0, build::int(2))], &[5, 8], &[9]),
        call(22, 0, vec![], &[0, 9], &[10]),
        call(9, 8, vec![], &[10, 11], &[12]),
        call(2, 10, vec![], &[3, 13], &[14]),
        call(22, 0, vec![], &[12, 14], &[15]),
    ];
    Case { name: "net-sequence".into(), want: Want::Near, tensors, calls, inputs: vec![0], outputs: vec![15] }
}

/// Sizes that are cut out of a shape and multiplied, on the way there and back.
fn arithmetic_on_sizes() -> Case {
    let tensors = vec![
        spec("x", F32, &[1, 4, 3]).open(),
        spec("dims", I32, &[3]),
        spec("one", I32, &[1]).ints(&[1]),
        spec("two", I32, &[1]).ints(&[2]),
        spec("three", I32, &[1]).ints(&[3]),
        spec("a", I32, &[]),
        spec("b", I32, &[]),
        spec("count", I32, &[]),
        spec("row", I32, &[1]),
        spec("flat", F32, &[1]).open(),
        spec("gate", F32, &[1]).open(),
        spec("y", F32, &[1, 4, 3]).open(),
    ];
    let single = || vec![(4, build::int(1))];
    let calls = vec![
        call(77, 55, vec![(0, byte(2))], &[0], &[1]),
        call(45, 32, single(), &[1, 2, 3, 2], &[5]),
        call(45, 32, single(), &[1, 3, 4, 2], &[6]),
        call(18, 21, vec![], &[5, 6], &[7]),
        call(83, 59, vec![(0, build::int(1))], &[7], &[8]),
        call(22, 0, vec![], &[0, 8], &[9]),
        call(14, 0, vec![], &[9], &[10]),
        call(22, 0, vec![], &[10, 1], &[11]),
    ];
    Case { name: "net-sizes".into(), want: Want::Near, tensors, calls, inputs: vec![0], outputs: vec![11] }
}

/// An item put into a list, as loops that collect their results are written: what is before it, it, and what is behind.
fn item_of_a_list() -> Case {
    let tensors = vec![
        spec("list", F32, &[4, 1, 3]),
        spec("item", F32, &[1, 3]),
        spec("i", I32, &[]).ints(&[2]),
        spec("single", I32, &[1]).ints(&[1]),
        spec("at", I32, &[1]),
        spec("rest", I32, &[2]).ints(&[-1, -1]),
        spec("sizes", I32, &[3]),
        spec("zeros", I32, &[3]).ints(&[0, 0, 0]),
        spec("front", F32, &[2, 1, 3]),
        spec("one", I32, &[]).ints(&[1]),
        spec("next", I32, &[]),
        spec("next.at", I32, &[1]),
        spec("begin", I32, &[2]).ints(&[0, 0]),
        spec("places", I32, &[3]),
        spec("all", I32, &[3]).ints(&[-1, -1, -1]),
        spec("back", F32, &[1, 1, 3]),
        spec("dims", I32, &[3]).ints(&[1, 1, 3]),
        spec("row", F32, &[1, 1, 3]),
        spec("y", F32, &[4, 1, 3]),
    ];
    let calls = vec![
        call(22, 0, vec![], &[2, 3], &[4]),
        call(2, 10, vec![], &[4, 5], &[6]),
        call(65, 48, vec![], &[0, 7, 6], &[8]),
        call(0, 11, vec![], &[2, 9], &[10]),
        call(22, 0, vec![], &[10, 3], &[11]),
        call(2, 10, vec![], &[11, 12], &[13]),
        call(65, 48, vec![], &[0, 13, 14], &[15]),
        call(22, 0, vec![], &[1, 16], &[17]),
        call(2, 10, vec![], &[8, 17, 15], &[18]),
    ];
    Case { name: "net-list".into(), want: Want::Same, tensors, calls, inputs: vec![0, 1], outputs: vec![18] }
}
