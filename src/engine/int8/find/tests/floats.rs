//! Nodes on floats, planned and run, against tract.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::*;

use super::build::{Attribute, Builder, facts};
use super::check;
use crate::int8::PartitionPlan;
use crate::int8::find::partition::Idle;
use crate::int8::find::{Verdict, find_as};
use crate::int8::kernels::executor::Executor;
use crate::int8::kernels::run::{Input, Output};
use crate::int8::kernels::{self, float};

/// Numbers without a pattern, between −2 and 2.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        f64::from((state >> 40) as u32) / f64::from(1u32 << 22) - 2.0
    };
    (0..count).map(|_| next()).collect()
}

impl Builder {
    /// A constant of floats without a pattern.
    fn random(&mut self, name: &str, dims: &[usize]) -> String {
        let values = numbers(dims.iter().product(), name.bytes().map(u64::from).sum::<u64>() + dims.len() as u64);
        self.constant(name, dims, DataType::Float, &values)
    }

    /// A convolution with weights `dims` and a bias.
    fn conv(&mut self, name: &str, x: &str, dims: &[usize], attributes: &[(&str, Attribute)]) -> String {
        let (w, b) = (self.random(&format!("{name}.w"), dims), self.random(&format!("{name}.b"), &dims[..1]));
        self.node("Conv", name, &[x, &w, &b], attributes)
    }
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

/// Plans the graph that `make` builds behind an input of this shape as one partition of `steps` operators, runs it with every set of
/// kernels, alone and shared by threads, and compares with tract.
fn agrees(shape: &[usize], make: impl Fn(&mut Builder, &str) -> String) -> Vec<&'static str> {
    let mut b = Builder::new(shape);
    let y = make(&mut b, "x");
    b.output(&y);
    let model = b.model();
    let x: Vec<f32> = numbers(shape.iter().product(), 7).into_iter().map(|v| v as f32).collect();
    let reference = {
        let tensor = Tensor::from_shape(shape, &x).unwrap();
        let parsed = tract_onnx::onnx().parse(&model, None).unwrap().model;
        let plan = parsed.into_optimized().unwrap().into_runnable().unwrap();
        let outputs = plan.run(tvec!(tensor.into())).unwrap();
        outputs[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
    };
    let facts = facts(&model, &[]);
    let found = find_as(&b.graph, b.opset, &facts, Idle::Keep, true);
    check::found(&b.graph, &facts, &found);
    let planned = |v: &Verdict| matches!(v, Verdict::Planned { .. } | Verdict::Folded | Verdict::Integer { .. });
    assert!(found.partitions.len() == 1 && found.verdicts.iter().all(planned), "{:?}", found.verdicts);
    let graph = &found.partitions[0].graph;
    for floats in float::available() {
        let plan = PartitionPlan::with_floats(graph, kernels::best(), floats).unwrap();
        for threads in [1, 3] {
            let mut executor = Executor::sharing_all(&plan.program, threads);
            let mut y = vec![f32::NAN; plan.outputs[0].1.iter().product()];
            for _ in 0..2 {
                executor.run(&[Input::F32(&x)], &mut [Output::F32(&mut y)], &mut |_| {}).unwrap();
            }
            assert_eq!(y.len(), reference.len());
            let most = reference.iter().fold(1.0f32, |most, v| most.max(v.abs()));
            for (at, (got, want)) in y.iter().zip(&reference).enumerate() {
                let near = (got - want).abs() <= 5e-5 * want.abs().max(0.1 * most) || got.to_bits() == want.to_bits();
                assert!(near, "{} with {threads} threads at {at}: {got}, not {want}", floats.name());
            }
        }
    }
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

#[test]
fn convolutions() {
    let pads = |p: i64| ("pads", ints(&[p; 4]));
    agrees(&[1, 3, 9, 11], |b, x| {
        b.conv("c", x, &[8, 3, 3, 3], &[("pads", ints(&[1; 4])), ("strides", ints(&[2, 2]))])
    });
    agrees(&[2, 16, 7, 5], |b, x| b.conv("c", x, &[33, 16, 1, 1], &[]));
    agrees(&[1, 12, 8, 8], |b, x| b.conv("c", x, &[12, 1, 3, 3], &[pads(1), ("group", Attribute::Int(12))]));
    agrees(&[1, 12, 8, 8], |b, x| b.conv("c", x, &[24, 1, 5, 5], &[pads(2), ("group", Attribute::Int(12))]));
    agrees(&[1, 12, 8, 9], |b, x| {
        b.conv("c", x, &[6, 4, 3, 3], &[pads(2), ("group", Attribute::Int(3)), ("dilations", ints(&[2, 2]))])
    });
    agrees(&[1, 1, 8, 9], |b, x| b.conv("c", x, &[4, 1, 3, 3], &[]));
    agrees(&[1, 6, 40], |b, x| b.conv("c", x, &[5, 6, 7], &[("pads", ints(&[3, 3])), ("strides", ints(&[2]))]));
    agrees(&[1, 6, 17], |b, x| b.conv("c", x, &[6, 1, 3], &[("group", Attribute::Int(6))]));
}

#[test]
fn transposed_convolutions() {
    let build = |dims: [usize; 4], kernel: i64, stride: i64, pad: i64, more: i64, groups: i64| {
        agrees(&[1, dims[0], 5, 4], move |b, x| {
            let w = b.random("w", &dims);
            let bias = b.random("bias", &[dims[1] * groups as usize]);
            let attributes = [
                ("kernel_shape", ints(&[kernel; 2])),
                ("strides", ints(&[stride; 2])),
                ("pads", ints(&[pad; 4])),
                ("output_padding", ints(&[more; 2])),
                ("group", Attribute::Int(groups)),
            ];
            let y = b.node("ConvTranspose", "t", &[x, &w, &bias], &attributes);
            b.node("Relu", "r", &[&y], &[])
        });
    };
    build([6, 8, 2, 2], 2, 2, 0, 0, 1);
    build([6, 8, 4, 4], 4, 2, 1, 0, 1);
    build([6, 8, 3, 3], 3, 2, 1, 1, 1);
    build([6, 4, 3, 3], 3, 3, 0, 0, 2);
    build([6, 1, 4, 4], 4, 2, 1, 0, 6);
    build([6, 3, 3, 3], 3, 1, 1, 0, 1);
}

#[test]
fn what_follows_a_convolution_is_part_of_it() {
    let silu = |b: &mut Builder, name: &str, x: &str| {
        let s = b.node("Sigmoid", &format!("{name}.s"), &[x], &[]);
        b.node("Mul", name, &[x, &s], &[])
    };
    let names = agrees(&[1, 4, 6, 6], |b, x| {
        let c = b.conv("c", x, &[8, 4, 3, 3], &[("pads", ints(&[1; 4]))]);
        let [scale, bias, mean] = ["scale", "bias", "mean"].map(|n| b.random(n, &[8]));
        let variance = b.constant("variance", &[8], DataType::Float, &[0.5; 8]);
        let n = b.node("BatchNormalization", "n", &[&c, &scale, &bias, &mean, &variance], &[]);
        let one = silu(b, "one", &n);
        let d = b.conv("d", &one, &[8, 8, 1, 1], &[]);
        let sum = b.node("Add", "sum", &[&d, &one], &[]);
        b.node("Relu", "r", &[&sum], &[])
    });
    assert_eq!(names, ["Conv f32", "Conv f32"]);
    let names = agrees(&[1, 4, 6, 6], |b, x| {
        let c = b.conv("c", x, &[8, 4, 1, 1], &[]);
        let (three, six) = (b.float("three", &[3.0]), b.float("six", &[6.0]));
        let zero = b.float("zero", &[0.0]);
        let y = b.node("Add", "y", &[&c, &three], &[]);
        let y = b.node("Clip", "clip", &[&y, &zero, &six], &[]);
        let y = b.node("Mul", "mul", &[&c, &y], &[]);
        b.node("Div", "div", &[&y, &six], &[])
    });
    assert_eq!(names, ["Conv f32"]);
    let names = agrees(&[1, 4, 6, 6], |b, x| {
        // The first one is read twice, so that the sum is made by the second.
        let c = b.conv("c", x, &[8, 4, 1, 1], &[]);
        let d = silu(b, "d", &c);
        let e = b.conv("e", &d, &[8, 8, 3, 3], &[("pads", ints(&[1; 4]))]);
        let e = silu(b, "f", &e);
        let s = b.node("Add", "s", &[&d, &e], &[]);
        b.node("Concat", "k", &[&d, &e, &s], &[("axis", Attribute::Int(1))])
    });
    assert_eq!(names, ["Conv f32", "Conv f32", "Add f32", "Concat"]);
}

#[test]
fn products() {
    agrees(&[3, 20], |b, x| {
        let w = b.random("w", &[20, 7]);
        let y = b.node("MatMul", "m", &[x, &w], &[]);
        let bias = b.random("bias", &[7]);
        let y = b.node("Add", "a", &[&y, &bias], &[]);
        b.node("Relu", "r", &[&y], &[])
    });
    agrees(&[2, 5, 20], |b, x| {
        let w = b.random("w", &[1, 20, 33]);
        b.node("MatMul", "m", &[x, &w], &[])
    });
    agrees(&[4, 24], |b, x| {
        let (w, c) = (b.random("w", &[10, 24]), b.random("c", &[10]));
        b.node("Gemm", "g", &[x, &w, &c], &[("transB", Attribute::Int(1)), ("alpha", Attribute::Float(0.5))])
    });
    let names = agrees(&[1, 10, 24], |b, x| {
        // Attention with three heads.
        let parts = ["q", "k", "v"].map(|name| {
            let w = b.random(&format!("{name}.w"), &[24, 24]);
            let y = b.node("MatMul", &format!("{name}.m"), &[x, &w], &[]);
            let shape = b.ints(&format!("{name}.shape"), &[1.0, 10.0, 3.0, 8.0]);
            let y = b.node("Reshape", &format!("{name}.r"), &[&y, &shape], &[]);
            let perm = if name == "k" { ints(&[0, 2, 3, 1]) } else { ints(&[0, 2, 1, 3]) };
            b.node("Transpose", name, &[&y], &[("perm", perm)])
        });
        let y = b.node("MatMul", "scores", &[&parts[0], &parts[1]], &[]);
        let scale = b.float("scale", &[0.3]);
        let y = b.node("Mul", "scaled", &[&y, &scale], &[]);
        let y = b.node("Softmax", "softmax", &[&y], &[("axis", Attribute::Int(-1))]);
        let y = b.node("MatMul", "mixed", &[&y, &parts[2]], &[]);
        let y = b.node("Transpose", "back", &[&y], &[("perm", ints(&[0, 2, 1, 3]))]);
        let shape = b.ints("shape", &[1.0, 10.0, 24.0]);
        b.node("Reshape", "flat", &[&y, &shape], &[])
    });
    assert!(names.contains(&"Softmax"));
    agrees(&[2, 1, 4, 6], |b, x| {
        let w = b.random("w", &[3, 6, 5]);
        b.node("MatMul", "m", &[x, &w], &[])
    });
}

#[test]
fn elements() {
    for op in
        ["Sigmoid", "Tanh", "Exp", "Erf", "Softplus", "Neg", "Abs", "Floor", "Relu", "LeakyRelu", "Elu", "HardSigmoid"]
    {
        agrees(&[2, 3, 5], |b, x| b.node(op, "y", &[x], &[]));
    }
    for op in ["Add", "Sub", "Mul", "Div", "Min", "Max"] {
        for dims in [&[1][..], &[5], &[3, 1], &[2, 3, 5], &[1, 1, 1]] {
            agrees(&[2, 3, 5], |b, x| {
                let c = b.random("c", dims);
                let y = b.node(op, "y", &[x, &c], &[]);
                b.node("Relu", "r", &[&y], &[])
            });
            agrees(&[2, 3, 5], |b, x| {
                let c = b.random("c", dims);
                b.node(op, "y", &[&c, x], &[])
            });
        }
    }
    agrees(&[1, 6, 4, 4], |b, x| {
        // A gate for each channel.
        let y = b.node("GlobalAveragePool", "p", &[x], &[]);
        let y = b.conv("c", &y, &[6, 6, 1, 1], &[]);
        let y = b.node("Sigmoid", "s", &[&y], &[]);
        b.node("Mul", "m", &[x, &y], &[])
    });
    agrees(&[1, 6, 4, 4], |b, x| {
        let [scale, bias, mean] = ["scale", "bias", "mean"].map(|n| b.random(n, &[6]));
        let variance = b.constant("variance", &[6], DataType::Float, &[0.5; 6]);
        b.node("BatchNormalization", "n", &[x, &scale, &bias, &mean, &variance], &[])
    });
}

#[test]
fn pools_and_pictures() {
    let square = |k: i64| ("kernel_shape", ints(&[k, k]));
    let pads = |p: i64| ("pads", ints(&[p; 4]));
    agrees(&[1, 5, 9, 8], |b, x| b.node("MaxPool", "p", &[x], &[square(5), pads(2)]));
    agrees(&[2, 5, 9, 9], |b, x| b.node("MaxPool", "p", &[x], &[square(3), pads(1), ("strides", ints(&[2, 2]))]));
    agrees(&[1, 5, 9, 8], |b, x| b.node("AveragePool", "p", &[x], &[square(3), pads(1)]));
    agrees(&[1, 5, 9, 8], |b, x| {
        b.node("AveragePool", "p", &[x], &[square(3), pads(1), ("count_include_pad", Attribute::Int(1))])
    });
    agrees(&[1, 4, 20], |b, x| b.node("MaxPool", "p", &[x], &[("kernel_shape", ints(&[2])), ("strides", ints(&[2]))]));
    agrees(&[1, 3, 4, 5], |b, x| {
        let scales = b.float("scales", &[1.0, 1.0, 2.0, 2.0]);
        b.node(
            "Resize",
            "r",
            &[x, "", &scales],
            &[
                ("mode", Attribute::Text("nearest")),
                ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
                ("nearest_mode", Attribute::Text("floor")),
            ],
        )
    });
    agrees(&[1, 3, 4, 5], |b, x| {
        let scales = b.float("scales", &[1.0, 1.0, 2.0, 2.0]);
        b.node(
            "Resize",
            "r",
            &[x, "", &scales],
            &[("mode", Attribute::Text("linear")), ("coordinate_transformation_mode", Attribute::Text("half_pixel"))],
        )
    });
}

#[test]
fn along_axes() {
    for axis in [0, 1, 2, 3] {
        agrees(&[2, 3, 4, 5], |b, x| b.node("Softmax", "s", &[x], &[("axis", Attribute::Int(axis))]));
        for op in ["ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "ReduceL2"] {
            agrees(&[2, 3, 4, 5], |b, x| match op {
                "ReduceSum" => {
                    let axes = b.ints("axes", &[axis as f64]);
                    b.node(op, "r", &[x, &axes], &[])
                }
                _ => b.node(op, "r", &[x], &[("axes", ints(&[axis])), ("keepdims", Attribute::Int(0))]),
            });
        }
    }
    for axes in [&[2, 3][..], &[1, 3], &[0, 1, 2, 3], &[0, 2]] {
        agrees(&[2, 3, 4, 5], |b, x| b.node("ReduceMean", "r", &[x], &[("axes", ints(axes))]));
        agrees(&[2, 4, 4, 5], |b, x| {
            let y = b.conv("c", x, &[4, 4, 3, 3], &[("pads", ints(&[1; 4]))]);
            let z = b.node("ReduceMean", "r", &[&y], &[("axes", ints(axes))]);
            let w = b.conv("d", &y, &[4, 4, 3, 3], &[("pads", ints(&[1; 4]))]);
            b.node("Mul", "m", &[&w, &z], &[])
        });
    }
    // The head of a detector: distributions over distances.
    agrees(&[1, 12, 4, 5], |b, x| {
        let y = b.conv("c", x, &[12, 12, 1, 1], &[]);
        let shape = b.ints("shape", &[1.0, 4.0, 3.0, 20.0]);
        let y = b.node("Reshape", "r", &[&y, &shape], &[]);
        let y = b.node("Transpose", "t", &[&y], &[("perm", ints(&[0, 2, 1, 3]))]);
        let y = b.node("Softmax", "s", &[&y], &[("axis", Attribute::Int(1))]);
        b.conv("d", &y, &[1, 3, 1, 1], &[])
    });
}

#[test]
fn movements() {
    agrees(&[1, 8, 4, 4], |b, x| {
        // A channel shuffle between two convolutions, and a split.
        let y = b.conv("c", x, &[8, 8, 1, 1], &[]);
        let (wide, back) = (b.ints("wide", &[1.0, 2.0, 4.0, 4.0, 4.0]), b.ints("back", &[1.0, 8.0, 4.0, 4.0]));
        let y = b.node("Reshape", "r", &[&y, &wide], &[]);
        let y = b.node("Transpose", "t", &[&y], &[("perm", ints(&[0, 2, 1, 3, 4]))]);
        let y = b.node("Reshape", "s", &[&y, &back], &[]);
        let (starts, ends, axes) = (b.ints("starts", &[4.0]), b.ints("ends", &[8.0]), b.ints("axes", &[1.0]));
        let half = b.node("Slice", "half", &[&y, &starts, &ends, &axes], &[]);
        b.conv("d", &half, &[3, 4, 3, 3], &[("pads", ints(&[1; 4]))])
    });
    for value in [0.0, 1.5] {
        agrees(&[1, 3, 4, 4], |b, x| {
            let amounts = b.ints("amounts", &[0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0, 1.0]);
            let value = b.float("value", &[value]);
            let y = b.conv("c", x, &[4, 3, 1, 1], &[]);
            let y = b.node("Pad", "p", &[&y, &amounts, &value], &[]);
            b.conv("d", &y, &[4, 4, 3, 3], &[])
        });
    }
    agrees(&[1, 6, 4, 4], |b, x| {
        let indices = b.ints("indices", &[5.0, 0.0, 3.0]);
        let y = b.node("Gather", "g", &[x, &indices], &[("axis", Attribute::Int(1))]);
        b.node("DepthToSpace", "unused", &[x], &[("blocksize", Attribute::Int(1))]);
        b.node("Relu", "r", &[&y], &[])
    });
    agrees(&[1, 6, 4, 4], |b, x| {
        let y = b.conv("c", x, &[6, 6, 1, 1], &[]);
        let shape = b.ints("shape", &[1.0, -1.0]);
        let y = b.node("Reshape", "r", &[&y, &shape], &[]);
        let w = b.random("w", &[96, 5]);
        b.node("MatMul", "m", &[&y, &w], &[])
    });
}

#[test]
fn normalisations() {
    let y = |opset: i64| {
        agrees(&[2, 5, 16], move |b, x| {
            b.opset = opset;
            let (scale, bias) = (b.random("scale", &[16]), b.random("bias", &[16]));
            b.node("LayerNormalization", "n", &[x, &scale, &bias], &[("axis", Attribute::Int(-1))])
        })
    };
    assert_eq!(y(17), ["LayerNormalization f32"]);
    let names = agrees(&[2, 5, 16], |b, x| {
        let (two, epsilon) = (b.float("two", &[2.0]), b.float("epsilon", &[1e-5]));
        let axes = || [("axes", ints(&[-1]))];
        let mean = b.node("ReduceMean", "mean", &[x], &axes());
        let difference = b.node("Sub", "difference", &[x, &mean], &[]);
        let square = b.node("Pow", "square", &[&difference, &two], &[]);
        let variance = b.node("ReduceMean", "variance", &[&square], &axes());
        let sum = b.node("Add", "sum", &[&variance, &epsilon], &[]);
        let root = b.node("Sqrt", "root", &[&sum], &[]);
        let y = b.node("Div", "y", &[&difference, &root], &[]);
        let (scale, bias) = (b.random("scale", &[16]), b.random("bias", &[16]));
        let y = b.node("Mul", "scaled", &[&y, &scale], &[]);
        b.node("Add", "shifted", &[&y, &bias], &[])
    });
    assert_eq!(names, ["LayerNormalization f32"]);
}

#[test]
fn recurrent_layers() {
    for (op, gates) in [("LSTM", 4), ("GRU", 3)] {
        // tract runs the reverse direction alone otherwise than ONNX says; as one of two it does not.
        for direction in ["forward", "bidirectional"] {
            let d = if direction == "bidirectional" { 2 } else { 1 };
            for linear in if op == "GRU" { vec![0, 1] } else { vec![0] } {
                agrees(&[6, 2, 5], |b, x| {
                    let w = b.random("w", &[d, gates * 7, 5]);
                    let (r, bias) = (b.random("r", &[d, gates * 7, 7]), b.random("bias", &[d, gates * 14]));
                    let mut attributes =
                        vec![("hidden_size", Attribute::Int(7)), ("direction", Attribute::Text(direction))];
                    if op == "GRU" {
                        attributes.push(("linear_before_reset", Attribute::Int(linear)));
                    }
                    b.node(op, "y", &[x, &w, &r, &bias], &attributes)
                });
            }
        }
    }
}

#[test]
fn bytes_and_floats_in_one_partition() {
    let names = agrees(&[1, 4, 6, 6], |b, x| {
        let q = b.qdq("q", x, 0.05, 3);
        let weights = numbers(4 * 4 * 9, 3).iter().map(|v| (v * 60.0).round()).collect::<Vec<_>>();
        let w = b.weights("w", &[4, 4, 3, 3], &weights, &[0.01], 0);
        let c = b.node("Conv", "c", &[&q, &w], &[("pads", ints(&[1; 4]))]);
        let s = b.node("Softmax", "s", &[&c], &[("axis", Attribute::Int(1))]);
        b.qdq("r", &s, 0.004, -128)
    });
    assert!(names.contains(&"DequantizeLinear") && names.contains(&"QuantizeLinear"), "{names:?}");
}
