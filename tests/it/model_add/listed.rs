//! The models of the program's own catalog, where their files are at hand.

use super::home::{Home, Ran};
use super::samples::{hum, keyword};
use super::server::{Reply, Server};
use crate::common::{self, shared};

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
    let checked = Ran::of(common::leptond().arg("check").arg("--config").arg(config).output().unwrap()).ok();
    assert!(checked.err.contains("model fastestdet") && checked.err.contains("model mobilenet-v2"), "{}", checked.err);
}
