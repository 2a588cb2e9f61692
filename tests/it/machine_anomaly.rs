//! The shipped `machine-anomaly` bundle on recorded readings: source, preprocess, model and task, as the daemon runs them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use leptond::event::{Events, Settings, Subject};
use leptond::frame::{EventKind, Frame, Outcome};
use leptond::model::{Bundle, Engine, LoadedModel, PlanKey};
use leptond::preprocess::Preprocessor;
use leptond::source::{self, Config, Context, Next, SensorConfig, SensorKind};
use leptond::task::{self, TaskInput};

/// Readings of the recordings are half a second apart.
const INTERVAL: Duration = Duration::from_millis(500);

fn bundle_dir() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/machine-anomaly")
}

fn recording(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/train/data").join(name);
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// What is said of each window of a CSV file.
struct Run {
    scores: Vec<f32>,
    threshold: f32,
    /// Number (from 1) of the last reading of the window with which each anomaly began.
    began: Vec<usize>,
}

fn run(csv: &Path) -> Run {
    let bundle = Bundle::open(&bundle_dir()).unwrap();
    let loaded = LoadedModel::load(&bundle, 0, Engine::Auto, 1).unwrap();
    let key = PlanKey { batch: Some(1), size: None };
    let mut plan = loaded.plan(key).unwrap();
    let mut preprocessor = Preprocessor::new(loaded.spec(key).unwrap(), Vec::new());
    let settings = task::Config::default().over(loaded.task(), loaded.defaults()).unwrap();
    let mut task = settings.config().task(&loaded.task_spec(key, 1).unwrap()).unwrap();
    let mut events = Events::new(&Settings { subject: Subject::Anomaly { hysteresis: 0.8 }, ..Settings::default() });
    let rows = u32::try_from(bundle.manifest().input.rows.unwrap()).unwrap();
    let config = SensorConfig {
        kind: SensorKind::Csv,
        path: csv.to_str().unwrap().into(),
        interval_ms: 0,
        window: rows,
        ..SensorConfig::default()
    };
    let mut source = source::open(&Config::Sensor(config), Context::default()).unwrap();
    let mut frame = Frame::empty();
    let mut run = Run { scores: Vec::new(), threshold: f32::NAN, began: Vec::new() };
    loop {
        match source.next(&mut frame).unwrap() {
            Next::Frame => {}
            Next::Idle(_) => continue,
            Next::End => return run,
        }
        let geometry = preprocessor.run(&frame, plan.input_mut(0), 0).unwrap().to_vec();
        plan.run().unwrap();
        let now = INTERVAL * u32::try_from(run.scores.len()).unwrap();
        let mut said = task
            .run(&TaskInput {
                window: None,
                inputs: &[plan.input(0)],
                outputs: &[plan.output(0)],
                first_item: 0,
                geometry: &geometry,
                unreadable: &[],
                faint_score: None,
                now,
                time: SystemTime::UNIX_EPOCH + now,
            })
            .unwrap();
        let told = events.frame(&mut said.outcome, &[], now, SystemTime::UNIX_EPOCH + now);
        let Outcome::Anomaly { score, threshold: Some(threshold), calibrating: false, .. } = said.outcome else {
            panic!("{:?}", said.outcome)
        };
        run.scores.push(score);
        run.threshold = threshold;
        if told.iter().any(|e| e.kind == EventKind::New) {
            run.began.push(run.scores.len() - 1 + rows as usize);
        }
    }
}

#[test]
fn the_golden_windows_are_judged_as_the_bundle_says() {
    let bundle = Bundle::open(&bundle_dir()).unwrap();
    assert!(bundle.goldens().len() >= 3);
    for golden in bundle.goldens() {
        let run = run(&bundle_dir().join(&golden.file));
        let expected = golden.anomalous.unwrap();
        assert!(!run.scores.is_empty());
        for score in run.scores {
            assert_eq!(score > run.threshold, expected, "{}: {score}", golden.file);
        }
    }
}

#[test]
fn quiet_readings_never_trained_on_are_silent_and_a_compilation_is_flagged_within_five_seconds() {
    let (quiet, busy) = (recording("machine-quiet.csv"), recording("machine-busy.csv"));
    let mut lines = vec![quiet[0].clone()];
    lines.extend_from_slice(&quiet[701..]);
    lines.extend_from_slice(&busy[1..201]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let begin = lines
        .iter()
        .position(|l| l.split(',').nth(1).and_then(|v| v.parse::<f32>().ok()).is_some_and(|cpu| cpu > 80.0))
        .unwrap();
    let run = run(file.path());
    let first = *run.began.first().unwrap();
    assert!(first >= begin, "reading {first} was flagged, the load began with {begin}");
    assert!(INTERVAL * u32::try_from(first - begin + 1).unwrap() <= Duration::from_secs(5), "{begin} to {first}");
    let loudest = run.scores[..begin - 20].iter().copied().fold(0.0, f32::max);
    assert!(loudest < run.threshold / 4.0, "{loudest} of {}", run.threshold);
}

#[test]
fn full_load_of_all_cores_is_flagged_within_five_seconds_of_any_moment() {
    let quiet = recording("machine-quiet.csv");
    let file = tempfile::NamedTempFile::new().unwrap();
    for start in (710..1050).step_by(68) {
        let mut lines = vec![quiet[0].clone()];
        lines.extend_from_slice(&quiet[start - 8..start]);
        lines.extend((0..12).map(|_| "0,100,100,100,1.2,1,500,1".to_owned()));
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        let run = run(file.path());
        // Eight quiet readings, then the load, which began up to half a second before the ninth.
        let after = INTERVAL * u32::try_from(run.began.first().unwrap() - 8).unwrap();
        assert!(run.began.len() == 1 && after <= Duration::from_millis(4500), "from {start}: {after:?}");
    }
}

#[test]
fn moderate_load_and_short_bursts_are_silent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let header = "cpu_percent,cpu_min_percent,cpu_max_percent,memory_used_percent\n";
    for (name, rows) in [
        ("a camera pipeline on two cores", vec!["22,8,36,12"; 40]),
        ("one of two cores full", vec!["51,2,100,30"; 40]),
        ("one of four cores full", vec!["26,1,100,60"; 40]),
        ("little memory left, but enough", vec!["3,1,5,88"; 40]),
        (
            "a second and a half of everything",
            [vec!["2,0,4,40"; 10], vec!["100,100,100,41"; 3], vec!["2,0,4,40"; 20]].concat(),
        ),
    ] {
        std::fs::write(file.path(), header.to_owned() + &rows.join("\n")).unwrap();
        let run = run(file.path());
        assert!(run.began.is_empty(), "{name}: {:?} of {}", run.scores, run.threshold);
    }
}
