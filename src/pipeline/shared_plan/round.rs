//! The time at which a shared plan runs: pure.

use std::time::{Duration, Instant};

/// Longest wait for the others.
const MOST: Duration = Duration::from_millis(500);

/// Timing of one pipeline's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatTiming {
    /// Its input is there and may wait until then; `None` = it has brought none yet.
    pub(crate) until: Option<Instant>,
    /// Time of its last input and gap to the one before; `None` before there were two.
    pub(crate) rhythm: Option<(Instant, Duration)>,
}

/// Decision for one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Run over what is there.
    Run,
    /// Look again then, or when another input comes.
    Wait(Instant),
}

/// Decides to run over the inputs that are there, or to wait for one that is likely to come in time. A pipeline that has stopped,
/// is paused or whose source gives nothing misses its own rhythm and is not waited for.
pub(crate) fn decide(seats: impl Iterator<Item = SeatTiming> + Clone, now: Instant) -> Decision {
    let Some(first) = seats.clone().filter_map(|seat| seat.until).min() else { return Decision::Run };
    let hoped = seats.filter(|seat| seat.until.is_none()).filter_map(|seat| {
        let (last, gap) = seat.rhythm?;
        let (due, latest) = (last + gap, last + gap + gap / 4);
        (due <= first && latest > now).then_some(latest)
    });
    match hoped.max() {
        Some(latest) if now < first => Decision::Wait(first.min(latest)),
        _ => Decision::Run,
    }
}

/// Longest wait of an input that comes now: up to its deadline less the time of a run, without one a quarter of its rhythm.
/// Never so long that the next input could be missed.
pub(crate) fn longest_wait(gap: Option<Duration>, deadline: Option<Instant>, run: Duration, now: Instant) -> Duration {
    let Some(gap) = gap else { return Duration::ZERO };
    let most = deadline.map_or(gap / 4, |deadline| deadline.saturating_duration_since(now).saturating_sub(run));
    most.min((gap / 2).saturating_sub(run)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_round_waits_only_for_who_is_likely_to_come_in_time() {
        let start = Instant::now();
        let waits = |until: u32| SeatTiming { until: Some(start + MS * until), rhythm: None };
        let absent = |last: u32, gap: u32| SeatTiming { until: None, rhythm: Some((start + MS * last, MS * gap)) };
        let unknown = SeatTiming { until: None, rhythm: None };
        let wait = |at: u32| Decision::Wait(start + MS * at);
        let cases: [(&str, u32, Vec<SeatTiming>, Decision); 9] = [
            ("all are there", 100, vec![waits(200), waits(150)], Decision::Run),
            ("alone", 100, vec![waits(200)], Decision::Run),
            ("one is due before the first has to go", 100, vec![waits(200), absent(50, 100)], wait(175)),
            ("the first has to go before the other is late", 100, vec![waits(160), absent(50, 100)], wait(160)),
            ("the earliest of the waiting counts", 100, vec![waits(160), waits(140), absent(50, 80)], wait(140)),
            ("the other comes too late", 100, vec![waits(140), absent(90, 100)], Decision::Run),
            ("the other missed its rhythm", 100, vec![waits(200), absent(0, 70)], Decision::Run),
            ("the other never came twice", 100, vec![waits(200), unknown], Decision::Run),
            ("the time is over", 200, vec![waits(200), absent(150, 50)], Decision::Run),
        ];
        for (name, now, seats, expected) in cases {
            assert_eq!(decide(seats.into_iter(), start + MS * now), expected, "{name}");
        }
    }

    #[test]
    fn a_wait_keeps_the_deadline_and_the_next_input() {
        let now = Instant::now();
        let deadline = |ms: u32| Some(now + MS * ms);
        let cases = [
            (None, None, 0, "no rhythm is known: nothing to wait by"),
            (Some(400), None, 100, "a quarter"),
            (Some(400), deadline(180), 170, "the deadline less the run"),
            (Some(400), deadline(5), 0, "it is late already"),
            (Some(400), deadline(5000), 190, "half of the rhythm less the run"),
            (Some(10), None, 0, "the run fills the rhythm"),
            (Some(100_000), None, 500, "never longer"),
        ];
        for (gap, deadline, expected, name) in cases {
            let gap = gap.map(|ms: u32| MS * ms);
            assert_eq!(longest_wait(gap, deadline, MS * 10, now), MS * expected, "{name}");
        }
    }
}
