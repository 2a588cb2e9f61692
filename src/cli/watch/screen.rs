//! The live screen: messages and keys in, a drawing at most ten times a second.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::size;

use super::ascii::{has_utf8, to_ascii};
use super::feed::Feed;
use super::journal::Tone;
use super::keys::{Action, Ui};
use super::settings::{broker, client_id};
use super::signals::Asked;
use super::terminal::{Keys, Screen};
use super::view::{Connection, Palette, Shown, draw};
use super::watched::Watched;
use crate::cli::Failure;
use crate::frame::TopicFilter;
use crate::publish::mqtt::Mqtt;
use crate::publish::topics::Topics;
use crate::publish::{Class, Config, Message, Publisher};
use crate::telemetry::RecentLog;

/// Time between two looks at messages and signals while no key is pressed.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two drawings without a change: clock and ages go on.
const TICK: Duration = Duration::from_secs(1);

/// Shows what `filters` give until a key, a signal or `deadline` ends it.
pub fn run(
    config: &Config,
    filters: &[TopicFilter],
    log: &RecentLog,
    asked: &Asked,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let id = client_id();
    let client = Mqtt::listen(config, &id).map_err(|e| Failure::Config(e.to_string()))?;
    let feed = Feed::start(&client, filters, Watched::new(&config.prefix, &id)).context("watching")?;
    let mut screen = Screen::take().context("the terminal cannot show a screen; --plain prints lines")?;
    let mut ui = Ui::new(&id);
    let (palette, plain) = (Palette::of_environment(), !has_utf8());
    let (mut drawn_at, mut drawn) = (None::<Instant>, None);
    let (mut connects, mut trouble) = (0, None);
    let mut drawn_size = (0, 0);
    'shown: loop {
        let now = Instant::now();
        if asked.stops() || deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
        let mut is_due = drawn_at.is_none_or(|at| now.saturating_duration_since(at) >= TICK);
        if asked.suspends() {
            screen.suspend().context("taking the terminal again")?;
            is_due = true;
        }
        let keys = screen.wait(if is_due { Duration::ZERO } else { LOOK }).context("reading keys")?;
        if keys == Keys::Gone {
            break;
        }
        let now_size = size().unwrap_or_default();
        is_due |= keys == Keys::Some || now_size != drawn_size;
        drawn_size = now_size;
        // Each of those that came at once: what is read already makes nothing readable.
        while keys == Keys::Some && event::poll(Duration::ZERO).context("reading keys")? {
            let Event::Key(key) = event::read().context("reading keys")? else { continue };
            let action = ui.key(key, &feed.watched(), client.stats().connected, now);
            match action {
                Action::None => {}
                Action::Quit => break 'shown,
                Action::Suspend => screen.suspend().context("taking the terminal again")?,
                Action::Ask { node, verb, payload } => {
                    let topics = Topics::new(&config.prefix, &node).map_err(|e| Failure::Config(e.to_string()))?;
                    let topic = topics.request(verb);
                    client.publish(Message { topic, payload: payload.into(), class: Class::Response, timing: None });
                }
            }
        }
        let mut watched = feed.watched();
        // Not before the messages: what came over a connection is never shown beside the word that there is none.
        let stats = client.stats();
        if stats.connects > connects {
            (connects, trouble) = (stats.connects, None);
        }
        if let Some(line) = log.take().pop() {
            ui.say(Tone::Bad, line.clone(), now);
            trouble = Some(line);
        }
        let connection = Connection {
            broker: broker(config),
            connected: stats.connected,
            trouble: trouble.clone(),
            missed: stats.received_dropped,
        };
        let answers = std::mem::take(&mut watched.responses);
        ui.settle(&watched, answers, now);
        let state = (watched.revision, connection.clone());
        if is_due || drawn.as_ref() != Some(&state) {
            let (ui, connection, time) = (&ui, &connection, SystemTime::now());
            let result = screen.draw(|frame| {
                draw(frame, &Shown { watched: &watched, ui, connection, palette, now, time });
                if plain {
                    to_ascii(frame.buffer_mut());
                }
                // Before it is written: a terminal may stand still for long.
                drop(watched);
            });
            result.context("drawing")?;
            (drawn_at, drawn) = (Some(now), Some(state));
        }
    }
    client.stop(Instant::now() + Duration::from_secs(1));
    Ok(())
}
