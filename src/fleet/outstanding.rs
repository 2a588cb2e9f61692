//! Work that was given and is not answered: which answers are awaited, and which come too late or again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::compute::Picture;

/// Ids of answered work that are remembered, so that a repeated answer is told from a forged one.
const REMEMBERED: usize = 65_536;

/// One piece of work that is awaited.
#[derive(Debug)]
pub(super) struct Awaited<T> {
    /// Whatever the giver needs to know of it.
    pub(super) tag: T,
    /// The picture, for another attempt.
    pub(super) picture: Picture,
    /// Time of the first attempt.
    pub(super) given: Instant,
    /// Number of the attempt, from 1.
    pub(super) attempt: u32,
    /// Number that the stream gave it; `None` until the server has it.
    pub(super) sequence: Option<u64>,
    /// Since when the stream has it no more, without an answer.
    pub(super) missing: Option<Instant>,
    /// Last reason for which an attempt gave nothing.
    pub(super) trouble: Option<String>,
}

/// An id whose answer is not awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// It was answered before.
    Repeated,
    /// Nobody waited for it any more.
    Late,
    /// It was never given.
    Unknown,
}

/// All work that is awaited, of a bounded number and size.
#[derive(Debug)]
pub(super) struct Outstanding<T> {
    awaited: HashMap<String, Awaited<T>>,
    bytes: usize,
    over: HashMap<String, Unwanted>,
    order: VecDeque<String>,
    most: usize,
    most_bytes: usize,
}

impl<T> Outstanding<T> {
    /// Room for `most` pieces of `most_bytes` in all; one is taken however large it is.
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Outstanding {
            awaited: HashMap::new(),
            bytes: 0,
            over: HashMap::new(),
            order: VecDeque::new(),
            most,
            most_bytes,
        }
    }

    /// True where another piece may be given.
    pub(super) fn has_room(&self) -> bool {
        self.awaited.is_empty() || (self.awaited.len() < self.most && self.bytes < self.most_bytes)
    }

    /// Pieces that are awaited.
    pub(super) fn len(&self) -> usize {
        self.awaited.len()
    }

    /// Awaits the answer to `id`.
    pub(super) fn give(&mut self, id: String, tag: T, picture: Picture, now: Instant) {
        self.bytes += picture.bytes.len();
        let one = Awaited { tag, picture, given: now, attempt: 1, sequence: None, missing: None, trouble: None };
        self.awaited.insert(id, one);
    }

    /// The piece `id`, while it is awaited.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Awaited<T>> {
        self.awaited.get_mut(id)
    }

    /// All pieces that are awaited.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Awaited<T>)> {
        self.awaited.iter_mut()
    }

    /// Ends the waiting for `id`.
    ///
    /// # Errors
    /// [`Unwanted`] where it is not awaited.
    pub(super) fn take(&mut self, id: &str) -> Result<Awaited<T>, Unwanted> {
        self.end(id, Unwanted::Repeated)
    }

    /// Waits no longer for what was given `age` before `now` or earlier; the tags of it.
    pub(super) fn expire(&mut self, age: impl Fn(&T) -> Duration, now: Instant) -> Vec<T> {
        let old = |one: &Awaited<T>| now.saturating_duration_since(one.given) >= age(&one.tag);
        let ids: Vec<String> = self.awaited.iter().filter(|(_, one)| old(one)).map(|(id, _)| id.clone()).collect();
        ids.iter().filter_map(|id| self.end(id, Unwanted::Late).ok()).map(|one| one.tag).collect()
    }

    fn end(&mut self, id: &str, as_what: Unwanted) -> Result<Awaited<T>, Unwanted> {
        let Some(one) = self.awaited.remove(id) else { return Err(self.unwanted(id)) };
        self.bytes -= one.picture.bytes.len();
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.over.remove(&oldest);
        }
        self.over.insert(id.to_owned(), as_what);
        self.order.push_back(id.to_owned());
        Ok(one)
    }

    /// Reason for which `id` is not awaited.
    pub(super) fn unwanted(&self, id: &str) -> Unwanted {
        self.over.get(id).copied().unwrap_or(Unwanted::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::compute::Content;
    use super::*;

    fn picture(bytes: &'static [u8]) -> Picture {
        Picture { content: Content::Jpeg, bytes: Bytes::from_static(bytes), full: None, settings: None }
    }

    #[test]
    fn each_answer_counts_once() {
        let now = Instant::now();
        let mut all = Outstanding::new(2, 100);
        all.give("a".into(), 1, picture(b"xx"), now);
        assert_eq!(all.take("b").unwrap_err(), Unwanted::Unknown);
        assert_eq!(all.take("a").unwrap().tag, 1);
        assert_eq!(all.take("a").unwrap_err(), Unwanted::Repeated);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_any_more_is_late() {
        let start = Instant::now();
        let mut all = Outstanding::new(8, 100);
        all.give("old".into(), 1, picture(b"a"), start);
        let now = start + Duration::from_secs(1);
        all.give("new".into(), 2, picture(b"b"), now);
        assert_eq!(all.expire(|_| Duration::from_millis(500), now), [1]);
        assert_eq!((all.unwanted("old"), all.len()), (Unwanted::Late, 1));
        all.take("new").unwrap();
        assert_eq!(all.unwanted("new"), Unwanted::Repeated);
    }

    #[test]
    fn room_is_bounded_by_number_and_size() {
        let now = Instant::now();
        let mut all = Outstanding::new(2, 3);
        assert!(all.has_room());
        all.give("large".into(), 0, picture(b"more than three"), now);
        assert!(!all.has_room(), "by size");
        all.take("large").unwrap();
        all.give("a".into(), 0, picture(b"a"), now);
        assert!(all.has_room());
        all.give("b".into(), 0, picture(b"b"), now);
        assert!(!all.has_room(), "by number");
        all.take("a").unwrap();
        assert!(all.has_room());
    }

    #[test]
    fn memory_of_answers_is_bounded() {
        let now = Instant::now();
        let mut all = Outstanding::new(1, 1);
        for id in 0..=REMEMBERED {
            all.give(id.to_string(), (), picture(b""), now);
            all.take(&id.to_string()).unwrap();
        }
        assert_eq!((all.over.len(), all.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!((all.unwanted("0"), all.unwanted("1")), (Unwanted::Unknown, Unwanted::Repeated));
    }
}
