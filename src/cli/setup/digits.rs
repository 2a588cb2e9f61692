//! Places of a meter in the picture that the source itself gave: by a flag, as they were, found, or told by the person.

use super::Failure;
use super::present;
use super::session::Interview;
use crate::cli::progress::spinner;
use crate::diagnose::look::Seen;
use crate::frame::Image;
use crate::install::answers::{self, Meter};
use crate::pipeline::{DialConfig, propose};
use crate::preprocess::Region;
use crate::source;

/// Digits and dials, most significant first.
type Places = [Vec<Region>; 2];

impl Interview<'_> {
    /// The meter in the source's picture; `None` where one digit fills the picture.
    pub(super) fn meter_of_picture(
        &mut self,
        source: &source::Config,
        keys: &[String],
        seen: &Seen,
    ) -> Result<Option<(Meter, bool)>, Failure> {
        let image = seen.jpeg.clone().and_then(|jpeg| source::image_of(jpeg).ok());
        if let Some(places) = self.given(source, seen, image.as_ref())? {
            return self.counted(places, false, source, keys).map(Some);
        }
        if let Some(places) = self.kept(source, image.is_some())? {
            return self.counted(places, true, source, keys).map(Some);
        }
        let places = match self.found(source, image.as_ref())? {
            Some(places) => Some(places),
            None => self.told(source, seen, image.as_ref())?,
        };
        places.map(|places| self.counted(places, false, source, keys)).transpose()
    }

    /// Places by the flag.
    fn given(
        &mut self,
        source: &source::Config,
        seen: &Seen,
        image: Option<&Image>,
    ) -> Result<Option<Places>, Failure> {
        let Some(text) = &self.args.meter_region else { return Ok(None) };
        let row = answers::row(text, seen.picture).map_err(|e| Failure::Usage(format!("--meter-region: {e}")))?;
        let digits = answers::regions(row, self.args.digits.unwrap_or(1));
        let digits = digits.map_err(|e| Failure::Usage(format!("--digits: {e}")))?;
        if let Some(image) = image
            && !self.is_right(&digits, &[], source, image.clone(), "--meter-region")?
        {
            return Err(Failure::Usage(format!("--meter-region {text} is not where the digits are: give another one")));
        }
        Ok(Some([digits, Vec::new()]))
    }

    /// Places of the meter that is there already, where its pictures are the same. `looked_at` where there is a picture to find others in.
    fn kept(&mut self, source: &source::Config, looked_at: bool) -> Result<Option<Places>, Failure> {
        let Some(old) = present::meter(self.present, self.args.name.as_deref()) else { return Ok(None) };
        let places = [old.digits.clone(), old.dials.iter().filter_map(DialConfig::region).collect()];
        let (name, count) = (&old.name, old.digits.len() + old.dials.len());
        if !self.present.source_of(&old.source).is_some_and(|before| present::same_pictures(before, source)) {
            let words = format!("the {count} regions of meter {name:?} are places in other pictures");
            if self.ask.is_none() && !looked_at {
                return Err(Failure::Usage(format!(
                    "{words}: --meter-region X,Y,W,H --digits N says where they are now"
                )));
            }
            self.tell(&words);
            return Ok(None);
        }
        if let Some(ask) = self.ask.as_mut() {
            let keep = ask.confirm(&format!("Keep the {count} regions of meter {name:?}?"), true)?;
            return Ok(keep.then_some(places));
        }
        self.tell(&format!("no --meter-region: the {count} regions of meter {name:?} stay"));
        Ok(Some(places))
    }

    /// Places that are found in the picture, where they can be read.
    fn found(&mut self, source: &source::Config, image: Option<&Image>) -> Result<Option<Places>, Failure> {
        let Some(image) = image else { return Ok(None) };
        let dirs = &self.present.models.dirs;
        let found = spinner("looking for digits and dials", || propose(image, dirs)).map_err(anyhow::Error::from)?;
        if found.is_empty() {
            self.tell("no digits or dials that can be read were found in the picture");
            return Ok(None);
        }
        let [digits, dials] = found.regions();
        let right = self.is_right(&digits, &dials, source, image.clone(), "the source's picture")?;
        Ok(right.then_some([digits, dials]))
    }

    /// Places that the person tells, until what is read there is right; `None` for a single digit that fills the picture.
    fn told(&mut self, source: &source::Config, seen: &Seen, image: Option<&Image>) -> Result<Option<Places>, Failure> {
        if self.ask.is_none() {
            if image.is_some() {
                let words = "where are the digits? --meter-region X,Y,W,H --digits N says it (of a single digit that fills the picture: the \
                             whole of it, and 1)";
                return Err(Failure::Usage(words.into()));
            }
            self.tell("no --meter-region: the whole picture is taken as one digit");
            return Ok(None);
        }
        self.picture_to_look_at(seen);
        loop {
            let Some(ask) = self.ask.as_mut() else { return Ok(None) };
            let text = ask.text(
                "Whole row of digits: x,y,width,height in pixels, or its corners (\"-\": one digit fills the picture)",
                None,
            )?;
            if text.trim() == "-" {
                return Ok(None);
            }
            let digits = ask.text("How many digits", Some("5"))?;
            let boxes = answers::row(&text, seen.picture).and_then(|row| {
                let digits = digits.trim().parse().map_err(|_| format!("{digits:?} is not a number"))?;
                answers::regions(row, digits)
            });
            match boxes {
                Err(reason) => ask.tell(&reason),
                Ok(digits) => {
                    let right = match image {
                        Some(image) => self.is_right(&digits, &[], source, image.clone(), "the source's picture")?,
                        None => true,
                    };
                    if right {
                        return Ok(Some([digits, Vec::new()]));
                    }
                }
            }
        }
    }

    /// Saves the picture for the person to measure in.
    fn picture_to_look_at(&mut self, seen: &Seen) {
        let Some(jpeg) = &seen.jpeg else { return };
        match super::probe::save(jpeg) {
            Ok(path) => {
                self.stop.temporary(&path);
                self.tell(&format!(
                    "a picture is in {}: copy it (scp) and look where the row of digits begins and how large it is",
                    path.display()
                ));
            }
            Err(reason) => self.tell(&format!("no picture could be saved: {reason}")),
        }
    }
}
