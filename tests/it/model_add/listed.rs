//! The models of the program's own catalog, where their files are at hand.

use std::path::PathBuf;

use super::home::{Home, Ran};
use super::samples::{hum, keyword};
use super::server::{Reply, Server};
use crate::common::{self, shared, skip};

/// A home with the program's catalog, whose files this server has.
fn home(server: &Server) -> Home {
    let home = Home::new();
    let catalog = include_str!("../../../models/catalog.toml");
    home.write("catalog.toml", catalog.replace("https://", &format!("http://{}/", server.address())));
    home
}

fn infer(home: &Home, model: &str, input: &str) -> serde_json::Value {
    let mut command = common::leptond();
    command.current_dir(home.dir.path()).args(["infer", &format!("models/{model}"), input, "--json"]);
    serde_json::from_str(&Ran::of(command.output().unwrap()).ok().out).unwrap()
}

/// Files of the catalog, by the last part of their addresses, in the folder beside the project.
const SHARED: &[(&str, &str)] = &[
    ("FastestDet.onnx", "models/vision/fastestdet-coco-fp32.onnx"),
    ("tf2_mobilenet_v2_1.0_224_ptq.tflite", "models/vision/mobilenet-v2-224-int8.tflite"),
    ("vww_96_int8.tflite", "models/mlperf-tiny/vww01-int8.tflite"),
    ("pretrainedResnet_quant.tflite", "models/mlperf-tiny/ic01-int8.tflite"),
    ("kws_ref_model.tflite", "models/mlperf-tiny/kws01-int8.tflite"),
    ("ad01_int8.tflite", "models/mlperf-tiny/ad01-int8.tflite"),
];

#[test]
fn every_model_of_the_programs_catalog_runs_at_once() {
    let Some(shared) = shared("every_model_of_the_programs_catalog_runs_at_once") else { return };
    let files = shared.clone();
    let server = Server::start(move |asked, _| {
        let (_, file) = SHARED.iter().find(|(name, _)| asked.path.ends_with(name)).unwrap();
        Reply::whole(&std::fs::read(files.join(file)).unwrap())
    });
    let home = home(&server);
    let picture = |name: &str| shared.join("data/images").join(name).display().to_string();
    let infer = |model: &str, input: &str| infer(&home, model, input);
    for name in ["fastestdet", "mobilenet-v2", "mlperf-vww", "mlperf-ic", "mlperf-kws", "mlperf-ad"] {
        home.add(name, &[]).ok();
    }
    let people = infer("fastestdet", &picture("street-0.jpg"));
    let labels: Vec<_> =
        people["detections"].as_array().unwrap().iter().map(|d| d["label"].as_str().unwrap()).collect();
    assert_eq!(labels.iter().filter(|label| **label == "person").count(), 5, "{labels:?}");
    assert!(labels.contains(&"baseball bat"), "{labels:?}");
    assert_eq!(infer("fastestdet", &picture("street-1.jpg"))["detections"][0]["label"], "bus");
    assert_eq!(infer("mobilenet-v2", &picture("parrot.jpg"))["label"], "macaw");
    assert_eq!(infer("mobilenet-v2", &picture("cat_720p.jpg"))["label"], "Egyptian cat");
    assert_eq!(infer("mlperf-vww", &picture("face.jpg"))["label"], "person");
    assert_eq!(infer("mlperf-vww", &picture("parrot.jpg"))["label"], "no person");
    assert_eq!(infer("mlperf-ic", &picture("cat_720p.jpg"))["label"], "cat");
    let word = keyword(&std::fs::read(shared.join("data/kws01/tst_000158_Yes_9.bin")).unwrap());
    home.write("yes.csv", word);
    assert_eq!(infer("mlperf-kws", "yes.csv")["label"], "yes");
    home.write("hum.csv", hum(&std::fs::read(shared.join("data/ad01/normal_id_01_00000000.f32")).unwrap()));
    let score = infer("mlperf-ad", "hum.csv")["score"].as_f64().unwrap();
    assert!((1.0..30.0).contains(&score), "the mean squared error of a normal window is about ten: {score}");

    let config = format!(
        "[models]\ndirs = [{:?}]\n[mqtt]\nhost = \"h\"\n[[pipeline]]\nname = \"a\"\nmodel = \"fastestdet\"\n[pipeline.source]\ntype = \
         \"synthetic\"\n[[pipeline]]\nname = \"b\"\nmodel = \"mobilenet-v2\"\n[pipeline.source]\ntype = \"synthetic\"\n",
        home.path("models")
    );
    let config = home.write("leptond.toml", config);
    let checked = Ran::of(common::leptond().args(["check", "--print", "--config"]).arg(config).output().unwrap()).ok();
    assert!(checked.err.contains("model fastestdet") && checked.err.contains("model mobilenet-v2"), "{}", checked.err);
}

#[test]
fn every_fetched_model_of_the_catalog_finds_what_its_reference_finds() {
    let test = "every_fetched_model_of_the_catalog_finds_what_its_reference_finds";
    let Some(shared) = shared(test) else { return };
    let Some(files) = std::env::var_os("LEPTOND_CATALOG_FILES").map(PathBuf::from) else {
        skip(
            test,
            "no LEPTOND_CATALOG_FILES, a directory of files by the last part of their addresses in models/catalog.toml",
        );
        return;
    };
    let server = Server::start(move |asked, _| {
        let name = asked.path.rsplit('/').next().unwrap_or_default();
        std::fs::read(files.join(name)).map_or_else(|_| Reply::status(404), |bytes| Reply::whole(&bytes))
    });
    let home = home(&server);
    let picture = |name: &str| shared.join("data/images").join(name).display().to_string();
    // Boxes of the families' own decoders, most confident first, and how far off a resampled picture may put a side.
    let boxes = |model: &str, input: &str, wanted: &[[f64; 4]], slack: f64| {
        let value = infer(&home, model, &picture(input));
        let found: Vec<Vec<f64>> = value["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect())
            .collect();
        for bbox in wanted {
            let near = |found: &&Vec<f64>| found.iter().zip(bbox).all(|(a, b)| (a - b).abs() <= slack);
            assert!(found.iter().any(|found| near(&found)), "{model} {input}: no {bbox:?} in {found:?}");
        }
        value
    };
    for name in ["blazeface", "face-full-range", "palms", "persons", "selfie", "ppocr-lines", "ppocr-text"] {
        home.add(name, &[]).ok();
    }
    boxes("blazeface", "face.jpg", &[[254.0, 69.0, 355.0, 169.0], [131.0, 101.0, 230.0, 200.0]], 6.0);
    boxes("face-full-range", "street-3.jpg", &[[87.0, 75.0, 119.0, 106.0], [208.0, 148.0, 232.0, 171.0]], 8.0);
    boxes("palms", "street-2.jpg", &[[389.0, 238.0, 411.0, 259.0]], 8.0);
    let persons = boxes("persons", "street-3.jpg", &[[49.0, 50.0, 149.0, 150.0], [299.0, 124.0, 399.0, 224.0]], 8.0);
    assert_eq!(persons["detections"][0]["keypoints"].as_array().unwrap().len(), 4);
    let selfie = infer(&home, "selfie", &picture("face.jpg"));
    let person = selfie["classes"].as_array().unwrap().iter().find(|class| class["label"] == "person").unwrap();
    assert!((person["share"].as_f64().unwrap() - 0.58).abs() < 0.03, "{selfie}");
    boxes("ppocr-lines", "street-1.jpg", &[[428.0, 378.0, 490.0, 396.0], [386.0, 98.0, 482.0, 119.0]], 5.0);
    assert_eq!(infer(&home, "ppocr-text", &picture("parrot.jpg"))["text"], serde_json::Value::Null);
}
