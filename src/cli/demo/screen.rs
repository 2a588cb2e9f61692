//! The demo in place: the run on a thread of its own, the screen on this one, so that the terminal is given back whatever happens.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::size;

use super::blocks::{Means, Picture};
use super::inside::{Camera, Inside};
use super::names::{MACHINE, METER, reached};
use super::view::{Shown, draw};
use crate::cli::Failure;
use crate::cli::watch::ascii::{has_utf8, to_ascii};
use crate::cli::watch::journal::{Entry, Tone};
use crate::cli::watch::terminal::{Keys, Screen, abandon};
use crate::cli::watch::view::Palette;
use crate::cli::watch::watched::Watched;
use crate::config::Loaded;
use crate::frame::{Incoming, NodeName, Sink};
use crate::publish::sink::{MqttSink, Settings};
use crate::publish::topics::Topics;
use crate::runtime::{self, DaemonError, Report};
use crate::telemetry::RecentLog;

/// Time between two looks at messages while no key is pressed.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two drawings without a change.
const TICK: Duration = Duration::from_secs(1);
/// Time between two figures of the computer.
const FIGURES_EVERY: Duration = Duration::from_secs(2);
/// Time that the screen has for its end once the run is over. It may be in a write to a terminal that takes no more.
const GRACE: Duration = Duration::from_secs(2);

/// The addresses of a run, once they are known.
#[derive(Default)]
struct Places {
    page: OnceLock<SocketAddr>,
    broker: OnceLock<(String, u16)>,
}

/// The parts of a screen that come from outside.
struct Stage {
    messages: Receiver<Incoming>,
    camera: Arc<Camera>,
    places: Arc<Places>,
    log: RecentLog,
    node: NodeName,
    prefix: String,
    verbose: bool,
}

/// An end of the screen.
enum End {
    /// The run is over, or could not be.
    Run(Result<Report, DaemonError>),
    /// The terminal is gone, or a person does not want to wait.
    AtOnce,
}

/// Runs `loaded` and shows it until a key, a signal or `run_for` ends it; `part` of the meter's pictures is shown, `[x, y, width, height]`.
///
/// # Errors
/// [`Failure`] of the run, or where the terminal cannot show a screen.
pub fn run(
    loaded: Loaded,
    run_for: Option<Duration>,
    part: [f32; 4],
    log: RecentLog,
    verbose: bool,
) -> Result<Option<Report>, Failure> {
    let node = loaded.config.node.name_or_default(std::path::Path::new("/"));
    let prefix = loaded.config.mqtt.prefix.clone();
    let topics = Topics::new(&prefix, &node).map_err(|e| Failure::Config(e.to_string()))?;
    let (inside, messages) = Inside::new();
    let settings = Settings { results: true, health_every: FIGURES_EVERY };
    let sink = Arc::new(MqttSink::new(inside, topics, settings));
    let camera = Arc::new(Camera::new(METER, part));
    let places = Arc::<Places>::default();
    let stage = Stage { messages, camera: camera.clone(), places: places.clone(), log, node, prefix, verbose };
    let mut screen = Screen::take().context("the terminal cannot show a screen; --plain prints lines")?;
    let (over, ended) = channel();
    let start = move || {
        let (page, broker) = (places.clone(), places);
        let options = runtime::Options {
            run_for,
            sinks: vec![sink as Arc<dyn Sink>, camera],
            on_page: Some(Box::new(move |address| _ = address.map(|address| page.page.set(address)))),
            on_broker: Some(Box::new(move |address| _ = broker.broker.set((reached(address.ip()), address.port())))),
            ..runtime::Options::default()
        };
        // The screen may have ended at once.
        let _ = over.send(runtime::run(loaded, options));
        std::thread::sleep(GRACE);
        abandon();
        std::process::exit(1);
    };
    std::thread::Builder::new().name("run".into()).spawn(start).context("starting the run's thread")?;
    let end = show(&mut screen, &stage, &ended);
    drop(screen);
    match end? {
        End::Run(report) => report.map(Some).map_err(crate::cli::run::failure),
        End::AtOnce => Ok(None),
    }
}

/// Draws until the run is over.
fn show(screen: &mut Screen, stage: &Stage, ended: &Receiver<Result<Report, DaemonError>>) -> anyhow::Result<End> {
    let (palette, has_utf8) = (Palette::of_environment(), has_utf8());
    let means = means(palette.colour, has_utf8, &std::env::var("TERM").unwrap_or_default());
    let mut watched = Watched::new(&stage.prefix, "");
    let mut picture = Picture::default();
    let mut stops = false;
    let (mut drawn_at, mut drawn_size) = (None::<Instant>, (0, 0));
    loop {
        match ended.try_recv() {
            Ok(result) => return Ok(End::Run(result)),
            Err(TryRecvError::Empty) => {}
            // It panicked, which the log has told.
            Err(TryRecvError::Disconnected) => anyhow::bail!(stage.log.take().join("\n")),
        }
        match screen.wait(LOOK).context("reading keys")? {
            Keys::Gone => {
                stop();
                return Ok(End::AtOnce);
            }
            Keys::None => {}
            Keys::Some => {
                while event::poll(Duration::ZERO).context("reading keys")? {
                    let Event::Key(key) = event::read().context("reading keys")? else { continue };
                    match wish(key) {
                        Wish::Nothing => {}
                        Wish::Suspend => screen.suspend().context("taking the terminal again")?,
                        Wish::Stop if stops => return Ok(End::AtOnce),
                        Wish::Stop => {
                            stops = true;
                            stop();
                        }
                    }
                    drawn_at = None;
                }
            }
        }
        let (now, time) = (Instant::now(), SystemTime::now());
        let revision = watched.revision;
        stage.messages.try_iter().for_each(|message| watched.take(&message, now, time));
        for text in stage.log.take() {
            let tone = if stage.verbose { Tone::Dim } else { Tone::Doubtful };
            watched.journal.add(Entry { time, node: stage.node.clone(), pipeline: None, text, tone });
            drawn_at = None;
        }
        let latest = stage.camera.take();
        let is_new = latest.is_some() || watched.revision != revision;
        picture = latest.unwrap_or(picture);
        let now_size = size().unwrap_or_default();
        let is_due = drawn_at.is_none_or(|at| now.saturating_duration_since(at) >= TICK);
        if is_due || is_new || now_size != drawn_size {
            let shown = Shown {
                page: stage.places.page.get().copied(),
                broker: stage.places.broker.get(),
                watched: &watched,
                meter: METER,
                machine: MACHINE,
                picture: &picture,
                means,
                palette,
                verbose: stage.verbose,
                stops,
                time,
            };
            let draw = |frame: &mut ratatui::Frame<'_>| {
                draw(frame, &shown);
                if !has_utf8 {
                    to_ascii(frame.buffer_mut());
                }
            };
            screen.draw(draw).context("drawing")?;
            (drawn_at, drawn_size) = (Some(now), now_size);
        }
    }
}

/// Asks the run to stop, as Ctrl-C does where no screen takes it.
fn stop() {
    // It is there: it is this process.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
}

/// A wish of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    Stop,
    Suspend,
}

fn wish(key: KeyEvent) -> Wish {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => Wish::Nothing,
        KeyCode::Char('c' | 'd') if control => Wish::Stop,
        KeyCode::Char('z') if control => Wish::Suspend,
        KeyCode::Char('q') | KeyCode::Esc => Wish::Stop,
        _ => Wish::Nothing,
    }
}

/// The means of this terminal to show a picture.
fn means(colour: bool, has_utf8: bool, term: &str) -> Means {
    // Others are known by names of their own; what is taken for less shows shades, which every font has.
    const MANY: [&str; 9] =
        ["256", "direct", "truecolor", "kitty", "alacritty", "wezterm", "foot", "ghostty", "konsole"];
    match (has_utf8, colour && MANY.iter().any(|many| term.contains(many))) {
        (false, _) => Means::Ascii,
        (true, true) => Means::Colours,
        (true, false) => Means::Shades,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_what_it_can() {
        assert_eq!(means(true, true, "xterm-256color"), Means::Colours);
        assert_eq!(means(false, true, "xterm-256color"), Means::Shades, "NO_COLOR");
        assert_eq!(means(true, true, "linux"), Means::Shades);
        assert_eq!(means(true, false, "xterm-256color"), Means::Ascii);
    }

    #[test]
    fn keys_that_end_it() {
        let press = |code, modifiers| wish(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Wish::Stop);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Wish::Stop);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), Wish::Nothing);
        assert_eq!(press(KeyCode::Char('z'), KeyModifiers::CONTROL), Wish::Suspend);
    }
}
