//! What a person wishes.

use super::*;

#[test]
fn manual_stays_where_it_was_put() {
    let config = Config { mode: Mode::Manual, rung: 2, ..Config::default() };
    let mut governor = Governor::new(config.clone(), vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)]);
    let hot = Reading { soc_celsius: Some(95.0), throttled: Some(true), ..cool() };
    let told = run(&mut governor, 0.0, &[(60.0, hot), (600.0, cool())]);
    assert_eq!(told, ["0 p>2 fixed by mode manual", "0 q>2 fixed by mode manual"]);
    governor.reload(
        Config { rung: 100, ..config },
        &["p", "q"],
        vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)],
    );
    assert_eq!(
        rungs(&run(&mut governor, 660.0, &[(60.0, cool())])),
        ["p>7", "q>7"],
        "beyond the ladder = its last rung"
    );
    assert_eq!(governor.status(2), None);
}

#[test]
fn a_fixed_rung_ends_with_its_time_and_the_governor_takes_over() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250), pipeline("q", 1.0, 250)]);
    assert_eq!(run(&mut governor, 0.0, &[(20.0, cool())]), [""; 0]);
    let wish = Order::Fix { pipeline: Some(1), rung: 3 };
    governor.order(&wish, Some(Duration::from_secs(30)), Duration::from_secs(20));
    let told = run(&mut governor, 20.0, &[(20.0, cool())]);
    assert_eq!(told, ["20 q>3 fixed by request"]);
    assert_eq!(governor.status(1).unwrap().until, Some(Duration::from_secs(50)));
    // The pipelines of `cool()` say nothing of q: the first reading that does lets it rise again.
    let both = Reading { pipelines: vec![in_time(50.0, 40.0); 2], ..cool() };
    let told = run(&mut governor, 40.0, &[(60.0, both)]);
    assert_eq!(rungs(&told), ["q>0"], "{told:?}");
    let at: f64 = told[0].split(' ').next().unwrap().parse().unwrap();
    assert!((60.0..=75.0).contains(&at), "after its time and the wait for a step up: {told:?}");
}

#[test]
fn a_mode_that_is_wished_replaces_the_configured_one() {
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
fn a_wish_for_a_pipeline_that_is_not_there_does_nothing() {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    governor.order(&Order::Fix { pipeline: Some(7), rung: 1 }, None, Duration::ZERO);
    assert_eq!(run(&mut governor, 0.0, &[(20.0, cool())]), [""; 0]);
}

#[test]
fn a_ladder_that_comes_later_takes_over_where_the_work_costs_no_more_and_wishes_stay() {
    let provisional = || PipelineLadder { provisional: true, ..pipeline("p", 1.0, 250) };
    let mut governor = Governor::new(Config::default(), vec![provisional()]);
    run(&mut governor, 0.0, &[(20.0, Reading::default())]);
    assert_eq!(governor.state(), State::Calibrating, "it is not known yet what lesser work costs");
    governor.learn(0, pipeline("p", 1.0, 250));
    assert_eq!(governor.status(0).unwrap().setpoint.rung, 0, "full work stays full work");
    assert_eq!(governor.state(), State::Normal);

    let mut governor = Governor::new(Config::default(), vec![provisional()]);
    governor.order(&Order::Fix { pipeline: Some(0), rung: 3 }, None, Duration::ZERO);
    run(&mut governor, 0.0, &[(20.0, Reading::default())]);
    let before = governor.status(0).unwrap().setpoint;
    assert_eq!(before.rung, 3);
    governor.learn(0, pipeline("p", 1.0, 250));
    assert_eq!(governor.status(0).unwrap().setpoint, before);
    run(&mut governor, 20.0, &[(20.0, Reading::default())]);
    assert_eq!(governor.status(0).unwrap().setpoint.rung, 3, "the wish stays");
    governor.learn(7, pipeline("other", 1.0, 250));
}
