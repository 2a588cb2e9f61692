//! Models: bundles, loading, plans, bad files.

mod bad;
pub mod build;
mod external;
mod loops;

use std::path::Path;

use leptond::frame::{Colour, DType, Elements, ElementsMut, Quant, Spec};
use leptond::model::{Bundle, Engine, LoadedModel, ModelError, PlanKey, npy, sha256};
use tract_onnx::prelude::{Datum, Tensor};

use crate::common;

fn load(path: &Path) -> Result<LoadedModel, ModelError> {
    LoadedModel::load(&Bundle::open(path)?, 0, Engine::Auto, 1)
}

#[test]
fn every_shared_model_runs_or_says_which_node_it_cannot() {
    let Some(shared) = common::shared("every_shared_model_runs_or_says_which_node_it_cannot") else { return };
    for folder in ["mlperf-tiny", "vision"] {
        for entry in std::fs::read_dir(shared.join("models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "onnx") {
                let mut plan = load(&path).and_then(|m| m.plan(PlanKey::default())).unwrap_or_else(|e| panic!("{e}"));
                plan.run().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(!plan.output(0).is_empty(), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_batch_gives_the_same_as_its_items() {
    let Some(shared) = common::shared("a_batch_gives_the_same_as_its_items") else { return };
    let model = load(&shared.join("models/mlperf-tiny/kws01-int8.onnx")).unwrap();
    let mut one = model.plan(PlanKey::default()).unwrap();
    let mut three = model.plan(PlanKey { batch: Some(3), size: None }).unwrap();
    assert_eq!(three.outputs()[0].shape[0], 3);
    let value = |item: usize, i: usize| ((i * 7 + item * 31) % 256) as u8 as i8;
    let len = one.inputs()[0].shape.iter().product::<usize>();
    let ElementsMut::I8(all) = three.input_mut(0).data else { panic!("not i8") };
    all.iter_mut().enumerate().for_each(|(k, v)| *v = value(k / len, k % len));
    three.run().unwrap();
    for item in 0..3 {
        let ElementsMut::I8(x) = one.input_mut(0).data else { panic!("not i8") };
        x.iter_mut().enumerate().for_each(|(i, v)| *v = value(item, i));
        one.run().unwrap();
        let (Elements::I8(single), Elements::I8(all)) = (one.output(0).data, three.output(0).data) else {
            panic!("not i8")
        };
        assert_eq!(single, &all[item * single.len()..][..single.len()], "item {item}");
    }
}
#[test]
fn outputs_are_those_of_the_reference() {
    let Some(shared) = common::shared("outputs_are_those_of_the_reference") else { return };
    let tiny = |name: &str| shared.join("models/mlperf-tiny").join(name);
    let vision = |name: &str| shared.join("models/vision").join(name);
    let signed = |p: Vec<u8>| p.into_iter().map(|v| v.wrapping_sub(128) as i8).collect::<Vec<i8>>();

    let mut files: Vec<_> = std::fs::read_dir(shared.join("data/kws01")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let kws: Vec<i8> = files[..64].iter().flat_map(|f| std::fs::read(f).unwrap()).map(|b| b as i8).collect();
    integers(&tiny("kws01-int8.onnx"), "kws01-int8", tensor(&[64, 49, 10, 1], &kws), 99.9);
    let ic = tensor(&[1, 32, 32, 3], &signed(pattern(32, 32, 3)));
    integers(&tiny("ic01-int8.onnx"), "ic01-int8", ic, 99.5);
    let vww = tensor(&[1, 96, 96, 3], &signed(pattern(96, 96, 3)));
    integers(&tiny("vww01-int8.onnx"), "vww01-int8", vww, 99.5);
    let mobilenet = tensor(&[1, 224, 224, 3], &pattern(224, 224, 3));
    integers(&vision("mobilenet-v2-224-int8.onnx"), "mobilenet-v2-224-int8", mobilenet, 99.5);

    let floats: Vec<f32> = pattern(32, 32, 3).into_iter().map(f32::from).collect();
    let (got, want) = outputs(&tiny("ic01-fp32.onnx"), "ic01-fp32", tensor(&[1, 32, 32, 3], &floats));
    assert!(got.close_enough(&want, true).is_ok(), "ic01-fp32");
    let nhwc = pattern(352, 352, 3);
    let at = |c: usize, i: usize| f32::from(nhwc[i * 3 + c]) / 255.0;
    let nchw: Vec<f32> = (0..3).flat_map(|c| (0..352 * 352).map(move |i| (c, i))).map(|(c, i)| at(c, i)).collect();
    // Seventy layers carry a value that was rounded to the other side far: onnxruntime with its optimisations is off in 10 of the
    // 484 cells of the int8 model. What counts, the boxes on photos, is compared by tests/tools/compare_ort.py.
    for (name, per_mille) in [("fastestdet-coco-fp32", 5), ("fastestdet-coco-int8", 40)] {
        let input = tensor(&[1, 3, 352, 352], &nchw);
        let (got, want) = outputs(&vision(&format!("{name}.onnx")), name, input);
        let got = got.slice(1, 0, 1).unwrap();
        let values = |t: &Tensor| t.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
        let far = values(&got).iter().zip(values(&want)).filter(|(a, b)| (*a - b).abs() > 0.03).count();
        assert!(far * 1000 <= want.len() * per_mille, "{name}: {far} of {} cells differ", want.len());
    }
}

/// At least `share` per cent of the outputs within one quantum of the reference.
fn integers(path: &Path, name: &str, input: Tensor, share: f64) {
    let (got, want) = outputs(path, name, input);
    assert_eq!((got.datum_type(), got.shape()), (want.datum_type(), want.shape()), "{name}");
    let wide = |t: &Tensor| t.cast_to::<i32>().unwrap().try_as_plain_ram().unwrap().as_slice::<i32>().unwrap().to_vec();
    let near = wide(&got).iter().zip(wide(&want)).filter(|(a, b)| (*a - b).abs() <= 1).count();
    assert!(near as f64 * 100.0 >= share * want.len() as f64, "{name}: {near} of {} are near", want.len());
}

fn outputs(path: &Path, name: &str, input: Tensor) -> (Tensor, Tensor) {
    let got = load(path).unwrap().run_raw(vec![input], |_, _| ()).unwrap().swap_remove(0);
    let want = std::fs::read(common::data(&format!("model/{name}.npy"))).unwrap();
    (got, npy::read(&want).unwrap())
}

fn tensor<T: Datum + Copy>(shape: &[usize], values: &[T]) -> Tensor {
    Tensor::from_shape(shape, values).unwrap()
}

/// The picture that `tests/tools/compare_ort.py` makes by the same formula.
fn pattern(height: i64, width: i64, channels: i64) -> Vec<u8> {
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                let (dy, dx) = (y * 2 - height, x * 2 - width);
                let disc = if dy * dy + dx * dx < (height * width) / 3 { 90 } else { 0 };
                let grating = (x / 4 + y / 8) % 2 * 25 * (c + 1);
                out.push(((x * 160 / width + y * (60 + 30 * c) / height + disc + grating) % 256) as u8);
            }
        }
    }
    out
}

#[test]
fn branches_are_decided_by_the_shapes() {
    use build::{attr_graph, file, floats, graph, node, port};
    use tract_onnx::pb::tensor_proto::DataType;
    // y = x + 1 where the batch is 2, else x without its last axis, which never fits.
    let branch = |nodes, tensors| graph(vec![], tensors, nodes, vec![port("b", DataType::Float, &[])]);
    let plus = branch(vec![node("Add", &["x", "one"], &["b"])], vec![floats("one", &[1], &[1.0])]);
    let squeeze = branch(vec![node("Squeeze", &["x"], &["t"]), node("MatMul", &["t", "w"], &["b"])], vec![]);
    let mut decide = node("If", &["two"], &["y"]);
    decide.attribute = vec![attr_graph("then_branch", plus), attr_graph("else_branch", squeeze)];
    let nodes = vec![
        node("Shape", &["x"], &["shape"]),
        node("Gather", &["shape", "first"], &["batch"]),
        node("Equal", &["batch", "number"], &["two"]),
        decide,
    ];
    let tensors =
        vec![build::ints("first", &[], &[0]), build::ints("number", &[], &[2]), floats("w", &[7, 7], &[0.0; 49])];
    let x = port("x", DataType::Float, &[-1, 3]);
    let bytes = file(graph(vec![x], tensors, nodes, vec![port("y", DataType::Float, &[])]));
    let model = LoadedModel::from_onnx("branches.onnx", &bytes).unwrap();
    let out = model.run_raw(vec![tensor(&[2, 3], &[0f32, 1.0, 2.0, 3.0, 4.0, 5.0])], |_, _| ()).unwrap();
    assert_eq!(out[0], tensor(&[2, 3], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let error = model.run_raw(vec![tensor(&[1, 3], &[0f32; 3])], |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("MatMul") && error.contains("the_b"), "{error}");
}

#[test]
fn speech_is_found_by_the_stateful_model() {
    let Some(shared) = common::shared("speech_is_found_by_the_stateful_model") else { return };
    let model = load(&shared.join("models/audio/silero-vad-16k.onnx")).unwrap();
    let wave = std::fs::read(shared.join("data/audio/speech.wav")).unwrap();
    let samples: Vec<f32> =
        wave[44..].chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0).collect();
    let mut state = tensor(&[2, 1, 128], &[0f32; 256]);
    let (mut loudest, mut runs) = (0f32, 0);
    for chunk in samples[..16_000 * 2].chunks_exact(576) {
        let rate = tensor(&[], &[16_000i64]);
        let mut out = model.run_raw(vec![tensor(&[1, 576], chunk), state, rate], |_, _| ()).unwrap();
        state = out.pop().unwrap();
        loudest = loudest.max(out[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap()[0]);
        runs += 1;
        if loudest > 0.5 || runs == 12 {
            break;
        }
    }
    assert!(loudest > 0.5, "speech probability {loudest} at most");
}

#[test]
fn infer_raw_tells_usage_and_shapes_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("m.onnx"), build::file(build::network())).unwrap();
    let save = |name: &str, tensor: &Tensor| {
        let mut bytes = Vec::new();
        npy::write(tensor, &mut bytes).unwrap();
        std::fs::write(at(name), bytes).unwrap();
    };
    save("x.npy", &tensor(&[3, 1, 8, 8], &[5i8; 192]));
    save("float.npy", &tensor(&[1, 1, 8, 8], &[5f32; 64]));
    save("small.npy", &tensor(&[1, 1, 4, 8], &[5i8; 32]));
    std::fs::write(at("junk.npy"), b"junk").unwrap();
    let leptond = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_leptond")).args(args).output().unwrap();
        let text = String::from_utf8_lossy(if out.stdout.is_empty() { &out.stderr } else { &out.stdout }).into_owned();
        (out.status.code(), text)
    };
    let (m, out) = (at("m.onnx"), at("out.npy"));
    let (code, text) = leptond(&["infer", &m, "--raw", &at("x.npy"), "-o", &out]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(npy::read(&std::fs::read(&out).unwrap()).unwrap().shape(), [3, 5]);
    let cases: [(&[&str], i32, &[&str]); 5] = [
        (&["infer", &m, "--raw", &at("x.npy")], 2, &["-o"]),
        (&["infer", &m, "--raw", &at("x.npy"), &at("x.npy"), "-o", &out], 2, &["1 inputs", "x", "2 files"]),
        (&["infer", &m, "--raw", &at("float.npy"), "-o", &out], 1, &["\"x\"", "expected i8", "found f32"]),
        (&["infer", &m, "--raw", &at("small.npy"), "-o", &out], 1, &["\"x\"", "[?, 1, 8, 8]", "[1, 1, 4, 8]"]),
        (&["infer", &m, "--raw", &at("junk.npy"), "-o", &out], 1, &["junk.npy", ".npy"]),
    ];
    for (args, want, words) in cases {
        let (code, text) = leptond(args);
        assert_eq!(code, Some(want), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text}");
        }
    }
    let (code, text) = leptond(&["bench", &m, "--threads", "1", "--iters", "7", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["iters"], &report["model"]), (&7.into(), &"m".into()));
    for key in ["load_ms", "min_ms", "median_ms", "p95_ms", "peak_rss_bytes", "weights_bytes", "arena_bytes"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key} in {text}");
    }
    let (code, text) = leptond(&["inspect", &m, "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    // 4 outputs × 6×6 positions × 9 taps, and 36 × 5.
    assert_eq!(report["macs"], 4 * 36 * 9 + 180);
}

const MANIFEST: &str = r#"name = "demo"
version = "1"
task = "classify"
sha256 = "HASH"
labels = ["a", "b", "c", "d", "e"]

[input]
kind = "image"
colour = "grey"
mean = [0.5]
std = [0.25]

[defaults]
top_k = 2
"#;

fn embedded(manifest: &str) -> Result<Bundle, ModelError> {
    let onnx = build::file(build::network());
    let manifest = manifest.replace("HASH", &sha256(&onnx));
    Bundle::from_parts("demo", &manifest, onnx.into(), vec![])
}

#[test]
fn a_bundle_gives_spec_task_and_defaults() {
    let bundle = embedded(MANIFEST).unwrap();
    let model = LoadedModel::load(&bundle, 0, Engine::Auto, 1).unwrap();
    let key = PlanKey { batch: Some(5), size: None };
    let Spec::Image(spec) = model.spec(key).unwrap() else { panic!("not a picture") };
    assert_eq!((spec.batch, spec.height, spec.width, spec.colour), (5, 8, 8, Colour::Grey));
    assert_eq!((spec.mean[0], spec.std[0], spec.dtype), (0.5, 0.25, DType::I8));
    assert_eq!(spec.quant, Some(Quant { scale: 0.05, zero_point: 3 }));
    let plan = model.plan(key).unwrap();
    assert_eq!(plan.outputs()[0].quant, Some(Quant { scale: 0.01, zero_point: -128 }));
    let task = model.task_spec(key, 5).unwrap();
    assert_eq!((task.labels.len(), task.none), (5, None));
    assert_eq!(model.defaults()["top_k"], 2);
    let error = model.plan(PlanKey { batch: None, size: Some([16, 16]) }).map(drop).unwrap_err().to_string();
    assert!(error.contains("\"x\"") && error.contains("dimension 2 is 8"), "{error}");
}

#[test]
fn wrong_manifests_are_explained() {
    let cases: [(&str, &str, &[&str]); 15] = [
        ("labels =", "lables =", &[":5", "lables", "did you mean \"labels\""]),
        ("mean = [0.5]", "maen = [0.5]", &[":10", "maen", "\"mean\""]),
        ("task = \"classify\"", "task = \"clasify\"", &[":3", "task", "clasify", "classify"]),
        ("version = \"1\"", "version = 1", &[":2", "version", "integer", "string"]),
        ("mean = [0.5]", "mean = [0.5, 0.5]", &[":10", "input.mean", "found 2", "1"]),
        ("std = [0.25]", "std = [0.0]", &[":11", "input.std", "above 0"]),
        ("name = \"demo\"", "name = \"de mo\"", &[":1", "name", "de mo"]),
        ("HASH", "abc", &[":4", "sha256", "abc", "64"]),
        ("kind = \"image\"", "kind = \"window\"", &["input.rows", "missing"]),
        ("task = \"classify\"", "task = \"detect\"", &["output.head", "fastestdet"]),
        ("version = \"1\"", "file = \"../m.onnx\"", &[":2", "file", "inside the bundle"]),
        ("name = \"demo\"", "", &["missing field `name`"]),
        ("version = \"1\"", "version = \"1", &[":2"]),
        ("[defaults]", "[output]\nnone = \"nothing\"\n[defaults]", &[":14", "output.none", "nothing", "5 labels"]),
        ("task = \"classify\"", "task = \"raw\"\noutput.none = \"a\"", &["output.none", "classify"]),
    ];
    for (from, to, words) in cases {
        let error = embedded(&MANIFEST.replacen(from, to, 1)).map(drop).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{from:?} -> {to:?}: {word:?} is not in: {error}");
        }
    }
    let from_file = MANIFEST.replace("labels = [\"a\", \"b\", \"c\", \"d\", \"e\"]", "labels_file = \"labels.txt\"");
    let with_file = |none: &str| {
        let onnx = build::file(build::network());
        let text = from_file.replace("HASH", &sha256(&onnx)) + &format!("[output]\nnone = {none:?}\n");
        Bundle::from_parts(
            "demo",
            &text,
            onnx.into(),
            vec![("labels.txt".into(), b"0\n1\n2\n3\nNaN\n".to_vec().into())],
        )
    };
    let error = with_file("none").map(drop).unwrap_err().to_string();
    assert!(error.contains("output.none") && error.contains("0, 1, 2, 3, NaN"), "{error}");
    let model = LoadedModel::load(&with_file("NaN").unwrap(), 0, Engine::Auto, 1).unwrap();
    assert_eq!(model.task_spec(PlanKey::default(), 1).unwrap().none, Some(4));
    let error = Bundle::from_parts("demo", &MANIFEST.replace("HASH", &"0".repeat(64)), vec![1].into(), vec![]);
    assert!(matches!(error, Err(ModelError::Hash { .. })), "{error:?}");
    let rgb = embedded(&MANIFEST.replace("grey", "rgb")).unwrap();
    let error = LoadedModel::load(&rgb, 0, Engine::Auto, 1).map(drop).unwrap_err().to_string();
    assert!(error.contains("1 channels") && error.contains("rgb"), "{error}");
}
