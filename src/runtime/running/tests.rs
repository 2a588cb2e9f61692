//! Pipelines over a source that the test drives.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use leptond_governor::{Candidate, Cost, PipelineLadder, Setpoint};

use super::*;
use crate::frame::{Bus, Emission, Frame, PixelFormat, Sink, SourceCounts};
use crate::model::Engine;
use crate::pipeline::open_bundle;
use crate::runtime::sources::{Opened, Supply};
use crate::runtime::state::PipelineStatus;
use crate::source::{self, Next, Source, SourceError};
use crate::telemetry::Heartbeats;

/// A camera that gives a black picture with a patch of the level of each message, ends without a sender, and notes what it is asked for.
struct Camera {
    script: Receiver<u8>,
    live: bool,
    asked: Arc<Mutex<Vec<Option<u32>>>>,
    idle: Arc<Mutex<Vec<bool>>>,
}

impl Source for Camera {
    fn describe(&self) -> String {
        "test".into()
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let patch = match self.script.recv_timeout(Duration::from_millis(20)) {
            Ok(patch) => patch,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return Ok(Next::Idle("nothing to show".into())),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(Next::End),
        };
        let image = frame.image_mut();
        (image.format, image.width, image.height) = (PixelFormat::Gray8, 8, 8);
        image.data.clear();
        image.data.extend((0..64).map(|index| if index % 8 < 5 && index < 24 { patch } else { 0 }));
        frame.captured = Instant::now();
        Ok(Next::Frame)
    }

    fn live(&self) -> bool {
        self.live
    }

    fn set_capture(&mut self, side: Option<u32>) {
        self.asked.lock().unwrap().push(side);
    }

    fn set_idle(&mut self, idle: bool) {
        self.idle.lock().unwrap().push(idle);
    }
}

/// The numbers of the frames that each pipeline gave a result for.
#[derive(Default)]
struct Results(Mutex<Vec<(String, u64)>>);

impl Results {
    fn of(&self, pipeline: &str) -> Vec<u64> {
        self.0.lock().unwrap().iter().filter(|(name, _)| name == pipeline).map(|(_, seq)| *seq).collect()
    }
}

impl Sink for Results {
    fn take(&self, emission: &Emission) {
        if let Emission::Output(output) = emission {
            assert!(output.frame.is_none(), "no sink wants it");
            self.0.lock().unwrap().push((output.pipeline.to_string(), output.stamp.seq));
        }
    }
}

/// One shared camera and who reads it.
struct Bench {
    context: PipelineContext,
    results: Arc<Results>,
    opened: Arc<Opened>,
    camera: Option<SyncSender<u8>>,
    asked: Arc<Mutex<Vec<Option<u32>>>>,
    idle: Arc<Mutex<Vec<bool>>>,
    first: PipelineLadder,
}

impl Bench {
    fn new(live: bool) -> Bench {
        let (camera, script) = sync_channel(64);
        let asked: Arc<Mutex<Vec<Option<u32>>>> = Arc::default();
        let idle: Arc<Mutex<Vec<bool>>> = Arc::default();
        let source = Camera { script, live, asked: asked.clone(), idle: idle.clone() };
        let config: source::Config = toml_edit::de::from_str("type = 'synthetic'").unwrap();
        let results = Arc::new(Results::default());
        let context = PipelineContext {
            bus: Bus::new(vec![results.clone()]),
            heartbeats: Heartbeats::new(Instant::now()),
            sources: Sources::default(),
            cascades: Arc::default(),
            turn: Arc::default(),
            readings: Arc::default(),
            offloading: Default::default(),
            dev: "/dev".into(),
            wake: Arc::new(|| ()),
        };
        let opened = Opened::shared("camera", config, Vec::new(), Box::new(source));
        let cost = Cost { infer_ms: 1.0, cpu_ms: 1.0, accuracy: None };
        let only = Candidate { capture: None, resolution: None, batch: 1, variant: 0, threads: 1, cost };
        let first = PipelineLadder::new("x", &Default::default(), Duration::ZERO, &[only]);
        Bench { context, results, opened, camera: Some(camera), asked, idle, first }
    }

    fn start(&self, name: &str) -> Running {
        self.start_with(name, "")
    }

    fn start_with(&self, name: &str, keys: &str) -> Running {
        let text = format!("name = '{name}'\nmodel = 'leptonnet-digits'\nsource = {{ type = 'synthetic' }}\n{keys}");
        let bundle = open_bundle("leptonnet-digits", &[]).unwrap();
        let planner = Planner::new(bundle, Engine::Int8, 1, Default::default(), &Default::default()).unwrap();
        let prepared = Prepared {
            ladder: self.first.clone(),
            pipeline: Resolved::inline(toml_edit::de::from_str(&text).unwrap()).unwrap(),
            stages: planner.stages(&Setpoint::full()).unwrap(),
            planner: Arc::new(planner),
            supply: Supply::Opened(self.opened.clone()),
            uncalibrated: None,
        };
        Running::start(prepared, false, &self.context).unwrap()
    }

    fn apply(&self, running: &Running, change: impl FnOnce(&mut Setpoint)) {
        let mut setpoint = Setpoint::full();
        change(&mut setpoint);
        running.apply(self.first.assignment(setpoint));
    }

    /// Has the camera give `count` frames, each once the one before it gave `results` results.
    fn give(&self, count: u64, results: usize) {
        for _ in 0..count {
            let before = self.results.0.lock().unwrap().len();
            self.camera.as_ref().unwrap().send(0).unwrap();
            wait(&format!("{results} results of a frame"), || self.results.0.lock().unwrap().len() >= before + results);
        }
    }

    /// Has the camera show something, and waits for its result.
    fn give_patch(&self, level: u8) {
        let before = self.results.0.lock().unwrap().len();
        self.camera.as_ref().unwrap().send(level).unwrap();
        wait("a result", || self.results.0.lock().unwrap().len() > before);
    }

    fn counts(&self) -> SourceCounts {
        self.context.sources.counts()["camera"]
    }
}

fn wait(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_largest_size_that_a_reader_asks_for_reaches_the_source() {
    let bench = Bench::new(true);
    let (a, b) = (bench.start("a"), bench.start("b"));
    let asked = |expected: &[Option<u32>]| wait(&format!("{expected:?}"), || *bench.asked.lock().unwrap() == expected);
    bench.apply(&a, |setpoint| setpoint.capture = Some(320));
    bench.apply(&b, |setpoint| setpoint.capture = Some(160));
    asked(&[Some(320)]);
    bench.apply(&a, |setpoint| setpoint.capture = None);
    asked(&[Some(320), None]);
    a.shared.pause(true);
    asked(&[Some(320), None, Some(160)]);
    b.shared.pause(true);
    a.shared.pause(false);
    asked(&[Some(320), None, Some(160), None]);
    a.stop();
    b.stop();
    bench.context.sources.close_unread(&[]);
}

#[test]
fn readers_come_and_go_without_the_others_losing_a_frame() {
    let mut bench = Bench::new(true);
    let (a, b) = (bench.start("a"), bench.start("b"));
    bench.give(10, 2);
    let c = bench.start("c");
    bench.give(10, 3);
    assert_eq!(bench.counts(), SourceCounts { frames: 20, decoded: 0, readers: 3 });
    b.stop();
    bench.context.sources.close_unread(&[]);
    bench.give(10, 2);
    let expected = [("a", (1..=30).collect::<Vec<u64>>()), ("b", (1..=20).collect()), ("c", (11..=30).collect())];
    for (name, frames) in expected {
        assert_eq!(bench.results.of(name), frames, "{name}");
    }
    assert_eq!((bench.counts().frames, bench.counts().readers), (30, 2), "one capture for all of them");
    // The end reaches everyone, and who comes later.
    bench.camera = None;
    wait("end", || a.finished() && c.finished());
    let late = bench.start("late");
    wait("end of a reader that came late", || late.finished());
    for running in [a, c, late] {
        assert_eq!(running.shared.life(), PipelineStatus::Ended);
        running.stop();
    }
    bench.context.sources.close_unread(&["camera"]);
    assert!(bench.context.sources.counts().is_empty(), "a source that has ended is not kept");
}

#[test]
fn a_source_that_can_wait_loses_nothing_for_any_reader_that_is_awake() {
    let mut bench = Bench::new(false);
    let (fast, slow, paused) = (bench.start("fast"), bench.start("slow"), bench.start("paused"));
    bench.apply(&slow, |setpoint| setpoint.interval = Duration::from_millis(10));
    paused.shared.pause(true);
    let camera = bench.camera.take().unwrap();
    (0..25).for_each(|_| camera.send(0).unwrap());
    drop(camera);
    wait("end", || fast.finished() && slow.finished() && paused.finished());
    for name in ["fast", "slow"] {
        assert_eq!(bench.results.of(name), (1..=25).collect::<Vec<u64>>(), "{name}");
    }
    assert!(bench.results.of("paused").is_empty());
    [fast, slow, paused].into_iter().for_each(Running::stop);
    bench.context.sources.close_unread(&[]);
}

#[test]
fn each_reader_keeps_its_own_pace_of_a_live_source() {
    let bench = Bench::new(true);
    let (all, few) = (bench.start("all"), bench.start("few"));
    bench.apply(&few, |setpoint| setpoint.interval = Duration::from_secs(3600));
    bench.give(1, 2);
    bench.give(20, 1);
    assert_eq!((bench.results.of("all").len(), bench.results.of("few").len()), (21, 1));
    let skipped = |r: &Running| r.shared.counters.skipped.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((skipped(&all), skipped(&few)), (0, 20));
    all.stop();
    few.stop();
    bench.context.sources.close_unread(&[]);
}

#[test]
fn what_does_not_move_is_not_looked_at_and_the_source_is_told() {
    let bench = Bench::new(true);
    let running = bench.start_with("gated", "motion = { enabled = true, hold_s = 0.0 }");
    let motion = || running.shared.gate.as_ref().unwrap().status();
    let open = || running.shared.load(Instant::now()).open;
    assert_eq!((motion().open, open()), (true, Some(true)));
    // The scene is learnt with the gate open.
    let until = Instant::now() + Duration::from_secs(30);
    while motion().closed_frames == 0 {
        assert!(Instant::now() < until, "{:?}", motion());
        bench.camera.as_ref().unwrap().send(0).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let seen = bench.results.of("gated").len();
    assert!(seen >= 5, "{seen}");
    for _ in 0..10 {
        bench.camera.as_ref().unwrap().send(0).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    wait("frames that are not looked at", || motion().closed_frames >= 5);
    wait("the source told", || *bench.idle.lock().unwrap() == [true]);
    assert_eq!((open(), running.shared.load(Instant::now()).is_quiet()), (Some(false), true));
    assert_eq!(bench.results.of("gated").len(), seen, "no result");
    bench.give_patch(200);
    wait("the source told again", || *bench.idle.lock().unwrap() == [true, false]);
    assert!(motion().open && motion().openings == 1, "{:?}", motion());
    running.stop();
    bench.context.sources.close_unread(&[]);
}
