//! Whatever a board says: the rung stays on the ladder, the dwell times hold, bad data never raises the work.

use proptest::prelude::*;

use super::*;

/// Names of the pipelines.
const NAMES: [&str; 3] = ["p", "q", "r"];

fn any_value() -> impl Strategy<Value = Option<f32>> {
    prop_oneof![
        6 => (-60.0f32..210.0).prop_map(Some),
        4 => (40.0f32..90.0).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(f32::NAN)),
        1 => Just(Some(f32::INFINITY)),
        1 => Just(Some(f32::NEG_INFINITY)),
    ]
}

fn any_flag() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![8 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)]
}

prop_compose! {
    fn any_group()(spare in any_value(), in_time in any_value()) -> Group {
        Group { spare_per_s: spare.unwrap_or_default(), in_time: in_time.map(|v| v / 100.0) }
    }
}

prop_compose! {
    fn any_load()(p95_ms in any_value(), infer_ms in any_value(), dropped in any_value(), frame_age_ms in any_value(), idle in any::<bool>(), open in any::<Option<bool>>(), group in prop::option::of(any_group())) -> Load {
        Load { p95_ms: p95_ms.map(|v| v * 3.0), infer_ms, dropped: dropped.map(|v| v / 100.0), frame_age_ms, idle, open, group }
    }
}

prop_compose! {
    fn any_reading()(
        celsius in any_value(),
        cpu in any_value(),
        own in any_value(),
        memory in any_value(),
        backlog in any_value(),
        flags in (any_flag(), any_flag(), any_flag(), any_flag()),
        cores in 0usize..9,
        available in prop::option::of(0u64..1 << 31),
        pipelines in prop::collection::vec(any_load(), 0..4),
    ) -> Reading {
        Reading {
            soc_celsius: celsius,
            cpu_percent: cpu,
            own_cpu_percent: own,
            core_percent: vec![50.0; cores],
            memory_pressure_percent: memory,
            available_bytes: available,
            memory_bytes: Some(1 << 30),
            throttled: flags.0,
            under_voltage: flags.1,
            soft_limited: flags.2,
            link: Link { connected: flags.3, backlog: backlog.map(|v| v / 100.0), ..Link::default() },
            pipelines: NAMES.iter().map(|name| (*name).into()).zip(pipelines).collect(),
            ..Reading::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("LEPTOND_TEST_EMULATED").is_some() { 6 } else { 96 }))]

    #[test]
    fn any_readings_keep_to_the_ladder_the_floors_and_the_dwell(
        readings in prop::collection::vec((any_reading(), 1u64..120, 0u64..2000), 1..60),
        weights in prop::collection::vec((0.0f32..3.0, prop_oneof![Just(0u64), Just(250)]), 1..4),
        mode in prop_oneof![4 => Just(Mode::Auto), 1 => Just(Mode::Quiet), 1 => Just(Mode::Performance)],
    ) {
        let config = Config { dwell_up_s: 5.0, mode, ..Config::default() };
        let (dwell_down, dwell_up) = (Duration::from_secs_f32(2.0), Duration::from_secs_f32(5.0));
        let ladders: Vec<_> = NAMES.iter().zip(&weights).map(|(name, (w, d))| pipeline(name, *w, *d)).collect();
        let mut levels = vec![0usize; ladders.len()];
        let mut away = vec![false; ladders.len()];
        let mut governor = Governor::new(config, ladders.clone());
        let (mut last_down, mut last_change): (Option<Duration>, Option<Duration>) = (None, None);
        let mut now = Duration::ZERO;
        for (reading, repeat, pause_ms) in readings {
            for _ in 0..repeat {
                let changes = governor.step(&reading, now);
                let (mut lowered, mut raised) = (false, false);
                for change in changes {
                    let index = ladders.iter().position(|ladder| ladder.name == change.pipeline).expect("a known name");
                    let ladder = &ladders[index];
                    let rung = &ladder.rungs[change.setpoint.rung].setpoint;
                    prop_assert_eq!(&Setpoint { paused: false, offload: false, ..change.setpoint.clone() }, rung);
                    prop_assert!(!change.setpoint.paused || change.setpoint.rung + 1 == ladder.rungs.len());
                    prop_assert!(rung.interval <= Duration::from_secs(1), "min_fps = 1");
                    let level = change.setpoint.rung + usize::from(change.setpoint.paused);
                    let before = std::mem::replace(&mut levels[index], level);
                    prop_assert!(!change.reason.is_empty());
                    let was_away = std::mem::replace(&mut away[index], change.setpoint.offload);
                    prop_assert!(!change.setpoint.offload || (level == 0 && !was_away));
                    // Work given to others is less work here, and comes home whenever those fail.
                    lowered |= level > before && !was_away || change.setpoint.offload;
                    raised |= level < before && !change.setpoint.offload;
                }
                prop_assert!(!(lowered && raised));
                if lowered {
                    prop_assert!(last_down.is_none_or(|at| now - at >= dwell_down));
                    last_down = Some(now);
                }
                if raised {
                    prop_assert!(last_change.is_none_or(|at| now - at >= dwell_up));
                    prop_assert!(reading.throttled != Some(true) && reading.under_voltage != Some(true));
                }
                if lowered || raised {
                    last_change = Some(now);
                }
                now += TICK;
            }
            now += Duration::from_millis(pause_ms);
        }
    }

    /// Once seen, a thermometer that gives nothing plausible never lets the work rise.
    #[test]
    fn bad_data_never_raises_the_work(bad in prop::collection::vec(prop_oneof![
        Just(None), Just(Some(f32::NAN)), Just(Some(200.0)), Just(Some(-40.0)), Just(Some(f32::INFINITY)), Just(Some(12.0))], 20..400)) {
        let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
        run(&mut governor, 0.0, &[(30.0, cool()), (2.0, Reading { throttled: Some(true), ..cool() })]);
        let mut rung = governor.status("p").unwrap().setpoint.rung;
        prop_assert!(rung > 0);
        let mut now = Duration::from_secs(32);
        for soc_celsius in bad {
            for change in governor.step(&Reading { soc_celsius, ..cool() }, now) {
                prop_assert!(change.setpoint.rung >= rung || change.setpoint.paused);
                rung = change.setpoint.rung;
            }
            now += TICK;
        }
    }

    /// With a thermometer that stands at a cool value, deadlines that are missed still lower the work.
    #[test]
    fn a_stuck_thermometer_does_not_hide_missed_deadlines(
        celsius in 20.0f32..60.0, before_s in 5.0f64..600.0, late in 1.05f32..20.0, cpu in 5.0f32..100.0,
    ) {
        let reading = |ms: f32| Reading {
            soc_celsius: Some(celsius),
            cpu_percent: Some(cpu),
            own_cpu_percent: Some(cpu / 2.0),
            pipelines: of_p(in_time(ms, ms * 0.9)),
            ..cool()
        };
        let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
        let told = run(&mut governor, 0.0, &[(before_s, reading(50.0)), (6.0, reading(250.0 * late))]);
        prop_assert!(!told.is_empty());
    }
}
