//! From readings to windows: choose the channels, deal with what is missing, cut.

use std::sync::Arc;
use std::time::Instant;

use super::channels::{Chooser, Fault};
use super::config::MissingPolicy;
use super::gaps::Gaps;
use super::values::Values;
use super::window::Windower;
use crate::frame::Window;

/// Settings of a [`Stream`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Channels that are configured.
    pub channels: Vec<String>,
    /// Channels that the model names.
    pub model: Vec<String>,
    /// Readings in one window.
    pub window: u32,
    /// Readings from one window to the next.
    pub stride: u32,
    /// Treatment of missing values.
    pub missing: MissingPolicy,
    /// Longest time for which a value is held, in s.
    pub hold_s: u32,
}

/// Readings of one origin on their way into windows.
#[derive(Debug)]
pub struct Stream {
    chooser: Chooser,
    gaps: Gaps,
    windower: Option<Windower>,
    window: u32,
    stride: u32,
    row: Vec<f32>,
}

impl Stream {
    /// Begins with nothing known.
    pub fn new(settings: &Settings) -> Self {
        Stream {
            chooser: Chooser::new(&settings.channels, &settings.model),
            gaps: Gaps::new(settings.missing, settings.hold_s),
            windower: None,
            window: settings.window,
            stride: settings.stride,
            row: Vec::new(),
        }
    }

    /// Looks at a reading ahead of time ([`Chooser::learn`]).
    pub fn learn(&mut self, values: &Values<'_>) {
        self.chooser.learn(values);
    }

    /// Takes a reading that came at `now`; says whether a window is complete.
    ///
    /// # Errors
    /// [`Fault`] when the reading is left out.
    pub fn take(&mut self, values: &Values<'_>, now: Instant) -> Result<bool, Fault> {
        let chosen = self.chooser.choose(values).map(|row| {
            self.row.clear();
            self.row.extend_from_slice(row);
        });
        let channels = self.chooser.channels();
        let filled = chosen.and_then(|()| self.gaps.fill(&mut self.row, channels, now).map_err(Fault::Reading));
        if let Err(fault) = filled {
            self.gap();
            return Err(fault);
        }
        let fresh = || Windower::new(Arc::clone(channels), self.window, self.stride);
        Ok(self.windower.get_or_insert_with(fresh).push(&self.row))
    }

    /// A reading could not be used: windows that must not span that begin again.
    pub fn gap(&mut self) {
        if self.gaps.breaks_windows()
            && let Some(windower) = &mut self.windower
        {
            windower.clear();
        }
    }

    /// Begins anew: no window and no held value spans what lies between.
    pub fn clear(&mut self) {
        self.gaps.forget();
        if let Some(windower) = &mut self.windower {
            windower.clear();
        }
    }

    /// Writes the last window into `out`; there is one once [`Stream::take`] has said so.
    pub fn fill(&self, out: &mut Window) {
        if let Some(windower) = &self.windower {
            windower.fill(out);
        }
    }
}
