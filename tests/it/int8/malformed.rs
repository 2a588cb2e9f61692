//! Malformed quantised models: an error that names the node, or the results of the float engine. Never a panic.

use leptond::model::Engine;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{self, attribute_proto::AttributeType};

use super::{agrees, cases, inputs, onnx, run, steps};

/// One way to spoil input `slot` of a node, or its attributes; `false` where it does not apply.
type Spoil = fn(&mut Victim) -> bool;

/// A node of a graph, and a way to change what it reads without touching what others read.
struct Victim<'g> {
    graph: &'g mut pb::GraphProto,
    node: usize,
}

impl Victim<'_> {
    fn node(&mut self) -> &mut pb::NodeProto {
        &mut self.graph.node[self.node]
    }

    fn is(&self, ops: &[&str]) -> bool {
        ops.contains(&self.graph.node[self.node].op_type.as_str())
    }

    /// Changes a copy of the constant in `slot` and makes the node read that.
    fn constant(&mut self, slot: usize, change: impl FnOnce(&mut pb::TensorProto)) -> bool {
        let name = self.graph.node[self.node].input.get(slot);
        let Some(mut tensor) = self.graph.initializer.iter().find(|t| Some(&t.name) == name).cloned() else {
            return false;
        };
        tensor.name = "spoilt".into();
        change(&mut tensor);
        self.graph.initializer.push(tensor);
        self.node().input[slot] = "spoilt".into();
        true
    }

    /// Where the scale of what a quantising operator makes or takes stands.
    fn scale(&self) -> Option<usize> {
        match self.graph.node[self.node].op_type.as_str() {
            "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" | "QGemm" | "QLinearMatMul" => Some(1),
            _ => None,
        }
    }

    fn set_scale(&mut self, scale: f32) -> bool {
        let Some(slot) = self.scale() else { return false };
        self.constant(slot, |t| t.raw_data[..4].copy_from_slice(&scale.to_le_bytes()))
    }

    fn zero_point(&mut self, change: impl FnOnce(&mut pb::TensorProto)) -> bool {
        let Some(slot) = self.scale() else { return false };
        self.constant(slot + 1, change)
    }

    fn attribute(&mut self, name: &str, attribute: pb::AttributeProto) -> bool {
        self.node().attribute.retain(|a| a.name != name);
        self.node().attribute.push(pb::AttributeProto { name: name.into(), ..attribute });
        true
    }

    fn axis(&mut self, axis: i64) -> bool {
        let with_axis = ["DequantizeLinear", "Concat", "Softmax", "Flatten", "Split", "Gather"];
        self.is(&with_axis)
            && self.attribute(
                "axis",
                pb::AttributeProto { r#type: AttributeType::Int as i32, i: axis, ..Default::default() },
            )
    }
}

fn as_type(tensor: &mut pb::TensorProto, dtype: DataType, size: usize) {
    let count = tensor.dims.iter().product::<i64>() as usize;
    (tensor.data_type, tensor.raw_data) = (dtype as i32, vec![0; count * size]);
}

/// A list of `n` copies of the first element.
fn repeated(tensor: &mut pb::TensorProto, n: usize) {
    let count = tensor.dims.iter().product::<i64>().max(1) as usize;
    let element = tensor.raw_data[..tensor.raw_data.len() / count].to_vec();
    (tensor.dims, tensor.raw_data) = (vec![n as i64], element.repeat(n));
}

const SPOILS: &[(&str, Spoil)] = &[
    ("scale 0", |v| v.set_scale(0.0)),
    ("scale -0.1", |v| v.set_scale(-0.1)),
    ("scale NaN", |v| v.set_scale(f32::NAN)),
    ("scale infinite", |v| v.set_scale(f32::INFINITY)),
    ("seven scales", |v| v.scale().is_some_and(|slot| v.constant(slot, |t| repeated(t, 7)))),
    ("scale of rank 2", |v| {
        v.scale().is_some_and(|slot| v.constant(slot, |t| t.dims.splice(0..0, [1, 1]).for_each(drop)))
    }),
    ("scale an integer", |v| v.scale().is_some_and(|slot| v.constant(slot, |t| as_type(t, DataType::Int32, 4)))),
    ("seven zero points", |v| v.zero_point(|t| repeated(t, 7))),
    ("zero point int8", |v| v.zero_point(|t| as_type(t, DataType::Int8, 1))),
    ("zero point uint8", |v| v.zero_point(|t| as_type(t, DataType::Uint8, 1))),
    ("zero point int32", |v| v.zero_point(|t| as_type(t, DataType::Int32, 4))),
    ("zero point float", |v| v.zero_point(|t| as_type(t, DataType::Float, 4))),
    ("axis 9", |v| v.axis(9)),
    ("axis -9", |v| v.axis(-9)),
    ("axis of the other dimension", |v| v.axis(1)),
    ("no first input", |v| {
        v.node().input[0].clear();
        true
    }),
    ("no second input", |v| v.node().input.get_mut(1).map(String::clear).is_some()),
    ("one input less", |v| v.node().input.pop().is_some()),
    ("no input", |v| {
        v.node().input.clear();
        true
    }),
    ("an input that is nowhere", |v| {
        v.node().input[0] = "nowhere".into();
        true
    }),
    ("weights of one dimension less", |v| {
        v.constant(0, |t| {
            let last = t.dims.pop().unwrap_or(1);
            t.dims.last_mut().into_iter().for_each(|d| *d *= last);
        })
    }),
    ("weights of one dimension more", |v| v.constant(0, |t| t.dims.push(1))),
    ("half of the weights", |v| {
        v.constant(0, |t| {
            t.dims.first_mut().into_iter().for_each(|d| *d /= 2);
            t.raw_data.truncate(t.raw_data.len() / 2);
        })
    }),
    ("group 3", |v| {
        v.is(&["Conv", "QLinearConv"]) && {
            let three = pb::AttributeProto { r#type: AttributeType::Int as i32, i: 3, ..Default::default() };
            v.attribute("group", three)
        }
    }),
    ("strides of 0", |v| {
        v.is(&["Conv", "QLinearConv"]) && {
            let none =
                pb::AttributeProto { r#type: AttributeType::Ints as i32, ints: vec![0, 0], ..Default::default() };
            v.attribute("strides", none)
        }
    }),
    ("kernel that is not the weights'", |v| {
        v.is(&["Conv", "QLinearConv"]) && {
            let ints = vec![2, 5];
            v.attribute(
                "kernel_shape",
                pb::AttributeProto { r#type: AttributeType::Ints as i32, ints, ..Default::default() },
            )
        }
    }),
];

/// Names of a node, of those that read what it makes and of those that read what these make: whoever notices first may speak.
fn around(graph: &pb::GraphProto, node: usize) -> Vec<String> {
    let mut names = vec![graph.node[node].name.clone()];
    let mut tensors = graph.node[node].output.clone();
    for _ in 0..2 {
        let readers: Vec<_> = graph.node.iter().filter(|n| n.input.iter().any(|i| tensors.contains(i))).collect();
        names.extend(readers.iter().map(|n| n.name.clone()));
        tensors = readers.iter().flat_map(|n| n.output.clone()).collect();
    }
    names
}

#[test]
fn a_malformed_model_is_refused_by_node_or_runs_as_in_floats() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spoilt.onnx");
    let (mut refused, mut ran, mut wrong) = (0, 0, Vec::new());
    let cases = cases();
    for name in
        ["topology-two-consumers", "topology-two-inputs", "qlinear-gemm-int8", "concat-uint8", "softmax-opset11"]
    {
        let case = &cases.iter().find(|(n, _)| n == name).unwrap().1;
        let original = pb::ModelProto::decode(&std::fs::read(onnx(name)).unwrap()[..]).unwrap();
        for node in 0..original.graph.as_ref().unwrap().node.len() {
            for (what, spoil) in SPOILS {
                let mut model = original.clone();
                let graph = model.graph.as_mut().unwrap();
                if !spoil(&mut Victim { graph, node }) {
                    continue;
                }
                let names = around(graph, node);
                std::fs::write(&path, model.encode_to_vec()).unwrap();
                let mut fail = |how: String| wrong.push(format!("{name}, {}, {what}: {how}", names[0]));
                let got = match run(&path, Engine::Int8, 1, inputs(case)) {
                    Err(error) => {
                        refused += 1;
                        // A quantised operator is taken apart: what is wrong with `q` may be said of `q:a`, its first input.
                        let named =
                            |n: &String| error.contains(&format!("{n:?}")) || error.contains(&format!("\"{n}:"));
                        let named = names.iter().any(named) || error.contains("tensor \"spoilt\"");
                        if !named {
                            fail(format!("no node is named: {error}"));
                        }
                        continue;
                    }
                    Ok(got) => got,
                };
                ran += 1;
                match run(&path, Engine::F32, 1, inputs(case)) {
                    Err(error) => fail(format!("runs in integers, but not in floats: {error}")),
                    Ok(want) => {
                        for (got, want) in got.iter().zip(&want) {
                            if (got.datum_type(), got.shape()) != (want.datum_type(), want.shape()) {
                                fail(format!("{got:?} instead of {want:?}"));
                            } else if let Err(how) = agrees(&steps(got, want, 1.0), true) {
                                fail(how);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), refused + ran, wrong.join("\n"));
    assert!(refused > 200 && ran > 50, "{refused} refused, {ran} ran: too few to mean anything");
}
