use std::time::SystemTime;

use super::super::shared_plan::testing::{Runs, fine, sum_of, sums};
use super::*;
use crate::frame::Frame;
use crate::pipeline::{Config, Planner, Stages, open_bundle};
use crate::source::{self, FilesConfig, MissingPolicy, MqttConfig, MqttContent, Next, SyntheticConfig};
use crate::{preprocess, task};
use leptond_governor::Setpoint;

const MS: Duration = Duration::from_millis(1);

fn key() -> Key {
    Key { digest: "x".into(), engine: Engine::F32, stages: (&Setpoint::full()).into(), items: 1 }
}

fn terms(places: usize) -> SharingTerms {
    SharingTerms { places, interval: Duration::ZERO, deadline: Duration::ZERO }
}

/// Number of `all_terms` that get a seat when a single run takes 10 ms, and the items of each plan that was compiled.
fn granted(all_terms: &[SharingTerms], timing: Timing) -> (usize, Vec<usize>) {
    let compiled = Runs::default();
    let pool = Pool::new(&[], timing);
    let compile = |items: usize| {
        compiled.lock().unwrap().push(items);
        Ok::<_, ModelError>((sums(items, &Runs::default(), fine), "f32"))
    };
    let plans: Vec<PlanHandle> = all_terms
        .iter()
        .map(|terms| pool.plan("test", key(), *terms, compile).unwrap_or_else(|e| panic!("{e}")))
        .collect();
    let seats = plans.iter().filter(|plan| matches!(plan, PlanHandle::Seat(_))).count();
    for plan in plans {
        let mut model: Box<dyn Model> = match plan {
            PlanHandle::Own((model, _)) => model,
            PlanHandle::Seat(seat) => Box::new(seat),
        };
        assert_eq!(sum_of(model.as_mut(), &[1.0, 2.0], |model| model.run()).unwrap(), [3.0]);
    }
    (seats, compiled.lock().unwrap().clone())
}

#[test]
fn a_plan_is_shared_where_that_pays_and_only_there() {
    let half: Timing = |_, _| Ok([10 * MS, 15 * MS]);
    let hardly: Timing = |_, _| Ok([10 * MS, 29 * MS]);
    let broken: Timing = |_, _| Err(ModelError::Run { model: "x".into(), reason: "broken".into() });
    let tiny: Timing = |_, _| Ok([Duration::from_micros(10), Duration::from_micros(11)]);
    let slow = |interval: u32| SharingTerms { interval: MS * interval, ..terms(2) };
    let urgent = |deadline: u32| SharingTerms { deadline: MS * deadline, ..terms(2) };
    let check = |name: &str, all_terms: &[SharingTerms], timing: Timing, seats: usize, compiled: &[usize]| {
        assert_eq!(granted(all_terms, timing), (seats, compiled.to_vec()), "{name}");
    };
    check("three for little more than one", &[terms(3); 3], half, 3, &[1, 1, 3]);
    check("hardly less than three runs", &[terms(3); 3], hardly, 1, &[1, 1, 3, 1]);
    check("it cannot be measured", &[terms(2); 2], broken, 1, &[1, 1, 2]);
    check("less is gained than waking the other takes", &[terms(2); 2], tiny, 1, &[1, 1, 2]);
    check("no more than two may share", &[terms(2); 4], half, 4, &[1, 1, 2, 1, 1, 2]);
    check("there is time between two inputs", &[slow(40), slow(30)], half, 2, &[1, 1, 2]);
    check("a run would take most of the time between two inputs", &[slow(29), slow(40)], half, 1, &[1, 1, 2]);
    check("the deadline is kept", &[urgent(30), urgent(40)], half, 2, &[1, 1, 2]);
    check("the deadline would be missed", &[urgent(40), urgent(29)], half, 1, &[1, 1, 2]);
}

#[test]
fn one_that_comes_back_finds_its_seat() {
    let pool = Pool::new(&[], |_, _| Ok([10 * MS, 15 * MS]));
    let compiled = Runs::default();
    let compile = |items: usize| {
        compiled.lock().unwrap().push(items);
        Ok::<_, ModelError>((sums(items, &Runs::default(), fine), "f32"))
    };
    let plan = || pool.plan("test", key(), terms(2), compile).unwrap_or_else(|e| panic!("{e}"));
    let first = plan();
    let second = plan();
    drop(second);
    assert!(matches!(plan(), PlanHandle::Seat(_)));
    assert_eq!(*compiled.lock().unwrap(), [1, 1, 2], "nothing was compiled again");
    drop(first);
    let _again = plan();
    assert_eq!(*compiled.lock().unwrap(), [1, 1, 2, 1], "the plan went with the last that used it");
}

#[test]
fn who_may_share_is_in_the_configuration() {
    let config = |name: &str, max_batch: u32, source: source::Config| Config {
        name: name.try_into().unwrap(),
        model: Some("machine-anomaly".into()),
        engine: Engine::Auto,
        threads: 1,
        source: source.into(),
        preprocess: Default::default(),
        motion: Default::default(),
        task: Default::default(),
        track: Default::default(),
        zones: Vec::new(),
        lines: Vec::new(),
        event: Default::default(),
        offload: true,
        meter: None,
        governor: leptond_governor::PipelineConfig { max_batch, ..Default::default() },
    };
    let camera = source::Config::Synthetic(SyntheticConfig::default());
    let reading =
        |name: &str, max_batch: u32, source: source::Config| Resolved::inline(config(name, max_batch, source)).unwrap();
    let pipeline = |name: &str, max_batch: u32| reading(name, max_batch, camera.clone());
    let places = |config: &Resolved, all: &[Resolved], interval: Duration| {
        SharingTerms::of(config, all, interval).map(|terms| terms.places)
    };
    let all = [pipeline("a", 4), pipeline("b", 3), pipeline("c", 1)];
    assert_eq!(places(&all[0], &all, 66 * MS), Some(2), "c does not batch");
    assert_eq!(places(&all[2], &all, 66 * MS), None);
    let many: Vec<_> = (0..5).map(|i| pipeline(&i.to_string(), 3)).collect();
    assert_eq!(places(&many[0], &many, 66 * MS), Some(3), "max_batch bounds it");
    let mut other = pipeline("b", 4);
    other.config.threads = 2;
    assert_eq!(places(&all[0], &[all[0].clone(), other], 66 * MS), None, "other threads");
    let files = source::Config::Files(FilesConfig { path: "x".into(), repeat: true, fps: 0.0 });
    let endless = [reading("a", 4, files), pipeline("b", 4)];
    assert_eq!(places(&endless[0], &endless, Duration::ZERO), None, "it takes all that it gets");
    let numbers = MqttConfig {
        topic: "t".into(),
        content: MqttContent::Numbers,
        channels: Vec::new(),
        missing: Some(MissingPolicy::Skip),
        hold_s: 60,
        window: 1,
        stride: 1,
    };
    let mqtt = [reading("a", 4, source::Config::Mqtt(numbers)), pipeline("b", 4)];
    assert_eq!(places(&mqtt[0], &mqtt, Duration::ZERO), Some(2), "it comes when it comes");
}

/// The digits model on synthetic counters, to be shared in `pool` where there is one.
fn digits(pool: Option<&Arc<Pool>>, places: usize) -> Stages {
    let bundle = open_bundle("leptonnet-digits", &[]).unwrap();
    let regions = crate::scene::regions(640, 480).map(preprocess::Region::Rect).to_vec();
    let preprocess = preprocess::Config { regions, ..Default::default() };
    let mut planner = Planner::new(bundle, Engine::Int8, 1, preprocess, &task::Config::default()).unwrap();
    if let Some(pool) = pool {
        planner.share(pool.clone(), "test", terms(places));
    }
    planner.compile_shared(&mut planner.load(0).unwrap(), (&Setpoint::full()).into()).unwrap()
}

/// Readings of `stages` off the first counters of the camera `seed`.
fn readings(mut stages: Stages, seed: u64) -> Vec<String> {
    let config = SyntheticConfig { seed, fps: 240.0, frames: 8, ..SyntheticConfig::default() };
    let mut camera = source::open(&source::Config::Synthetic(config), source::Context::default()).unwrap();
    let mut frame = Frame::empty();
    let mut seen = Vec::new();
    loop {
        match camera.next(&mut frame).unwrap() {
            Next::Frame => {
                stages.prepare(&frame, 0).unwrap();
                stages.infer_captured(frame.captured).unwrap();
                let output =
                    stages.interpret(0, Duration::from_secs(seen.len() as u64), SystemTime::UNIX_EPOCH).unwrap();
                seen.push(format!("{:?}", output.outcome));
            }
            Next::Idle(_) => {}
            Next::End => return seen,
        }
    }
}

#[test]
fn pipelines_that_share_read_what_they_read_alone() {
    for places in [2, 3] {
        let pool = Arc::new(Pool::new(&[], |_, _| Ok([10 * MS, 11 * MS])));
        let seeds = 60..60 + places as u64;
        let shared: Vec<Stages> = seeds.clone().map(|_| digits(Some(&pool), places)).collect();
        let together = std::thread::scope(|scope| {
            let threads: Vec<_> = shared
                .into_iter()
                .zip(seeds.clone())
                .map(|(stages, seed)| scope.spawn(move || readings(stages, seed)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let alone: Vec<_> = seeds.map(|seed| readings(digits(None, 1), seed)).collect();
        assert!(alone.iter().all(|readings| readings.len() == 8));
        assert_eq!(together, alone, "{places} pipelines");
    }
}
