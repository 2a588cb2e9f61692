//! The frames of a pipeline in the order of their capture, some of which are looked at elsewhere: a result waits for those before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::turn::{Looked, Next};
use crate::frame::{NodeName, SharedFrame, Stamp};
use crate::task::TaskOutput;

/// A frame that another node looks at.
struct Given {
    number: u64,
    frame: Arc<SharedFrame>,
    wanted: bool,
    until: Instant,
    /// No answer will come: it is overdue at once.
    failed: bool,
}

enum Place {
    Given(Given),
    Looked(Box<Looked>),
    /// Nothing has moved since the one before.
    Still(Instant, SystemTime),
}

/// The policy for frames without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overdue {
    /// They are looked at here.
    pub(super) compute: bool,
    /// Time from capture to result that makes one worth it; zero = any.
    pub(super) deadline: Duration,
    /// Time of an inference here.
    pub(super) infer: Duration,
}

/// The frames that wait for their turn.
#[derive(Default)]
pub(super) struct Order(VecDeque<Place>);

impl Order {
    /// True where no frame waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Frames that are looked at elsewhere.
    pub(super) fn away(&self) -> usize {
        self.0.iter().filter(|place| matches!(place, Place::Given(given) if !given.failed)).count()
    }

    /// Frame `number` is looked at elsewhere; nobody waits for that beyond `until`. `wanted`: a sink wants the frame.
    pub(super) fn give(&mut self, number: u64, frame: Arc<SharedFrame>, wanted: bool, until: Instant) {
        self.0.push_back(Place::Given(Given { number, frame, wanted, until, failed: false }));
    }

    /// A frame was looked at here, and those before it were not yet all.
    pub(super) fn put(&mut self, looked: Looked) {
        self.0.push_back(Place::Looked(Box::new(looked)));
    }

    /// Nothing has moved in a frame.
    pub(super) fn put_still(&mut self, captured: Instant, time: SystemTime) {
        self.0.push_back(Place::Still(captured, time));
    }

    /// The answer for frame `number`; `None` = there is none to come. `true` where that frame still waits for it.
    pub(super) fn answer(&mut self, number: u64, answer: Option<(TaskOutput, Duration, NodeName)>) -> bool {
        let found = self.0.iter_mut().find(|place| matches!(place, Place::Given(g) if g.number == number && !g.failed));
        let Some(place) = found else { return false };
        let Place::Given(given) = place else { return false };
        match answer {
            None => given.failed = true,
            Some((output, infer, node)) => {
                let frame = given.wanted.then(|| given.frame.clone());
                let stamp = Stamp::of(&given.frame);
                *place =
                    Place::Looked(Box::new(Looked { stamp, frame, output, infer, node: Some(node), counts: true }));
            }
        }
        true
    }

    /// The frame whose turn it is at `now`.
    pub(super) fn next(&mut self, now: Instant, overdue: Overdue) -> Next {
        let is_over = |place: &Place| matches!(place, Place::Given(given) if given.failed || now >= given.until);
        match self.0.front() {
            None => return Next::Wait(None),
            Some(Place::Given(given)) if !given.failed && now < given.until => return Next::Wait(Some(given.until)),
            Some(_) => {}
        }
        let newer = self.0.iter().skip(1).any(is_over);
        match self.0.pop_front() {
            None => Next::Wait(None),
            Some(Place::Looked(looked)) => Next::Looked(looked),
            Some(Place::Still(captured, time)) => Next::Still(captured, time),
            Some(Place::Given(given)) => {
                let in_time =
                    overdue.deadline.is_zero() || now + overdue.infer <= given.frame.captured + overdue.deadline;
                // Of several that nobody answered the newest is worth more than those before it.
                if overdue.compute && (in_time || !newer) { Next::Here(given.frame, given.wanted) } else { Next::Lost }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, FramePool, Outcome};

    const MS: Duration = Duration::from_millis(1);
    const COMPUTE: Overdue =
        Overdue { compute: true, deadline: Duration::from_millis(100), infer: Duration::from_millis(20) };

    fn frame(seq: u64, captured: Instant) -> Arc<SharedFrame> {
        Arc::new(FramePool::default()).share(Frame { seq, captured, ..Frame::empty() }, false)
    }

    fn output(label: &str) -> TaskOutput {
        Outcome::Classify { label: label.into(), score: 1.0, top: Vec::new(), unreadable: None }.into()
    }

    fn node() -> NodeName {
        NodeName::new("other").unwrap()
    }

    fn looked(seq: u64, now: Instant) -> Looked {
        let stamp = Stamp::of(&frame(seq, now));
        Looked { stamp, frame: None, output: output("here"), infer: MS, node: None, counts: true }
    }

    fn seq(next: Next) -> Option<u64> {
        match next {
            Next::Looked(looked) => Some(looked.stamp.seq),
            Next::Here(frame, _) => Some(frame.seq),
            Next::Still(..) | Next::Lost | Next::Wait(_) => None,
        }
    }

    #[test]
    fn results_wait_for_those_before_them() {
        let now = Instant::now();
        let mut order = Order::default();
        order.give(1, frame(1, now), false, now + 50 * MS);
        order.give(2, frame(2, now), true, now + 60 * MS);
        order.put(looked(3, now));
        order.put_still(now, SystemTime::now());
        assert!(order.answer(2, Some((output("b"), MS, node()))));
        assert!(
            matches!(order.next(now, COMPUTE), Next::Wait(Some(at)) if at == now + 50 * MS),
            "the first is awaited"
        );
        assert_eq!(order.away(), 1);
        assert!(order.answer(1, Some((output("a"), MS, node()))));
        let Next::Looked(first) = order.next(now, COMPUTE) else { panic!("answered") };
        assert_eq!((first.stamp.seq, first.frame.is_some(), first.node), (1, false, Some(node())));
        let Next::Looked(second) = order.next(now, COMPUTE) else { panic!("answered") };
        assert_eq!((second.stamp.seq, second.frame.is_some()), (2, true), "a sink wants it");
        assert_eq!(seq(order.next(now, COMPUTE)), Some(3));
        assert!(matches!(order.next(now, COMPUTE), Next::Still(..)));
        assert!(matches!(order.next(now, COMPUTE), Next::Wait(None)) && order.is_empty());
    }

    #[test]
    fn an_answer_counts_once_and_only_while_it_is_awaited() {
        let now = Instant::now();
        let mut order = Order::default();
        order.give(1, frame(1, now), false, now + 50 * MS);
        assert!(!order.answer(2, Some((output("never given"), MS, node()))));
        assert!(order.answer(1, Some((output("a"), MS, node()))));
        assert!(!order.answer(1, Some((output("again"), MS, node()))));
        let Next::Looked(first) = order.next(now, COMPUTE) else { panic!("answered") };
        assert_eq!(first.output, output("a"));
        assert!(!order.answer(1, None), "gone");
    }

    #[test]
    fn without_an_answer_a_frame_is_looked_at_here_while_that_is_in_time() {
        let now = Instant::now();
        let mut order = Order::default();
        order.give(1, frame(1, now), false, now + 50 * MS);
        order.give(2, frame(2, now + 40 * MS), false, now + 90 * MS);
        assert!(matches!(order.next(now + 49 * MS, COMPUTE), Next::Wait(_)));
        assert_eq!(seq(order.next(now + 50 * MS, COMPUTE)), Some(1));
        assert!(order.answer(2, None), "refused");
        assert_eq!(seq(order.next(now + 51 * MS, COMPUTE)), Some(2), "at once");
    }

    #[test]
    fn of_several_old_frames_without_an_answer_the_newest_is_looked_at() {
        let now = Instant::now();
        let mut order = Order::default();
        for number in 1..=3 {
            order.give(number, frame(number, now), false, now + 50 * MS);
        }
        let late = now + 90 * MS;
        assert!(matches!(order.next(late, COMPUTE), Next::Lost));
        assert!(matches!(order.next(late, COMPUTE), Next::Lost));
        assert_eq!(seq(order.next(late, COMPUTE)), Some(3));
        order.give(4, frame(4, now), false, now);
        assert!(matches!(order.next(now, Overdue { compute: false, ..COMPUTE }), Next::Lost), "as configured");
        order.give(5, frame(5, now), false, now);
        order.give(6, frame(6, now), false, now);
        let endless = Overdue { deadline: Duration::ZERO, ..COMPUTE };
        assert_eq!(seq(order.next(now + 60_000 * MS, endless)), Some(5), "without a deadline none is too old");
    }
}
