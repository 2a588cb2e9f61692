//! The governor on a scripted board: what it sees second by second, and what it must do.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(500);

/// A calm board.
fn cool() -> Reading {
    Reading {
        soc_celsius: Some(50.0),
        cpu_percent: Some(30.0),
        own_cpu_percent: Some(5.0),
        memory_pressure_percent: Some(0.0),
        throttled: Some(false),
        under_voltage: Some(false),
        ..Reading::default()
    }
}

fn soc(celsius: f32) -> Reading {
    Reading { soc_celsius: Some(celsius), ..cool() }
}

fn cpu(percent: f32) -> Reading {
    Reading { cpu_percent: Some(percent), ..cool() }
}

fn pipeline(name: &str, weight: f32) -> PipelineLadder {
    let config = PipelineConfig { interval_ms: 100, min_fps: 1.0, weight, ..PipelineConfig::default() };
    PipelineLadder::new(name, &config, Duration::from_millis(100), &[])
}

/// A board that gives each reading for so many seconds; every change as `second pipeline>rung reason`.
fn run(governor: &mut Governor, start_s: f64, script: &[(f64, Reading)]) -> Vec<String> {
    let mut now = Duration::from_secs_f64(start_s);
    let mut told = Vec::new();
    for (for_s, reading) in script {
        let end = now + Duration::from_secs_f64(*for_s);
        while now < end {
            for change in governor.step(reading, now) {
                let status = governor.status(change.pipeline).unwrap();
                assert_eq!((&status.setpoint, &status.reason, status.since), (&change.setpoint, &change.reason, now));
                let second = now.as_secs_f64();
                told.push(format!("{second} {}>{} {}", status.pipeline, change.setpoint.rung, change.reason));
            }
            now += TICK;
        }
    }
    told
}

/// One pipeline with rungs 0 to 4 at the default limits.
fn check(script: &[(f64, Reading)], expected: &[&str]) {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0)]);
    assert_eq!(run(&mut governor, 0.0, script), expected, "{script:#?}");
}

#[test]
fn a_calm_board_is_left_alone() {
    check(&[(3600.0, cool())], &[]);
    check(&[(3600.0, Reading::default())], &[]);
}

#[test]
fn heat_and_load_lower_the_work_after_they_lasted_and_step_by_step() {
    // The median of three sees the heat one reading later.
    check(&[(10.0, cool()), (4.0, soc(76.24)), (20.0, cool())], &["12.5 p>1 soc 76.2 °C above 75.0 °C for 2 s"]);
    check(
        &[(10.0, cool()), (6.0, cpu(93.4)), (10.0, cool())],
        &["12.5 p>1 cpu 93 % above 85 % for 2 s", "14.5 p>2 cpu 93 % above 85 % for 4 s"],
    );
    check(
        &[(10.0, cool()), (3.0, Reading { memory_pressure_percent: Some(41.0), ..cool() }), (10.0, cool())],
        &["12.5 p>1 memory pressure 41 % above 20 % for 2 s"],
    );
}

#[test]
fn urgent_reasons_act_at_once() {
    for (reading, reason) in [
        (Reading { throttled: Some(true), ..cool() }, "the clock is being lowered by the firmware or kernel"),
        (Reading { under_voltage: Some(true), ..cool() }, "the supply voltage is too low"),
        (Reading { deadline_ratio: Some(1.318), ..cool() }, "p95 latency is 1.32 of the deadline"),
    ] {
        check(&[(10.0, cool()), (0.5, reading), (20.0, cool())], &[&format!("10 p>1 {reason}")]);
    }
    check(&[(10.0, cool()), (1.5, soc(81.0)), (20.0, cool())], &["10.5 p>1 soc 81.0 °C at the limit of 80.0 °C"]);
}

#[test]
fn the_ladder_ends() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0)]);
    assert_eq!(governor.state(), State::Normal);
    assert_eq!(run(&mut governor, 0.0, &[(2.5, soc(90.0))]).len(), 1);
    assert_eq!(governor.state(), State::Reduced);
    assert_eq!(run(&mut governor, 2.5, &[(600.0, soc(90.0))]).len(), 3);
    assert_eq!(governor.state(), State::Exhausted);
}

#[test]
fn one_spike_moves_nothing_whatever_it_is() {
    for spike in [Some(200.0), Some(-40.0), Some(f32::NAN), Some(f32::INFINITY), Some(99.0), None] {
        let reading = Reading { soc_celsius: spike, cpu_percent: spike, ..cool() };
        check(&[(10.0, cool()), (0.5, reading), (20.0, cool())], &[]);
    }
    // Nor does a cold one make a hot board look cool.
    let hot = |for_s| (for_s, Reading { own_cpu_percent: None, ..soc(74.0) });
    let mut governor =
        Governor::new(Config { rung: 4, mode: Mode::Manual, ..Config::default() }, vec![pipeline("p", 1.0)]);
    assert_eq!(run(&mut governor, 0.0, &[hot(1.0)]).len(), 1);
    governor.set_config(Config::default());
    let spikes: Vec<_> = (0..200).flat_map(|_| [hot(1.0), (0.5, soc(20.0))]).collect();
    assert_eq!(run(&mut governor, 1.0, &spikes), Vec::<String>::new());
}

#[test]
fn a_failed_sensor_is_never_fine() {
    for gone in [None, Some(f32::NAN), Some(-40.0), Some(200.0)] {
        check(
            &[(10.0, cool()), (4.0, Reading { soc_celsius: gone, ..cool() }), (5.0, cool())],
            &["12.5 p>1 soc sensor failed, counted as the worst, for 2 s"],
        );
    }
    let gone = Reading { throttled: None, ..cool() };
    check(&[(10.0, cool()), (2.0, gone), (5.0, cool())], &["11 p>1 throttle flag gone, counted as raised"]);
}

#[test]
fn a_sensor_never_seen_is_left_out() {
    let reading = |percent| Reading { cpu_percent: Some(percent), ..Reading::default() };
    let gone = |reading| Reading { soc_celsius: Some(f32::NAN), ..reading };
    check(
        &[(20.0, gone(reading(50.0))), (3.0, gone(reading(95.0))), (40.0, gone(reading(20.0)))],
        &["22.5 p>1 cpu 95 % above 85 % for 2 s", "53.5 p>0 cpu 20 %: calm for 30 s"],
    );
}

#[test]
fn a_frozen_thermometer_is_found_by_the_load() {
    let steady = |celsius, cpu| Reading { soc_celsius: Some(celsius), cpu_percent: Some(cpu), ..cool() };
    // It moved, then stands still for a minute over a change of load: frozen.
    check(
        &[(5.0, steady(48.0, 20.0)), (30.0, steady(49.0, 20.0)), (34.0, steady(49.0, 70.0))],
        &["67.5 p>1 soc sensor frozen since 62 s, counted as the worst, for 2 s"],
    );
    // A burst of a few seconds heats nothing, so nothing can be told from it.
    check(
        &[(5.0, steady(48.0, 20.0)), (70.0, steady(49.0, 20.0)), (4.0, steady(49.0, 80.0)), (70.0, steady(49.0, 20.0))],
        &[],
    );
    // Still at the same load: an idle board in an even room.
    check(&[(5.0, steady(48.0, 20.0)), (7200.0, steady(49.0, 22.0))], &[]);
    // Never moved: a constant of the firmware, left out.
    check(&[(60.0, steady(27.8, 20.0)), (600.0, steady(27.8, 70.0))], &[]);
}

#[test]
fn work_is_given_back_when_the_board_has_been_calm() {
    let down = (4.0, soc(76.0));
    let hot_enough = (300.0, soc(72.0));
    check(
        &[(10.0, cool()), down.clone(), hot_enough, (40.0, soc(60.0))],
        &[
            "12.5 p>1 soc 76.0 °C above 75.0 °C for 2 s",
            "344.5 p>0 soc 60.0 °C, cpu 30 %, memory pressure 0 %: calm for 30 s",
        ],
    );
}

#[test]
fn a_step_up_that_was_taken_back_doubles_the_wait() {
    // A board on which rung 0 is always too much and rung 1 always fine.
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0)]);
    let mut ups = Vec::new();
    let mut now = Duration::ZERO;
    while now < Duration::from_secs(3600) {
        let rung = governor.status(0).unwrap().setpoint.rung;
        let reading = if rung == 0 { cpu(95.0) } else { Reading { own_cpu_percent: None, ..cpu(50.0) } };
        for change in governor.step(&reading, now) {
            if change.setpoint.rung == 0 {
                ups.push(now.as_secs());
            }
        }
        now += TICK;
    }
    let waits: Vec<_> = ups.windows(2).map(|w| w[1] - w[0]).collect();
    for (found, expected) in waits.iter().zip([60, 120, 240, 480, 480, 480]) {
        assert!((expected..expected + 6).contains(found), "{waits:?}");
    }
    assert!(waits.len() >= 6, "{waits:?}");
}

#[test]
fn a_step_up_that_the_load_cannot_bear_waits_longer() {
    let heavy = Reading { own_cpu_percent: Some(40.0), ..cpu(50.0) };
    check(
        &[(10.0, cool()), (3.0, cpu(90.0)), (200.0, heavy)],
        &[
            "12.5 p>1 cpu 90 % above 85 % for 2 s",
            "133.5 p>0 soc 50.0 °C, cpu 50 %, memory pressure 0 %: calm for 120 s",
        ],
    );
}

#[test]
fn the_lowest_weight_steps_down_first_and_up_last() {
    let ladders = vec![pipeline("door", 2.0), pipeline("yard", 1.0), pipeline("lane", 1.0)];
    let mut governor = Governor::new(Config::default(), ladders);
    let told = run(&mut governor, 0.0, &[(22.0, soc(90.0)), (500.0, cool())]);
    let order: Vec<_> = told.iter().map(|t| t.split(' ').nth(1).unwrap()).collect();
    let down =
        ["yard>1", "lane>1", "yard>2", "lane>2", "yard>3", "lane>3", "yard>4", "lane>4", "door>1", "door>2", "door>3"];
    let up =
        ["door>2", "door>1", "door>0", "lane>3", "yard>3", "lane>2", "yard>2", "lane>1", "yard>1", "lane>0", "yard>0"];
    assert_eq!(order, [down, up].concat(), "{told:#?}");
    assert_eq!(governor.state(), State::Normal);
}

#[test]
fn manual_stays_where_it_was_put() {
    let config = Config { mode: Mode::Manual, rung: 2, ..Config::default() };
    let mut governor = Governor::new(config.clone(), vec![pipeline("p", 1.0), pipeline("q", 1.0)]);
    let fixed = "rung 2 fixed by governor.mode = manual";
    let told = run(&mut governor, 0.0, &[(60.0, soc(95.0)), (600.0, cool())]);
    assert_eq!(told, [format!("0 p>2 {fixed}"), format!("0 q>2 {fixed}")]);
    governor.set_config(Config { rung: 100, ..config });
    assert_eq!(run(&mut governor, 660.0, &[(60.0, cool())]).len(), 2);
    assert_eq!(governor.status(0).unwrap().setpoint.rung, 4, "beyond the ladder = its last rung");
    assert_eq!(governor.status(2), None);
}

fn rungs(config: &PipelineConfig, frame_ms: u64, sizes: &[u32]) -> Vec<String> {
    let ladder = ladder(config, Duration::from_millis(frame_ms), sizes);
    let tell = |(i, s): (usize, &Setpoint)| {
        assert_eq!((s.rung, s.of), (i, ladder.len()));
        format!("{} {} {}", s.interval.as_millis(), s.resolution.unwrap_or(0), s.batch)
    };
    ladder.iter().enumerate().map(tell).collect()
}

#[test]
fn ladders_are_interval_then_resolution_then_batch() {
    let d = PipelineConfig::default;
    let c = |min_fps| PipelineConfig { min_fps, ..d() };
    assert_eq!(rungs(&c(1.0), 100, &[]), ["0 0 1", "200 0 1", "400 0 1", "800 0 1", "1000 0 1"]);
    assert_eq!(rungs(&c(2.0), 0, &[]), ["0 0 1", "50 0 1", "100 0 1", "200 0 1", "400 0 1", "500 0 1"]);
    assert_eq!(rungs(&c(100.0), 0, &[]), ["0 0 1"], "nothing to lower within the floor");
    assert_eq!(rungs(&c(15.0), 66, &[320, 160, 96, 416]), ["0 320 1", "66 320 1", "66 160 1", "66 96 1"]);
    let floors = PipelineConfig { min_resolution: 160, max_batch: 5, interval_ms: 1000, ..c(1.0) };
    assert_eq!(rungs(&floors, 66, &[320, 96, 160]), ["1000 320 1", "1000 160 1", "1000 160 2", "1000 160 4"]);
    let deadline = PipelineConfig { deadline_ms: 1500, ..floors };
    assert_eq!(rungs(&deadline, 66, &[]), ["1000 0 1", "1000 0 2"], "waiting for four would miss the deadline");
    assert_eq!(rungs(&PipelineConfig { interval_ms: 3_600_000, ..c(0.0) }, 0, &[]), ["3600000 0 1"]);
    assert!(rungs(&c(f32::NAN), 100, &[]).last().unwrap().starts_with("60000 "));
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let value = || {
        prop_oneof![
            4 => (-60.0f32..210.0).prop_map(Some),
            1 => Just(None),
            1 => Just(Some(f32::NAN)),
            1 => Just(Some(f32::INFINITY)),
            1 => Just(Some(f32::NEG_INFINITY)),
        ]
    };
    let flag = || prop_oneof![8 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)];
    (value(), value(), value(), value(), flag(), flag(), prop_oneof![3 => Just(None), 1 => value()]).prop_map(
        |(
            soc_celsius,
            cpu_percent,
            own_cpu_percent,
            memory_pressure_percent,
            throttled,
            under_voltage,
            deadline_ratio,
        )| Reading {
            soc_celsius,
            cpu_percent,
            own_cpu_percent,
            memory_pressure_percent,
            throttled,
            under_voltage,
            deadline_ratio,
            ..Reading::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the board says, each step is one rung of one ladder, and the dwell times hold.
    #[test]
    fn any_readings_keep_to_the_ladder_and_the_dwell(
        readings in prop::collection::vec((any_reading(), 1u64..200, 0u64..2000), 1..80),
        weights in prop::collection::vec(0.0f32..3.0, 1..4),
    ) {
        let config = Config { dwell_up_s: 5.0, ..Config::default() };
        let (dwell_down, dwell_up) = (Duration::from_secs_f32(2.0), Duration::from_secs_f32(5.0));
        let ladders: Vec<_> = weights.iter().map(|w| pipeline("p", *w)).collect();
        let mut rungs = vec![0usize; ladders.len()];
        let mut governor = Governor::new(config, ladders.clone());
        let (mut last_down, mut last_change): (Option<Duration>, Option<Duration>) = (None, None);
        let mut now = Duration::ZERO;
        for (reading, repeat, pause_ms) in readings {
            for _ in 0..repeat {
                let changes = governor.step(&reading, now);
                prop_assert!(changes.len() <= 1);
                for change in changes {
                    let ladder = &ladders[change.pipeline];
                    let before = std::mem::replace(&mut rungs[change.pipeline], change.setpoint.rung);
                    prop_assert_eq!(&change.setpoint, &ladder.rungs[change.setpoint.rung]);
                    prop_assert_eq!(before.abs_diff(change.setpoint.rung), 1);
                    prop_assert!(!change.reason.is_empty());
                    if change.setpoint.rung > before {
                        prop_assert!(last_down.is_none_or(|at| now - at >= dwell_down));
                        last_down = Some(now);
                    } else {
                        prop_assert!(last_change.is_none_or(|at| now - at >= dwell_up));
                        prop_assert!(reading.throttled != Some(true) && reading.under_voltage != Some(true));
                    }
                    last_change = Some(now);
                }
                now += TICK;
            }
            now += Duration::from_millis(pause_ms);
        }
    }

    /// Once seen, a sensor that gives nothing plausible never lets the work rise.
    #[test]
    fn bad_data_never_raises_the_work(bad in prop::collection::vec(prop_oneof![
        Just(None), Just(Some(f32::NAN)), Just(Some(200.0)), Just(Some(-40.0)), Just(Some(f32::INFINITY))], 20..400)) {
        let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0)]);
        run(&mut governor, 0.0, &[(5.0, cool()), (2.5, soc(90.0))]);
        let mut now = Duration::from_secs(8);
        let mut rung = governor.status(0).unwrap().setpoint.rung;
        prop_assert!(rung > 0);
        for soc_celsius in bad {
            now += TICK;
            for change in governor.step(&Reading { soc_celsius, ..cool() }, now) {
                prop_assert!(change.setpoint.rung > rung);
                rung = change.setpoint.rung;
            }
        }
    }
}
