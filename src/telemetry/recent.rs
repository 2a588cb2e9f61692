//! The latest lines of the log in memory, for a program whose screen standard error would spoil.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that are kept for a screen; the oldest goes.
const KEPT: usize = 32;
/// Lines that are kept beside the log on standard error.
const KEPT_BESIDE: usize = 200;
/// Bytes of a line; the rest is left out.
const MOST_BYTES: usize = 512;

/// The latest lines of the log.
#[derive(Clone, Debug)]
pub struct RecentLog {
    lines: Arc<Mutex<VecDeque<String>>>,
    kept: usize,
}

impl Default for RecentLog {
    fn default() -> Self {
        RecentLog { lines: Arc::default(), kept: KEPT }
    }
}

impl RecentLog {
    /// Of a log that is written elsewhere, too: more lines are kept.
    pub fn beside() -> RecentLog {
        RecentLog { kept: KEPT_BESIDE, ..RecentLog::default() }
    }

    /// The lines, oldest first; they stay.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The lines since the last call, oldest first.
    pub fn take(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl io::Write for RecentLog {
    /// Takes one line: the formatter writes each as a whole.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_BYTES)]);
        let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= self.kept {
            lines.pop_front();
        }
        lines.push_back(line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RecentLog {
    type Writer = RecentLog;

    fn make_writer(&'a self) -> RecentLog {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_taken_once_and_the_oldest_go() {
        let mut log = RecentLog::default();
        for n in 0..100 {
            log.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let lines = log.take();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (KEPT, Some("line 99")));
        assert_eq!(log.take(), Vec::<String>::new());
        let mut beside = RecentLog::beside();
        for n in 0..500 {
            beside.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!((beside.lines().len(), beside.lines().len()), (KEPT_BESIDE, KEPT_BESIDE));
        log.write_all("\u{1b}[2J a\nb".as_bytes()).unwrap();
        log.write_all(&[b'x'; 5000]).unwrap();
        assert_eq!(log.take(), [" [2J a b".to_owned(), "x".repeat(MOST_BYTES)]);
    }
}
