//! The models: every operator, its options, and a few nets.

use super::super::build::{Call, F32, Fields, I8, I32, Spec, U8, byte, int, real, spec};
use super::super::noise;
use super::{Case, Want, one};

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut byte = noise(seed);
    // LiteRT takes symmetric weights: −128 is none.
    (0..count).map(|_| byte()).map(|b| if b == 0x80 { 0x81 } else { b }).collect()
}

pub fn q8(name: &str, shape: &[i32]) -> Spec {
    spec(name, I8, shape).quant(0.05, 3)
}

/// Weights with a scale for each slice along `axis`.
pub fn weights(shape: &[i32], axis: i32) -> Spec {
    let count = shape[axis as usize] as usize;
    let scales = (0..count).map(|c| 0.002 + 0.0007 * c as f32).collect();
    spec("weights", I8, shape).per_channel(axis, scales).data(bytes(shape.iter().product::<i32>() as usize, 7))
}

/// Terms in units of products with [`weights`] and [`q8`].
pub fn terms(count: usize) -> Spec {
    let scales = (0..count).map(|c| 0.05 * (0.002 + 0.0007 * c as f32)).collect();
    let values: Vec<i32> = (0..count as i32).map(|c| 900 * c - 1200).collect();
    spec("bias", I32, &[count as i32]).per_channel(0, scales).ints(&values)
}

/// padding, stride_w, stride_h, activation, dilation_w, dilation_h.
pub fn conv(v: [i32; 6]) -> Fields {
    vec![(0, byte(v[0] as u8)), (1, int(v[1])), (2, int(v[2])), (3, byte(v[3] as u8)), (4, int(v[4])), (5, int(v[5]))]
}

/// The same with depth_multiplier before the activation.
pub fn depthwise(v: [i32; 6], multiplier: i32) -> Fields {
    let mut fields = vec![(0, byte(v[0] as u8)), (1, int(v[1])), (2, int(v[2])), (3, int(multiplier))];
    fields.extend([(4, byte(v[3] as u8)), (5, int(v[4])), (6, int(v[5]))]);
    fields
}

/// padding, stride_w, stride_h, filter_width, filter_height, activation.
pub fn pool(v: [i32; 6]) -> Fields {
    vec![(0, byte(v[0] as u8)), (1, int(v[1])), (2, int(v[2])), (3, int(v[3])), (4, int(v[4])), (5, byte(v[5] as u8))]
}

pub fn cases() -> Vec<Case> {
    let mut cases = dense_cases();
    cases.extend(window_cases());
    cases.extend(elementwise_cases());
    cases.extend(moving_cases());
    cases.extend(super::nets::nets());
    cases
}

fn dense_cases() -> Vec<Case> {
    use Want::Near;
    let out = |shape: &[i32]| spec("out", I8, shape).quant(0.06, -5);
    let relu_out = |shape: &[i32]| spec("out", I8, shape).quant(0.04, -128);
    let x = || q8("x", &[1, 7, 6, 3]);
    let mut cases = vec![
        one(
            "conv-same",
            Near,
            3,
            1,
            conv([0, 1, 1, 0, 1, 1]),
            vec![x(), weights(&[4, 3, 3, 3], 0), terms(4), out(&[1, 7, 6, 4])],
        ),
        one(
            "conv-same-stride",
            Near,
            3,
            1,
            conv([0, 2, 2, 1, 1, 1]),
            vec![x(), weights(&[4, 3, 3, 3], 0), terms(4), relu_out(&[1, 4, 3, 4])],
        ),
        one(
            "conv-valid-relu6",
            Near,
            3,
            1,
            conv([1, 1, 2, 3, 1, 1]),
            vec![x(), weights(&[4, 3, 2, 3], 0), terms(4), out(&[1, 3, 5, 4])],
        ),
        one(
            "conv-dilated",
            Near,
            3,
            1,
            conv([0, 1, 1, 2, 2, 2]),
            vec![x(), weights(&[4, 3, 3, 3], 0), terms(4), out(&[1, 7, 6, 4])],
        ),
        one(
            "depthwise",
            Near,
            4,
            2,
            depthwise([0, 2, 2, 1, 1, 1], 1),
            vec![x(), weights(&[1, 3, 3, 3], 3), terms(3), relu_out(&[1, 4, 3, 3])],
        ),
        one(
            "depthwise-multiplier",
            Near,
            4,
            2,
            depthwise([1, 1, 1, 0, 1, 1], 2),
            vec![x(), weights(&[1, 3, 3, 6], 3), terms(6), out(&[1, 5, 4, 6])],
        ),
        one(
            "depthwise-dilated",
            Near,
            4,
            2,
            depthwise([0, 1, 1, 0, 2, 2], 1),
            vec![x(), weights(&[1, 3, 3, 3], 3), terms(3), out(&[1, 7, 6, 3])],
        ),
    ];
    let matrix = || spec("weights", I8, &[5, 12]).quant(0.003, 0).data(bytes(60, 9));
    let bias = || spec("bias", I32, &[5]).quant(0.05 * 0.003, 0).ints(&[100, -700, 0, 2500, -31]);
    let fc = |activation: u8, keep: u8| vec![(0, byte(activation)), (2, byte(keep))];
    cases.extend([
        one("fc", Near, 9, 8, fc(0, 0), vec![q8("x", &[1, 12]), matrix(), bias(), out(&[1, 5])]),
        one("fc-rows-relu", Near, 9, 8, fc(1, 0), vec![q8("x", &[3, 12]), matrix(), bias(), out(&[3, 5])]),
        one("fc-flattens", Near, 9, 8, fc(0, 0), vec![q8("x", &[1, 2, 2, 3]), matrix(), bias(), out(&[1, 5])]),
        one("fc-keeps-dims", Near, 9, 8, fc(0, 1), vec![q8("x", &[1, 2, 12]), matrix(), bias(), out(&[1, 2, 5])]),
        one(
            "fc-keeps-dims-open",
            Near,
            9,
            8,
            fc(0, 1),
            vec![q8("x", &[1, 2, 12]).open(), matrix(), bias(), out(&[1, 2, 5]).open()],
        ),
    ]);
    let mut without = one("fc-no-bias", Near, 9, 8, fc(0, 0), vec![q8("x", &[1, 12]), matrix(), out(&[1, 5])]);
    without.calls[0].inputs.push(-1);
    cases.push(without);
    // Unsigned bytes with one scale, as before 2019.
    let old = |name: &str, shape: &[i32]| spec(name, U8, shape).quant(0.05, 131);
    let old_weights = |shape: &[i32]| {
        spec("weights", U8, shape).quant(0.004, 120).data(bytes(shape.iter().product::<i32>() as usize, 8))
    };
    let old_bias = |n: i32| {
        spec("bias", I32, &[n]).quant(0.05 * 0.004, 0).ints(&(0..n).map(|c| 500 * c - 700).collect::<Vec<_>>())
    };
    cases.extend([
        one(
            "conv-uint8",
            Near,
            3,
            1,
            conv([0, 2, 2, 3, 1, 1]),
            vec![
                old("x", &[1, 7, 6, 3]),
                old_weights(&[4, 3, 3, 3]),
                old_bias(4),
                spec("out", U8, &[1, 4, 3, 4]).quant(6.0 / 255.0, 0),
            ],
        ),
        one(
            "depthwise-uint8",
            Near,
            4,
            2,
            depthwise([0, 1, 1, 3, 1, 1], 1),
            vec![
                old("x", &[1, 7, 6, 3]),
                old_weights(&[1, 3, 3, 3]),
                old_bias(3),
                spec("out", U8, &[1, 7, 6, 3]).quant(0.05, 10),
            ],
        ),
        one(
            "fc-uint8",
            Near,
            9,
            8,
            fc(0, 0),
            vec![old("x", &[1, 12]), old_weights(&[5, 12]), old_bias(5), spec("out", U8, &[1, 5]).quant(0.05, 128)],
        ),
    ]);
    let floats = |shape: &[i32]| {
        let count = shape.iter().product::<i32>() as usize;
        let values: Vec<f32> = bytes(count, 5).into_iter().map(|b| f32::from(b as i8) / 200.0).collect();
        spec("weights", F32, shape).floats(&values)
    };
    let plain = |name: &str, shape: &[i32]| spec(name, F32, shape);
    let four = || spec("bias", F32, &[4]).floats(&[0.5, -0.25, 0.0, 1.0]);
    cases.extend([
        one(
            "conv-float",
            Near,
            3,
            1,
            conv([0, 2, 2, 3, 1, 1]),
            vec![plain("x", &[1, 7, 6, 3]), floats(&[4, 3, 3, 3]), four(), plain("out", &[1, 4, 3, 4])],
        ),
        one(
            "depthwise-float",
            Near,
            4,
            2,
            depthwise([1, 1, 1, 1, 1, 1], 2),
            vec![plain("x", &[1, 7, 6, 2]), floats(&[1, 3, 3, 4]), four(), plain("out", &[1, 5, 4, 4])],
        ),
        one(
            "fc-float",
            Near,
            9,
            8,
            fc(1, 0),
            vec![plain("x", &[2, 6]), floats(&[4, 6]), four(), plain("out", &[2, 4])],
        ),
    ]);
    cases
}

fn window_cases() -> Vec<Case> {
    use Want::{Near, Same};
    let x = || q8("x", &[1, 7, 6, 3]);
    let axes = |values: &[i32]| spec("axes", I32, &[values.len() as i32]).ints(values);
    let mean = |keep: u8| vec![(0, byte(keep))];
    vec![
        one("average-pool-same", Near, 1, 5, pool([0, 2, 2, 3, 3, 0]), vec![x(), q8("out", &[1, 4, 3, 3])]),
        one("average-pool-valid", Near, 1, 5, pool([1, 1, 1, 2, 3, 1]), vec![x(), q8("out", &[1, 5, 5, 3])]),
        one("max-pool-same", Same, 17, 5, pool([0, 2, 2, 3, 3, 0]), vec![x(), q8("out", &[1, 4, 3, 3])]),
        one("max-pool-relu6", Same, 17, 5, pool([1, 2, 2, 2, 2, 3]), vec![x(), q8("out", &[1, 3, 3, 3])]),
        one(
            "max-pool-float",
            Same,
            17,
            5,
            pool([0, 2, 2, 2, 2, 0]),
            vec![spec("x", F32, &[1, 7, 6, 3]), spec("out", F32, &[1, 4, 3, 3])],
        ),
        one(
            "mean-global",
            Near,
            40,
            27,
            mean(1),
            vec![x(), axes(&[1, 2]), spec("out", I8, &[1, 1, 1, 3]).quant(0.04, 1)],
        ),
        one("mean-drops", Near, 40, 27, mean(0), vec![x(), axes(&[1, 2]), spec("out", I8, &[1, 3]).quant(0.04, 1)]),
        one("mean-channels", Near, 40, 27, mean(0), vec![x(), axes(&[-1]), spec("out", I8, &[1, 7, 6]).quant(0.04, 1)]),
        one(
            "mean-float",
            Near,
            40,
            27,
            mean(0),
            vec![spec("x", F32, &[2, 3, 4]), axes(&[1]), spec("out", F32, &[2, 4])],
        ),
        one("reduce-max", Same, 82, 27, mean(0), vec![x(), axes(&[1, 2]), q8("out", &[1, 3])]),
    ]
}

fn elementwise_cases() -> Vec<Case> {
    use Want::{Halves, Near, Same};
    let x = || q8("x", &[1, 4, 5, 3]);
    let out = |scale: f32, zero_point: i64| spec("out", I8, &[1, 4, 5, 3]).quant(scale, zero_point);
    let b = |shape: &[i32]| spec("b", I8, shape).quant(0.03, -10);
    let act = |a: u8| vec![(0, byte(a))];
    let constant = |shape: &[i32]| b(shape).data(bytes(shape.iter().product::<i32>() as usize, 3));
    let plain = |name: &str| spec(name, F32, &[1, 4, 5, 3]);
    vec![
        one("add", Near, 0, 11, act(0), vec![x(), b(&[1, 4, 5, 3]), out(0.08, 2)]),
        one("add-relu", Near, 0, 11, act(1), vec![x(), b(&[1, 4, 5, 3]), out(0.08, 2)]),
        one("add-channel", Near, 0, 11, act(0), vec![x(), constant(&[3]), out(0.08, 2)]),
        one("add-float", Near, 0, 11, act(3), vec![plain("x"), plain("b"), plain("out")]),
        one("sub", Near, 41, 28, act(0), vec![x(), b(&[1, 4, 5, 3]), out(0.08, 2)]),
        one("mul", Near, 18, 21, act(0), vec![x(), b(&[1, 4, 5, 3]), out(0.1, 4)]),
        one("mul-broadcast", Near, 18, 21, act(0), vec![x(), b(&[1, 1, 1, 3]), out(0.1, 4)]),
        one("relu", Near, 19, 0, vec![], vec![x(), out(0.03, -128)]),
        one("relu6", Near, 21, 0, vec![], vec![x(), out(6.0 / 255.0, -128)]),
        one("relu-n1-to-1", Near, 20, 0, vec![], vec![x(), out(0.05, 3)]),
        one("leaky-relu", Halves, 98, 75, vec![(0, real(0.2))], vec![x(), out(0.05, 3)]),
        one("hard-swish", Near, 117, 91, vec![], vec![x(), out(0.05, -20)]),
        one("hard-swish-float", Near, 117, 91, vec![], vec![plain("x"), plain("out")]),
        one("logistic", Near, 14, 0, vec![], vec![x(), out(1.0 / 256.0, -128)]),
        one("tanh", Near, 28, 0, vec![], vec![x(), out(1.0 / 128.0, 0)]),
        one(
            "softmax",
            Near,
            25,
            9,
            vec![(0, real(1.0))],
            vec![q8("x", &[2, 9]), spec("out", I8, &[2, 9]).quant(1.0 / 256.0, -128)],
        ),
        one(
            "softmax-beta",
            Near,
            25,
            9,
            vec![(0, real(0.5))],
            vec![q8("x", &[2, 9]), spec("out", I8, &[2, 9]).quant(1.0 / 256.0, -128)],
        ),
        one(
            "softmax-float",
            Near,
            25,
            9,
            vec![(0, real(1.0))],
            vec![spec("x", F32, &[2, 9]), spec("out", F32, &[2, 9])],
        ),
        one("quantize", Near, 114, 89, vec![], vec![plain("x"), out(0.01, 3)]),
        one("requantize", Near, 114, 89, vec![], vec![x(), out(0.02, -3)]),
        one("from-uint8", Same, 114, 89, vec![], vec![spec("x", U8, &[1, 4, 5, 3]).quant(0.05, 131), out(0.05, 3)]),
        one("dequantize", Near, 6, 38, vec![], vec![x(), plain("out")]),
        one("maximum", Same, 55, 39, vec![], vec![x(), q8("b", &[1, 4, 5, 3]), out(0.05, 3)]),
        one(
            "prelu",
            Near,
            54,
            0,
            vec![],
            vec![plain("x"), spec("a", F32, &[1, 1, 3]).floats(&[0.1, 0.2, -0.3]), plain("out")],
        ),
        one(
            "div-float",
            Near,
            42,
            29,
            act(0),
            vec![plain("x"), spec("b", F32, &[3]).floats(&[2.0, 4.0, -0.5]), plain("out")],
        ),
    ]
}

fn moving_cases() -> Vec<Case> {
    use Want::{Halves, Near, Same};
    let x = || q8("x", &[1, 4, 6, 2]);
    let numbers = |name: &str, shape: &[i32], values: &[i32]| spec(name, I32, shape).ints(values);
    let list = |values: &[i32]| numbers("list", &[values.len() as i32], values);
    let resize = |shift: usize, corners: u8, centers: u8| vec![(shift, byte(corners)), (shift + 1, byte(centers))];
    let slice = |begin: i32, end: i32, shrink: i32| vec![(0, int(begin)), (1, int(end)), (4, int(shrink))];
    let to = |h: i32, w: i32| q8("out", &[1, h, w, 2]);
    let concat = |axis: i32| vec![(0, int(axis)), (1, byte(0))];
    let mut cases = vec![
        one("reshape", Same, 22, 17, vec![], vec![x(), list(&[1, 48]), q8("out", &[1, 48])]),
        one("squeeze", Same, 43, 30, vec![], vec![q8("x", &[1, 1, 1, 6]), q8("out", &[1, 6])]),
        one(
            "expand-dims",
            Same,
            70,
            52,
            vec![],
            vec![q8("x", &[1, 6]), numbers("axis", &[1], &[1]), q8("out", &[1, 1, 6])],
        ),
        one("transpose", Same, 39, 26, vec![], vec![x(), list(&[0, 2, 1, 3]), q8("out", &[1, 6, 4, 2])]),
        one("transpose-channels", Same, 39, 26, vec![], vec![x(), list(&[0, 3, 1, 2]), q8("out", &[1, 2, 4, 6])]),
        one("pad", Same, 34, 22, vec![], vec![x(), numbers("amounts", &[4, 2], &[0, 0, 1, 2, 0, 1, 0, 0]), to(7, 7)]),
        one(
            "pad-value",
            Same,
            60,
            43,
            vec![],
            vec![
                x(),
                numbers("amounts", &[4, 2], &[0, 0, 1, 0, 0, 1, 0, 3]),
                q8("v", &[1]).data(vec![20]),
                q8("out", &[1, 5, 7, 5]),
            ],
        ),
        one("concat-channels", Same, 2, 10, concat(3), vec![x(), q8("b", &[1, 4, 6, 3]), q8("out", &[1, 4, 6, 5])]),
        one("concat-rows", Same, 2, 10, concat(-3), vec![x(), q8("b", &[1, 2, 6, 2]), to(6, 6)]),
        one(
            "concat-rounds",
            Near,
            2,
            10,
            concat(1),
            vec![
                spec("x", U8, &[1, 9]).quant(0.02, 10),
                spec("b", U8, &[1, 4]).quant(0.03, 100),
                spec("out", U8, &[1, 13]).quant(0.03, 90),
            ],
        ),
        one(
            "slice",
            Same,
            65,
            48,
            vec![],
            vec![x(), list(&[0, 1, 2, 0]), list(&[1, 2, -1, 1]), q8("out", &[1, 2, 4, 1])],
        ),
        one(
            "strided-slice",
            Same,
            45,
            32,
            slice(0b1001, 0b1001, 0),
            vec![x(), list(&[0, 1, 0, 0]), list(&[0, 4, -1, 0]), list(&[1, 2, 2, 1]), q8("out", &[1, 2, 3, 2])],
        ),
        one(
            "strided-slice-shrinks",
            Same,
            45,
            32,
            slice(0b101, 0b101, 0b10),
            vec![x(), list(&[0, -1, 0]), list(&[0, 0, 0]), list(&[1, 1, 1]), q8("out", &[1, 6, 2])],
        ),
        one("depth-to-space", Same, 5, 94, vec![(0, int(2))], vec![q8("x", &[1, 2, 3, 8]), q8("out", &[1, 4, 6, 2])]),
        one("space-to-depth", Same, 26, 19, vec![(0, int(2))], vec![q8("x", &[1, 4, 6, 3]), q8("out", &[1, 2, 3, 12])]),
        one("nearest", Same, 97, 74, resize(0, 0, 0), vec![x(), list(&[8, 12]), to(8, 12)]),
        one("nearest-odd", Same, 97, 74, resize(0, 0, 0), vec![x(), list(&[7, 9]), to(7, 9)]),
        one("nearest-centers", Same, 97, 74, resize(0, 0, 1), vec![x(), list(&[7, 9]), to(7, 9)]),
        one("nearest-corners", Same, 97, 74, resize(0, 1, 0), vec![x(), list(&[7, 11]), to(7, 11)]),
        one("bilinear", Halves, 23, 15, resize(2, 0, 0), vec![x(), list(&[8, 12]), to(8, 12)]),
        one("bilinear-centers", Halves, 23, 15, resize(2, 0, 1), vec![x(), list(&[7, 9]), to(7, 9)]),
        one("bilinear-corners", Halves, 23, 15, resize(2, 1, 0), vec![x(), list(&[7, 11]), to(7, 11)]),
        one("bilinear-open", Halves, 23, 15, resize(2, 0, 1), vec![x().open(), list(&[8, 12]), to(8, 12).open()]),
        one(
            "bilinear-float",
            Near,
            23,
            15,
            resize(2, 0, 1),
            vec![spec("x", F32, &[1, 4, 6, 2]), list(&[8, 12]), spec("out", F32, &[1, 8, 12, 2])],
        ),
        one(
            "nearest-float",
            Same,
            97,
            74,
            resize(0, 0, 1),
            vec![spec("x", F32, &[1, 4, 6, 2]), list(&[8, 12]), spec("out", F32, &[1, 8, 12, 2])],
        ),
    ];
    // The axis is the first operand, and there are two results.
    let tensors =
        vec![numbers("axis", &[], &[3]), q8("x", &[1, 3, 2, 6]), q8("a", &[1, 3, 2, 3]), q8("b", &[1, 3, 2, 3])];
    let split =
        Call { code: 49, custom: None, union: 35, options: vec![(0, int(2))], inputs: vec![0, 1], outputs: vec![2, 3] };
    cases.push(Case {
        name: "split".into(),
        want: Same,
        tensors,
        calls: vec![split],
        inputs: vec![1],
        outputs: vec![3, 2],
    });
    cases
}
