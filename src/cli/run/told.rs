//! Lines for a person at a terminal who starts a run: where to look, and the first result of each pipeline.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::cli::words::{counted, quoted};
use crate::config::{Config, DEFAULT_FILE};
use crate::frame::{Emission, Output, PipelineName, Sink};
use crate::publish::{Transport, wording};

/// Lines that wait to be written; beyond, they are dropped: a terminal that stands still holds nobody up.
const WAITING: usize = 64;

/// Tells lines on a thread of its own.
pub struct Told {
    lines: SyncSender<String>,
    state: Mutex<State>,
}

struct State {
    /// Pipelines whose first result is yet to come.
    waiting: BTreeSet<PipelineName>,
    /// Those of which it was told why there is none.
    idle: BTreeSet<PipelineName>,
}

impl Told {
    /// Tells of the pipelines of `config` on `out`.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn new(config: &Config, out: impl Write + Send + 'static) -> io::Result<Told> {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("terminal".into()).spawn(move || write(&waiting, out))?;
        let waiting = config.pipelines.iter().map(|pipeline| pipeline.name.clone()).collect();
        Ok(Told { lines, state: Mutex::new(State { waiting, idle: BTreeSet::new() }) })
    }

    /// Tells what runs, of which `file`, and how to watch it.
    pub fn start(&self, config: &Config, file: Option<&Path>) {
        let of = file.map_or(String::new(), |file| format!(" of {}", file.display()));
        let pipelines = counted(config.pipelines.len(), "pipeline");
        self.tell(format!("leptond {}: {pipelines}{of}; Ctrl-C stops it", env!("CARGO_PKG_VERSION")));
        if config.broker.enabled {
            // Its port may be any: it is told once it listens.
            return;
        }
        let broker = match config.mqtt.transport {
            Transport::Unix => config.mqtt.path.clone(),
            Transport::Tcp | Transport::WebSocket => format!("{}:{}", config.mqtt.host, config.mqtt.port),
        };
        self.tell(format!("{:<10} {broker}", "broker"));
        let with = match file.filter(|file| *file != Path::new(DEFAULT_FILE)) {
            Some(file) => format!(" --config {}", quoted(&file.to_string_lossy())),
            None => String::new(),
        };
        self.watch(&with);
    }

    /// Tells where the daemon's own broker listens, and how to watch it.
    pub fn broker(&self, address: SocketAddr) {
        self.tell(format!("{:<10} its own at {address}", "broker"));
        let host = if address.ip().is_unspecified() { "localhost".into() } else { address.ip().to_string() };
        self.watch(&format!(" --host {host} --port {}", address.port()));
    }

    fn watch(&self, with: &str) {
        self.tell(format!("{:<10} leptond watch{with}, in another terminal", "watch it"));
    }

    /// Tells the address of the page.
    pub fn page(&self, address: Option<SocketAddr>) {
        if let Some(address) = address {
            self.tell(format!("{:<10} http://{address}/", "page"));
        }
    }

    fn output(&self, output: &Output) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.waiting.remove(&output.pipeline) {
            return;
        }
        let words = wording::of_output(output, Instant::now()).unwrap_or_else(|| "a result".into());
        self.tell(format!("{:<10} {words}", &*output.pipeline));
        if state.waiting.is_empty() {
            self.tell("From here on only what goes wrong is told; log.level = \"info\" tells more.".into());
        }
    }

    /// Tells once why a pipeline gives nothing.
    fn idle<'a>(&self, idle: impl Iterator<Item = (&'a PipelineName, &'a str)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, reason) in idle {
            if state.waiting.contains(name) && state.idle.insert(name.clone()) {
                self.tell(format!("{:<10} no result yet: {reason}", &**name));
            }
        }
    }

    fn tell(&self, line: String) {
        // Nobody may read it, or not fast enough.
        let _ = self.lines.try_send(line);
    }
}

impl Sink for Told {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Output(output) => self.output(output),
            Emission::Status(status) => {
                let idle = status.pipelines.iter().filter_map(|p| Some((&p.name, p.idle.as_deref()?)));
                let faults = status.faults.iter().map(|fault| (&fault.pipeline, fault.reason.as_str()));
                self.idle(idle.chain(faults));
            }
            Emission::Events { .. } | Emission::Removed(_) | Emission::Stopped(_) => {}
        }
    }
}

fn write(lines: &Receiver<String>, mut out: impl Write) {
    for line in lines {
        let line: String = line.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
