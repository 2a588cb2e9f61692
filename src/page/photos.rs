//! The few pictures that are drawn on: kept while somebody works on them, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Photo;

/// Pictures at once; the one longest unused goes.
const MOST: usize = 4;
/// Bytes of all pictures at once, as files.
const MOST_BYTES: usize = 16 << 20;
/// A picture that nobody uses for so long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Pictures by their numbers.
#[derive(Default)]
pub struct Photos {
    /// The one used last comes last.
    kept: VecDeque<Kept>,
    count: u64,
}

struct Kept {
    number: u64,
    used: Instant,
    photo: Arc<Photo>,
}

impl Photos {
    /// Keeps a picture; its number.
    pub fn keep(&mut self, photo: Photo, now: Instant) -> u64 {
        self.count += 1;
        self.kept.push_back(Kept { number: self.count, used: now, photo: Arc::new(photo) });
        let bytes = |kept: &VecDeque<Kept>| kept.iter().map(|one| one.photo.image.data.len()).sum::<usize>();
        while self.kept.len() > 1 && (self.kept.len() > MOST || bytes(&self.kept) > MOST_BYTES) {
            self.kept.pop_front();
        }
        self.count
    }

    /// The picture of this number; `None` where it is forgotten.
    pub fn find(&mut self, number: u64, now: Instant) -> Option<Arc<Photo>> {
        let at = self.kept.iter().position(|one| one.number == number)?;
        let mut one = self.kept.remove(at)?;
        one.used = now;
        let photo = one.photo.clone();
        self.kept.push_back(one);
        Some(photo)
    }

    /// Forgets what nobody used for long.
    pub fn sweep(&mut self, now: Instant) {
        self.kept.retain(|one| now.saturating_duration_since(one.used) < FORGET_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Image;

    fn photo(bytes: usize) -> Photo {
        Photo { image: Image { data: vec![0; bytes], ..Image::default() }, size: [1, 1] }
    }

    #[test]
    fn a_few_are_kept_and_the_one_longest_unused_goes() {
        let (mut photos, now) = (Photos::default(), Instant::now());
        let first = photos.keep(photo(1), now);
        let others: Vec<u64> = (0..3).map(|_| photos.keep(photo(1), now)).collect();
        assert!(photos.find(first, now).is_some());
        photos.keep(photo(1), now);
        assert!(photos.find(first, now).is_some() && photos.find(others[0], now).is_none());
        let large = photos.keep(photo(MOST_BYTES + 1), now);
        assert!(photos.find(first, now).is_none() && photos.find(large, now).is_some(), "one may be larger than all");
        photos.sweep(now + FORGET_AFTER);
        assert!(photos.find(large, now).is_none());
    }
}
