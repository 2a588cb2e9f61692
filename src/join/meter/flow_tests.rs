use super::*;

const LIMITS: Limits = Limits { range: 1_000_000, max_rate: Some(10.0), negative: false, confirm: 3, relearn: None };

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sure(counts: u64) -> Candidate {
    Candidate { counts, cost: 0.1, worst: 0.1, rest: 0.0, guessed: false }
}

/// A flow that believes `counts` at 2 s.
fn at(counts: u64, limits: Limits) -> Flow {
    let mut flow = Flow::new(limits);
    let verdicts: Vec<Quality> = (0..3).map(|second| flow.judge(&[sure(counts)], s(second)).quality).collect();
    assert_eq!(verdicts, [Quality::Unconfirmed, Quality::Unconfirmed, Quality::Good]);
    flow
}

#[test]
fn a_first_number_is_read_three_times() {
    let mut flow = Flow::new(LIMITS);
    flow.judge(&[sure(412_000)], s(0));
    flow.judge(&[sure(912_000)], s(1));
    flow.judge(&[sure(412_003)], s(2));
    assert_eq!(flow.believed(), None, "one of them was another");
    flow.judge(&[sure(412_004)], s(3));
    assert_eq!(flow.judge(&[sure(412_005)], s(4)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(412_005));
}

#[test]
fn nothing_is_believed_that_flow_cannot_explain() {
    let mut flow = at(412_000, LIMITS);
    let mut check = |counts: u64, second: u64, problem: Option<MeterProblem>, believed: u64| {
        let verdict = flow.judge(&[sure(counts)], s(second));
        assert_eq!((verdict.problem, flow.believed()), (problem, Some(believed)), "{counts} at {second} s");
    };
    check(412_009, 3, None, 412_009);
    // A thousand times, for hours: still not.
    for second in 4..3000 {
        check(812_009, second, Some(MeterProblem::TooFast), 412_009);
        check(400_000, second, Some(MeterProblem::Backwards), 412_009);
    }
    check(412_500, 3000, Some(MeterProblem::Unconfirmed), 412_009);
    check(412_501, 3001, Some(MeterProblem::Unconfirmed), 412_009);
    check(412_502, 3002, None, 412_502);
    // The lowest place, read a little too low.
    check(412_501, 3003, None, 412_502);
}

#[test]
fn the_end_of_the_range_is_a_step_forward() {
    let mut flow = at(999_998, LIMITS);
    assert_eq!(flow.judge(&[sure(3)], s(3)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(3));
    assert_eq!(flow.judge(&[sure(2)], s(4)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(3));
}

#[test]
fn history_chooses_between_candidates() {
    let mut flow = at(412_000, LIMITS);
    let (unlikely, likely) = (Candidate { cost: 4.0, ..sure(412_005) }, sure(512_005));
    assert_eq!(flow.judge(&[likely, unlikely], s(3)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(412_005));
    // Two that follow, as likely as each other.
    let verdict = flow.judge(&[sure(412_006), Candidate { cost: 0.3, ..sure(412_016) }], s(4));
    assert_eq!((verdict.quality, verdict.problem), (Quality::Uncertain, Some(MeterProblem::Uncertain)));
    // Without history, two candidates are none.
    let verdict = Flow::new(LIMITS).judge(&[sure(1000), Candidate { cost: 1.0, ..sure(2000) }], s(0));
    assert_eq!(verdict.quality, Quality::Uncertain);
    let guess = Candidate { guessed: true, ..sure(1000) };
    assert_eq!(Flow::new(LIMITS).judge(&[guess], s(0)).quality, Quality::Uncertain);
    // A place that goes with no neighbour.
    let odd = Candidate { worst: 12.0, cost: 12.0, ..sure(412_006) };
    assert_eq!(flow.judge(&[odd], s(5)).quality, Quality::Uncertain);
}

#[test]
fn a_meter_that_may_run_backwards_does() {
    let mut flow = at(412_000, Limits { negative: true, ..LIMITS });
    assert_eq!(flow.judge(&[sure(411_989)], s(3)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(411_989));
    assert_eq!(flow.judge(&[sure(400_000)], s(4)).problem, Some(MeterProblem::Backwards));
}

#[test]
fn a_contradiction_is_believed_after_the_time_that_is_set_for_it() {
    let mut flow = at(412_000, Limits { relearn: Some(s(3600)), ..LIMITS });
    for second in 3..3603 {
        assert_eq!(flow.judge(&[sure(17)], s(second)).problem, Some(MeterProblem::Backwards), "{second}");
    }
    assert_eq!(flow.judge(&[sure(17)], s(3603)).quality, Quality::Good);
    assert_eq!(flow.believed(), Some(17));
}

#[test]
fn a_remembered_number_of_unknown_age_is_confirmed() {
    let mut flow = Flow::new(LIMITS);
    flow.restore(412_000, None, s(0));
    let verdicts: Vec<Quality> = (0..3).map(|second| flow.judge(&[sure(412_700)], s(second)).quality).collect();
    assert_eq!(verdicts, [Quality::Unconfirmed, Quality::Unconfirmed, Quality::Good]);
    let mut flow = Flow::new(LIMITS);
    flow.restore(412_000, Some(s(36_000)), s(0));
    assert_eq!(flow.judge(&[sure(452_000)], s(0)).problem, Some(MeterProblem::Unconfirmed), "ten hours of flow");
    assert_eq!(flow.judge(&[sure(700_000)], s(1)).problem, Some(MeterProblem::TooFast));
}
