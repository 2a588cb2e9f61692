//! From a picture file to boxes: preprocess, a real detection network through tract, task.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use leptond::frame::{Frame, Image, Outcome, Payload, PixelFormat};
use leptond::model::{Bundle, Engine, LoadedModel, Model, PlanKey, sha256};
use leptond::preprocess::Preprocessor;
use leptond::task::{self, TaskInput};
use serde::Deserialize;

use crate::common::{data, shared};

/// Boxes of the same network by onnxruntime 1.32 after Pillow's bilinear scaling, decoded and suppressed by NumPy.
#[derive(Deserialize)]
struct Wanted {
    size: [u32; 2],
    detections: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    class: usize,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
}

fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let shared = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |c: &[f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    shared / (area(a) + area(b) - shared)
}

#[test]
fn fastestdet_finds_what_onnxruntime_finds() {
    let Some(shared) = shared("fastestdet_finds_what_onnxruntime_finds") else { return };
    let onnx = std::fs::read(shared.join("models/vision/fastestdet-coco-fp32.onnx")).unwrap();
    let manifest = format!(
        r#"
        name = "fastestdet"
        version = "1.0.0"
        task = "detect"
        description = "FastestDet"
        licence = "BSD-3-Clause"
        origin = "github.com/dog-qiuqiu/FastestDet"
        sha256 = "{}"
        [input]
        kind = "image"
        size = [352, 352]
        layout = "nchw"
        colour = "bgr"
        fit = "stretch"
        mean = [0.0, 0.0, 0.0]
        std = [1.0, 1.0, 1.0]
        [output]
        head = "fastestdet"
        [defaults]
        min_score = 0.5
        "#,
        sha256(&onnx)
    );
    let bundle = Bundle::from_parts("fastestdet", &manifest, Cow::Owned(onnx), Vec::new()).unwrap();
    let loaded = LoadedModel::load(&bundle, 0, Engine::Auto, 1).unwrap();
    let key = PlanKey { batch: Some(1), size: None };
    let mut plan = loaded.plan(key).unwrap();
    let mut preprocessor = Preprocessor::new(loaded.spec(key).unwrap(), Vec::new());
    let settings = task::Config::default().over(loaded.task(), loaded.defaults()).unwrap();
    let mut task = settings.config().task(&loaded.task_spec(key, 1).unwrap()).unwrap();

    let wanted: BTreeMap<String, Wanted> =
        serde_json::from_slice(&std::fs::read(data("vision/fastestdet-streets.json")).unwrap()).unwrap();
    assert_eq!(wanted.len(), 5);
    for (name, wanted) in &wanted {
        let bytes = std::fs::read(shared.join(format!("data/images/{name}.jpg"))).unwrap();
        let image = Image { format: PixelFormat::Jpeg, data: bytes, ..Image::default() };
        let frame = Frame { payload: Payload::Image(image), ..Frame::empty() };
        let geometry = preprocessor.run(&frame, plan.input_mut(0), 0).unwrap().to_vec();
        plan.run().unwrap();
        let outcome = see(task.as_mut(), plan.as_ref(), &geometry);
        let Outcome::Detect { detections, source_width, source_height, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!([source_width, source_height], wanted.size, "{name}");
        for object in wanted.detections.iter().filter(|o| o.score > 0.53) {
            let class = object.class.to_string();
            let found = detections
                .iter()
                .find(|d| *d.label == *class && overlap(&d.bbox, &object.bbox) > 0.9)
                .unwrap_or_else(|| panic!("{name}: no {class} at {:?} in {detections:?}", object.bbox));
            assert!((found.score - object.score).abs() < 0.03, "{name}: {found:?}, wanted {}", object.score);
        }
        let spurious = detections.iter().filter(|d| {
            let known = |o: &Object| *d.label == *o.class.to_string() && overlap(&d.bbox, &o.bbox) > 0.8;
            d.score > 0.53 && !wanted.detections.iter().any(known)
        });
        assert_eq!(spurious.count(), 0, "{name}: {detections:?}");
    }
}

fn see(task: &mut dyn task::Task, plan: &dyn Model, geometry: &[leptond::frame::Geometry]) -> Outcome {
    let inputs: Vec<_> = (0..plan.inputs().len()).map(|i| plan.input(i)).collect();
    let outputs: Vec<_> = (0..plan.outputs().len()).map(|i| plan.output(i)).collect();
    let input = TaskInput {
        window: None,
        inputs: &inputs,
        outputs: &outputs,
        first_item: 0,
        geometry,
        unreadable: &[],
        faint_score: None,
        now: Duration::ZERO,
        time: SystemTime::UNIX_EPOCH,
    };
    task.run(&input).unwrap().outcome
}

/// Run with `cargo test --release --test it -- --ignored --nocapture vision` to see where the time of a frame goes.
#[test]
#[ignore = "a measurement, not a check"]
fn time_of_five_grey_regions_from_a_jpeg() {
    use leptond::frame::{Colour, DType, ElementsMut, Fit, InputSpec, Layout, Spec, TensorSpec, TensorViewMut};
    use leptond::preprocess::Region;

    let (width, height) = (640_u16, 480_u16);
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 28) as u8;
    let rgb: Vec<u8> = (0..usize::from(width) * usize::from(height) * 3)
        .map(|i| ((i / 3 % usize::from(width)) / 4) as u8 + noise(i))
        .collect();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 85).encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    let regions: Vec<Region> = (0..5).map(|i| Region::Rect([80.5 + 100.0 * i as f32, 180.0, 80.0, 110.0])).collect();
    let quads: Vec<Region> = (0..5)
        .map(|i| {
            let x = 80.0 + 100.0 * i as f32;
            Region::Quad([x, 180.0, x + 80.0, 184.0, x + 78.0, 290.0, x + 2.0, 286.0])
        })
        .collect();
    let spec = |colour| InputSpec {
        batch: 5,
        height: 32,
        width: 24,
        layout: Layout::Nchw,
        colour,
        fit: Fit::Stretch,
        mean: [0.5; 3],
        std: [0.25; 3],
        dtype: DType::F32,
        quant: None,
    };
    let time = |what: &str, colour, regions: &[Region], image: &Image| {
        let channels = if colour == Colour::Grey { 1 } else { 3 };
        let shape = vec![5, channels, 32, 24];
        let mut values = vec![0.0_f32; shape.iter().product()];
        let tensor = TensorSpec { name: "input".into(), dtype: DType::F32, shape, quant: None };
        let mut preprocessor = Preprocessor::new(Spec::Image(spec(colour)), regions.to_vec());
        let frame = Frame { payload: Payload::Image(image.clone()), ..Frame::empty() };
        let mut times: Vec<Duration> = (0..300)
            .map(|_| {
                let start = Instant::now();
                let view = TensorViewMut { spec: &tensor, data: ElementsMut::F32(&mut values) };
                preprocessor.run(&frame, view, 0).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{what:45} median {:>7.3} ms", times[150].as_secs_f64() * 1e3);
    };
    let encoded = Image { format: PixelFormat::Jpeg, data: jpeg, ..Image::default() };
    let raw = |format, bytes: usize| Image {
        format,
        width: width.into(),
        height: height.into(),
        data: rgb[..usize::from(width) * usize::from(height) * bytes].to_vec(),
        ..Image::default()
    };
    println!("JPEG of {} bytes", encoded.data.len());
    time("JPEG, 5 grey rectangles", Colour::Grey, &regions, &encoded);
    time("JPEG, 5 RGB rectangles", Colour::Rgb, &regions, &encoded);
    time("JPEG, 5 grey quadrilaterals", Colour::Grey, &quads, &encoded);
    time("decoded grey, 5 grey rectangles", Colour::Grey, &regions, &raw(PixelFormat::Gray8, 1));
    time("decoded grey, 5 grey quadrilaterals", Colour::Grey, &quads, &raw(PixelFormat::Gray8, 1));
    time("YUYV, 5 grey rectangles", Colour::Grey, &regions, &raw(PixelFormat::Yuyv, 2));
    time("YUYV, 5 RGB rectangles", Colour::Rgb, &regions, &raw(PixelFormat::Yuyv, 2));
    time("decoded RGB, whole picture to 5 RGB", Colour::Rgb, &[], &raw(PixelFormat::Rgb8, 3));
}
