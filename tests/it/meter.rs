//! `[[meter]]` through the real binary: photos of drawn meters, a camera that was knocked, a run with its restart, and mistakes in the table.

use std::path::Path;
use std::time::{Duration, SystemTime};

use leptond::frame::{Frame, Outcome, PixelFormat, Quality, is_near_truth};
use leptond::model::Engine;
use leptond::pipeline::{MeterConfig, Planner, open_bundle};
use leptond::scene::{Chance, DIALS, DIGITS, Fault, Gears, Household, Knock, Scene, dial_regions, regions};
use serde_json::Value;

use crate::common::leptond;
use crate::daemon::{Daemon, on};
use crate::mosquitto::{Client, Mosquitto, Received, wait_until};

/// Marks on what does not move: the unit, the first figures of the meter's number, and the star below the counter.
const MARKS: &str = "[{ rect = [400, 134, 60, 44] }, { rect = [186, 136, 60, 40] }, { rect = [298, 302, 44, 44] }]";

fn rects(of: &[[f32; 4]]) -> String {
    let one = |[x, y, w, h]: &[f32; 4]| format!("{{ rect = [{x}, {y}, {w}, {h}] }}");
    format!("[{}]", of.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The table of the drawn meter, with further keys.
pub fn table(more: &str) -> String {
    format!(
        "[[meter]]\nname = \"water\"\nkind = \"water\"\ndigits = {}\ndials = {}\n{more}\n",
        rects(&regions(640, 480)),
        rects(&dial_regions(640, 480)),
    )
}

/// Writes pictures of the meter of `seed` at these counts of its lowest dial, as `<number>-<truth>.jpg`.
fn pictures(dir: &Path, seed: u64, knock: Knock, counts: &[f64]) {
    std::fs::create_dir_all(dir).unwrap();
    let (gears, mut scene) = (Gears::new(seed), Scene::with_dials(seed, 640, 480, None, knock));
    let mut jpeg = Vec::new();
    for (index, counts) in counts.iter().enumerate() {
        scene.render_positions(&gears.at(*counts), index as u64, &mut jpeg).unwrap();
        let name = format!("{seed:03}-{index:03}-{}.jpg", leptond::scene::truth(*counts));
        std::fs::write(dir.join(name), &jpeg).unwrap();
    }
}

/// `try` over every picture of a directory: the truth of each, with what was printed.
fn infer(config: &Path, dir: &Path) -> Vec<(u64, Value)> {
    let pattern = dir.join("*.jpg");
    let output = leptond()
        .args(["try", "--json", "--config"])
        .arg(config)
        .args(["--meter", "water"])
        .arg(&pattern)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let one = |line: &str| {
        let found: Value = serde_json::from_str(line).unwrap();
        let name = found["input"].as_str().unwrap().rsplit('/').next().unwrap().trim_end_matches(".jpg").to_owned();
        (name.rsplit('-').next().unwrap().parse().unwrap(), found)
    };
    lines.lines().map(one).collect()
}

/// The number that was printed, in counts of the lowest dial.
fn told(found: &Value) -> Option<u64> {
    found["label"].as_str().map(|label| label.replace('.', "").parse().unwrap())
}

fn files(dir: &Path, more: &str) -> std::path::PathBuf {
    let config = dir.join("leptond.toml");
    let source = "source = { type = \"synthetic\", scene = \"dials\", fps = 5.0 }";
    std::fs::write(&config, table(&format!("{source}\n{more}"))).unwrap();
    config
}

#[test]
fn photos_of_drawn_meters_are_read_and_never_wrong_where_they_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().join("shown");
    for seed in 2000..2030 {
        let start = 7_919.0 * seed as f64 * 37.0 % 9e8;
        pictures(&shown, seed, Knock::default(), &[start, start + 1_234.5, start + 55_555.0]);
    }
    let found = infer(&files(dir.path(), ""), &shown);
    assert_eq!(found.len(), 90);
    let near = |(truth, line): &&(u64, Value)| told(line).is_some_and(|told| told.abs_diff(*truth) <= 1);
    let good: Vec<_> = found.iter().filter(|(_, line)| line["quality"] == "good").collect();
    let wrong: Vec<_> = good.iter().filter(|found| !near(found)).collect();
    let right = found.iter().filter(near).count();
    println!("{right} of 90 right, {} good, {} of them wrong", good.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(right >= 80 && good.len() >= 50, "{right} right, {} good", good.len());
    let line = &found[0].1;
    let parts = ["digits", "dials"].map(|key| line[key].as_array().unwrap().len());
    assert_eq!((line["task"].as_str(), line["unit"].as_str(), parts), (Some("meter"), Some("m³"), [DIGITS, DIALS]));
}

#[test]
fn a_knocked_camera_is_followed_and_one_that_looks_elsewhere_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let counts: Vec<f64> = (0..6).map(|i| 274_121_456.0 + f64::from(i) * 311.0).collect();
    let place = |name: &str, shift: [f32; 2], degrees: f32| {
        let shown = dir.path().join(name);
        pictures(&shown, 2005, Knock { shift, degrees }, &counts);
        shown
    };
    let still = place("still", [0.0, 0.0], 0.0);
    let reference = std::fs::read_dir(&still).unwrap().next().unwrap().unwrap().path();
    let config = files(dir.path(), &format!("align = {MARKS}\nreference = {:?}", reference.display().to_string()));
    let right = |shown: &Path| {
        let near = |(truth, line): &(u64, Value)| told(line).is_some_and(|told| told.abs_diff(*truth) <= 1);
        infer(&config, shown).iter().filter(|found| near(found)).count()
    };
    assert_eq!(right(&still), 6);
    let knocked = place("knocked", [14.0, -9.0], 2.0);
    assert!(right(&knocked) >= 5, "{} of 6 after a knock", right(&knocked));
    for (_, line) in infer(&config, &place("elsewhere", [150.0, 60.0], 0.0)) {
        assert_eq!((&line["problem"], &line["value"]), (&Value::from("not_aligned"), &Value::Null), "{line}");
    }
}

fn config(port: u16, state: &Path, shown: &Path) -> String {
    format!(
        "[node]\nname = \"test\"\nstate_dir = {:?}\nsandbox = \"off\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n{}",
        state.display().to_string(),
        table(&format!(
            "source = {{ type = \"files\", path = {:?}, fps = 5.0 }}\ngovernor = {{ interval_ms = 1 }}",
            shown.display().to_string()
        )),
    )
}

/// Runs until the pictures are over; the results of the meter.
fn run(broker: &Mosquitto, config: &str) -> Vec<Value> {
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(config);
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let gone = |m: &[Received]| on(m, "leptond/test/state").iter().any(|m| m.json()["state"] == "offline" && !m.retain);
    let messages = listener.wait_for("offline", gone);
    let states = on(&messages, "leptond/test/water/state");
    assert!(states.iter().all(|state| state.json()["unit"] == "m³"), "{states:?}");
    on(&messages, "leptond/test/water/result").iter().filter(|m| !m.retain).map(|m| m.json()).collect()
}

#[test]
fn a_number_is_confirmed_published_and_remembered_over_a_restart() {
    let Some(broker) = Mosquitto::start("a_number_is_confirmed_published_and_remembered") else { return };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shown = dir.path().join("shown");
    pictures(&shown, 2005, Knock::default(), &(0..12).map(|i| 274_121_451.0 + f64::from(i)).collect::<Vec<_>>());
    let results = run(&broker, &config(broker.port, state.path(), &shown));
    assert!(results.len() > 6, "{results:?}");
    assert_eq!((&results[0]["value"], &results[0]["problem"]), (&Value::Null, &Value::from("unconfirmed")));
    let last = results.last().unwrap();
    assert_eq!((&last["quality"], &last["problem"]), (&Value::from("good"), &Value::Null), "{last}");
    assert!((last["value"].as_f64().unwrap() - 27_412.146_2).abs() < 0.000_25, "{last}");
    // The next run sees a number that flow cannot explain: it is held back from the first picture on.
    let other = dir.path().join("other");
    pictures(&other, 2005, Knock::default(), &[474_121_470.0; 6]);
    let results = run(&broker, &config(broker.port, state.path(), &other));
    for result in &results {
        assert_eq!((&result["problem"], &result["held"]), (&Value::from("too_fast"), &Value::from(true)), "{result}");
        assert!((result["value"].as_f64().unwrap() - 27_412.146_2).abs() < 0.000_25, "{result}");
    }
}

#[test]
fn a_light_is_on_for_a_reading_and_a_request_asks_for_one() {
    let Some(broker) = Mosquitto::start("a_light_is_on_for_a_reading") else { return };
    let Some(client) = Client::find("a_light_is_on_for_a_reading") else { return };
    let state = tempfile::tempdir().unwrap();
    let log = state.path().join("light");
    let command = |word: &str| format!("[\"/bin/sh\", \"-c\", \"echo {word} >> {}\"]", log.display());
    let text = format!(
        "[node]\nname = \"test\"\nstate_dir = {:?}\nsandbox = \"off\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n{}",
        state.path().display().to_string(),
        broker.port,
        table(&format!(
            "source = {{ type = \"synthetic\", scene = \"dials\", seed = 2005, fps = 10.0 }}\nconfirm = 1\n\
             light = {{ on = {}, off = {}, settle_s = 0.3 }}\ngovernor = {{ interval_ms = 3600000, min_fps = 0.0001 }}",
            command("on"),
            command("off")
        )),
    );
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(&text);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("the light to have been on", || said() == "on\noff\n");
    let results = |m: &[Received]| on(m, "leptond/test/water/result").len();
    let before = results(&listener.wait_for("a result", |m| results(m) > 0));
    let request = ["-t", "leptond/test/request/reading", "-m", r#"{"pipeline":"water"}"#];
    assert!(client.publish(broker.port, &request));
    wait_until("the light to be on again", || said() == "on\noff\non\noff\n");
    listener.wait_for("another result", |m| results(m) > before);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0), "{}", daemon.log());
}

#[test]
fn mistakes_are_told_by_the_keys_of_the_meter() {
    let check = |text: &str, words: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("leptond.toml");
        std::fs::write(&file, text).unwrap();
        let output = leptond().arg("check").arg("--config").arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
    };
    let camera = "source = { type = \"synthetic\", scene = \"dials\" }";
    check(&table("source = \"camera\""), &["meter[0].source", "there is no source of this name"]);
    check(&table(&format!("{camera}\ndecimals = 12")), &["meter[0].decimals", "0 to 9"]);
    check(&table(&format!("{camera}\nunit = \"kWh\"")), &["meter[0].unit", "m³"]);
    check(&table(&format!("{camera}\ndials_model = \"none-such\"")), &["meter[0].dials_model", "no such model"]);
    check(&table(&format!("{camera}\nalign = {MARKS}")), &["meter[0].reference"]);
    check(
        &table(&format!("{camera}\nalign = {MARKS}\nreference = \"/none.jpg\"")),
        &["meter[0].reference", "/none.jpg"],
    );
    check(&table(&format!("{camera}\ndigit = 3")), &["meter[0].digit", "digits"]);
    let outside = table(camera).replacen("rect = [424", "rect = [624", 1);
    check(&outside, &["meter[0].dials[0].rect", "outside of the picture"]);
    let twice = format!("{}{}", table(camera), table(camera));
    check(&twice, &["meter[1].name", "meter[0] has this one"]);
}

/// Fault of a drawn picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Picture(Fault),
    /// The camera was touched: the marks are found where they are now.
    Touched,
    /// The camera looks elsewhere.
    Knocked,
    /// No picture comes.
    Paused,
}

#[test]
fn thirty_days_of_drawn_pictures_with_faults_give_no_wrong_number() {
    let (seed, dir) = (2005, tempfile::tempdir().unwrap());
    pictures(dir.path(), seed, Knock::default(), &[1.0]);
    let reference = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let text = table(&format!(
        "source = {{ type = \"synthetic\", scene = \"dials\" }}\nalign = {MARKS}\nreference = {:?}",
        reference.display().to_string()
    ));
    let meter: MeterConfig = toml_edit::de::from_str(text.strip_prefix("[[meter]]\n").unwrap()).unwrap();
    let pipeline = meter.pipeline();
    let bundle = open_bundle(&pipeline.model, &[]).unwrap();
    let mut planner = Planner::new(bundle, Engine::Int8, 1, pipeline.preprocess.clone(), &pipeline.task).unwrap();
    planner.join(pipeline.meter.as_ref().unwrap(), &[]).unwrap();
    let mut stages = planner.stages(&planner.full()).unwrap();
    let (gears, mut household, mut chance) = (Gears::new(seed), Household::new(seed), Chance::new(seed, 1));
    let faults = [Fault::Dark, Fault::Glare, Fault::Fog, Fault::Blur, Fault::White];
    let scene = |trouble: Trouble| {
        let knock = match trouble {
            Trouble::Touched => Knock { shift: [9.0, -6.0], degrees: 1.0 },
            Trouble::Knocked => Knock { shift: [120.0, 70.0], degrees: 4.0 },
            _ => Knock::default(),
        };
        let fault = if let Trouble::Picture(fault) = trouble { Some(fault) } else { None };
        Scene::with_dials(seed, 640, 480, fault, knock)
    };
    let (mut trouble, mut until, mut view) = (Trouble::None, 24, scene(Trouble::None));
    let (mut frame, mut clear, mut held, mut good) = (Frame::empty(), 0, 0, 0);
    for look in 0..30 * 24_u64 {
        if look >= until {
            trouble = match (trouble, chance.below(8)) {
                (Trouble::None, 5) => Trouble::Touched,
                (Trouble::None, 6) => Trouble::Knocked,
                (Trouble::None, 7) => Trouble::Paused,
                (Trouble::None, fault) => Trouble::Picture(faults[fault as usize]),
                _ => Trouble::None,
            };
            until = look + 1 + u64::from(chance.below(if trouble == Trouble::None { 30 } else { 6 }));
            view = scene(trouble);
        }
        let now = Duration::from_secs(look * 3600);
        let counts = household.at(now.as_secs_f64());
        if trouble == Trouble::Paused {
            continue;
        }
        let image = frame.image_mut();
        (image.format, image.width, image.height) = (PixelFormat::Jpeg, 640, 480);
        view.render_positions(&gears.at(counts), look, &mut image.data).unwrap();
        let read = stages.prepare(&frame, 0).and_then(|()| stages.infer());
        read.unwrap();
        let outcome = stages.interpret(0, now, SystemTime::UNIX_EPOCH + now).unwrap().outcome;
        let Outcome::Meter(reading) = outcome else { panic!("{outcome:?}") };
        let truth = leptond::scene::truth(counts);
        if reading.quality == Quality::Good {
            let label = reading.label.as_deref().unwrap();
            assert!(is_near_truth(label, &truth), "{look} h, {trouble:?}: {label} for {truth}");
            good += 1;
        }
        if matches!(trouble, Trouble::None | Trouble::Touched) && look > 2 {
            clear += 1;
            held += u32::from(reading.quality != Quality::Good);
        }
    }
    println!("{good} good readings, none wrong; {held} of {clear} clear pictures held");
    assert!(good > 300 && held * 100 <= clear, "{good} good, {held} of {clear} held");
}
