//! Progress of a download: a bar on a terminal, now and then a line elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt::Kept;
use crate::catalog::Progress;
use crate::cli::tell;
use crate::cli::words::size;

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows how far a file is.
pub struct Show {
    name: String,
    bar: Option<ProgressBar>,
    terminal: bool,
    last_line: Instant,
    resumed: bool,
    kept: Kept,
}

impl Show {
    /// For the file of model `name`; `kept` learns what is on the disk.
    pub fn new(name: &str, kept: Kept) -> Show {
        let terminal = std::io::stderr().is_terminal();
        Show { name: name.into(), bar: None, terminal, last_line: Instant::now(), resumed: false, kept }
    }
}

impl Progress for Show {
    fn at(&mut self, done: u64, total: Option<u64>) {
        self.kept.set(done);
        if !self.resumed && self.bar.is_none() && done > 0 && total.is_none_or(|total| done < total) {
            self.say(&format!("{}: going on from {}", self.name, size(done)));
        }
        self.resumed = true;
        if self.terminal {
            let bar = self.bar.get_or_insert_with(|| {
                let template =
                    "{msg} {bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
                let (bar, template) = match total {
                    Some(total) => (ProgressBar::new(total), template),
                    None => (ProgressBar::new_spinner(), "{msg} {spinner} {decimal_bytes}, {decimal_bytes_per_sec}"),
                };
                let style = ProgressStyle::with_template(template);
                bar.set_message(self.name.clone());
                style.map_or(bar.clone(), |style| bar.with_style(style))
            });
            bar.set_position(done);
        } else if self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = Instant::now();
            match total {
                Some(total) => {
                    let percent = done.saturating_mul(100) / total.max(1);
                    tell(&format!("{}: {} of {} ({percent} %)", self.name, size(done), size(total)));
                }
                None => tell(&format!("{}: {}", self.name, size(done))),
            }
        }
    }

    fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tell(line),
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
