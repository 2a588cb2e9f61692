//! `eval` and `check MODEL` through the real binary: what is right for a file by folders, lists, names and annotations; two models in pairs;
//! what cannot be measured is refused in words.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{leptond, shared};
use crate::infer::{Meter, bundle, failed, truth};

fn digits() -> PathBuf {
    bundle("leptonnet-digits")
}

fn golden(name: &str) -> PathBuf {
    digits().join("golden").join(name)
}

/// A folder with a folder of one picture for each digit.
fn folders(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    for digit in 0..10 {
        put(&golden(&format!("{digit}.png")), &data.join(digit.to_string()).join("a.png"));
    }
    data
}

fn put(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

fn eval(model: &Path, data: &Path, more: &[&str]) -> Output {
    leptond().arg("eval").arg(model).arg(data).args(more).output().unwrap()
}

fn measured(model: &Path, data: &Path, more: &[&str]) -> Value {
    let output = eval(model, data, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(object: &Value, key: &str) -> f64 {
    object["figures"][key]["value"].as_f64().unwrap_or_else(|| panic!("{key}: {object}"))
}

#[test]
fn folders_are_classes_and_mistakes_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let data = folders(dir.path());
    let all = measured(&digits(), &data, &[]);
    assert_eq!(
        (figure(&all, "top1"), all["inputs"].as_u64(), all["labels"].as_str()),
        (1.0, Some(10), Some("folders"))
    );
    // A 7 among the ones is a mistake, and a file that is no picture is named and left out.
    put(&golden("7.png"), &data.join("1/b.png"));
    std::fs::write(data.join("2/bad.png"), b"no picture").unwrap();
    let svg = dir.path().join("confusion.svg");
    let some = measured(&digits(), &data, &["--confusion", svg.to_str().unwrap()]);
    assert!((figure(&some, "top1") - 10.0 / 11.0).abs() < 1e-9 && some["inputs"] == 11, "{some}");
    assert!(some["unread"][0]["file"].as_str().unwrap().ends_with("2/bad.png"), "{some}");
    let mistake = json!({ "class": 1, "said": 7, "inputs": 1 });
    assert!(some["confusion"].as_array().unwrap().contains(&mistake), "{some}");
    assert!(std::fs::read_to_string(&svg).unwrap().contains("</svg>"));
    let half = measured(&digits(), &data, &["--limit", "4"]);
    assert_eq!(half["inputs"].as_u64(), Some(4));
}

#[test]
fn the_table_fits_a_terminal_and_names_what_was_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let data = folders(dir.path());
    std::fs::write(data.join("2/bad.png"), b"no picture").unwrap();
    let against = digits();
    let output = eval(&digits(), Path::new("data"), &[]);
    failed(&output, 2, &["data", "no such file"]);
    let mut command = leptond();
    command.current_dir(dir.path()).arg("eval").arg(digits()).args(["data", "--against"]).arg(&against);
    let output = command.args(["--against-engine", "f32"]).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["10 inputs, 1 file left out", "top-1", "A - B", "McNemar p 1.0000", "Agreement of A with B: 100.00 %"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("2/bad.png"));
}

#[test]
fn lists_name_files_and_what_is_right() {
    let dir = tempfile::tempdir().unwrap();
    for digit in [3, 7] {
        put(&golden(&format!("{digit}.png")), &dir.path().join(format!("{digit}.png")));
    }
    let list = dir.path().join("labels.csv");
    std::fs::write(&list, "file,label\n3.png,3\n7.png,1\nmissing.png,2\n").unwrap();
    for data in [list.as_path(), dir.path()] {
        let found = measured(&digits(), data, &[]);
        assert_eq!((figure(&found, "top1"), found["unread"].as_array().unwrap().len()), (0.5, 1), "{found}");
        assert!(found["unread"][0]["file"].as_str().unwrap().ends_with("missing.png"));
    }
    std::fs::write(&list, "3.png\n").unwrap();
    failed(&eval(&digits(), &list, &[]), 2, &["labels.csv", "line 1"]);
}

#[test]
fn what_cannot_be_measured_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let data = folders(dir.path());
    put(&golden("7.png"), &data.join("seven/a.png"));
    failed(&eval(&digits(), &data, &[]), 2, &["\"seven\"", "\"9\""]);
    let plain = dir.path().join("plain");
    put(&golden("7.png"), &plain.join("a.png"));
    put(&golden("8.png"), &plain.join("b.png"));
    failed(&eval(&digits(), &plain, &[]), 2, &["no labels", "labels.csv", "--against"]);
    failed(
        &eval(&bundle("machine-anomaly"), &plain, &["--against", digits().to_str().unwrap()]),
        2,
        &[".csv", "a.png"],
    );
    let archive = dir.path().join("data.tar.gz");
    std::fs::write(&archive, b"x").unwrap();
    failed(&eval(&digits(), &archive, &[]), 2, &["unpack"]);
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    failed(&eval(&digits(), &empty, &[]), 2, &["no inputs"]);
    failed(&eval(&digits(), &data, &["--confusion", "matrix.pdf"]), 2, &[".svg or .png"]);
    for bad in ["a", "b"] {
        std::fs::write(plain.join(format!("{bad}.png")), b"no picture").unwrap();
    }
    failed(
        &eval(&digits(), &plain, &["--against", digits().to_str().unwrap()]),
        1,
        &["no input gave a result", "a.png"],
    );
}

#[test]
fn two_models_are_compared_without_labels() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    for digit in 0..10 {
        put(&golden(&format!("{digit}.png")), &plain.join(format!("{digit}.png")));
    }
    let found = measured(&digits(), &plain, &["--against", digits().to_str().unwrap(), "--against-engine", "f32"]);
    assert_eq!(found["agreement"]["measure"], json!({ "name": "same top-1 class", "share": 1.0, "of": 10 }));
    assert_eq!(found["labels"], Value::Null);
    let other = measured(&digits(), &plain, &["--against", bundle("leptonnet-cifar10").to_str().unwrap()]);
    assert_eq!(other["agreement"]["measure"]["share"].as_f64(), Some(0.0), "digits are no animals: {other}");
}

#[test]
fn anomalies_are_parted_by_their_scores() {
    let dir = tempfile::tempdir().unwrap();
    let machine = bundle("machine-anomaly");
    put(&machine.join("golden/quiet.csv"), &dir.path().join("data/normal/a.csv"));
    put(&machine.join("golden/busy.csv"), &dir.path().join("data/anomaly/b.csv"));
    let found = measured(&machine, &dir.path().join("data"), &[]);
    assert_eq!(figure(&found, "auc"), 1.0, "{found}");
    std::fs::rename(dir.path().join("data/normal"), dir.path().join("data/strange")).unwrap();
    failed(&eval(&machine, &dir.path().join("data"), &[]), 2, &["strange", "normal and anomaly"]);
}

#[test]
fn readings_of_a_configuration_are_measured_by_their_digits() {
    let meter = Meter::new();
    let pictures = meter.pictures();
    let line = |picture: &PathBuf| format!("{},{}\n", picture.display(), truth(picture));
    let list = meter.path("truth.csv");
    std::fs::write(&list, pictures.iter().map(line).collect::<String>()).unwrap();
    let found = measured(&meter.path("meter.toml"), &list, &["--pipeline", "water"]);
    let (exact, unread) = (figure(&found, "exact"), figure(&found, "unread"));
    assert_eq!((found["inputs"].as_u64(), figure(&found, "wrong")), (Some(pictures.len() as u64), 0.0), "{found}");
    assert!(exact + figure(&found, "near") > 0.0 && unread < 1.0, "{found}");
    let regions = meter.path("regions.toml");
    let by_regions = measured(&digits(), &list, &["--regions", regions.to_str().unwrap()]);
    assert_eq!(by_regions["figures"], found["figures"]);
}

#[test]
fn boxes_are_measured_by_annotations() {
    let Some(shared) = shared("eval::boxes_are_measured_by_annotations") else { return };
    let dir = tempfile::tempdir().unwrap();
    let detector = dir.path().join("fastestdet");
    let onnx = std::fs::read(shared.join("models/vision/fastestdet-coco-fp32.onnx")).unwrap();
    put(&shared.join("models/vision/fastestdet-coco-fp32.onnx"), &detector.join("model.onnx"));
    put(&bundle("labels/coco.txt"), &detector.join("labels.txt"));
    let manifest = format!(
        "name = \"fastestdet\"\nversion = \"1\"\ntask = \"detect\"\ndescription = \"-\"\nlicence = \"-\"\norigin = \"-\"\n\
         file = \"model.onnx\"\nsha256 = \"{}\"\nlabels_file = \"labels.txt\"\n[input]\nkind = \"image\"\n\
         size = [352, 352]\nlayout = \"nchw\"\ncolour = \"bgr\"\nfit = \"stretch\"\n[output]\nhead = \"fastestdet\"\n",
        leptond::model::sha256(&onnx)
    );
    std::fs::write(detector.join("model.toml"), manifest).unwrap();
    // What the model itself finds is right.
    let pictures: Vec<PathBuf> = (0..3).map(|n| shared.join(format!("data/images/street-{n}.jpg"))).collect();
    let output = leptond().args(["infer", "--json"]).arg(&detector).args(&pictures).output().unwrap();
    let (mut images, mut annotations, mut names) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for (id, found) in crate::infer::lines(&output.stdout).iter().enumerate() {
        let [width, height] = ["source_width", "source_height"].map(|key| found[key].as_u64().unwrap());
        images.push(json!({ "id": id, "file_name": format!("street-{id}.jpg"), "width": width, "height": height }));
        for one in found["detections"].as_array().unwrap() {
            let label = one["label"].as_str().unwrap().to_owned();
            let category = names.iter().position(|name| *name == label).unwrap_or_else(|| {
                names.push(label);
                names.len() - 1
            });
            let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|at| one["box"][at].as_f64().unwrap());
            let bbox = json!([x1, y1, x2 - x1, y2 - y1]);
            annotations
                .push(json!({ "id": annotations.len() + 1, "image_id": id, "category_id": category, "bbox": bbox }));
        }
    }
    assert!(annotations.len() >= 3, "{annotations:?}");
    let file = dir.path().join("instances.json");
    let write = |names: &[String], annotations: &[Value]| {
        let categories: Vec<_> = names.iter().enumerate().map(|(id, name)| json!({ "id": id, "name": name })).collect();
        let all = json!({ "images": images, "annotations": annotations, "categories": categories });
        std::fs::write(&file, all.to_string()).unwrap();
    };
    write(&names, &annotations);
    let folder = shared.join("data/images");
    let more = ["--images", folder.to_str().unwrap()];
    let found = measured(&detector, &file, &more);
    assert!(figure(&found, "ap") > 0.999 && figure(&found, "boxes_missed") == 0.0, "{found}");
    assert_eq!(figure(&found, "boxes_right"), annotations.len() as f64);
    let mut moved = annotations.clone();
    moved[0]["bbox"] = json!([0.0, 0.0, 3.0, 3.0]);
    write(&names, &moved);
    let less = measured(&detector, &file, &more);
    assert!(figure(&less, "ap") < figure(&found, "ap") && figure(&less, "boxes_missed") == 1.0, "{less}");
    names[0] = "thing".into();
    write(&names, &annotations);
    assert_eq!(measured(&detector, &file, &more)["categories_left_out"], json!(["thing"]));
    failed(&eval(&detector, &file, &[]), 2, &["--images", "street-0.jpg"]);
}

#[test]
fn bare_values_are_labelled_by_their_names() {
    let Some(shared) = shared("eval::bare_values_are_labelled_by_their_names") else { return };
    let (data, tiny) = (shared.join("data/kws01"), shared.join("models/mlperf-tiny"));
    let float = tiny.join("kws01-fp32.onnx");
    let found =
        measured(&tiny.join("kws01-int8.onnx"), &data, &["--limit", "100", "--against", float.to_str().unwrap()]);
    assert_eq!(found["labels"].as_str(), Some("numbers of classes in file names"));
    assert!(figure(&found, "top1") > 0.85 && figure(&found["against"], "top1") > 0.85, "{found}");
    assert!(found["agreement"]["measure"]["share"].as_f64().unwrap() > 0.95, "{found}");
    let (low, high) = (found["difference"]["top1"]["low"].as_f64(), found["difference"]["top1"]["high"].as_f64());
    assert!(low < Some(0.0) && high > Some(0.0), "{found}");
    // Floats do not know what the bytes mean by themselves.
    failed(&eval(&float, &data, &["--limit", "3"]), 1, &["--quant"]);
}

fn check(model: &Path, more: &[&str]) -> Output {
    leptond().arg("check").arg(model).args(more).output().unwrap()
}

#[test]
fn layers_are_shown_in_integers_beside_floats() {
    let output = check(&digits(), &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((found["golden"]["inputs"].as_u64(), found["inputs"].as_u64()), (Some(14), Some(14)));
    assert_eq!(found["agreement"]["share"].as_f64(), Some(1.0));
    let layers = found["layers"].as_array().unwrap();
    assert!(layers.len() > 5, "{layers:?}");
    let noise = |layer: &Value| layer["difference"]["sqnr_db"].as_f64();
    assert!(layers.iter().any(|layer| layer["operator"] == "Conv"), "{layers:?}");
    assert!(layers.iter().all(|layer| noise(layer).is_none_or(|db| db > 5.0)), "{layers:?}");
    assert!(layers.iter().filter(|layer| noise(layer).is_some()).count() > 5, "{layers:?}");
    let table = check(&digits(), &[]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("14 golden inputs, as they should be in integers and in floats"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn a_model_without_golden_inputs_takes_those_that_are_given() {
    let cifar = bundle("leptonnet-cifar10");
    let none = check(&cifar, &[]);
    assert!(String::from_utf8_lossy(&none.stdout).contains("--input"), "{}", String::from_utf8_lossy(&none.stdout));
    let picture = golden("3.png");
    let given = check(&cifar, &["--json", "--input", picture.to_str().unwrap()]);
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
    let found: Value = serde_json::from_slice(&given.stdout).unwrap();
    assert_eq!((found["golden"]["inputs"].as_u64(), found["inputs"].as_u64()), (Some(0), Some(1)));
    assert!(found["layers"].as_array().unwrap().len() > 5);
    failed(&check(&cifar, &["--input", "absent.png"]), 1, &["absent.png"]);
    failed(&check(&cifar, &["--config", "leptond.toml"]), 2, &["--config"]);
    failed(&leptond().args(["check", "--input", "a.png"]).output().unwrap(), 2, &["MODEL"]);
}

#[test]
fn a_model_in_floats_has_no_layers_to_part() {
    let Some(shared) = shared("eval::a_model_in_floats_has_no_layers_to_part") else { return };
    let output = check(&shared.join("models/mlperf-tiny/ic01-fp32.onnx"), &[]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("runs in floats"));
}
