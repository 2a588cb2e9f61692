//! The question about the model, and those about what it finds.

use super::session::Interview;
use super::{Failure, offered, present, probe};
use crate::cli::catalog_args::CatalogArgs;
use crate::cli::span::span;
use crate::diagnose::look::Seen;
use crate::frame::Label;
use crate::frame::diagnostic::nearest;
use crate::install::reach;
use crate::source;

/// The model that is asked where the digits are.
pub const DIGITS: &str = "leptonnet-digits";

/// The model that was chosen.
pub struct Chosen {
    /// The model.
    pub choice: probe::Choice,
    /// It is installed; a dry run fetches nothing.
    pub here: bool,
}

impl Interview<'_> {
    pub(super) fn model(&mut self, source: &source::Config, seen: &Seen) -> Result<Chosen, Failure> {
        let dirs = &self.present.models.dirs;
        let here = probe::models(source, &seen.channels, dirs);
        let catalog = CatalogArgs::at(self.args.catalog.clone());
        if self.args.baseline {
            let choice = probe::Choice::baseline();
            return match choice.misfit(source, &seen.channels) {
                Some(reason) => Err(Failure::Usage(format!("--baseline: {reason}"))),
                None => Ok(Chosen { choice, here: true }),
            };
        }
        if let Some(name) = &self.args.model {
            return match probe::model(name, dirs) {
                Some(choice) => match choice.misfit(source, &seen.channels) {
                    Some(reason) => Err(Failure::Usage(format!("--model: {reason}"))),
                    None => Ok(Chosen { choice, here: true }),
                },
                None => self.model_of_flag(name, source, &here, &catalog),
            };
        }
        if self.ask.is_none() {
            return Err(Failure::Usage("--model is missing".into()));
        }
        let mut more = if self.args.no_download { Vec::new() } else { self.more(source, &here, &catalog)? };
        let default = present::pipeline(self.present, self.args.name.as_deref()).and_then(|p| p.model.clone());
        loop {
            let Some(ask) = self.ask.as_mut() else { return Err(Failure::Usage("--model is missing".into())) };
            let all: Vec<&probe::Choice> = here.iter().chain(more.iter().map(|(choice, _)| choice)).collect();
            if all.is_empty() {
                let reason =
                    "no model that is installed takes what this source gives; leptond model list shows what there is";
                return Err(anyhow::anyhow!(reason).into());
            }
            ask.tell("models for it:");
            let labels: Vec<String> = all.iter().map(|c| c.label.clone()).collect();
            let at = all.iter().position(|c| Some(&c.name) == default.as_ref()).unwrap_or(0);
            let index = ask.choose("Model", &labels, at)?;
            let Some(choice) = all.get(index).map(|c| (*c).clone()) else { continue };
            if index < here.len() {
                return Ok(Chosen { choice, here: true });
            }
            match self.bring(&choice, &catalog) {
                Ok(chosen) => return Ok(chosen),
                Err(reason) => {
                    self.tell(&format!("{}: {reason}", choice.name));
                    more.retain(|(c, _)| c.name != choice.name);
                }
            }
        }
    }

    /// A model that is not here: the catalog may have it.
    fn model_of_flag(
        &mut self,
        name: &str,
        source: &source::Config,
        here: &[probe::Choice],
        catalog: &CatalogArgs,
    ) -> Result<Chosen, Failure> {
        let more = offered::choices(catalog, source, here)?;
        let Some((choice, _)) = more.iter().find(|(choice, _)| choice.name == name) else {
            let known: Vec<&str> = here.iter().chain(more.iter().map(|(c, _)| c)).map(|c| c.name.as_str()).collect();
            return Err(Failure::Usage(format!(
                "--model: there is no model {name:?} that can be opened; for this source there are {}",
                known.join(", ")
            )));
        };
        if self.args.no_download {
            let command = offered::command(name);
            return Err(anyhow::anyhow!(
                "the model {name} is not installed, and --no-download fetches none: {command}"
            )
            .into());
        }
        self.bring(choice, catalog)
    }

    /// Installs it, but in a dry run.
    fn bring(&mut self, choice: &probe::Choice, catalog: &CatalogArgs) -> Result<Chosen, Failure> {
        if self.args.dry_run {
            self.tell(&format!(
                "the model {} would be installed, as {} does",
                choice.name,
                offered::command(&choice.name)
            ));
            return Ok(Chosen { choice: choice.clone(), here: false });
        }
        let dirs = &self.present.models.dirs;
        offered::install(&choice.name, dirs, catalog)?;
        self.stop.installed(&choice.name);
        Ok(Chosen { choice: probe::model(&choice.name, dirs).unwrap_or_else(|| choice.clone()), here: true })
    }

    /// Models of the catalog for the source, as far as they could be fetched and put in place; tells the reason where there are none.
    fn more(
        &mut self,
        source: &source::Config,
        here: &[probe::Choice],
        catalog: &CatalogArgs,
    ) -> Result<Vec<(probe::Choice, crate::catalog::Entry)>, Failure> {
        let more = match offered::choices(catalog, source, here) {
            Ok(more) if more.is_empty() => return Ok(more),
            Ok(more) => more,
            Err(reason) => {
                self.tell(&format!("only models that are installed are offered: {reason}"));
                return Ok(Vec::new());
            }
        };
        let possible = offered::directory(&self.present.models.dirs)
            .and_then(|_| reach::reachable(more.iter().map(|(_, entry)| entry)).map_err(|error| error.to_string()));
        match possible {
            Ok(()) => Ok(more),
            Err(reason) => {
                self.tell(&format!("only models that are installed are offered: {reason}"));
                Ok(Vec::new())
            }
        }
    }

    /// Time for which it is learnt what is usual, in s; `None` = as it is.
    pub(super) fn learning(&mut self) -> Result<Option<f64>, Failure> {
        if let Some(span) = self.args.learn {
            return Ok(Some(span.as_secs_f64()));
        }
        let Some(ask) = self.ask.as_mut() else { return Ok(None) };
        loop {
            let text = ask.text("Time to learn what is usual, such as 1h or 1d", Some("1d"))?;
            match span(text.trim()) {
                Ok(learn) => return Ok(Some(learn.as_secs_f64())),
                Err(reason) => ask.tell(&reason),
            }
        }
    }

    /// Labels that count, and the least score; each `None` where nothing was said of it.
    pub(super) fn objects(&mut self, model: &probe::Choice) -> Result<(Option<Vec<String>>, Option<f32>), Failure> {
        let args = self.args;
        if model.labels.is_empty() {
            let flags = [(!args.labels.is_empty(), "--labels"), (args.min_score.is_some(), "--min-score")];
            return match flags.into_iter().find(|(given, _)| *given) {
                Some((_, flag)) => Err(Failure::Usage(format!(
                    "{flag} is for a model that finds objects, and {} does not",
                    model.name
                ))),
                None => Ok((None, None)),
            };
        }
        let labels = if args.labels.is_empty() {
            self.labels(model)?
        } else {
            Some(known(&args.labels.join(","), &model.labels).map_err(|e| Failure::Usage(format!("--labels: {e}")))?)
        };
        if args.min_score.is_some() {
            return Ok((labels, args.min_score));
        }
        let Some(ask) = self.ask.as_mut() else { return Ok((labels, None)) };
        let usual = format!("{:.2}", model.min_score);
        loop {
            let text = ask.text("Least score of an object, 0 to 1", Some(&usual))?;
            match text.trim().parse::<f32>() {
                Ok(least) if (0.0..=1.0).contains(&least) => {
                    return Ok((labels, Some(least).filter(|_| text.trim() != usual)));
                }
                _ => ask.tell(&format!("{text:?} is not a number from 0 to 1")),
            }
        }
    }

    /// The labels that a person wants to be told of.
    fn labels(&mut self, model: &probe::Choice) -> Result<Option<Vec<String>>, Failure> {
        let before = present::labels(self.present, self.args.name.as_deref(), &model.name);
        let Some(ask) = self.ask.as_mut().filter(|_| model.labels.len() > 1) else { return Ok(None) };
        let some: Vec<&str> = model.labels.iter().take(8).map(AsRef::as_ref).collect();
        ask.tell(&format!("it knows {} things: {}, …", model.labels.len(), some.join(", ")));
        let usual = before.unwrap_or_else(|| match model.labels.iter().any(|label| &**label == "person") {
            true => "person".into(),
            false => "all".into(),
        });
        loop {
            let text = ask.text("Things that matter, with commas between (\"all\": each of them)", Some(&usual))?;
            if text.trim() == "all" {
                return Ok(Some(Vec::new()));
            }
            match known(&text, &model.labels) {
                Ok(labels) => return Ok(Some(labels)),
                Err(reason) => ask.tell(&reason),
            }
        }
    }
}

/// The labels that `text` names, with commas between.
///
/// # Errors
/// The one that the model does not have, with the nearest one that it has.
fn known(text: &str, labels: &[Label]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if !labels.iter().any(|label| &**label == word) {
            let meant = nearest(word, labels.iter().map(AsRef::as_ref));
            let hint = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
            return Err(format!("the model has no label {word:?}{hint}"));
        }
        if !found.iter().any(|label| label == word) {
            found.push(word.to_owned());
        }
    }
    if found.is_empty() { Err("no label is named".into()) } else { Ok(found) }
}
