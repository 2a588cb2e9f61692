//! Work given to other nodes: when it leaves, and when it comes home.

use super::*;

/// The present load of `p`, with others that have `spare_per_s` and answered `in_time` of what they were given.
fn with_group(load: Load, spare_per_s: f32, in_time: Option<f32>) -> Reading {
    Reading { pipelines: of_p(Load { group: Some(Group { spare_per_s, in_time }), ..load }), ..cool() }
}

fn late() -> Load {
    in_time(400.0, 390.0)
}

/// The load of a pipeline whose frames others compute: nothing is computed here but a frame now and then.
fn away() -> Load {
    in_time(60.0, 390.0)
}

fn governor() -> Governor {
    Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)])
}

fn offloads(governor: &Governor) -> bool {
    governor.status("p").unwrap().setpoint.offload
}

#[test]
fn work_is_given_away_instead_of_lowered_where_the_others_have_enough() {
    let mut one = governor();
    let told = run(&mut one, 0.0, &[(10.0, cool()), (1.0, with_group(late(), 20.0, None))]);
    assert_eq!(
        told,
        [
            "10 p>0 p: p95 400 ms beyond the deadline of 250 ms; given to other nodes, which have 20.0 inferences/s to spare"
        ]
    );
    assert!(offloads(&one));
    assert_eq!(one.state(), State::Normal, "full work");
    // Ten frames a second are wanted.
    let mut small = governor();
    let told = run(&mut small, 0.0, &[(10.0, cool()), (1.0, with_group(late(), 10.5, None))]);
    assert!(!offloads(&small) && !rungs(&told).contains(&"p>0"), "{told:?}");
}

#[test]
fn work_comes_home_when_the_others_fail_and_waits_longer_each_time() {
    let gone = |answered: Option<f32>| -> Vec<f64> {
        let mut one = governor();
        let mut script = vec![(10.0, cool())];
        for _ in 0..4 {
            script.push((3.0, with_group(late(), 20.0, Some(1.0))));
            let lost = match answered {
                Some(share) => with_group(late(), 0.0, Some(share)),
                None => Reading { pipelines: of_p(late()), ..cool() },
            };
            script.push((0.5, lost));
            script.push((60.0, with_group(in_time(200.0, 190.0), 20.0, None)));
        }
        let told = run(&mut one, 0.0, &script);
        let left: Vec<f64> = told
            .iter()
            .filter(|text| text.contains("given to other nodes"))
            .map(|text| text.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(told.iter().any(|text| text.contains("the work is done here again")), "{told:?}");
        left
    };
    for left in [gone(None), gone(Some(0.5))] {
        assert!(left.len() >= 3, "{left:?}");
        let waits: Vec<f64> = left.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits[1] > waits[0] + 5.0, "{waits:?}");
    }
}

#[test]
fn failing_others_send_the_work_to_the_rung_that_it_would_have_had() {
    let mut alone = governor();
    let lowered = run(&mut alone, 0.0, &[(10.0, cool()), (1.0, Reading { pipelines: of_p(late()), ..cool() })]);
    let mut one = governor();
    let script = [
        (10.0, cool()),
        (20.0, with_group(late(), 20.0, Some(1.0))),
        (0.5, Reading { pipelines: of_p(late()), ..cool() }),
    ];
    let told = run(&mut one, 0.0, &script);
    assert_eq!(rungs(&told)[1], rungs(&lowered)[0], "{told:?} {lowered:?}");
    assert!(!offloads(&one));
}

#[test]
fn a_few_late_answers_are_no_failure() {
    let mut one = governor();
    let script =
        [(10.0, cool()), (5.0, with_group(late(), 20.0, Some(1.0))), (60.0, with_group(away(), 0.0, Some(0.8)))];
    let told = run(&mut one, 0.0, &script);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(offloads(&one));
}

#[test]
fn a_lowered_pipeline_leaves_when_others_turn_up() {
    let mut one = governor();
    let lowered = Reading { pipelines: of_p(late()), ..cool() };
    let told =
        run(&mut one, 0.0, &[(10.0, cool()), (2.0, lowered), (20.0, with_group(in_time(200.0, 190.0), 30.0, None))]);
    let last = told.last().unwrap();
    assert!(last.contains("p>0") && last.contains("less than full work here; given to other nodes"), "{told:?}");
    assert!(offloads(&one));
}

#[test]
fn full_work_is_done_here_again_when_the_cause_is_gone() {
    let mut one = governor();
    // While it is away a frame now and then shows how long it takes here.
    let slow = with_group(in_time(60.0, 390.0), 20.0, Some(1.0));
    let quick = with_group(in_time(60.0, 40.0), 20.0, Some(1.0));
    let script = [(10.0, cool()), (5.0, with_group(late(), 20.0, None)), (300.0, slow), (600.0, quick)];
    let told = run(&mut one, 0.0, &script);
    assert_eq!(rungs(&told), ["p>0", "p>0"], "{told:?}");
    assert!(told[1].contains("full work is done here again"), "{told:?}");
    let second: f64 = told[1].split(' ').next().unwrap().parse().unwrap();
    assert!(second > 315.0, "not while an inference is slow: {told:?}");
    assert!(!offloads(&one));
}

#[test]
fn an_order_of_a_person_keeps_the_work_here() {
    let mut one = governor();
    run(&mut one, 0.0, &[(10.0, cool()), (5.0, with_group(late(), 20.0, Some(1.0)))]);
    assert!(offloads(&one));
    one.order(&Order::Fix { pipeline: Some("p".into()), rung: 0 }, None, Duration::from_secs(15));
    let told = run(&mut one, 15.0, &[(60.0, with_group(late(), 20.0, Some(1.0)))]);
    assert_eq!(told, ["15 p>0 fixed by request"]);
    assert!(!offloads(&one));
}

#[test]
fn memory_is_not_relieved_by_others() {
    let short = Reading {
        available_bytes: Some(1 << 20),
        memory_bytes: Some(1 << 30),
        ..with_group(in_time(50.0, 40.0), 20.0, None)
    };
    let mut one = governor();
    run(&mut one, 0.0, &[(10.0, cool()), (20.0, short)]);
    assert!(!offloads(&one));
}

#[test]
fn nothing_leaves_without_others_or_while_the_ladder_is_not_measured() {
    let mut one = governor();
    run(&mut one, 0.0, &[(10.0, cool()), (60.0, Reading { pipelines: of_p(late()), ..cool() })]);
    assert!(!offloads(&one));
    let mut provisional =
        Governor::new(Config::default(), vec![PipelineLadder { provisional: true, ..pipeline("p", 1.0, 250) }]);
    run(&mut provisional, 0.0, &[(10.0, cool()), (5.0, with_group(late(), 20.0, None))]);
    assert!(!offloads(&provisional));
}
