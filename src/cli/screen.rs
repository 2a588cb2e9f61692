//! Messages on standard output as they are published, at a pace that a person can read.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::publish::stdout::Printer;
use crate::publish::{Class, Message, Publisher, Stats};

/// Results of one topic are shown at most this often; all of them are published.
const RESULTS_EVERY: Duration = Duration::from_millis(500);

/// A publisher that prints.
pub(super) struct Screen {
    printer: Printer,
    shown: Mutex<HashMap<String, Instant>>,
}

impl Screen {
    /// Prints messages below `prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        Screen { printer: Printer::for_stdout(false, prefix), shown: Mutex::default() }
    }
}

impl Publisher for Screen {
    fn publish(&self, message: Message) {
        let now = Instant::now();
        // One entry per topic, and topics are as many as the configuration has pipelines.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = shown.get(&message.topic).is_some_and(|at| now.saturating_duration_since(*at) < RESULTS_EVERY);
        if message.class == Class::Result && recent {
            return;
        }
        let line =
            self.printer.line(&message.topic, &message.payload, message.class == Class::State, SystemTime::now());
        shown.insert(message.topic, now);
        // Nobody reading any more is no reason to stop the demo.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn flush(&self, _deadline: Instant) -> bool {
        std::io::stdout().flush().is_ok()
    }
}
