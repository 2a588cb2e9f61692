//! A child's standard error as log lines: cut, cleaned, masked, rate-limited. Programs for cameras tell much that nobody asked for: it is
//! told at the level `debug`, and the one line that says why a child failed is part of its end. Pure but for the log itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sys::Mask;

/// Turns the bytes of a child's standard error into log lines, at most [`PER_WINDOW`] in [`WINDOW`].
#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    mask: Mask,
    partial: Vec<u8>,
    latest: VecDeque<String>,
    window: Option<Instant>,
    in_window: u32,
    suppressed: u64,
}

/// Parts of lines that name a cause, in small letters. What follows such a line only says that something failed.
const CAUSES: [&str; 18] = [
    "failed to resolve",
    "name or service not known",
    "connection refused",
    "connection reset",
    "connection timed out",
    "no route to host",
    "network is unreachable",
    "operation timed out",
    "server returned",
    "unauthorized",
    "404 not found",
    "permission denied",
    "no such file",
    "protocol not found",
    "unknown encoder",
    "unrecognized option",
    "no cameras available",
    "device or resource busy",
];
/// Lines in which the cause of an end is looked for.
const KEPT: usize = 12;
const LONGEST: usize = 500;
const WINDOW: Duration = Duration::from_secs(10);
const PER_WINDOW: u32 = 20;

impl Lines {
    pub(super) fn new(name: String, mask: Mask) -> Self {
        Lines { name, mask, partial: Vec::new(), latest: VecDeque::new(), window: None, in_window: 0, suppressed: 0 }
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

    /// The line that says why the child failed, masked: the latest that names a cause, else the last, with which most programs end.
    pub(super) fn reason(&self) -> Option<&str> {
        let names_cause = |line: &&String| {
            let line = line.to_lowercase();
            CAUSES.iter().any(|cause| line.contains(cause))
        };
        let line = self.latest.iter().rev().find(names_cause).or(self.latest.back())?;
        Some(bare(line))
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
            tracing::debug!(child = self.name, "{text}");
        } else {
            self.suppressed += 1;
        }
        if self.latest.len() >= KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(text);
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
            tracing::debug!(child = self.name, "{n} more lines were not shown");
        }
    }
}

/// A line without the part of the program that it is of: `[tcp @ 0x55d0c8] Connection refused`.
fn bare(line: &str) -> &str {
    let part = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    part.filter(|(part, rest)| part.contains(" @ 0x") && !rest.is_empty()).map_or(line, |(_, rest)| rest)
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
        assert_eq!(lines.reason(), Some("first"));
        lines.push(b"ond \x1b[31mhunter2\x07\r\n\n", now);
        assert_eq!(lines.reason(), Some("second [31m***"));
        lines.push(b"no end \xff", now);
        lines.flush(now);
        assert_eq!(lines.reason(), Some("no end \u{fffd}"));
        lines.push(&[b'x'; 100_000], now);
        assert_eq!(lines.partial.len(), LONGEST, "an endless line takes no more memory than the longest");
    }

    #[test]
    fn the_line_that_says_why_is_found_among_those_that_do_not() {
        let reason = |text: &str| {
            let mut lines = lines();
            lines.push(text.as_bytes(), Instant::now());
            lines.reason().map(str::to_owned)
        };
        for (text, expected) in [
            (
                "[tcp @ 0x5581a0] Failed to resolve hostname nohost: Name or service not known\n\
                 [in#0 @ 0x5581c0] Error opening input: Input/output error\n\
                 Error opening input file rtsp://nohost/.\nError opening input files: Input/output error\n",
                "Failed to resolve hostname nohost: Name or service not known",
            ),
            (
                "[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized\n\
                 [in#0 @ 0x2] Error opening input: Server returned 401 Unauthorized (authorization failed)\n\
                 Error opening input file rtsp://h/.\n",
                "Error opening input: Server returned 401 Unauthorized (authorization failed)",
            ),
            ("ERROR: *** no cameras available ***\n", "ERROR: *** no cameras available ***"),
            ("one\n[two] three\n", "[two] three"),
        ] {
            assert_eq!(reason(text).as_deref(), Some(expected));
        }
        assert_eq!(reason(""), None);
        let old = format!("Connection refused\n{}", "later\n".repeat(KEPT));
        assert_eq!(reason(&old).as_deref(), Some("later"), "of long ago");
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
