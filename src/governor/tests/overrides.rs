//! Orders of a person.

use super::*;

#[test]
fn manual_stays_where_it_was_put() {
    let config = Config { mode: Mode::Manual, rung: 2, ..Config::default() };
    let mut governor = Governor::new(config.clone(), vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)]);
    let hot = Reading { soc_celsius: Some(95.0), throttled: Some(true), ..cool() };
    let told = run(&mut governor, 0.0, &[(60.0, hot), (600.0, cool())]);
    assert_eq!(told, ["0 p>2 fixed by mode manual", "0 q>2 fixed by mode manual"]);
    governor.reload(Config { rung: 100, ..config }, ["p", "q"], vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)]);
    assert_eq!(
        rungs(&run(&mut governor, 660.0, &[(60.0, cool())])),
        ["p>7", "q>7"],
        "beyond the ladder = its last rung"
    );
    assert_eq!(governor.status("r"), None);
}

#[test]
fn a_fixed_rung_ends_with_its_time_and_the_governor_takes_over() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)]);
    assert_eq!(run(&mut governor, 0.0, &[(20.0, cool())]), [""; 0]);
    let order = Order::Fix { pipeline: Some("q".into()), rung: 3 };
    governor.order(&order, Some(Duration::from_secs(30)), Duration::from_secs(20));
    let told = run(&mut governor, 20.0, &[(20.0, cool())]);
    assert_eq!(told, ["20 q>3 fixed by request"]);
    assert_eq!(governor.status("q").unwrap().until, Some(Duration::from_secs(50)));
    // The pipelines of `cool()` say nothing of q: the first reading that does lets it rise again.
    let both = Reading { pipelines: ["p", "q"].map(|name| (name.into(), in_time(50.0, 40.0))).into(), ..cool() };
    let told = run(&mut governor, 40.0, &[(60.0, both)]);
    assert_eq!(rungs(&told), ["q>0"], "{told:?}");
    let at: f64 = told[0].split(' ').next().unwrap().parse().unwrap();
    assert!((60.0..=75.0).contains(&at), "after its time and the wait for a step up: {told:?}");
}

#[test]
fn an_ordered_mode_replaces_the_configured_one() {
    let mut governor =
        Governor::new(Config { quiet_cpu_percent: 3.0, ..Config::default() }, vec![pipeline("p", 1.0, 250)]);
    run(&mut governor, 0.0, &[(20.0, cool())]);
    governor.order(&Order::Mode(Mode::Quiet), None, Duration::from_secs(20));
    assert_eq!(governor.mode(), Mode::Quiet);
    // 40 % of one core of four are 10 %.
    let quieter = |percent| Reading { own_cpu_percent: Some(percent), ..cool() };
    let told = run(&mut governor, 20.0, &[(0.5, quieter(10.0)), (60.0, quieter(2.5))]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("20 p>") && told[0].ends_with("quiet: at most 3 % of the cpu"), "{told:?}");
    governor.order(&Order::Release, None, Duration::from_secs(80));
    let told = run(&mut governor, 80.0, &[(60.0, Reading { own_cpu_percent: Some(2.5), ..cool() })]);
    assert_eq!((rungs(&told), governor.mode()), (vec!["p>0"], Mode::Auto), "{told:?}");
}

#[test]
fn an_order_for_a_pipeline_that_is_not_there_does_nothing() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    governor.order(&Order::Fix { pipeline: Some("r".into()), rung: 1 }, None, Duration::ZERO);
    assert_eq!(run(&mut governor, 0.0, &[(20.0, cool())]), [""; 0]);
}

#[test]
fn a_ladder_that_comes_later_takes_over_where_the_work_costs_no_more_and_orders_stay() {
    let provisional = || PipelineLadder { provisional: true, ..pipeline("p", 1.0, 250) };
    let mut governor = Governor::new(Config::default(), vec![provisional()]);
    run(&mut governor, 0.0, &[(20.0, Reading::default())]);
    assert_eq!(governor.state(), State::Calibrating, "it is not known yet what lesser work costs");
    governor.learn(pipeline("p", 1.0, 250));
    assert_eq!(governor.status("p").unwrap().setpoint.rung, 0, "full work stays full work");
    assert_eq!(governor.state(), State::Normal);

    let mut governor = Governor::new(Config::default(), vec![provisional()]);
    governor.order(&Order::Fix { pipeline: Some("p".into()), rung: 3 }, None, Duration::ZERO);
    run(&mut governor, 0.0, &[(20.0, Reading::default())]);
    let before = governor.status("p").unwrap().setpoint;
    assert_eq!(before.rung, 3);
    governor.learn(pipeline("p", 1.0, 250));
    assert_eq!(governor.status("p").unwrap().setpoint, before);
    run(&mut governor, 20.0, &[(20.0, Reading::default())]);
    assert_eq!(governor.status("p").unwrap().setpoint.rung, 3, "the order stays");
    governor.learn(pipeline("other", 1.0, 250));
}

/// `p`, `q` and `r` with these first intervals, in this order.
fn ladders(intervals_ms: &[(&str, u64)]) -> Vec<PipelineLadder> {
    let of = |(name, interval_ms): &(&str, u64)| PipelineLadder {
        frame_interval: Duration::from_millis(*interval_ms),
        ..pipeline(name, 1.0, 250)
    };
    intervals_ms.iter().map(of).collect()
}

fn rungs_of<const N: usize>(governor: &Governor, names: [&str; N]) -> [Option<usize>; N] {
    names.map(|name| governor.status(name).map(|status| status.setpoint.rung))
}

#[test]
fn orders_stay_in_force_through_a_reload_for_every_pipeline_that_stays() {
    let seconds = Duration::from_secs;
    let mut governor = Governor::new(Config::default(), ladders(&[("p", 100), ("q", 100), ("r", 100)]));
    let fix = |pipeline: &str, rung| Order::Fix { pipeline: Some(pipeline.into()), rung };
    for (name, rung) in [("p", 1), ("q", 2), ("r", 3)] {
        governor.order(&fix(name, rung), Some(seconds(60)), Duration::ZERO);
    }
    run(&mut governor, 0.0, &[(20.0, cool())]);
    assert_eq!(rungs_of(&governor, ["p", "q", "r"]), [Some(1), Some(2), Some(3)]);
    // `q` is another one by now, `r` is gone, `new` is new, and the order of the others has changed.
    governor.reload(Config::default(), ["new", "q", "p"], ladders(&[("new", 100), ("q", 200)]));
    governor.retain_orders(|name| name != "r");
    assert_eq!(rungs_of(&governor, ["new", "q", "p", "r"]), [Some(0), Some(2), Some(1), None], "at once, and by name");
    assert_eq!(governor.status("q").unwrap().reason, "fixed by request");
    assert_eq!(governor.until(), Some(seconds(60)), "the end stays");
    assert_eq!(run(&mut governor, 20.0, &[(30.0, cool())]), [""; 0]);
    // A pipeline of the name `r` that comes back later is another pipeline.
    governor.add(pipeline("r", 1.0, 250));
    assert_eq!(rungs_of(&governor, ["r"]), [Some(0)]);
    let all = ["new", "p", "q", "r"].map(|name| (name.into(), in_time(50.0, 40.0)));
    let told = run(&mut governor, 50.0, &[(120.0, Reading { pipelines: all.into(), ..cool() })]);
    assert_eq!((governor.until(), rungs_of(&governor, ["p"])), (None, [Some(0)]), "in time: {told:?}");
    assert!(told.iter().all(|t| t.split(' ').next().unwrap().parse::<f64>().unwrap() >= 60.0), "{told:?}");
}

#[test]
fn a_pipeline_that_is_started_late_or_again_goes_to_its_ordered_rung_at_once() {
    let mut governor = Governor::new(Config::default(), ladders(&[("p", 100), ("q", 100)]));
    governor.order(&Order::Fix { pipeline: None, rung: 2 }, None, Duration::ZERO);
    // `q` could not be started again at once.
    governor.reload(Config::default(), ["p"], Vec::new());
    assert_eq!(rungs_of(&governor, ["q"]), [None]);
    governor.add(pipeline("q", 1.0, 250));
    assert_eq!(rungs_of(&governor, ["q"]), [Some(2)]);
    governor.add(PipelineLadder { weight: 7.0, ..pipeline("q", 1.0, 250) });
    let told = run(&mut governor, 0.0, &[(0.5, cool())]);
    assert_eq!((told, rungs_of(&governor, ["q"])), (vec!["0 p>2 fixed by request".to_owned()], [Some(2)]));
}

#[test]
fn another_governor_resumes_the_orders_until_their_end() {
    let seconds = Duration::from_secs;
    let mut before = Governor::new(Config::default(), ladders(&[("p", 100), ("q", 100)]));
    before.order(&Order::Mode(Mode::Quiet), None, Duration::ZERO);
    before.order(&Order::Fix { pipeline: Some("q".into()), rung: 3 }, Some(seconds(50)), seconds(10));
    let resumed = |at_s: u64| {
        let mut governor = Governor::new(Config::default(), ladders(&[("p", 100), ("q", 200)]));
        governor.resume(before.orders().clone(), seconds(at_s));
        governor
    };
    let mut governor = resumed(20);
    let status = governor.status("q").unwrap();
    assert_eq!((status.setpoint.rung, status.mode, status.since), (3, Mode::Quiet, seconds(20)));
    assert_eq!((status.until, rungs_of(&governor, ["p"])), (Some(seconds(60)), [Some(0)]));
    run(&mut governor, 59.0, &[(2.0, cool())]);
    assert_eq!((governor.mode(), governor.until()), (Mode::Auto, None));
    assert_eq!((resumed(70).mode(), rungs_of(&resumed(70), ["q"])), (Mode::Auto, [Some(0)]), "over meanwhile");
}
