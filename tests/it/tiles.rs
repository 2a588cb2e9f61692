//! Pictures that are looked at in tiles: small objects are found, one that a seam cuts is found once, boxes are those of the whole picture.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use leptond::frame::{Frame, FramePool, Image, Outcome, Payload, PixelFormat};
use leptond::model::{Bundle, Engine};
use leptond::pipeline::Planner;
use leptond::{preprocess, task};
use serde_json::{Value, json};
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

use crate::common;
use crate::daemon::{Daemon, on};
use crate::detect::package;
use crate::model::build::{attr_int, attr_ints, file, floats, graph, ints, node, port};
use crate::model_add::home::{Home, Ran};
use crate::mosquitto::Mosquitto;

/// A detector of one object, the extent of what is bright in a picture of 64 × 64, whose score is 0.9.
fn net() -> Vec<u8> {
    use prost::Message as _;

    let up: Vec<f32> = (1..=64).map(|v| v as f32).collect();
    let down: Vec<f32> = (1..=64).rev().map(|v| v as f32).collect();
    let most = |input: &str, axes: &[i64], output: &str| pb::NodeProto {
        attribute: vec![attr_ints("axes", axes), attr_int("keepdims", 1)],
        ..node("ReduceMax", &[input], &[output])
    };
    let concat = |inputs: &[&str], axis: i64, output: &str| pb::NodeProto {
        attribute: vec![attr_int("axis", axis)],
        ..node("Concat", inputs, &[output])
    };
    let mut nodes = vec![most("images", &[1], "grey"), node("Greater", &["grey", "half"], &["bright"])];
    nodes.push(pb::NodeProto {
        attribute: vec![attr_int("to", DataType::Float as i64)],
        ..node("Cast", &["bright"], &["mask"])
    });
    nodes.push(most("mask", &[2, 3], "found"));
    for (axis, across, line) in [("x", 3, "cols"), ("y", 2, "rows")] {
        let named = |name: &str| format!("{name}_{axis}");
        nodes.push(most("mask", &[5 - across], line));
        for way in ["up", "down"] {
            nodes.push(node("Mul", &[line, &named(way)], &[&named(&format!("{way}s"))]));
            nodes.push(most(&named(&format!("{way}s")), &[across], &named(&format!("{way}most"))));
        }
        nodes.push(node("Sub", &["side", &named("downmost")], &[&named("begin")]));
        nodes.push(node("Mul", &["found", &named("begin")], &[&named("first")]));
    }
    nodes.push(node("Mul", &["found", "sure"], &["score"]));
    nodes.push(node("Mul", &["found", "zero"], &["class"]));
    nodes.push(concat(&["first_x", "first_y", "upmost_x", "upmost_y", "score", "class"], 3, "row"));
    nodes.push(node("Reshape", &["row", "shape"], &["one"]));
    nodes.push(concat(&["one", "others"], 1, "output0"));
    let initialisers = vec![
        floats("half", &[], &[0.5]),
        floats("side", &[], &[64.0]),
        floats("sure", &[], &[0.9]),
        floats("zero", &[], &[0.0]),
        floats("up_x", &[1, 1, 1, 64], &up),
        floats("down_x", &[1, 1, 1, 64], &down),
        floats("up_y", &[1, 1, 64, 1], &up),
        floats("down_y", &[1, 1, 64, 1], &down),
        ints("shape", &[3], &[1, 1, 6]),
        floats("others", &[1, 299, 6], &[0.0; 299 * 6]),
    ];
    let images = port("images", DataType::Float, &[1, 3, 64, 64]);
    let graph = graph(vec![images], initialisers, nodes, vec![port("output0", DataType::Float, &[1, 300, 6])]);
    let mut model = pb::ModelProto::decode(file(graph).as_slice()).unwrap();
    let entry = |(key, value): (&str, &str)| pb::StringStringEntryProto { key: key.into(), value: value.into() };
    let metadata = package(&[("task", "detect"), ("names", "{0: 'lamp'}"), ("end2end", "True")]);
    model.metadata_props = metadata.into_iter().map(entry).collect();
    model.encode_to_vec()
}

const SIZE: [u32; 2] = [640, 320];

/// A lamp far away, between two pixels of the whole picture as the model sees it.
const SMALL: [u32; 4] = [470, 55, 474, 60];

/// A lamp near by, over the seams of three columns and two rows.
const LARGE: [u32; 4] = [100, 60, 500, 250];

/// Grey pixels with a white rectangle.
fn scene([x1, y1, x2, y2]: [u32; 4]) -> Vec<u8> {
    let white = |x: u32, y: u32| x >= x1 && x < x2 && y >= y1 && y < y2;
    let places = (0..SIZE[1]).flat_map(|y| (0..SIZE[0]).map(move |x| (x, y)));
    places.map(|(x, y)| if white(x, y) { 255 } else { 20 }).collect()
}

fn png(path: &Path, pixels: &[u8]) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), SIZE[0], SIZE[1]);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

fn home() -> Home {
    let home = Home::new();
    home.write("net.onnx", net());
    home.run(&["add", "./net.onnx"]).ok();
    png(&home.path("small.png"), &scene(SMALL));
    png(&home.path("large.png"), &scene(LARGE));
    png(&home.path("dark.png"), &scene([0; 4]));
    home
}

fn run(home: &Home, args: &[&str]) -> Ran {
    let mut command = common::leptond();
    Ran::of(command.current_dir(home.dir.path()).args(args).output().unwrap())
}

#[track_caller]
fn found(home: &Home, args: &[&str]) -> Vec<[f64; 4]> {
    let value: Value = serde_json::from_str(&run(home, &[&["infer"], args, &["--json"]].concat()).ok().out).unwrap();
    assert_eq!((&value["source_width"], &value["source_height"]), (&json!(SIZE[0]), &json!(SIZE[1])));
    boxes(&value)
}

fn boxes(value: &Value) -> Vec<[f64; 4]> {
    let all = value["detections"].as_array().unwrap();
    all.iter().map(|d| [0, 1, 2, 3].map(|i| d["box"][i].as_f64().unwrap())).collect()
}

/// `bbox` is that of the object to `slack` pixels.
#[track_caller]
fn near(bbox: [f64; 4], truth: [u32; 4], slack: f64) {
    let off = (0..4).map(|i| (bbox[i] - f64::from(truth[i])).abs()).fold(0.0, f64::max);
    assert!(off <= slack, "{bbox:?} is not {truth:?}");
}

#[test]
fn infer_finds_small_objects_in_pixels_of_the_picture() {
    let home = home();
    assert_eq!(found(&home, &["models/net", "small.png"]), Vec::<[f64; 4]>::new());
    let [bbox] = found(&home, &["models/net", "small.png", "--tiles", "3x2"])[..] else { panic!() };
    near(bbox, SMALL, 4.0);
    // By the words of a pipeline, too.
    home.write("cuts.toml", "tiles = \"3x2\"\ntile_overlap = 0.3\n");
    let [bbox] = found(&home, &["models/net", "small.png", "--regions", "cuts.toml"])[..] else { panic!() };
    near(bbox, SMALL, 5.0);
    assert_eq!(found(&home, &["models/net", "dark.png", "--tiles", "3x2"]), Vec::<[f64; 4]>::new());
    run(&home, &["infer", "models/net", "small.png", "--tiles", "3x2", "--draw", "drawn"]).ok();
    assert!(home.path("drawn/small.png").exists());
}

#[test]
fn an_object_on_seams_is_found_once() {
    let home = home();
    for tiles in ["2x1", "1x2", "2x2", "3x2", "4x4"] {
        let all = found(&home, &["models/net", "large.png", "--tiles", tiles]);
        assert_eq!(all.len(), 1, "{tiles}: {all:?}");
        near(all[0], LARGE, 10.0);
    }
}

#[test]
fn commands_refuse_what_goes_with_no_tiles() {
    let home = home();
    home.write("cuts.toml", "tiles = \"3x2\"\nregions = [{ rect = [0, 0, 64, 64] }]\n");
    let tiles = ["infer", "models/net", "small.png"];
    run(&home, &[&tiles[..], &["--tiles", "1x1"]].concat()).fails(2, &["one tile is the whole picture"]);
    run(&home, &[&tiles[..], &["--tiles", "5x4"]].concat()).fails(2, &["4 of each at most"]);
    run(&home, &[&tiles[..], &["--regions", "cuts.toml"]].concat()).fails(1, &["preprocess.tiles", "or into regions"]);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let classes = models.join("leptonnet-cifar10").display().to_string();
    run(&home, &["infer", &classes, "small.png", "--tiles", "2x1"]).fails(1, &["\"detect\"", "\"classify\""]);
    let numbers = models.join("machine-anomaly").display().to_string();
    home.write("table.csv", "a,b\n1,2\n");
    run(&home, &["infer", &numbers, "table.csv", "--tiles", "2x1"]).fails(1, &["parts of pictures"]);
}

/// A pipeline over a picture of this home, with more keys.
fn config(home: &Home, picture: &str, head: &str, more: &str) -> String {
    format!(
        "[node]\nname = \"test\"\n{head}[[pipeline]]\nname = \"door\"\nmodel = {:?}\n[pipeline.source]\ntype = \"files\"\npath = {:?}\nfps = 20.0\n\
         loop = true\n[pipeline.preprocess]\n{more}",
        home.path("models/net"),
        home.path(picture),
    )
}

#[test]
fn check_says_what_goes_with_no_tiles() {
    let home = home();
    let mqtt = "[mqtt]\nhost = \"127.0.0.1\"\n[models]\ndirs = []\n";
    let check = |more: &str| {
        home.write("leptond.toml", config(&home, "small.png", mqtt, more));
        run(&home, &["check", "--config", "leptond.toml"])
    };
    check("tiles = \"3x2\"\n").ok();
    let lone = check("tile_overlap = 0.1\n").ok();
    assert!(lone.err.contains("tile_overlap") && lone.err.contains("without preprocess.tiles"), "{}", lone.err);
    check("tiles = \"3x2\"\nfit = \"crop\"\n").fails(78, &["preprocess.fit", "letterbox"]);
    check("tiles = \"3by2\"\n").fails(78, &["preprocess.tiles"]);
    check("tiles = \"9x9\"\n").fails(78, &["preprocess.tiles"]);
    check("tiles = \"3x2\"\ntile_overlap = 0.9\n").fails(78, &["preprocess.tile_overlap", "0.5"]);
    let both = "tiles = \"3x2\"\nregions = [{ rect = [0, 0, 64, 64] }]\n";
    check(both).fails(78, &["preprocess.tiles", "not into both"]);
    check("tiles = \"3x2\"\n[pipeline.task]\ntype = \"segment\"\n").fails(78, &["preprocess.tiles", "\"segment\""]);
    // The model of a bundle is known before it is loaded, and so is the size of a camera's pictures.
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let camera = |model: &str, size: &str, tiles: &str| {
        let text = format!(
            "{mqtt}[[pipeline]]\nname = \"door\"\nmodel = {:?}\nsource = {{ type = \"synthetic\", {size} }}\npreprocess = {{ tiles = {tiles:?} }}\n",
            if model.is_empty() { home.path("models/net") } else { models.join(model) }
        );
        home.write("leptond.toml", text);
        run(&home, &["check", "--config", "leptond.toml"])
    };
    camera("leptonnet-cifar10", "width = 640, height = 480", "2x1").fails(78, &["preprocess.tiles", "\"classify\""]);
    let manifest = std::fs::read_to_string(home.path("models/net/model.toml")).unwrap();
    assert!(manifest.contains("[input]\n"), "{manifest}");
    home.write("models/net/model.toml", manifest.replace("[input]\n", "[input]\nsize = [64, 64]\n"));
    let roomy = camera("", "width = 640, height = 480", "3x2").ok();
    assert!(!roomy.err.contains("tiles"), "{}", roomy.err);
    let narrow = camera("", "width = 160, height = 120", "4x4").ok();
    assert!(narrow.err.contains("have room for 9 of the 16 tiles"), "{}", narrow.err);
    assert!(narrow.err.contains("larger pictures (218x218"), "{}", narrow.err);
}

/// Words of the stages on a frame, alone and shared with other readers.
fn said(planner: &Planner, image: &Image) -> [Outcome; 2] {
    let mut stages = planner.stages(&planner.full()).unwrap();
    let mut frame = Frame::empty();
    frame.payload = Payload::Image(image.clone());
    stages.prepare(&frame, 0).unwrap();
    stages.infer().unwrap();
    let alone = stages.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).unwrap().outcome;
    let shared = Arc::new(FramePool::default()).share(frame, true);
    stages.prepare_shared(&shared, 0).unwrap();
    stages.infer().unwrap();
    [alone, stages.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).unwrap().outcome]
}

#[test]
fn pictures_of_every_format_and_size_are_cut() {
    let home = home();
    let bundle = Bundle::open(&home.path("models/net")).unwrap();
    let cuts = preprocess::Config { tiles: Some("3x2".parse().unwrap()), ..preprocess::Config::default() };
    let planner = Planner::new(bundle, Engine::Auto, 1, cuts, &task::Config::default()).unwrap();
    let grey = scene(SMALL);
    let (width, height) = (SIZE[0], SIZE[1]);
    let padded = grey.chunks(640).flat_map(|row| [row, &[255; 32]].concat()).collect();
    let yuyv = grey.iter().flat_map(|v| [*v, 128]).collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 98);
    encoder.encode(&grey, 640, 320, jpeg_encoder::ColorType::Luma).unwrap();
    let formats = [
        (PixelFormat::Gray8, 0, grey.clone()),
        (PixelFormat::Gray8, 672, padded),
        (PixelFormat::Rgb8, 0, grey.iter().flat_map(|v| [*v; 3]).collect()),
        (PixelFormat::Yuyv, 0, yuyv),
        (PixelFormat::Jpeg, 0, jpeg),
    ];
    for (format, stride, data) in formats {
        for outcome in said(&planner, &Image { format, width, height, stride, data: data.clone(), full: None }) {
            let Outcome::Detect { detections, source_width, .. } = &outcome else { panic!("{outcome:?}") };
            let [one] = &detections[..] else { panic!("{format:?}: {detections:?}") };
            near(one.bbox.map(f64::from), SMALL, 4.0);
            assert_eq!(*source_width, 640);
        }
    }
    // No larger than the model's input, a picture is looked at once.
    let small = Image { format: PixelFormat::Gray8, width: 60, height: 50, data: vec![255; 3000], ..Image::default() };
    for outcome in said(&planner, &small) {
        let Outcome::Detect { detections, .. } = &outcome else { panic!("{outcome:?}") };
        assert_eq!(detections.iter().map(|d| d.bbox).collect::<Vec<_>>(), [[0.0, 0.0, 60.0, 50.0]]);
    }
}

#[test]
fn a_tile_may_be_looked_at_elsewhere() {
    let home = home();
    let plan = |tiles: Option<&str>| {
        let bundle = Bundle::open(&home.path("models/net")).unwrap();
        let cuts = preprocess::Config { tiles: tiles.map(|t| t.parse().unwrap()), ..preprocess::Config::default() };
        let planner = Planner::new(bundle, Engine::Auto, 1, cuts, &task::Config::default()).unwrap();
        planner.stages(&planner.full()).unwrap()
    };
    let (mut here, mut there) = (plan(Some("2x1")), plan(None));
    let pixels = scene(LARGE);
    let frame = |width: u32, height: u32, data: Vec<u8>| {
        let mut frame = Frame::empty();
        frame.payload = Payload::Image(Image { format: PixelFormat::Gray8, width, height, data, ..Image::default() });
        frame
    };
    here.prepare(&frame(640, 320, pixels.clone()), 0).unwrap();
    let tiles = here.tiles().to_vec();
    assert_eq!(tiles.len(), 3);
    for (number, tile) in tiles.into_iter().enumerate() {
        let own = here.find_in(tile).unwrap();
        // The plain model over a picture that is the tile.
        let rows = pixels.chunks(640).skip(tile.y as usize).take(tile.height as usize);
        let cut = rows.flat_map(|row| &row[tile.x as usize..(tile.x + tile.width) as usize]).copied().collect();
        there.prepare(&frame(tile.width, tile.height, cut), 0).unwrap();
        there.infer().unwrap();
        let outcome = there.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).unwrap().outcome;
        let Outcome::Detect { detections, .. } = outcome else { panic!() };
        assert_eq!(own, detections, "{tile:?}");
        here.add_found(tile, if number == 1 { own } else { detections });
    }
    let outcome = here.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).unwrap().outcome;
    let Outcome::Detect { detections, .. } = outcome else { panic!() };
    assert_eq!(detections.len(), 1);
    near(detections[0].bbox.map(f64::from), LARGE, 10.0);
}

#[test]
fn a_daemon_tells_of_small_objects_once() {
    let Some(broker) = Mosquitto::start("a_daemon_tells_of_small_objects_once") else { return };
    let listener = broker.listen("leptond/test/#");
    let home = home();
    let mqtt = format!("[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n", broker.port);
    let more = "tiles = \"3x2\"\n[pipeline.event]\nappear_s = 0.2\n";
    let _daemon = Daemon::start(&config(&home, "small.png", &mqtt, more));
    let topic = "leptond/test/door/event";
    let seen = listener.wait_for("the lamp", |m| !on(m, topic).is_empty());
    let event = on(&seen, topic)[0].json();
    assert_eq!((&event["type"], &event["label"], &event["source_width"]), (&json!("new"), &json!("lamp"), &json!(640)));
    near([0, 1, 2, 3].map(|i| event["box"][i].as_f64().unwrap()), SMALL, 4.0);
    let results = on(&seen, "leptond/test/door/result");
    assert!(results.iter().all(|m| boxes(&m.json()).len() == 1), "{:?}", results.first().map(|m| m.json()));
}
