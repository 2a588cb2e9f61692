//! `prune` and `quantize` through the real binary: a small float net over bare tensors, what they say of it, and what they refuse.

use std::path::{Path, PathBuf};
use std::process::Output;

use leptond_engine::onnx::build::{self, Dim, NodeBuilder, port_of_shape, untyped_port};
use leptond_engine::onnx::tensor;
use prost::Message;
use tract_onnx::pb::GraphProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::Tensor;

use crate::common::leptond;
use crate::infer::{bundle, failed};

/// Numbers from −0.5 to 0.5.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// A net with a residual sum, a depthwise layer and a softmax over 5 classes.
fn net(path: &Path) {
    let mut graph = GraphProto::default();
    let constant = |graph: &mut GraphProto, name: &str, shape: &[usize]| {
        let seed = graph.initializer.len() as u64 + 1;
        let value = Tensor::from_shape(shape, &numbers(shape.iter().product(), seed)).unwrap();
        graph.initializer.push(tensor::write(name, &value).unwrap());
    };
    for (name, shape) in
        [("wa", &[16, 3, 3, 3][..]), ("ba", &[16]), ("wb", &[16, 16, 3, 3]), ("wd", &[16, 1, 3, 3]), ("wf", &[16, 5])]
    {
        constant(&mut graph, name, shape);
    }
    let padded = |inputs: &[&str]| NodeBuilder::new("Conv", inputs.iter().copied()).ints("pads", &[1; 4]);
    graph.node = vec![
        padded(&["x", "wa", "ba"]).named("first", ["a"]),
        NodeBuilder::new("Relu", ["a"]).named("relu", ["r"]),
        padded(&["r", "wb"]).named("second", ["b"]),
        NodeBuilder::new("Add", ["r", "b"]).named("sum", ["s"]),
        padded(&["s", "wd"]).int("group", 16).named("own", ["d"]),
        NodeBuilder::new("GlobalAveragePool", ["d"]).named("pool", ["p"]),
        NodeBuilder::new("Flatten", ["p"]).named("flat", ["f"]),
        NodeBuilder::new("MatMul", ["f", "wf"]).named("head", ["l"]),
        NodeBuilder::new("Softmax", ["l"]).int("axis", 1).named("softmax", ["y"]),
    ];
    graph.input = vec![port_of_shape("x", DataType::Float, &[1, 3, 8, 8])];
    graph.output = vec![untyped_port("y")];
    std::fs::write(path, build::model(graph, 13).encode_to_vec()).unwrap();
}

/// Leaves the size of its pictures open.
fn open_size(model: &Path) {
    let mut open = tract_onnx::pb::ModelProto::decode(&*std::fs::read(model).unwrap()).unwrap();
    let dims = [1, 3].map(Dim::Size).into_iter().chain(["height", "width"].map(Dim::Open)).collect::<Vec<_>>();
    let graph = open.graph.as_mut().unwrap();
    (graph.input, graph.output) =
        (vec![build::port("x", DataType::Float, &dims)], vec![port_of_shape("y", DataType::Float, &[1, 5])]);
    std::fs::write(model, open.encode_to_vec()).unwrap();
}

/// Samples as `.npy` files.
fn samples(dir: &Path, count: usize) -> PathBuf {
    let dir = dir.join("samples");
    std::fs::create_dir_all(&dir).unwrap();
    for index in 0..count {
        let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".to_owned();
        header.push_str(&" ".repeat((64 - (header.len() + 11) % 64) % 64));
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers(192, 100 + index as u64).iter().flat_map(|v| v.to_le_bytes()));
        std::fs::write(dir.join(format!("{index:03}.npy")), bytes).unwrap();
    }
    dir
}

fn prune(model: &Path, samples: &Path, output: &Path, more: &[&str]) -> Output {
    made("prune", model, samples, output, more)
}

fn quantize(model: &Path, samples: &Path, output: &Path, more: &[&str]) -> Output {
    made("quantize", model, samples, output, more)
}

fn made(how: &str, model: &Path, samples: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = leptond();
    command.arg(how).arg(model).arg("--calibrate").arg(samples).arg("-o").arg(output).args(more);
    command.output().unwrap()
}

#[test]
fn a_share_is_removed_and_the_rest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("small.onnx"));
    net(&model);
    let samples = samples(dir.path(), 40);
    let output = prune(&model, &samples, &out, &["--ratio", "30%"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["first", "16 → 12", "% removed", "fitted to 32 samples", "over 8 samples that were held out", "small.onnx"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(std::fs::metadata(&out).unwrap().len() < std::fs::metadata(&model).unwrap().len());
    let npy = dir.path().join("y.npy");
    let infer = leptond().arg("infer").arg(&out).arg(samples.join("000.npy")).arg("--raw").arg("-o").arg(&npy).output();
    assert!(infer.unwrap().status.success());
    assert!(npy.is_file());
    // The same place is not taken twice unless told.
    failed(&prune(&model, &samples, &out, &["--ratio", "0.3"]), 2, &["small.onnx is there already; --replace"]);
    assert!(prune(&model, &samples, &out, &["--target-macs", "120k", "--replace"]).status.success());
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("small.onnx"));
    net(&model);
    let few = samples(dir.path(), 4);
    failed(&prune(&model, &few, &out, &["--ratio", "0.99"]), 1, &["cannot be left: the fewest are", "net.onnx"]);
    failed(&prune(&model, &few, &out, &[]), 2, &["--ratio"]);
    failed(&prune(&model, &few, &out, &["--ratio", "1.5"]), 2, &["a share above 0 and below 1"]);
    failed(&prune(&model, &dir.path().join("none"), &out, &["--ratio", "0.3"]), 1, &["--calibrate", "none"]);
    let one = few.join("000.npy");
    failed(&prune(&model, &one, &out, &["--ratio", "0.3"]), 1, &["one sample is not enough"]);
    let digits = bundle("leptonnet-digits");
    let goldens = digits.join("golden");
    failed(&prune(&digits, &goldens, &out, &["--ratio", "0.3"]), 1, &["the model is quantised already"]);
    assert!(!out.exists());
}

#[test]
fn a_float_model_becomes_one_in_integers_that_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("bytes.onnx"));
    net(&model);
    let samples = samples(dir.path(), 40);
    for effort in ["low", "normal", "high"] {
        let output = quantize(&model, &samples, &out, &["--effort", effort, "--replace"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for part in [
            "4 of 4 layers in bytes, 100.0 %",
            "calibrated on 32 samples",
            "over 8 samples that were held out",
            "bytes.onnx",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let inspected = leptond().arg("inspect").arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(said.contains("int8"), "{said}");
    let again = quantize(&out, &samples, &dir.path().join("twice.onnx"), &[]);
    failed(&again, 1, &["bytes.onnx", "quantised already"]);
}

#[test]
fn dimensions_that_the_file_leaves_open_stay_open_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("bytes.onnx"));
    net(&model);
    open_size(&model);
    let samples = samples(dir.path(), 12);
    let sizes = ["--shape", "height=8", "--shape", "width=8", "--replace"];
    for made in [
        quantize(&model, &samples, &out, &sizes),
        prune(&model, &samples, &out, &[&sizes[..], &["--ratio", "0.2"]].concat()),
    ] {
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Another size than it was calibrated at.
        let shown =
            leptond().arg("inspect").arg(&out).args(["--shape", "height=16", "--shape", "width=8"]).output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    }
}

#[test]
fn a_bundle_becomes_a_bundle_with_all_that_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (float, out) = (dir.path().join("kinds"), dir.path().join("kinds-int8"));
    std::fs::create_dir(&float).unwrap();
    net(&float.join("net.onnx"));
    let manifest = "name = \"kinds\"\ntask = \"classify\"\nfile = \"net.onnx\"\nsha256 = \"SHA\"\nlabels_file = \"labels.txt\"\n\n\
                    [accuracy]\nmetric = \"top-1\"\nvalue = 0.9\ndataset = \"d\"\ncommand = \"c\"\n";
    let sha = leptond::model::sha256(&std::fs::read(float.join("net.onnx")).unwrap());
    std::fs::write(float.join("model.toml"), manifest.replace("SHA", &sha)).unwrap();
    std::fs::write(float.join("labels.txt"), "a\nb\nc\nd\ne\n").unwrap();
    let samples = samples(dir.path(), 20);
    let output = quantize(&float, &samples, &out, &["--keep-float", "head"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("3 of 4 layers") && said.contains("in floats: head"), "{said}");
    let manifest = std::fs::read_to_string(out.join("model.toml")).unwrap();
    assert!(manifest.contains("name = \"kinds-int8\"") && !manifest.contains("accuracy"), "{manifest}");
    assert_eq!(std::fs::read_to_string(out.join("labels.txt")).unwrap(), "a\nb\nc\nd\ne\n");
    let shown = leptond().arg("inspect").arg(&out).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn what_cannot_be_quantised_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("bytes.onnx"));
    net(&model);
    let few = samples(dir.path(), 4);
    failed(&quantize(&model, &dir.path().join("none"), &out, &[]), 1, &["--calibrate", "none"]);
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    failed(&quantize(&model, &empty, &out, &[]), 1, &["--calibrate", "empty", "no picture, table"]);
    let wrong = dir.path().join("wrong");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::write(wrong.join("a.npy"), "no array").unwrap();
    failed(&quantize(&model, &wrong, &out, &[]), 1, &["a.npy", "none of 1 files"]);
    failed(&quantize(&model, &few, &dir.path().join("a.b"), &[]), 2, &["a.b", "a-z"]);
    failed(&quantize(&model, &few, &dir.path().join("no/such/bytes.onnx"), &[]), 2, &["bytes.onnx", "no/such"]);
    failed(&quantize(&model, &few, &out, &["--target-drop", "2"]), 2, &["a share above 0 and below 1"]);
    assert!(!out.exists());
    // One sample is enough for a model, and is said to be few.
    let one = quantize(&model, &few.join("000.npy"), &out, &[]);
    assert!(one.status.success() && String::from_utf8_lossy(&one.stderr).contains("only 1 samples"));
}

/// A folder of pictures for each of five classes; the net finds nothing in them, so that any figure may come of it.
fn pictures(dir: &Path, each: usize) -> PathBuf {
    let dir = dir.join("pictures");
    for (class, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        for index in 0..each {
            let file = std::fs::File::create(dir.join(name).join(format!("{index}.png"))).unwrap();
            let mut encoder = png::Encoder::new(file, 32, 32);
            encoder.set_color(png::ColorType::Rgb);
            let pixels = numbers(32 * 32 * 3, (class * 1000 + index) as u64);
            let pixels: Vec<u8> = pixels.iter().map(|v| (128.0 + 60.0 * class as f32 * v) as u8).collect();
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        }
    }
    dir
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn forms_of_a_model_become_rungs_with_the_accuracy_that_eval_measures() {
    let dir = tempfile::tempdir().unwrap();
    let (float, out, plot) = (dir.path().join("kinds"), dir.path().join("ladder"), dir.path().join("p.svg"));
    std::fs::create_dir(&float).unwrap();
    net(&float.join("net.onnx"));
    open_size(&float.join("net.onnx"));
    let sha = leptond::model::sha256(&std::fs::read(float.join("net.onnx")).unwrap());
    let manifest = format!(
        "name = \"kinds\"\ntask = \"classify\"\nfile = \"net.onnx\"\nsha256 = \"{sha}\"\nlabels = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n\
         [input]\nkind = \"image\"\nsize = [16, 16]\nmean = [0.5]\nstd = [0.25]\n"
    );
    std::fs::write(float.join("model.toml"), manifest).unwrap();
    let pictures = pictures(dir.path(), 6);
    let shrink = |more: &[&str]| {
        let mut command = leptond();
        command.arg("shrink").arg(&float).arg("--calibrate").arg(&pictures).arg("--eval").arg(&pictures);
        command.arg("-o").arg(&out).args(["--ratios", "30%", "--most-loss", "99%"]).args(more).output().unwrap()
    };
    let made = shrink(&["--plot", &plot.display().to_string()]);
    let (said, told) = (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(made.status.success(), "{told}");
    for form in ["float ", "int8 ", "float-r30 ", "int8-r30-12x12 ", "int8-8x8 ", "main"] {
        assert!(said.contains(form), "{form}: {said}");
    }
    assert!(told.contains("have files in common"), "{told}");
    let drawn = std::fs::read_to_string(&plot).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("int8-r30-8x8: ") && drawn.contains(">main: "), "{drawn}");
    // The bundle says of each form what is measured of it again.
    let made = json(&shrink(&["--json", "--replace"]));
    let forms = made["forms"].as_array().unwrap();
    assert_eq!(forms.len(), 2 * 2 * 3);
    let manifest: toml_edit::DocumentMut = std::fs::read_to_string(out.join("model.toml")).unwrap().parse().unwrap();
    let main = forms.iter().find(|form| form["rung"] == 0).unwrap();
    let judged = json(&leptond().arg("eval").arg(&out).arg(&pictures).arg("--json").output().unwrap());
    let top1 = &judged["figures"]["top1"]["value"];
    let close = |a: f64, b: f64| (a - b).abs() < 1e-4;
    let written = manifest["accuracy"]["value"].as_float().unwrap();
    assert!(close(written, main["value"].as_f64().unwrap()), "{manifest} {main}");
    assert!(close(written, top1.as_f64().unwrap()), "{manifest} {judged}");
    let rungs = forms.iter().filter(|form| !form["rung"].is_null()).count();
    let variants = manifest.get("variant").and_then(|v| v.as_array_of_tables()).map_or(0, |v| v.len());
    assert_eq!(variants + 1, rungs, "{manifest}");
    for (index, variant) in
        manifest.get("variant").and_then(|v| v.as_array_of_tables()).into_iter().flatten().enumerate()
    {
        let form = forms.iter().find(|form| form["rung"] == index + 1).unwrap();
        assert_eq!(variant["name"].as_str(), form["name"].as_str());
        assert!(close(variant["accuracy"].as_float().unwrap(), form["value"].as_f64().unwrap()));
    }
}

#[test]
fn forms_are_judged_by_agreement_where_nothing_is_labelled() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("ladder"));
    net(&model);
    let samples = samples(dir.path(), 30);
    let shrink = |output: &Path, more: &[&str]| {
        let mut command = leptond();
        command.arg("shrink").arg(&model).arg("--calibrate").arg(&samples).arg("--eval").arg(&samples).arg("-o");
        command.arg(output).args(more).output().unwrap()
    };
    let made = shrink(&out, &["--ratios", "30%,99%"]);
    let (said, told) = (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(made.status.success(), "{told}");
    for part in ["no labels", "99 % less is left out: ", "the fewest are"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Its outputs are shares of classes, so that it is judged by the best one.
    assert!(said.contains("int8-r30") && said.contains("accuracy: same top-1 class"), "{said}");
    let shown = leptond().arg("inspect").arg(&out).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    failed(&shrink(&out, &[]), 2, &["ladder is there already"]);
    failed(
        &shrink(&out, &["--replace", "--sizes", "4x4"]),
        1,
        &["--sizes", "net.onnx", "dimension 2 is 8 in the file"],
    );
    failed(&shrink(&dir.path().join("a.onnx"), &[]), 2, &["a.onnx", "several forms are a bundle"]);
    failed(&shrink(&dir.path().join("b"), &["--plot", "p.png"]), 2, &["p.png", "ends in .svg"]);
    failed(&shrink(&dir.path().join("b"), &["--limit", "0"]), 2, &["--limit"]);
}
