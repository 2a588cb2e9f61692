//! Preprocess → model → task as one: the shipped digits on counters that it was not trained on, at every batch and
//! resolution that the governor may choose.

use std::time::{Duration, SystemTime};

use leptond::frame::{Frame, Outcome, Reading};
use leptond::model::Engine;
use leptond::pipeline::{Planner, Stages, open_bundle};
use leptond::scene;
use leptond::source::{self, Next, Source, SyntheticConfig};
use leptond::{preprocess, task};
use leptond_governor::Setpoint;

fn planner() -> Planner {
    planner_for(&task::Config::default())
}

fn planner_for(task: &task::Config) -> Planner {
    let bundle = open_bundle("leptonnet-digits", &[]).unwrap();
    let regions = scene::regions(640, 480).map(preprocess::Region::Rect).to_vec();
    let preprocess = preprocess::Config { regions, ..preprocess::Config::default() };
    Planner::new(bundle, Engine::Int8, 1, preprocess, task).unwrap()
}

fn camera(seed: u64) -> Box<dyn Source> {
    let config = source::Config::Synthetic(SyntheticConfig { seed, fps: 240.0, ..SyntheticConfig::default() });
    source::open(&config, source::Context::default()).unwrap()
}

fn frame(camera: &mut dyn Source) -> Frame {
    let mut frame = Frame::empty();
    loop {
        match camera.next(&mut frame).unwrap() {
            Next::Frame => return frame,
            Next::Idle(_) => {}
            Next::End => panic!("the synthetic camera does not end"),
        }
    }
}

fn read(stages: &mut Stages, frames: &[Frame]) -> Vec<(String, f32)> {
    for (i, frame) in frames.iter().enumerate() {
        stages.prepare(frame, i).unwrap();
    }
    stages.infer().unwrap();
    (0..frames.len())
        .map(|i| {
            let reading =
                reading(stages.interpret(i, Duration::from_millis(i as u64), SystemTime::UNIX_EPOCH).unwrap());
            // What this picture says, whether it is good or not.
            (reading.regions.iter().map(|region| region.label.as_deref().unwrap_or("?")).collect(), reading.score)
        })
        .collect()
}

fn reading(output: task::TaskOutput) -> Reading {
    match output.outcome {
        Outcome::Reading(reading) => reading,
        other => panic!("{other:?}"),
    }
}

/// Share of counters read wholly right.
fn share_right(planner: &Planner, setpoint: &Setpoint, frames: &[Frame]) -> f64 {
    // Without smoothing and `monotonic`, a reading does not depend on those before it.
    let mut stages = planner.stages(setpoint).unwrap();
    let right = |frame: &&Frame| Some(&read(&mut stages, std::slice::from_ref(*frame))[0].0) == frame.truth.as_ref();
    frames.iter().filter(right).count() as f64 / frames.len() as f64
}

#[test]
fn counters_are_read_at_every_resolution() {
    let planner = planner();
    let frames: Vec<Frame> = (7_000_000..7_000_012).map(|seed| frame(camera(seed).as_mut())).collect();
    let full = share_right(&planner, &Setpoint::full(), &frames);
    assert!(full >= 0.9, "{full} of five-digit counters read at full resolution");
    let low = share_right(&planner, &Setpoint { resolution: Some(24), ..Setpoint::full() }, &frames);
    assert!(low >= 0.7, "{low} of five-digit counters read at low resolution");
}

#[test]
fn a_batch_gives_what_its_frames_give_alone() {
    let planner = planner();
    let frames: Vec<Frame> = (50..53).map(|seed| frame(camera(seed).as_mut())).collect();
    let mut batch = planner.stages(&Setpoint { batch: 3, ..Setpoint::full() }).unwrap();
    assert_eq!(batch.frames(), 3);
    let together = read(&mut batch, &frames);
    for (frame, (label, score)) in frames.iter().zip(together) {
        let mut alone = planner.stages(&Setpoint::full()).unwrap();
        let (alone_label, alone_score) = read(&mut alone, std::slice::from_ref(frame)).remove(0);
        assert_eq!(label, alone_label);
        assert!((score - alone_score).abs() < 1e-5, "{score} in the batch, {alone_score} alone");
    }
}

#[test]
fn a_swapped_plan_keeps_what_the_task_remembers() {
    // The first good reading is an event, the same one again is not: unless the memory was lost with the plan.
    let planner = planner();
    let one = frame(camera(50).as_mut());
    let mut stages = planner.stages(&Setpoint::full()).unwrap();
    let events = |stages: &mut Stages, at: u64| {
        stages.prepare(&one, 0).unwrap();
        stages.infer().unwrap();
        stages.interpret(0, Duration::from_secs(at), SystemTime::UNIX_EPOCH).unwrap().events.len()
    };
    assert_eq!(events(&mut stages, 0), 1);
    stages.replace_with(planner.stages(&Setpoint { resolution: Some(24), ..Setpoint::full() }).unwrap());
    assert_eq!(events(&mut stages, 1), 0);
}

#[test]
fn counters_are_read_off_the_smallest_picture_that_has_enough_pixels() {
    // A digit of 72x96 pixels becomes one of 27x36; the model takes 24x32.
    let planner = planner();
    let lowered = |seed| {
        let mut camera = camera(seed);
        camera.set_capture(Some(240));
        let mut frame = frame(camera.as_mut());
        assert_eq!((frame.image_mut().width, frame.image_mut().full), (240, Some([640, 480])));
        frame
    };
    let frames: Vec<Frame> = (7_000_000..7_000_012).map(lowered).collect();
    let right = share_right(&planner, &Setpoint::full(), &frames);
    assert!(right >= 0.9, "{right} of five-digit counters read off pictures of 240x180");
}

#[test]
fn a_counter_is_followed_as_it_runs() {
    const FPS: f64 = 8.0;
    let planner = planner_for(&task::ClassifyConfig { monotonic: true, ..Default::default() }.into());
    for seed in [1, 5] {
        let mut stages = planner.stages(&Setpoint::full()).unwrap();
        let (counter, mut scene) = (scene::Counter::new(seed), scene::Scene::new(seed, scene::Fonts::All, 640, 480));
        let mut frame = Frame::empty();
        // Ten seconds, in which it counts three to five times.
        let (mut right, mut before) = (0, 0);
        for number in 0..80_u32 {
            let at = f64::from(number) / FPS;
            let shown = counter.at(at);
            let image = frame.image_mut();
            (image.width, image.height) = (640, 480);
            scene.render(&shown, number.into(), &mut image.data).unwrap();
            stages.prepare(&frame, 0).unwrap();
            stages.infer().unwrap();
            let output = stages.interpret(0, Duration::from_secs_f64(at), SystemTime::UNIX_EPOCH).unwrap();
            let Some(value) = reading(output).value else { continue };
            right += u32::from(value == shown.truth().parse::<u64>().unwrap());
            // The drums pass half of the way to the next number while they are read.
            let truth = u64::from(shown.value);
            assert!(
                (truth.saturating_sub(1)..=truth + 1).contains(&value),
                "seed {seed}, {at:.2} s: {value} of {truth}"
            );
            assert!(value >= before, "seed {seed}, {at:.2} s: {value} after {before}");
            before = value;
        }
        assert!(right >= 76, "seed {seed}: {right} of 80 pictures");
    }
}
