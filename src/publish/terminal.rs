//! The sink that prints emissions as lines, at a pace that a person can read.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::payload::{Governor, Health};
use super::stdout::Printer;
use super::throttle::{StatusThrottle, SummaryThrottle};
use super::wording::{self, EventWords, InfoWords, Line, ResultWords};
use crate::frame::status::NodeStatus;
use crate::frame::{Emission, Event, NodeName, Output, PipelineName, Sink};

/// Results of one pipeline are shown at most this often.
const RESULTS_EVERY: Duration = Duration::from_millis(500);

/// `health` is shown on change, and this often without one.
const HEALTH_EVERY: Duration = Duration::from_secs(60);

/// Lines that wait to be written. While a terminal is stopped or a pipe is full, further lines are dropped and counted.
const WAITING: usize = 256;

/// Time between two looks at a writer that is about to end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Prints emissions on a thread of its own.
pub struct Terminal {
    node: NodeName,
    printer: Printer,
    /// `None` once it is finished.
    lines: Mutex<Option<SyncSender<String>>>,
    dropped: AtomicU64,
    shown: Mutex<Shown>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The latest of what was shown.
struct Shown {
    pipelines: HashMap<PipelineName, PipelineShown>,
    node: StatusThrottle,
}

/// The latest that was shown of one pipeline.
#[derive(Default)]
struct PipelineShown {
    state: SummaryThrottle,
    result: Option<Instant>,
}

impl Terminal {
    /// A sink that writes the lines of `node` to `out`.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn new(node: NodeName, printer: Printer, out: impl Write + Send + 'static) -> std::io::Result<Terminal> {
        let (lines, waiting) = sync_channel(WAITING);
        let writer = std::thread::Builder::new().name("terminal".into()).spawn(move || write(&waiting, out))?;
        Ok(Terminal {
            node,
            printer,
            lines: Mutex::new(Some(lines)),
            dropped: AtomicU64::new(0),
            shown: Mutex::new(Shown { pipelines: HashMap::new(), node: StatusThrottle::new(HEALTH_EVERY) }),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Takes no more lines and waits until those that wait are written, or until `deadline`. Returns the number of lines that were
    /// dropped.
    pub fn finish(&self, deadline: Instant) -> u64 {
        lock(&self.lines).take();
        if let Some(writer) = lock(&self.writer).take() {
            while !writer.is_finished() && Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        self.dropped.load(Relaxed)
    }

    fn output(&self, output: &Output) {
        let now = Instant::now();
        self.events(&output.pipeline, &output.events);
        let (summary, is_due) = {
            let mut shown = lock(&self.shown);
            let pipeline = shown.pipelines.entry(output.pipeline.clone()).or_default();
            let is_due = pipeline.result.is_none_or(|at| now.saturating_duration_since(at) >= RESULTS_EVERY);
            if is_due {
                pipeline.result = Some(now);
            }
            (pipeline.state.update(&output.outcome, now), is_due)
        };
        if let Some(line) = summary.and_then(|summary| wording::result(&ResultWords::of_summary(&summary))) {
            self.print(&format!("{}/state", output.pipeline), line);
        }
        if is_due && let Some(line) = wording::result(&ResultWords::of_output(output, now)) {
            self.print(&format!("{}/result", output.pipeline), line);
        }
    }

    fn events(&self, pipeline: &PipelineName, events: &[Event]) {
        for event in events {
            self.print(&format!("{pipeline}/event"), wording::event(&EventWords::of_event(event)));
        }
    }

    fn status(&self, status: &Arc<NodeStatus>) {
        let due = lock(&self.shown).node.update(status);
        if due.info {
            self.print("info", wording::info(&InfoWords::of_status(status)));
        }
        if due.governor
            && let Some(governor) = Governor::of(status, status.governor.changed.as_ref())
        {
            self.print("governor", wording::governor(&governor));
        }
        if let Some(fps) = due.health {
            self.print("health", wording::health(&Health::of(status, &fps)));
        }
    }

    fn print(&self, topic: &str, line: Line) {
        let text = self.printer.text(&format!("{}/{topic}", self.node), line, SystemTime::now());
        let lines = lock(&self.lines);
        // Where the reader has gone, or the run is over, there is nothing that could be missing.
        if let Some(Err(TrySendError::Full(_))) = lines.as_ref().map(|lines| lines.try_send(text)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Sink for Terminal {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Output(output) => self.output(output),
            Emission::Events { pipeline, events } => self.events(pipeline, events),
            Emission::Removed(pipeline) => _ = lock(&self.shown).pipelines.remove(pipeline),
            Emission::Status(status) => self.status(status),
            Emission::Stopped(_) => {}
        }
    }
}

/// Writes lines until there are no more, or the reader has gone.
fn write(lines: &Receiver<String>, mut out: impl Write) {
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
    // The last lines of a reader that has gone are nobody's.
    let _ = out.flush();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::frame::{ChannelShare, Outcome, Stamp, Timing};
    use crate::publish::payload::{self, InferenceResult, PipelineState};
    use crate::publish::testing::sample_status;

    const SOON: Duration = Duration::from_secs(20);

    /// Hands each line on, and waits for leave before it.
    struct Out(Sender<String>, Receiver<()>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // The test has ended, or lets everything through.
            let _ = self.1.recv();
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn channels() -> Vec<ChannelShare> {
        vec![ChannelShare { channel: "cpu_percent".into(), share: 0.75 }]
    }

    fn printer() -> Printer {
        Printer { json: false, colour: false, prefix: "leptond".into(), columns: None }
    }

    fn node() -> NodeName {
        NodeName::new("attic").unwrap()
    }

    fn output(outcome: Outcome) -> Arc<Output> {
        let stamp = Stamp {
            seq: 1,
            captured: Instant::now(),
            time: SystemTime::UNIX_EPOCH,
            truth: Some("00425".into()),
            origin: String::new(),
            parent: None,
        };
        let event = Event::begin("meter-1".into(), "00424", 0.75, SystemTime::UNIX_EPOCH);
        let timing = Timing { infer: Duration::from_micros(1500), rung: 1, computed_by: None };
        let pipeline = PipelineName::new("meter").unwrap();
        Arc::new(Output { pipeline, stamp, frame: None, outcome, events: vec![event], timing })
    }

    /// The text of a line without its time.
    fn rest(line: &str) -> &str {
        line.trim_end().get(14..).unwrap_or_default()
    }

    #[test]
    fn a_value_gives_the_line_that_its_message_gives() {
        let (lines, shown) = channel();
        let (leave, wait) = channel();
        drop(leave);
        let terminal = Terminal::new(node(), printer(), Out(lines, wait)).unwrap();
        let outcomes = [
            Outcome::Classify { label: "00424".into(), score: 0.5, top: Vec::new(), unreadable: None },
            Outcome::Anomaly {
                score: 0.5,
                threshold: Some(0.25),
                anomalous: true,
                calibrating: false,
                channels: channels(),
            },
            Outcome::Raw { outputs: Vec::new() },
        ];
        let status = Arc::new(sample_status(Instant::now(), Duration::from_secs(61)));
        terminal.take(&Emission::Status(status.clone()));
        let mut expected = Vec::new();
        let mut message = |topic: &str, payload: &[u8]| {
            expected.push(printer().line(&format!("leptond/attic/{topic}"), payload, false, SystemTime::UNIX_EPOCH));
        };
        message("info", &payload::json(&payload::Info::of(&status)));
        message("governor", &payload::json(&Governor::of(&status, None).unwrap()));
        let fps = [(status.pipelines[0].name.clone(), 50.0 / 61.0)].into();
        message("health", &payload::json(&Health::of(&status, &fps)));
        for outcome in outcomes {
            lock(&terminal.shown).pipelines.clear();
            let output = output(outcome);
            terminal.take(&Emission::Output(output.clone()));
            message("meter/event", &payload::json(&output.events[0]));
            let summary = payload::Summary::of(&output.outcome);
            message("meter/state", &payload::json(&PipelineState { seq: 1, time: String::new(), summary }));
            message("meter/result", &payload::json(&InferenceResult::of(&output, output.stamp.captured)));
        }
        assert_eq!(terminal.finish(Instant::now() + SOON), 0);
        let shown: Vec<String> = shown.try_iter().collect::<String>().lines().map(str::to_owned).collect();
        assert_eq!(shown.len(), expected.len(), "{shown:?}");
        let without_age = |line: &str| rest(line).split("  age ").next().unwrap_or_default().to_owned();
        for (shown, expected) in shown.iter().zip(&expected) {
            assert_eq!(without_age(shown), without_age(expected));
        }
    }

    #[test]
    fn results_are_shown_at_a_pace_that_can_be_read() {
        let (lines, shown) = channel();
        let (leave, wait) = channel();
        drop(leave);
        let terminal = Terminal::new(node(), printer(), Out(lines, wait)).unwrap();
        let raw = output(Outcome::Raw { outputs: Vec::new() });
        (0..100).for_each(|_| terminal.take(&Emission::Output(raw.clone())));
        terminal.finish(Instant::now() + SOON);
        let shown: String = shown.try_iter().collect();
        assert!((1..100).contains(&shown.matches("/result").count()), "{shown}");
        assert_eq!(shown.matches("/event").count(), 100, "events are never held back");
    }

    #[test]
    fn a_terminal_that_stands_still_holds_nobody_up_and_what_is_missing_is_counted() {
        let (lines, _shown) = channel();
        let (leave, wait) = channel();
        let terminal = Terminal::new(node(), printer(), Out(lines, wait)).unwrap();
        let events = output(Outcome::Raw { outputs: Vec::new() }).events.clone();
        let emission = Emission::Events { pipeline: PipelineName::new("meter").unwrap(), events };
        let many = WAITING + 50;
        (0..many).for_each(|_| terminal.take(&emission));
        let before = Instant::now();
        let dropped = terminal.finish(before + Duration::from_millis(20));
        // One line may be in the writer's hands.
        assert!((49..=50).contains(&dropped), "{dropped}");
        assert!(before.elapsed() < SOON);
        drop(leave);
    }
}
