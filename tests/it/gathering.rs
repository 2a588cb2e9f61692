//! A pipeline whose setpoint changes under it: batches, variants and pauses, with a source that gives what the test tells it to.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use leptond::config::PipelineConfig;
use leptond::frame::{Bus, Frame, NodeName};
use leptond::model::Engine;
use leptond::pipeline::{Planner, Resolved, open_bundle};
use leptond::publish::sink::{MqttSink, Settings};
use leptond::publish::topics::Topics;
use leptond::publish::{Message, Publisher, Stats};
use leptond::runtime::context::PipelineContext;
use leptond::runtime::prepare::Prepared;
use leptond::runtime::running::Running;
use leptond::runtime::sources::{Opened, Sources, Supply};
use leptond::source::{self, Next, Source, SourceError, SyntheticConfig};
use leptond::telemetry::Heartbeats;
use leptond::{preprocess, task};
use leptond_governor::{Assignment, Candidate, Cost, PipelineLadder, Setpoint};
use serde_json::Value;

use crate::mosquitto::wait_until;

/// Gives a frame for each that the test sends.
struct Script {
    frames: Receiver<Frame>,
    live: bool,
    given: u64,
    /// Frames that were handed on before this source was asked again.
    handed: Arc<AtomicU64>,
}

impl Source for Script {
    fn describe(&self) -> String {
        "script".into()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        self.handed.store(self.given, SeqCst);
        match self.frames.recv_timeout(Duration::from_millis(20)) {
            Ok(given) => {
                *frame = given;
                self.given += 1;
                (frame.captured, frame.time) = (Instant::now(), SystemTime::now());
                Ok(Next::Frame)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Next::Idle("waiting for the test".into())),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
        }
    }

    fn live(&self) -> bool {
        self.live
    }
}

/// Keeps the results.
#[derive(Default)]
struct Results(Mutex<Vec<Value>>);

impl Publisher for Results {
    fn publish(&self, message: Message) {
        if message.topic.ends_with("/result") {
            self.0.lock().unwrap().push(serde_json::from_slice(&message.payload).unwrap());
        }
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn flush(&self, _deadline: Instant) -> bool {
        true
    }
}

struct Bench {
    running: Running,
    frames: Sender<Frame>,
    handed: Arc<AtomicU64>,
    results: Arc<Results>,
    rungs: Vec<Setpoint>,
    first: Assignment,
}

/// A pipeline that can do each of `rungs` and starts on the first; a frame every `frame_interval`, as the governor thinks.
fn start(model: &str, rungs: &[Setpoint], deadline_ms: u64, frame_interval: Duration, live: bool) -> Bench {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    let bundle = open_bundle(path.to_str().unwrap(), &[]).unwrap();
    let planner =
        Planner::new(bundle, Engine::Int8, 1, preprocess::Config::default(), &task::Config::default()).unwrap();
    let text = format!(
        "name = \"p\"\nmodel = \"{model}\"\n[source]\ntype = \"synthetic\"\n[governor]\ndeadline_ms = {deadline_ms}\n"
    );
    let config: PipelineConfig = toml_edit::de::from_str(&text).unwrap();
    let candidate = |s: &Setpoint| Candidate {
        capture: None,
        resolution: s.resolution,
        batch: s.batch,
        variant: s.variant,
        threads: 1,
        cost: Cost { infer_ms: 1.0, cpu_ms: 1.0, accuracy: None },
    };
    let mut ladder = PipelineLadder::new("p", &config.governor, frame_interval, &[candidate(&rungs[0])]);
    ladder.rungs[0].setpoint = rungs[0].clone();
    let first = ladder.first();
    let (frames, script) = channel();
    let handed = Arc::new(AtomicU64::new(0));
    let results = Arc::new(Results::default());
    let prepared = Prepared {
        pipeline: Resolved::inline(config).unwrap(),
        stages: planner.stages(&rungs[0]).unwrap(),
        planner: Arc::new(planner),
        supply: Supply::Opened(Opened::own(
            "p",
            Box::new(Script { frames: script, live, given: 0, handed: handed.clone() }),
        )),
        ladder,
        uncalibrated: None,
    };
    let settings = Settings { results: true, health_every: Duration::from_secs(60) };
    let sink =
        MqttSink::new(results.clone(), Topics::new("leptond", &NodeName::new("test").unwrap()).unwrap(), settings);
    let context = PipelineContext {
        bus: Bus::new(vec![Arc::new(sink)]),
        heartbeats: Heartbeats::new(Instant::now()),
        sources: Sources::default(),
        cascades: Arc::default(),
        turn: Arc::default(),
        readings: Arc::default(),
        offloading: Default::default(),
        dev: "/dev".into(),
        wake: Arc::new(|| {}),
    };
    let running = Running::start(prepared, false, &context).unwrap();
    Bench { running, frames, handed, results, rungs: rungs.to_vec(), first }
}

impl Bench {
    fn apply(&self, rung: usize) {
        self.running.apply(Assignment { setpoint: self.rungs[rung].clone(), ..self.first.clone() });
    }

    fn send(&self, frames: usize, make: impl Fn() -> Frame) {
        (0..frames).for_each(|_| self.frames.send(make()).unwrap());
    }

    fn results(&self) -> Vec<Value> {
        self.results.0.lock().unwrap().clone()
    }

    fn wait_results(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} results"), || self.results().len() >= count);
        self.results()
    }

    /// Waits until so many frames have been handed on to the worker, or skipped.
    fn wait_handed(&self, frames: u64) {
        wait_until(&format!("{frames} frames to be handed on"), || self.handed.load(SeqCst) >= frames);
    }

    fn end(self) -> Vec<Value> {
        let Bench { running, frames, results, .. } = self;
        running.stop();
        drop(frames);
        results.0.lock().unwrap().clone()
    }
}

fn rung(rung: usize, change: impl FnOnce(&mut Setpoint)) -> Setpoint {
    let mut setpoint = Setpoint { rung, of: 2, ..Setpoint::full() };
    change(&mut setpoint);
    setpoint
}

/// A window for `machine-anomaly`.
fn window() -> Frame {
    let mut frame = Frame::empty();
    let window = frame.window_mut();
    let channels = ["cpu_percent", "cpu_min_percent", "cpu_max_percent", "memory_used_percent"];
    window.channels = channels.map(String::from).to_vec().into();
    window.rows = 8;
    window.data = vec![20.0; 32];
    frame
}

fn picture() -> Frame {
    let config = source::Config::Synthetic(SyntheticConfig { width: 64, height: 48, fps: 240.0, ..Default::default() });
    let mut camera = source::open(&config, source::Context::default()).unwrap();
    let mut frame = Frame::empty();
    while camera.next(&mut frame).unwrap() != Next::Frame {}
    frame
}

fn seqs(results: &[Value]) -> Vec<u64> {
    results.iter().map(|r| r["seq"].as_u64().unwrap()).collect()
}

/// So long that no batch of these tests is run because of it.
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn a_batch_that_does_not_fill_runs_before_its_deadline() {
    let bench = start("machine-anomaly", &[rung(0, |s| s.batch = 4)], 400, NEVER, false);
    bench.send(2, window);
    let results = bench.wait_results(2);
    assert_eq!(seqs(&results), [1, 2], "the frames that came, and no others");
    let age = results[0]["frame_age_ms"].as_f64().unwrap();
    assert!(age >= 300.0, "it was waited for more: {age} ms");
    bench.send(4, window);
    let full = bench.wait_results(6);
    assert_eq!(seqs(&full), [1, 2, 3, 4, 5, 6]);
    let youngest = full[5]["frame_age_ms"].as_f64().unwrap();
    assert!(youngest < 300.0, "a full batch is not held back: {youngest} ms");
    bench.end();
}

#[test]
fn a_stop_finishes_what_was_gathered() {
    let bench = start("machine-anomaly", &[rung(0, |s| s.batch = 8)], 0, NEVER, false);
    bench.send(3, window);
    bench.wait_handed(3);
    assert_eq!(bench.results().len(), 0, "they wait for the rest of the batch");
    assert_eq!(seqs(&bench.end()), [1, 2, 3]);
}

#[test]
fn another_batch_takes_over_what_was_gathered_for_the_old_one() {
    let rungs = [rung(0, |s| s.batch = 8), rung(1, |_| {})];
    let bench = start("machine-anomaly", &rungs, 0, NEVER, false);
    bench.send(3, window);
    bench.wait_handed(3);
    bench.apply(1);
    let results = bench.wait_results(3);
    assert_eq!(seqs(&results)[..3], [1, 2, 3]);
    bench.send(1, window);
    let results = bench.wait_results(4);
    assert_eq!(results.iter().map(|r| r["rung"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 0, 0, 1]);
    bench.end();
}

#[test]
fn a_pause_lets_nothing_through_and_finishes_what_was_gathered() {
    let bench = start("machine-anomaly", &[rung(0, |s| s.batch = 4)], 0, NEVER, true);
    bench.send(1, window);
    bench.wait_handed(1);
    let shared = bench.running.shared.clone();
    assert!(!shared.load(Instant::now()).idle);
    shared.pause(true);
    bench.wait_results(1);
    assert!(shared.load(Instant::now()).idle);
    bench.send(3, window);
    wait_until("three frames to be skipped", || shared.counters.skipped.load(SeqCst) == 3);
    shared.pause(false);
    // Of a live source the newest wins: some of these may be overwritten.
    let mut sent = 4;
    wait_until("a full batch", || {
        bench.send(1, window);
        sent += 1;
        bench.wait_handed(sent);
        bench.results().len() >= 5
    });
    assert_eq!(shared.counters.skipped.load(SeqCst), 3);
    let results = bench.end();
    assert_eq!(seqs(&results)[0], 1);
    assert!(results.len() > 1 && seqs(&results)[1..].iter().all(|seq| *seq > 4), "{results:?}");

    // The governor's pause is the same, and no reason to call the pipeline idle.
    let rungs = [rung(0, |_| {}), rung(1, |s| s.paused = true)];
    let bench = start("machine-anomaly", &rungs, 0, Duration::ZERO, true);
    bench.apply(1);
    bench.send(2, window);
    wait_until("two frames to be skipped", || bench.running.shared.counters.skipped.load(SeqCst) == 2);
    assert!(!bench.running.shared.load(Instant::now()).idle);
    assert_eq!(bench.end().len(), 0);
}

#[test]
fn another_form_takes_over_at_a_frame_boundary_and_counts_anew() {
    let small = |s: &mut Setpoint| (s.variant, s.resolution) = (1, Some(24));
    let bench = start("leptonnet-digits", &[rung(0, |_| {}), rung(1, small)], 0, Duration::ZERO, false);
    let shared = bench.running.shared.clone();
    let frame = picture();
    bench.send(4, || frame.clone());
    bench.wait_results(4);
    let load = shared.load(Instant::now());
    assert!(load.p95_ms.is_some() && load.infer_ms.is_some_and(|ms| ms > 0.0), "{load:?}");
    assert!(load.frame_age_ms.is_some() && load.dropped == Some(0.0), "{load:?}");
    bench.apply(1);
    let load = shared.load(Instant::now());
    assert_eq!(
        (load.p95_ms, load.infer_ms, load.dropped),
        (None, None, None),
        "the other rung has achieved nothing yet"
    );

    let mut sent = 4;
    wait_until("a result of the other rung", || {
        bench.send(1, || frame.clone());
        sent += 1;
        bench.wait_results(sent).last().unwrap()["rung"] == 1
    });
    bench.send(3, || frame.clone());
    let results = bench.wait_results(sent + 3);
    assert_eq!(seqs(&results), (1..=sent as u64 + 3).collect::<Vec<_>>(), "no frame was lost");
    let rungs: Vec<u64> = results.iter().map(|r| r["rung"].as_u64().unwrap()).collect();
    assert!(rungs.is_sorted(), "{rungs:?}");
    assert!(shared.load(Instant::now()).p95_ms.is_some());
    // A whole picture is no digit: it may have no label, but it has best ones.
    let labels: Vec<&str> = results.iter().map(|r| r["top"][0]["label"].as_str().unwrap()).collect();
    assert!(
        labels.iter().all(|l| ["none"].contains(l) || l.len() == 1),
        "both variants have the bundle's labels: {labels:?}"
    );
    bench.end();
}
