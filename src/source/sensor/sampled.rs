//! A sensor that is asked at a fixed interval, as a source.

use std::time::{Duration, Instant, SystemTime};

use super::config::{SensorConfig, missing};
use super::gaps::Gaps;
use super::reading::{NAP, Read, Reading};
use super::window::Windower;
use crate::frame::Frame;
use crate::source::contract::{Next, Source, SourceError};

/// A [`Reading`] at a fixed interval.
pub(super) struct Sampled {
    name: String,
    reading: Box<dyn Reading>,
    wanted: Vec<String>,
    /// Channels that the model names.
    model: Vec<String>,
    gaps: Gaps,
    /// For each channel of the window, its place in the row; with the window, made at the first row.
    picked: Vec<usize>,
    windower: Option<Windower>,
    window: u32,
    stride: u32,
    interval: Duration,
    due: Instant,
    row: Vec<f32>,
    chosen: Vec<f32>,
}

/// Shortest interval of a sensor that is asked: `/proc` is not free to read.
const LEAST_INTERVAL_MS: u64 = 10;

impl Sampled {
    pub(super) fn new(
        config: &SensorConfig,
        (model, gaps): (&[String], bool),
        name: String,
        reading: Box<dyn Reading>,
        due: Instant,
    ) -> Result<Self, SourceError> {
        if config.interval_ms < LEAST_INTERVAL_MS {
            let reason = format!("interval_ms is {}, and must be at least {LEAST_INTERVAL_MS}", config.interval_ms);
            return Err(SourceError::Fatal { origin: name, reason });
        }
        let mut sampled = Sampled {
            name,
            reading,
            wanted: config.channels.clone(),
            model: model.to_vec(),
            gaps: Gaps::new(missing(config.missing, gaps), config.hold_s),
            picked: Vec::new(),
            windower: None,
            window: config.window,
            stride: config.stride,
            interval: Duration::from_millis(config.interval_ms),
            due,
            row: Vec::new(),
            chosen: Vec::new(),
        };
        if !sampled.reading.channels().is_empty() {
            sampled.choose()?;
        }
        Ok(sampled)
    }

    /// Decides which channels the windows have.
    fn choose(&mut self) -> Result<(), SourceError> {
        let have = self.reading.channels();
        // What the model takes is enough, and a fault of another channel is then none of it. Where not all of that is there,
        // the model's stage says so.
        let by_model = self.wanted.is_empty() && self.model.iter().all(|name| have.contains(name));
        self.picked = pick(if by_model { &self.model } else { &self.wanted }, have)
            .map_err(|reason| SourceError::Fatal { origin: self.name.clone(), reason })?;
        let names: Vec<String> = self.picked.iter().filter_map(|&i| self.reading.channels().get(i)).cloned().collect();
        self.windower = Some(Windower::new(names, self.window, self.stride));
        Ok(())
    }
}

impl Source for Sampled {
    fn describe(&self) -> String {
        format!("{} every {} ms", self.name, self.interval.as_millis())
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let waiting = || Ok(Next::Idle("waiting for the next reading".into()));
        let left = self.due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(NAP));
        if left > NAP {
            return waiting();
        }
        let (now, time) = (Instant::now(), SystemTime::now());
        // A reading that was missed (a machine that slept) is not made up for.
        self.due = (self.due + self.interval).max(now);

        match self.reading.read(now, &mut self.row) {
            Ok(Read::Row) => {}
            Ok(Read::Idle(reason)) => return Ok(Next::Idle(reason)),
            Err(error) => {
                // No window spans a gap.
                if let Some(windower) = &mut self.windower {
                    windower.clear();
                }
                self.gaps.forget();
                return Err(error);
            }
        }
        if self.windower.is_none() {
            self.choose()?;
        }
        let Some(windower) = &mut self.windower else { return waiting() };
        self.chosen.clear();
        self.chosen.extend(self.picked.iter().map(|&i| self.row.get(i).copied().unwrap_or(f32::NAN)));
        if let Err(reason) = self.gaps.fill(&mut self.chosen, windower.channels(), now) {
            windower.clear();
            return Err(SourceError::Bad { origin: self.name.clone(), reason });
        }
        if !windower.push(&self.chosen) {
            return waiting();
        }
        windower.fill(frame.window_mut());
        frame.captured = now;
        frame.time = time;
        frame.truth = None;
        frame.origin.clone_from(&self.name);
        Ok(Next::Frame)
    }
}

/// Places of `wanted` in `have` (all of them when nothing is wanted), or which of them is not there.
fn pick(wanted: &[String], have: &[String]) -> Result<Vec<usize>, String> {
    if wanted.is_empty() {
        return Ok((0..have.len()).collect());
    }
    let place = |name: &String| {
        have.iter()
            .position(|h| h == name)
            .ok_or_else(|| format!("there is no channel {name:?}; there are {}", have.join(", ")))
    };
    wanted.iter().map(place).collect()
}
