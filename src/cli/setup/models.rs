//! The questions about the model: which, and where the digits are.

use super::session::Interview;
use super::{Failure, offered, present, probe};
use crate::cli::catalog_args::CatalogArgs;
use crate::cli::tell;
use crate::diagnose::look::Seen;
use crate::install::{answers, reach};
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
    pub(super) fn model(&mut self, source: &source::Config) -> Result<Chosen, Failure> {
        let dirs = &self.present.models.dirs;
        let here = probe::models(source, dirs);
        let catalog = CatalogArgs::at(self.args.catalog.clone());
        if let Some(name) = &self.args.model {
            return match probe::model(name, dirs) {
                Some(choice) => Ok(Chosen { choice, here: true }),
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
                Ok(here) => return Ok(Chosen { choice, here }),
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
        let here = self.bring(choice, catalog)?;
        Ok(Chosen { choice: choice.clone(), here })
    }

    /// Installs it, but in a dry run; whether it is here then.
    fn bring(&mut self, choice: &probe::Choice, catalog: &CatalogArgs) -> Result<bool, Failure> {
        if self.args.dry_run {
            self.tell(&format!(
                "the model {} would be installed, as {} does",
                choice.name,
                offered::command(&choice.name)
            ));
            return Ok(false);
        }
        offered::install(&choice.name, &self.present.models.dirs, catalog)?;
        self.stop.installed(&choice.name);
        Ok(true)
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

    pub(super) fn regions(
        &mut self,
        name: &str,
        source: &source::Config,
        seen: &Seen,
    ) -> Result<Option<Vec<[u32; 4]>>, Failure> {
        if let Some(text) = &self.args.meter_region {
            let row = answers::row(text, seen.picture).map_err(|e| Failure::Usage(format!("--meter-region: {e}")))?;
            let digits = self.args.digits.unwrap_or(1);
            return answers::regions(row, digits).map(Some).map_err(|e| Failure::Usage(format!("--digits: {e}")));
        }
        let old = self.present.pipelines.iter().find(|p| p.name == name && p.model_name() == DIGITS);
        let count = old.map_or(0, |old| old.preprocess.regions.len());
        let before = old.and_then(|old| self.present.source_of(&old.source));
        let kept = before.is_some_and(|before| count > 0 && present::same_pictures(before, source));
        let Some(ask) = self.ask.as_mut() else {
            let words = match (kept, count) {
                (true, count) => format!("no --meter-region: the {count} regions of pipeline {name:?} stay"),
                (false, 0) => "no --meter-region: the whole picture is taken as one digit".into(),
                (false, count) => format!(
                    "warning: the {count} regions of pipeline {name:?} are dropped, its pictures are others now; the whole \
                     picture is taken as one digit. --meter-region X,Y,W,H --digits N says where they are"
                ),
            };
            tell(&words);
            return Ok(if kept { None } else { Some(Vec::new()) });
        };
        if kept && ask.confirm(&format!("Keep the {} regions of pipeline {name:?}?", count), true)? {
            return Ok(None);
        }
        if let Some(jpeg) = &seen.jpeg {
            match probe::save(jpeg) {
                Ok(path) => {
                    self.stop.temporary(&path);
                    ask.tell(&format!(
                        "a picture is in {}: copy it (scp) and look where the row of digits begins and how large it is",
                        path.display()
                    ));
                }
                Err(reason) => ask.tell(&format!("no picture could be saved: {reason}")),
            }
        }
        loop {
            let text =
                ask.text("Whole row of digits, x,y,width,height in pixels (\"-\": one digit fills the picture)", None)?;
            if text.trim() == "-" {
                return Ok(Some(Vec::new()));
            }
            let digits = ask.text("How many digits", Some("5"))?;
            let boxes = answers::row(&text, seen.picture).and_then(|row| {
                let digits = digits.trim().parse().map_err(|_| format!("{digits:?} is not a number"))?;
                answers::regions(row, digits)
            });
            match boxes {
                Ok(boxes) => return Ok(Some(boxes)),
                Err(reason) => ask.tell(&reason),
            }
        }
    }
}
