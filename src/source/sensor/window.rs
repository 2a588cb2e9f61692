//! Cutting a stream of readings into windows.

use std::sync::Arc;

use crate::frame::Window;
use crate::frame::diagnostic::Diagnostic;

/// Warns of a `stride` that leaves readings out.
pub(in crate::source) fn check(window: u32, stride: u32) -> Option<Diagnostic> {
    let message = "longer than the window: readings between two windows are lost";
    let diagnostic = || Diagnostic::warning("stride", message).found(format!("stride {stride}, window {window}"));
    (stride > window).then(diagnostic)
}

/// The last `window` readings in a ring, and when the next window is due.
///
/// The first window is complete after `window` readings, each further one `stride` readings later; a stride above the
/// window leaves readings out between two windows.
#[derive(Debug)]
pub struct Windower {
    channels: Arc<[String]>,
    window: usize,
    stride: usize,
    /// `window × channels` values; row `next` is the oldest once the ring is full.
    ring: Vec<f32>,
    next: usize,
    /// Readings that must still come before the next window is complete.
    wanting: usize,
}

impl Windower {
    /// Windows of `window` readings of `channels`, `stride` readings apart (0 counts as 1 in both).
    pub fn new(channels: impl Into<Arc<[String]>>, window: u32, stride: u32) -> Self {
        let (channels, window, stride) = (channels.into(), window.max(1) as usize, stride.max(1) as usize);
        Windower { channels, window, stride, ring: Vec::new(), next: 0, wanting: window }
    }

    /// The names of the channels.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    /// Takes one reading, a value per channel (what is missing at its end counts as NaN, what is too much is left out),
    /// and says whether a window is complete.
    pub fn push(&mut self, row: &[f32]) -> bool {
        let width = self.channels.len();
        let mut padded = row.iter().copied().chain(std::iter::repeat(f32::NAN)).take(width);
        // The ring grows to its size once, so that a long window of a sensor that never comes costs nothing.
        if self.ring.len() < self.window * width {
            self.ring.extend(padded);
        } else {
            let start = self.next * width;
            for slot in self.ring.iter_mut().skip(start).take(width) {
                *slot = padded.next().unwrap_or(f32::NAN);
            }
        }
        self.next = (self.next + 1) % self.window;
        self.wanting -= 1;
        if self.wanting == 0 {
            self.wanting = self.stride;
            return true;
        }
        false
    }

    /// Writes the last `window` readings into `out`, oldest first.
    pub fn fill(&self, out: &mut Window) {
        if !Arc::ptr_eq(&out.channels, &self.channels) {
            out.channels = Arc::clone(&self.channels);
        }
        (out.rows, out.noted) = (self.window, None);
        out.data.clear();
        let (newer, older) = self.ring.split_at((self.next * self.channels.len()).min(self.ring.len()));
        out.data.extend_from_slice(older);
        out.data.extend_from_slice(newer);
    }

    /// Forgets everything, so that no window spans a gap.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.next = 0;
        self.wanting = self.window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows that readings 1, 2, 3, … make, as their values.
    fn windows(window: u32, stride: u32, readings: u32) -> Vec<Vec<f32>> {
        let mut windower = Windower::new(["a".to_owned()], window, stride);
        let mut out = Vec::new();
        let mut frame = Window::default();
        for i in 1..=readings {
            if windower.push(&[i as f32]) {
                windower.fill(&mut frame);
                assert_eq!(frame.rows, window as usize);
                out.push(frame.data.clone());
            }
        }
        out
    }

    #[test]
    fn windows_follow_length_and_stride() {
        assert_eq!(windows(1, 1, 3), [[1.0], [2.0], [3.0]]);
        assert_eq!(windows(3, 1, 5), [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]]);
        assert_eq!(windows(3, 2, 8), [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [5.0, 6.0, 7.0]]);
        assert_eq!(windows(2, 5, 12), [[1.0, 2.0], [6.0, 7.0], [11.0, 12.0]], "a stride above the window skips");
    }

    #[test]
    fn a_short_row_is_padded_and_a_long_one_cut() {
        let mut windower = Windower::new(["a".to_owned(), "b".to_owned()], 2, 1);
        assert!(!windower.push(&[1.0]));
        assert!(windower.push(&[2.0, 3.0, 4.0]));
        let mut frame = Window::default();
        windower.fill(&mut frame);
        assert!(frame.data[1].is_nan());
        assert_eq!([frame.data[0], frame.data[2], frame.data[3]], [1.0, 2.0, 3.0]);
    }

    #[test]
    fn no_window_spans_a_gap() {
        let mut windower = Windower::new(["a".to_owned()], 2, 1);
        assert!(!windower.push(&[1.0]));
        windower.clear();
        assert!(!windower.push(&[2.0]));
        assert!(windower.push(&[3.0]));
        let mut frame = Window::default();
        windower.fill(&mut frame);
        assert_eq!(frame.data, [2.0, 3.0]);
    }
}
