//! A child's standard error as log lines: cut, cleaned, masked, rate-limited. Pure but for the log itself.

use std::time::{Duration, Instant};

use crate::sys::Mask;

/// Turns the bytes of a child's standard error into log lines, at most [`PER_WINDOW`] in [`WINDOW`].
#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    mask: Mask,
    partial: Vec<u8>,
    last: Option<String>,
    window: Option<Instant>,
    in_window: u32,
    suppressed: u64,
}

const LONGEST: usize = 500;
const WINDOW: Duration = Duration::from_secs(10);
const PER_WINDOW: u32 = 20;

impl Lines {
    pub(super) fn new(name: String, mask: Mask) -> Self {
        Lines { name, mask, partial: Vec::new(), last: None, window: None, in_window: 0, suppressed: 0 }
    }

    /// Takes bytes as they come and logs each whole line. `ffmpeg` ends lines with carriage returns too.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.line(now),
                // The rest of an overlong line is dropped.
                _ if self.partial.len() < LONGEST => self.partial.push(byte),
                _ => {}
            }
        }
    }

    /// Logs an unfinished last line and the number of suppressed lines.
    pub(super) fn flush(&mut self, now: Instant) {
        self.line(now);
        self.tell_suppressed();
    }

    /// The newest line, masked; most programs end with their reason.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    fn line(&mut self, now: Instant) {
        let text = String::from_utf8_lossy(&self.partial);
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        self.partial.clear();
        if text.trim().is_empty() {
            return;
        }
        let text = self.mask.apply(text.trim());
        if self.allowed(now) {
            tracing::info!(child = self.name, "{text}");
        } else {
            self.suppressed += 1;
        }
        self.last = Some(text);
    }

    fn allowed(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|start| now.saturating_duration_since(start) >= WINDOW) {
            self.tell_suppressed();
            self.window = Some(now);
            self.in_window = 0;
        }
        self.in_window += 1;
        self.in_window <= PER_WINDOW
    }

    fn tell_suppressed(&mut self) {
        let n = std::mem::take(&mut self.suppressed);
        if n > 0 {
            tracing::info!(child = self.name, "{n} more lines were not shown");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines::new("test".into(), Mask::of_url("rtsp://u:hunter2@h/"))
    }

    #[test]
    fn lines_are_cut_cleaned_and_masked() {
        let now = Instant::now();
        let mut lines = lines();
        lines.push(b"first\nsec", now);
        assert_eq!(lines.last(), Some("first"));
        lines.push(b"ond \x1b[31mhunter2\x07\r\n\n", now);
        assert_eq!(lines.last(), Some("second [31m***"));
        lines.push(b"no end \xff", now);
        lines.flush(now);
        assert_eq!(lines.last(), Some("no end \u{fffd}"));
        lines.push(&[b'x'; 100_000], now);
        assert_eq!(lines.partial.len(), LONGEST, "an endless line takes no more memory than the longest");
    }

    #[test]
    fn a_flood_is_limited_per_window_and_counted() {
        let now = Instant::now();
        let mut lines = lines();
        for _ in 0..1000 {
            lines.push(b"again\n", now);
        }
        assert_eq!(lines.suppressed, 1000 - u64::from(PER_WINDOW));
        lines.push(b"later\n", now + WINDOW);
        assert_eq!(
            (lines.suppressed, lines.in_window),
            (0, 1),
            "a new window tells what was left out and starts again"
        );
    }
}
