//! Expectations of other rungs: temperature, deadlines, answers, load.

use std::time::Duration;

use super::governor::{Forecast, Governor};
use super::pipeline::Pipeline;
use crate::config::Mode;
use crate::demand::{calibrated_p95_ms, expected_p95_ms, expected_worth_per_s, heating};
use crate::heat::Thermometer;
use crate::reading::{Load, Reading};
use crate::sensor::Filtered;
use crate::thermal::Estimate;

/// The temperature is foreseen this far.
pub(super) const AHEAD: Duration = Duration::from_secs(30);
/// The work is lowered, and raised, to rungs that settle at least this far below the temperature that is kept.
pub(super) const BELOW_CELSIUS: f64 = 0.25;
/// A rung that was too hot is tried again when the board has become this much cooler.
pub(super) const COOLER_CELSIUS: f64 = 1.0;
/// Another rung is worth a change when it gives this much more.
pub(super) const CLEARLY_MORE: f64 = 1.02;
/// Others use the CPU in earnest above this share of the machine.
pub(super) const OTHERS_WORK: f64 = 0.1;
/// A step up needs an expected p95 of this share of the deadline or less.
const WELL_IN_TIME: f64 = 0.95;
/// A step up needs memory pressure below this.
const CALM_MEMORY_PRESSURE_PERCENT: f32 = 10.0;
/// A step up needs a broker's queue that is filled less than this.
const CALM_BACKLOG: f32 = 0.25;
/// Steps up need throttling and supply to be fine for this long.
const FLAG_CALM: Duration = Duration::from_secs(10);

impl Governor {
    /// The expected temperatures; `None` while nothing is known of the board's.
    pub fn forecast(&self) -> Option<Forecast> {
        let load = self.heating();
        Some(Forecast {
            soc_celsius: self.heat.now()?.celsius as f32,
            in_30s_celsius: self.heat.after(AHEAD, load)?.celsius as f32,
            steady_celsius: self.heat.steady(load)?.celsius as f32,
            limit_celsius: self.kept_celsius() as f32,
            time_constant_s: self.heat.board_s()? as f32,
        })
    }

    /// The temperature that these levels settle at.
    pub(super) fn settles(&self, levels: &[usize]) -> Option<Estimate> {
        let (d, own) = (&self.demand, self.demand.share(self.cores(levels)));
        let Some((soft_celsius, clock)) = self.soft else { return self.heat.steady(heating(d.others + own, d.clock)) };
        // Below the soft limit the clock is whole and the work sooner done, above it both are not.
        let at_full_clock = if self.soft_active { own * clock } else { own };
        let cool = self.heat.steady(d.others + at_full_clock)?;
        if cool.celsius <= soft_celsius {
            return Some(cool);
        }
        let slowed = d.others + (at_full_clock / clock).min(1.0 - d.others);
        let warm = self.heat.steady(heating(slowed, clock))?;
        Some(Estimate { celsius: warm.celsius.max(soft_celsius), ..warm })
    }

    /// The present load, as the load at full clock that heats as much.
    pub(super) fn heating(&self) -> f64 {
        heating(self.demand.others + self.demand.own, self.demand.clock)
    }

    /// p95 ÷ deadline that is expected of pipeline `p` on `level`; `None` without a deadline or measurements.
    pub(super) fn expected_ratio(&self, p: &Pipeline, level: usize, load: &Load) -> Option<f64> {
        let deadline_ms = p.deadline_ms()?;
        let from = p.ladder.rungs.get(p.level.min(p.last()))?;
        Some(expected_p95_ms(&p.ladder, from, p.ladder.rungs.get(level)?, load, &self.demand)? / deadline_ms)
    }

    /// Accurate answers a second to expect of pipeline `p` on `level`; `None` without measurements.
    pub(super) fn expected_worth(&self, p: &Pipeline, level: usize, load: &Load) -> Option<f64> {
        let from = p.ladder.rungs.get(p.level.min(p.last()))?;
        expected_worth_per_s(&p.ladder, from, p.ladder.rungs.get(level)?, load, &self.demand)
    }

    /// Load measured below a soft limit, as it would be above it, if these levels lead there.
    pub(super) fn slowed_above_soft_limit(&self, load: &Load, levels: &[usize]) -> Load {
        let above = |(celsius, _): &(f64, f64)| self.settles(levels).is_some_and(|e| e.celsius >= *celsius);
        let slower = self.soft.filter(above).filter(|_| !self.soft_active).map_or(1.0, |(_, clock)| 1.0 / clock) as f32;
        Load {
            p95_ms: load.p95_ms.map(|ms| ms * slower),
            infer_ms: load.infer_ms.map(|ms| ms * slower),
            ..load.clone()
        }
    }

    pub(super) fn would_give_more(&self, p: &Pipeline, level: usize, load: &Load) -> bool {
        let worths = self.expected_worth(p, p.level, load).zip(self.expected_worth(p, level, load));
        p.paused() || worths.is_none_or(|(here, there)| there > here * CLEARLY_MORE)
    }

    pub(super) fn would_be_in_time(&self, p: &Pipeline, level: usize, load: &Load) -> bool {
        let Some(deadline_ms) = p.deadline_ms() else { return true };
        let Some(to) = p.ladder.rungs.get(level) else { return false };
        // Nothing is measured while there is nothing to look at.
        if p.paused() || p.away.is() || load.open == Some(false) {
            return calibrated_p95_ms(&p.ladder, to, &self.demand) <= deadline_ms * WELL_IN_TIME;
        }
        self.expected_ratio(p, level, load).is_some_and(|ratio| ratio <= WELL_IN_TIME)
    }

    pub(super) fn would_stay_cool(&self, levels: &[usize]) -> bool {
        let Some(steady) = self.settles(levels) else { return true };
        let share = self.demand.share(self.cores(levels));
        let again =
            self.too_hot.is_some_and(|hot| share >= hot.share * 0.98 && steady.celsius > hot.celsius - hot.cooler);
        !again && steady.celsius + 0.3 * steady.sd <= self.kept_celsius() - BELOW_CELSIUS
    }

    pub(super) fn would_be_modest(&self, levels: &[usize]) -> bool {
        let raised = self.pipelines.iter().zip(levels).any(|(p, l)| p.deadline_ms().is_none() && *l < p.level);
        self.is_modest(levels, raised)
    }

    /// The load of these levels is one that is asked for; `raised`: work without a deadline gets more than it has.
    pub(super) fn is_modest(&self, levels: &[usize], raised: bool) -> bool {
        let share = self.demand.share(self.cores(levels));
        if self.quiet_share().is_some_and(|allowed| share > allowed) {
            return false;
        }
        let concerned = self.mode() != Mode::Performance && self.demand.others > OTHERS_WORK && raised;
        !concerned || self.demand.others + share <= f64::from(self.config.max_cpu_percent) / 100.0 - 0.05
    }

    /// Nothing forbids a step up at this moment.
    pub(super) fn calm(&self, r: &Reading) -> bool {
        let memory = self.memory_pressure.filtered();
        let backed_up = r.link.connected == Some(true) && r.link.backlog.is_some_and(|b| b > CALM_BACKLOG);
        matches!(self.heat.thermometer(), Thermometer::Working | Thermometer::Absent)
            && self.flags_are_down()
            && !matches!(memory, Filtered::Failed | Filtered::Unsure)
            && !matches!(memory, Filtered::Valid(v) if v > CALM_MEMORY_PRESSURE_PERCENT)
            && !matches!(self.cpu.filtered(), Filtered::Failed | Filtered::Unsure)
            && !backed_up
    }

    pub(super) fn flags_are_down(&self) -> bool {
        [&self.under_voltage, &self.throttled].iter().all(|flag| flag.calm_for(FLAG_CALM, self.now))
    }

    pub(super) fn kept_celsius(&self) -> f64 {
        let c = &self.config;
        f64::from(match self.mode() {
            Mode::Performance => c.limit_celsius,
            Mode::Quiet => c.quiet_celsius.min(c.limit_celsius - c.margin_celsius),
            Mode::Auto | Mode::Manual => c.limit_celsius - c.margin_celsius,
        })
    }

    pub(super) fn quiet_share(&self) -> Option<f64> {
        (self.mode() == Mode::Quiet).then(|| f64::from(self.config.quiet_cpu_percent) / 100.0)
    }

    pub(super) fn total(&self, levels: &[usize]) -> f64 {
        self.demand.others + self.demand.share(self.cores(levels))
    }

    /// CPU cores that these levels cost by calibration, over the time in which there is something to look at and in which there is not.
    pub(super) fn cores(&self, levels: &[usize]) -> f64 {
        self.pipelines.iter().zip(levels).map(|(p, level)| p.cores(*level) * p.duty()).sum()
    }

    /// CPU cores that the present levels cost by calibration at the moment of `r`.
    pub(super) fn cores_now(&self, r: &Reading) -> f64 {
        let works = |p: &&Pipeline| r.pipelines.get(&p.ladder.name).is_none_or(|load| load.open != Some(false));
        self.pipelines.iter().filter(works).map(|p| p.cores(p.level)).sum()
    }
}
