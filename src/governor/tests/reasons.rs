//! Reasons that lower the work, and their end.

use super::*;

#[test]
fn a_calm_board_is_left_alone() {
    check(&[(3600.0, cool())], &[]);
    check(&[(3600.0, Reading::default())], &[]);
}

#[test]
fn what_the_firmware_says_acts_at_once() {
    let throttled = Reading { throttled: Some(true), ..cool() };
    check(&[(10.0, cool()), (0.5, throttled.clone())], &["10 p>1 the clock is held down because of heat"]);
    let weak = Reading { under_voltage: Some(true), ..cool() };
    check(
        &[(10.0, cool()), (100.0, weak)],
        &[
            "10 p>1 the supply voltage is too low",
            "30 p>2 the supply voltage is too low",
            "70 p>3 the supply voltage is too low",
        ],
    );
    // The soft limit of a 3B+ is no reason.
    check(&[(10.0, cool()), (60.0, Reading { soft_limited: Some(true), ..cool() })], &[]);
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    let told = run(&mut governor, 0.0, &[(10.0, cool()), (5.0, throttled), (60.0, cool())]);
    assert_eq!(rungs(&told), ["p>1", "p>0"], "given back when the flag has been down for a while: {told:?}");
}

#[test]
fn a_flag_that_was_there_and_is_gone_counts_as_raised() {
    let gone = Reading { throttled: None, ..cool() };
    check(&[(10.0, cool()), (2.0, gone)], &["11 p>1 throttle flag gone, counted as raised"]);
}

/// Two sizes of 40 and 8 ms with a deadline of 100 ms; fewer frames do not help.
fn two_sizes() -> PipelineLadder {
    let config = PipelineConfig { interval_ms: 100, min_fps: 5.0, deadline_ms: 100, ..PipelineConfig::default() };
    let candidate = |resolution, ms, accuracy| Candidate {
        capture: None,
        resolution: Some(resolution),
        batch: 1,
        variant: 0,
        threads: 1,
        cost: Cost { infer_ms: ms, cpu_ms: ms, accuracy: Some(accuracy) },
    };
    let candidates = [candidate(320, 40.0, 0.7), candidate(128, 8.0, 0.5)];
    PipelineLadder::new("p", &config, Duration::from_millis(100), &candidates)
}

#[test]
fn a_small_model_that_is_held_up_now_and_then_does_not_speak_against_a_large_one() {
    let late = Reading { pipelines: of_p(in_time(180.0, 160.0)), ..cool() };
    let given_back = |after: Reading| {
        let mut governor = Governor::new(Config::default(), vec![two_sizes()]);
        let told = run(&mut governor, 0.0, &[(10.0, cool()), (1.0, late.clone()), (120.0, after)]);
        assert!(told[0].contains("beyond the deadline"), "{told:?}");
        rungs(&told[1..]).contains(&"p>0")
    };
    let held_up = |p95_ms| Reading { pipelines: of_p(in_time(p95_ms, 8.0)), ..cool() };
    // 14 ms on top of 8 may be 31 on top of 40, not 70.
    assert!(given_back(held_up(22.0)));
    assert!(!given_back(held_up(40.0)), "32 ms on top may be 72");
    // Where no core is left for it, the large one is held up as much more as it is longer.
    let crowded = Reading { cpu_percent: Some(90.0), own_cpu_percent: Some(10.0), ..held_up(22.0) };
    assert!(!given_back(crowded));
}

#[test]
fn a_missed_deadline_leads_to_a_rung_that_is_expected_to_keep_it() {
    let ladder = two_sizes();
    let small = ladder.rungs.iter().position(|r| r.setpoint.resolution == Some(128)).unwrap();
    let mut governor = Governor::new(Config::default(), vec![ladder]);
    let busy = |load| Reading { cpu_percent: Some(95.0), own_cpu_percent: Some(10.0), pipelines: of_p(load), ..cool() };
    let told = run(
        &mut governor,
        0.0,
        &[(10.0, cool()), (3.0, busy(in_time(180.0, 160.0))), (120.0, busy(in_time(36.0, 32.0)))],
    );
    assert_eq!(told, [format!("10 p>{small} p: p95 180 ms beyond the deadline of 100 ms")]);
    // As long as the others are there the larger one would be late again; when they are gone it comes back.
    let told = run(&mut governor, 133.0, &[(60.0, Reading { pipelines: of_p(in_time(9.0, 8.0)), ..cool() })]);
    assert_eq!(rungs(&told), ["p>0"], "{told:?}");
}

#[test]
fn results_that_stay_away_are_late_too() {
    let silent = Load { p95_ms: None, infer_ms: None, dropped: None, frame_age_ms: Some(4000.0), ..Load::default() };
    let reading = Reading { cpu_percent: Some(100.0), own_cpu_percent: Some(0.0), pipelines: of_p(silent), ..cool() };
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    let told = run(&mut governor, 0.0, &[(10.0, cool()), (10.0, reading.clone())]);
    assert_eq!(rungs(&told), ["p>7"], "{told:?}");
    // A source that gives nothing is no fault of the work.
    let idle = Load { idle: true, ..reading.pipelines["p"].clone() };
    check(&[(10.0, cool()), (60.0, Reading { pipelines: of_p(idle), ..reading })], &[]);
}

#[test]
fn dropped_frames_lower_the_work_only_where_that_gives_more() {
    // Every rung of this ladder gives less: ten a second of which a tenth is lost is still more than six.
    let overrun = Load { dropped: Some(0.1), ..in_time(200.0, 110.0) };
    check(&[(10.0, cool()), (60.0, Reading { pipelines: of_p(overrun), ..cool() })], &[]);
}

#[test]
fn memory_takes_the_batch_first() {
    let candidate = |batch, variant, ms| Candidate {
        capture: None,
        resolution: None,
        batch,
        variant,
        threads: 1,
        cost: Cost { infer_ms: ms, cpu_ms: ms, accuracy: Some(if variant == 0 { 0.9 } else { 0.8 }) },
    };
    let config = PipelineConfig { interval_ms: 100, min_fps: 2.0, ..PipelineConfig::default() };
    // Full work gathers four; one at a time costs more, so that only a smaller variant of the model needs less memory and less time.
    let ladder =
        PipelineLadder::new("p", &config, Duration::from_millis(100), &[candidate(4, 0, 120.0), candidate(1, 1, 10.0)]);
    let mut governor = Governor::new(Config::default(), vec![ladder]);
    let short = Reading { memory_pressure_percent: Some(41.0), ..cool() };
    let told = run(&mut governor, 0.0, &[(10.0, cool()), (7.0, short)]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("memory pressure 41 % above 20 %"), "{told:?}");
    let setpoint = governor.status("p").unwrap().setpoint;
    assert_eq!((setpoint.batch, setpoint.variant), (1, 1));
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    let low = Reading { available_bytes: Some(10 << 20), memory_bytes: Some(1 << 30), ..cool() };
    assert_eq!(run(&mut governor, 0.0, &[(10.0, cool()), (60.0, low)]), [""; 0], "fewer frames need no less memory");
}

#[test]
fn without_a_deadline_others_get_the_cpu_that_they_want() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 0)]);
    let crowded =
        Reading { cpu_percent: Some(98.0), own_cpu_percent: Some(10.0), pipelines: of_p(Load::default()), ..cool() };
    let told = run(&mut governor, 0.0, &[(10.0, cool()), (30.0, crowded.clone())]);
    assert!(!told.is_empty() && told.iter().all(|t| t.contains("above 90 %") && t.contains("by others")), "{told:?}");
    // With a deadline that is kept, there is no reason.
    check(&[(10.0, cool()), (60.0, Reading { pipelines: cool().pipelines, ..crowded.clone() })], &[]);
    // Nor where all of it is ours: nobody waits.
    let ours = Reading { own_cpu_percent: Some(96.0), ..crowded };
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 0)]);
    assert_eq!(run(&mut governor, 0.0, &[(60.0, ours)]), [""; 0]);
}

#[test]
fn a_broker_that_does_not_keep_up_lowers_the_work_and_one_that_is_away_does_not() {
    let link = |connected, backlog| Link { connected: Some(connected), backlog: Some(backlog), ..Link::default() };
    let slow = Reading { link: link(true, 0.7), ..cool() };
    check(&[(10.0, cool()), (6.0, slow)], &["15 p>1 the broker does not keep up: 70 % of the queue is filled"]);
    check(&[(10.0, cool()), (600.0, Reading { link: link(false, 1.0), ..cool() })], &[]);
}

#[test]
fn a_step_up_that_was_taken_back_doubles_the_wait() {
    // A board on which the first rung is always late, though it never seems so from below.
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    let (mut ups, mut now) = (Vec::new(), Duration::ZERO);
    while now < Duration::from_secs(3600) {
        let rung = governor.status("p").unwrap().setpoint.rung;
        let load = if rung == 0 { in_time(400.0, 40.0) } else { in_time(50.0, 40.0) };
        for change in governor.step(&Reading { pipelines: of_p(load), ..cool() }, now) {
            if change.setpoint.rung == 0 {
                ups.push(now.as_secs());
            }
        }
        now += TICK;
    }
    let waits: Vec<_> = ups.windows(2).map(|w| w[1] - w[0]).collect();
    for (found, expected) in waits.iter().zip([60, 120, 240, 480, 480]) {
        assert!((expected..expected + 16).contains(found), "{waits:?}");
    }
    assert!(waits.len() >= 5, "{waits:?}");
}

#[test]
fn the_lowest_weight_steps_down_first_and_up_last() {
    let ladders = vec![pipeline("door", 2.0, 0), pipeline("yard", 1.0, 0), pipeline("lane", 1.0, 0)];
    let mut governor = Governor::new(Config::default(), ladders);
    let loads: BTreeMap<_, _> = ["door", "yard", "lane"].map(|name| (name.into(), Load::default())).into();
    let weak = Reading { throttled: Some(true), pipelines: loads.clone(), ..cool() };
    let fine = Reading { pipelines: loads, ..cool() };
    let told = run(&mut governor, 0.0, &[(81.0, weak), (200.0, fine)]);
    let order = rungs(&told);
    let down: Vec<String> = (1..=7)
        .flat_map(|n| [format!("yard>{n}"), format!("lane>{n}")])
        .chain((1..=3).map(|n| format!("door>{n}")))
        .collect();
    assert_eq!(order[..down.len()], down, "{told:#?}");
    assert_eq!(order[down.len()..], ["door>0", "yard>0", "lane>0"], "{told:#?}");
    assert_eq!(governor.state(), State::Normal);
}
