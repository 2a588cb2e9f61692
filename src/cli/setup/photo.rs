//! The questions about a meter, answered by a photo of it: where its digits and dials are, what it counts.

use std::path::Path;

use anyhow::Context as _;

use super::session::{Interview, stopped};
use super::{Failure, present};
use crate::cli::progress::spinner;
use crate::diagnose::look::Seen;
use crate::frame::quantity::spelt;
use crate::frame::{Image, PipelineName, Quantity};
use crate::install::answers::Meter;
use crate::pipeline::{DialConfig, Input, MeterConfig, Proposal, photo, propose};
use crate::preprocess::Region;
use crate::source;
use crate::sys::file;

/// A larger file is no photo.
const MOST_BYTES: u64 = 64 << 20;
/// Difference of two shapes of pictures, as a part, that is rounding.
const SAME_SHAPE: f64 = 0.005;

impl Interview<'_> {
    /// The meter of a photo; `None` where none is found in it and the questions can go on without.
    pub(super) fn meter(
        &mut self,
        file: &Path,
        source: &source::Config,
        keys: &[String],
        seen: &Seen,
    ) -> Result<Option<(Meter, bool)>, Failure> {
        let shown = file.display().to_string();
        let image = picture(file)?;
        let dirs = &self.present.models.dirs;
        let found = spinner("looking for digits and dials", || propose(&image, dirs));
        let found = found.map_err(anyhow::Error::from).with_context(|| shown.clone())?;
        if found.is_empty() {
            let by_hand = self.by_hand();
            let words = format!("{shown}: no digits or dials that can be read were found. {by_hand}");
            if self.ask.is_none() {
                return Err(anyhow::anyhow!(words).into());
            }
            self.tell(&words);
            self.tell("the questions go on without the photo: leptonnet-digits asks where a row of digits is");
            return Ok(None);
        }
        let scaled =
            scaled(&found, seen.picture).map_err(|reason| Failure::Usage(format!("--photo {shown}: {reason}")))?;
        let [digits, dials] = found.regions();
        if !self.is_right(&digits, &dials, source, image, &shown)? {
            let by_hand = self.by_hand();
            self.tell(&by_hand);
            let Some(ask) = self.ask.as_mut() else { return Err(stopped()) };
            let items = ["write it all the same, and move the regions on the page", "stop"].map(str::to_owned);
            if ask.choose("What now?", &items, 0)? != 0 {
                return Err(stopped());
            }
        }
        self.counted(scaled, false, source, keys).map(Some)
    }

    /// The meter of these digits and dials, which are those that it has where `keep_regions`, with what it counts; and whether one of its
    /// name may be changed.
    pub(super) fn counted(
        &mut self,
        [digits, dials]: [Vec<Region>; 2],
        keep_regions: bool,
        source: &source::Config,
        keys: &[String],
    ) -> Result<(Meter, bool), Failure> {
        let kind = self.kind()?;
        let unit = self.unit(kind)?;
        let decimals = self.decimals(digits.len(), dials.len())?;
        let (name, replace) = self.name(kind.map_or("meter", Quantity::word))?;
        let (source, source_keys) = (source.clone(), keys.to_vec());
        Ok((Meter { name, source, source_keys, keep_regions, digits, dials, kind, unit, decimals }, replace))
    }

    /// Advice for drawing the regions by hand.
    fn by_hand(&self) -> String {
        format!(
            "Take a photo that is sharp, larger or less turned; or give the row with --meter-region X,Y,W,H --digits N --model \
             leptonnet-digits instead of --photo, and draw on the page ({}, Editor; [page] in the configuration turns it on)",
            self.page_address()
        )
    }

    /// Tells what is read at these places, and asks whether it is right; without a terminal, what can be read is.
    pub(super) fn is_right(
        &mut self,
        digits: &[Region],
        dials: &[Region],
        source: &source::Config,
        image: Image,
        shown: &str,
    ) -> Result<bool, Failure> {
        let name = PipelineName::new("meter").map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut meter = MeterConfig::new(name, Input::Inline(source.clone()));
        meter.digits = digits.to_vec();
        meter.dials = dials.iter().map(of_dial).collect();
        let reading = photo::read_meter(&meter, &self.present.models.dirs, image);
        let reading = reading.map_err(anyhow::Error::from).with_context(|| shown.to_owned())?;
        let places = places(digits.len(), dials.len());
        let words = match &reading.label {
            Some(label) => format!("{places}; I read {label}, each place by at least {:.2}", floor(reading.score)),
            None => format!("{places}; {reading}"),
        };
        match self.ask.as_mut() {
            Some(ask) => ask.confirm(&format!("{words}: is that right?"), reading.label.is_some()),
            None => {
                self.tell(&words);
                Ok(true)
            }
        }
    }

    /// The meter whose answers are the defaults.
    fn before(&self) -> Option<&MeterConfig> {
        present::meter(self.present, self.args.name.as_deref())
    }

    fn kind(&mut self) -> Result<Option<Quantity>, Failure> {
        if let Some(kind) = self.args.kind {
            return Ok(Some(kind));
        }
        let before = self.before().and_then(|meter| meter.kind);
        let Some(ask) = self.ask.as_mut() else { return Ok(before) };
        ask.tell("what it counts:");
        let mut items: Vec<String> = Quantity::ALL.iter().map(|kind| kind.word().to_owned()).collect();
        items.push("something else".into());
        let usual = before.and_then(|before| Quantity::ALL.iter().position(|kind| *kind == before));
        let index = ask.choose("It counts", &items, usual.unwrap_or(0))?;
        Ok(Quantity::ALL.get(index).copied())
    }

    /// The unit, where it is not the usual one.
    fn unit(&mut self, kind: Option<Quantity>) -> Result<Option<String>, Failure> {
        let usual = kind.and_then(|kind| kind.units().first().copied());
        let known = |text: &str| match kind {
            Some(kind) => kind
                .unit(text)
                .map(str::to_owned)
                .ok_or_else(|| format!("{text:?} is no unit of {}: {}", kind.word(), kind.units().join(", "))),
            None => Ok(spelt(text).to_owned()),
        };
        let unusual = |unit: String| Some(unit).filter(|unit| !unit.is_empty() && Some(unit.as_str()) != usual);
        if let Some(text) = &self.args.unit {
            return known(text).map(unusual).map_err(|reason| Failure::Usage(format!("--unit: {reason}")));
        }
        let before = self.before().filter(|meter| meter.kind == kind).and_then(|meter| meter.unit.clone());
        let Some(ask) = self.ask.as_mut() else { return Ok(before) };
        let usual_now = before.as_deref().or(usual).unwrap_or("");
        loop {
            let text = ask.text("Unit", Some(usual_now))?;
            match known(text.trim()) {
                Ok(unit) => return Ok(unusual(unit)),
                Err(reason) => ask.tell(&reason),
            }
        }
    }

    /// Places behind the decimal point, where they are not as many as there are dials.
    fn decimals(&mut self, digits: usize, dials: usize) -> Result<Option<u8>, Failure> {
        let usual = if digits == 0 { 0 } else { dials };
        let most = digits + dials;
        let unusual = |decimals: u8| Some(decimals).filter(|decimals| usize::from(*decimals) != usual);
        let fits = |decimals: u8| {
            let words = format!("{decimals} places behind the decimal point, and the meter has {most} in all");
            if usize::from(decimals) <= most { Ok(decimals) } else { Err(words) }
        };
        if let Some(decimals) = self.args.decimals {
            return fits(decimals).map(unusual).map_err(|reason| Failure::Usage(format!("--decimals: {reason}")));
        }
        let same = |meter: &&MeterConfig| (meter.digits.len(), meter.dials.len()) == (digits, dials);
        let before = self.before().filter(same).and_then(|meter| meter.decimals);
        let Some(ask) = self.ask.as_mut() else { return Ok(before) };
        let usual_now = before.map_or(usual, usize::from).to_string();
        loop {
            let text = ask.text("Places behind the decimal point (red digits are)", Some(&usual_now))?;
            let number = text.trim().parse().map_err(|_| format!("{text:?} is not a number"));
            match number.and_then(fits) {
                Ok(decimals) => return Ok(unusual(decimals)),
                Err(reason) => ask.tell(&reason),
            }
        }
    }
}

/// The picture in a file.
fn picture(file: &Path) -> Result<Image, Failure> {
    let data = file::read_regular(file, MOST_BYTES).map_err(anyhow::Error::from);
    let image = data.and_then(|data| source::image_of(data).map_err(|reason| anyhow::anyhow!(reason)));
    Ok(image.with_context(|| file.display().to_string())?)
}

fn of_dial(region: &Region) -> DialConfig {
    let (rect, quad) = match region {
        Region::Rect(rect) => (Some(*rect), None),
        Region::Quad(quad) => (None, Some(*quad)),
    };
    DialConfig { rect, quad, clockwise: true }
}

/// The digits and dials as the source's pictures have them.
fn scaled(found: &Proposal, source: Option<[u32; 2]>) -> Result<[Vec<Region>; 2], String> {
    let [width, height] = found.size;
    let to = source.unwrap_or(found.size);
    let shape = |[width, height]: [u32; 2]| f64::from(width) / f64::from(height.max(1));
    if (shape(to) / shape(found.size) - 1.0).abs() > SAME_SHAPE {
        return Err(format!(
            "it has {width}x{height} pixels and the source gives {}x{}: regions are in the source's pixels, so take the photo with \
             the source itself (leptond capture)",
            to[0], to[1]
        ));
    }
    Ok(found.regions().map(|regions| regions.iter().map(|region| region.rescaled(found.size, to)).collect()))
}

/// `5 digits and 4 dials`.
fn places(digits: usize, dials: usize) -> String {
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}s")),
    };
    let both = [count(digits, "digit"), count(dials, "dial")];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// A score to two places, never more than it is.
fn floor(score: f32) -> f32 {
    (score * 100.0).floor() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ProposedRegion;

    #[test]
    fn regions_follow_the_size_of_the_source_and_not_its_shape() {
        let region = ProposedRegion { region: Region::Rect([100.0, 50.0, 20.0, 30.0]), score: 1.0 };
        let found = Proposal { size: [1280, 960], digits: vec![region.clone(), region], dials: Vec::new() };
        assert_eq!((places(2, 0).as_str(), places(1, 4).as_str()), ("2 digits", "1 digit and 4 dials"));
        let [digits, _] = scaled(&found, Some([640, 480])).unwrap();
        assert_eq!(digits.first(), Some(&Region::Rect([50.0, 25.0, 10.0, 15.0])));
        assert_eq!(scaled(&found, None).unwrap()[0].first(), Some(&Region::Rect([100.0, 50.0, 20.0, 30.0])));
        let reason = scaled(&found, Some([480, 640])).unwrap_err();
        assert!(reason.contains("1280x960") && reason.contains("480x640"), "{reason}");
    }
}
