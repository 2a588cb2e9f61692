//! The question about the source, and a look at what it gives.

use super::session::{Interview, stopped};
use super::{Failure, paths, present, probe};
use crate::board::LinuxBoard;
use crate::cli::source_pairs::source_of_pairs;
use crate::diagnose::look::{Seen, look};
use crate::diagnose::machine;
use crate::diagnose::survey::Report;
use crate::install::answers;
use crate::source;
use probe::Asks;

/// The source that was chosen.
pub struct Origin {
    /// The source, checked.
    pub config: source::Config,
    /// The keys that were chosen.
    pub keys: Vec<String>,
    /// Its first frame.
    pub seen: Seen,
    /// Name for a pipeline of it.
    pub name: String,
}

impl Interview<'_> {
    pub(super) fn source(&mut self) -> Result<Origin, Failure> {
        let root = self.args.root.as_deref();
        let mut flag = (!self.args.source.is_empty()).then(|| self.args.source.clone());
        let mut offers = None;
        loop {
            let picked = match (flag.take(), self.ask.as_mut()) {
                (Some(words), _) => Picked::Pairs(words, "main".into()),
                (None, None) => return Err(Failure::Usage("--source is missing".into())),
                (None, Some(_)) => {
                    let (offers, absent) = offers.get_or_insert_with(|| {
                        probe::sources(&Report::gather(&mut LinuxBoard::new(machine::roots(root)), root))
                    });
                    self.pick(offers, absent)?
                }
            };
            let (checked, name) = match picked {
                Picked::Pairs(words, name) => {
                    let pairs = paths::pairs(&words).unwrap_or_else(|| answers::source_pairs(&words));
                    (pairs.and_then(|pairs| source_of_pairs(&pairs).map(|config| (config, keys(&pairs)))), name)
                }
                Picked::AsItIs(config, keys, name) => (Ok((config, keys)), name),
            };
            let (config, keys) = match (checked, self.ask.as_mut()) {
                (Ok(checked), _) => checked,
                (Err(reason), Some(ask)) => {
                    ask.tell(&reason);
                    continue;
                }
                (Err(reason), None) => return Err(Failure::Usage(format!("--source: {reason}"))),
            };
            // A copy of another machine has no devices that could be opened.
            if self.args.untested || root.is_some() {
                return Ok(Origin { config, keys, seen: Seen::default(), name });
            }
            if let Some(seen) = self.tried(&config)? {
                return Ok(Origin { config, keys, seen, name });
            }
        }
    }

    /// The person's choice among the sources of the board.
    fn pick(&mut self, offers: &[probe::Offer], absent: &[String]) -> Result<Picked, Failure> {
        let now = present::pipeline(self.present, self.args.name.as_deref());
        let now = now.and_then(|now| Some((now, self.present.source_of(&now.source)?)));
        let text = self.text;
        let Some(ask) = self.ask.as_mut() else { return Err(Failure::Usage("--source is missing".into())) };
        for line in absent {
            ask.tell(&format!("not offered: {line}"));
        }
        ask.tell("sources of this board:");
        let as_it_is =
            now.map(|(now, source)| format!("as it is in pipeline {:?}: {}", now.name, present::described(source)));
        let labels: Vec<String> = as_it_is.into_iter().chain(offers.iter().map(|offer| offer.label.clone())).collect();
        let index = ask.choose("Source", &labels, 0)?;
        let index = match now {
            Some((now, source)) if index == 0 => {
                return Ok(Picked::AsItIs(source.clone(), present::source_keys(text, &now.name), now.name.to_string()));
            }
            Some(_) => index - 1,
            None => index,
        };
        let Some(offer) = offers.get(index) else { return Err(stopped()) };
        let mut pairs = offer.pairs.clone();
        match offer.asks {
            Asks::Nothing => {}
            Asks::Address => pairs.push(format!("url={}", ask.text("Address, rtsp://… or http://…", None)?)),
            Asks::Path => pairs = vec![ask.text("Path of the file or folder", None)?],
        }
        Ok(Picked::Pairs(pairs, offer.name.into()))
    }

    /// A frame of the source; `None` when another source is to be chosen.
    fn tried(&mut self, config: &source::Config) -> Result<Option<Seen>, Failure> {
        self.tell("trying it …");
        let reason = match look(config, machine::roots(None)) {
            Ok(seen) => {
                self.tell(&seen.what);
                return Ok(Some(seen));
            }
            Err(reason) => crate::config::redact(&reason.to_string()),
        };
        let Some(ask) = self.ask.as_mut() else {
            let words = format!("the source gives nothing: {reason}; --untested writes it all the same");
            return Err(anyhow::anyhow!(words).into());
        };
        ask.tell(&format!("it gives nothing: {reason}"));
        let items = ["choose again", "go on all the same", "stop"].map(str::to_owned);
        match ask.choose("What now?", &items, 0)? {
            0 => Ok(None),
            1 => Ok(Some(Seen::default())),
            _ => Err(stopped()),
        }
    }
}

/// A choice, with a name for its pipeline.
enum Picked {
    /// In words, as the flag takes them.
    Pairs(Vec<String>, String),
    /// The source of the present configuration, with its keys.
    AsItIs(source::Config, Vec<String>, String),
}

/// The keys of pairs, but `type`.
fn keys(pairs: &[String]) -> Vec<String> {
    let keys = pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(key, _)| key.trim().to_owned());
    keys.filter(|key| key != "type").collect()
}
