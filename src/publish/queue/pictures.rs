//! Pictures that wait: the newest of each topic, within a bound on topics and bytes.

use std::collections::VecDeque;

/// A picture that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// Pictures that gave way to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Displaced {
    /// An older picture of the same topic.
    pub(super) replaced: u64,
    /// Pictures for which there was no room.
    pub(super) dropped: u64,
}

/// The newest picture of each topic, in the order in which the topics began to wait. When there is no room, the picture that has waited
/// longest is dropped.
#[derive(Debug)]
pub(super) struct Pictures {
    waiting: VecDeque<Picture>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Pictures {
    /// No pictures; at most `most` of `most_bytes` together will wait. A single picture may always wait.
    pub(super) fn new(most: usize, most_bytes: usize) -> Pictures {
        Pictures { waiting: VecDeque::new(), bytes: 0, most, most_bytes }
    }

    /// Adds a picture, which takes the place of an older one of its topic.
    pub(super) fn put(&mut self, picture: Picture) -> Displaced {
        let mut displaced = Displaced::default();
        let old = self.waiting.iter().position(|waiting| waiting.topic == picture.topic);
        self.bytes += picture.payload.len();
        match old.and_then(|at| self.waiting.get_mut(at)) {
            Some(waiting) => {
                self.bytes -= waiting.payload.len();
                waiting.payload = picture.payload;
                displaced.replaced = 1;
            }
            None => self.waiting.push_back(picture),
        }
        displaced.dropped = self.make_room();
        displaced
    }

    /// Returns a picture whose connection ended before it was written, unless a newer one waits.
    pub(super) fn put_back(&mut self, picture: Picture) -> Displaced {
        if self.waiting.iter().any(|waiting| waiting.topic == picture.topic) {
            return Displaced { replaced: 1, dropped: 0 };
        }
        self.bytes += picture.payload.len();
        self.waiting.push_front(picture);
        Displaced { replaced: 0, dropped: self.make_room() }
    }

    /// Takes the picture that has waited longest.
    pub(super) fn take(&mut self) -> Option<Picture> {
        let picture = self.waiting.pop_front()?;
        self.bytes -= picture.payload.len();
        Some(picture)
    }

    /// Number of pictures.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn make_room(&mut self) -> u64 {
        let before = self.waiting.len();
        while self.waiting.len() > 1 && (self.waiting.len() > self.most || self.bytes > self.most_bytes) {
            self.take();
        }
        (before - self.waiting.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(topic: &str, bytes: usize) -> Picture {
        Picture { topic: topic.into(), payload: vec![0; bytes] }
    }

    fn topics(pictures: &mut Pictures) -> Vec<(String, usize)> {
        std::iter::from_fn(|| pictures.take()).map(|p| (p.topic, p.payload.len())).collect()
    }

    #[test]
    fn the_newest_of_each_topic_waits_in_the_place_of_the_first() {
        let mut pictures = Pictures::new(8, 100);
        assert_eq!(pictures.put(picture("a", 1)), Displaced::default());
        assert_eq!(pictures.put(picture("b", 2)), Displaced::default());
        assert_eq!(pictures.put(picture("a", 3)), Displaced { replaced: 1, dropped: 0 });
        assert_eq!(pictures.put_back(picture("b", 9)), Displaced { replaced: 1, dropped: 0 }, "a newer one waits");
        assert_eq!(pictures.put_back(picture("c", 4)), Displaced::default());
        assert_eq!(topics(&mut pictures), [("c".into(), 4), ("a".into(), 3), ("b".into(), 2)]);
        assert_eq!(pictures.bytes, 0);
    }

    #[test]
    fn the_one_that_waited_longest_gives_way() {
        let mut pictures = Pictures::new(3, 100);
        for topic in ["a", "b", "c"] {
            pictures.put(picture(topic, 40));
        }
        assert_eq!(pictures.len(), 2, "120 bytes are too many");
        assert_eq!(pictures.put(picture("d", 500)), Displaced { replaced: 0, dropped: 2 }, "one may always wait");
        for topic in ["e", "f", "g", "h"] {
            pictures.put(picture(topic, 1));
        }
        assert_eq!(topics(&mut pictures), [("f".into(), 1), ("g".into(), 1), ("h".into(), 1)]);
    }
}
