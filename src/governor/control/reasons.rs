//! Reasons to work less, the most urgent first, with the levels that each one leads to.

use std::time::Duration;

use super::choice::BLIND_DWELL;
use super::governor::Governor;
use super::outlook::{AHEAD, BELOW_CELSIUS, CLEARLY_MORE, COOLER_CELSIUS, OTHERS_WORK};
use super::pipeline::Pipeline;
use crate::config::Mode;
use crate::heat::Thermometer;
use crate::reading::{Load, Reading};
use crate::sensor::Filtered;

/// The work is lowered when the temperature ahead comes this close to what is kept …
const CLOSE_CELSIUS: f64 = 0.08;
/// A board that was relieved this long ago still cools.
const RELIEVED: Duration = Duration::from_secs(60);
/// The temperature is foreseen this far while others use more than they do on average.
const BURST_AHEAD: Duration = Duration::from_secs(10);
/// Further than this below what is kept a forecast has to be sure …
const FAR_CELSIUS: f64 = 4.0;
/// … by this many standard deviations.
const DOUBT: f64 = 0.7;
/// More than this share of the frames is overwritten: the work is too much for the board.
const DROPPED: f32 = 0.03;
/// Time in which some task waited for memory, percent (`/proc/pressure/memory` some avg10), above which work is lowered.
const MAX_MEMORY_PRESSURE_PERCENT: f32 = 20.0;
/// Share of the memory that must be available.
const LEAST_AVAILABLE: f64 = 0.04;
/// The broker does not keep up when this share of the queue is filled while it is there …
const BACKLOG: f32 = 0.5;
/// Slow reasons (memory, CPU, the broker) must last this long.
const LASTS: Duration = Duration::from_secs(5);
/// The first step because of a weak supply is taken at once, the next after this time, doubled each time.
const SUPPLY_DWELL: Duration = Duration::from_secs(20);

/// A reason to work less.
pub(super) struct Reason {
    /// The levels that it leads to.
    pub(super) levels: Vec<usize>,
    /// The reason in words.
    pub(super) text: String,
    /// Because of the temperature.
    pub(super) heat: bool,
    /// Less work of the processor helps, wherever else it is done.
    pub(super) processor: bool,
}

impl Reason {
    fn new(levels: Vec<usize>, text: String) -> Self {
        Reason { levels, text, heat: false, processor: true }
    }
}

impl Governor {
    /// Reasons to work less, the most urgent first.
    pub(super) fn reasons(&mut self, r: &Reading) -> Vec<Reason> {
        if self.mode() == Mode::Manual {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        reasons.extend(self.flagged(r));
        reasons.extend(self.hot());
        reasons.extend(self.late(r));
        reasons.extend(self.overrun(r));
        reasons.extend(self.slow_reasons(r));
        reasons.extend(self.loud());
        reasons
    }

    /// The firmware says that the clock is held down or the supply too low.
    fn flagged(&mut self, r: &Reading) -> Option<Reason> {
        let now = self.now;
        if let Some(reason) =
            self.throttled.take(r.throttled, "throttle", "the clock is held down because of heat", now)
        {
            // The forecast, where there is one, says how far; this is only the first step, and the way down without it.
            return self.due(self.last_down, BLIND_DWELL).then(|| self.one_down(reason)).flatten();
        }
        match self.under_voltage.take(r.under_voltage, "under-voltage", "the supply voltage is too low", now) {
            Some(reason) => {
                let wait = SUPPLY_DWELL.saturating_mul(1_u32 << self.supply_steps.saturating_sub(1).min(6));
                let due = self.supply_steps == 0 || self.due(self.supply_at, wait);
                let reason = if due { self.one_down(reason) } else { self.hold(reason) };
                if due && reason.as_ref().is_some_and(|reason| self.lowers(&reason.levels)) {
                    self.supply_steps += 1;
                    self.supply_at = Some(self.now);
                }
                reason
            }
            None => {
                if self.due(self.supply_at, Duration::from_secs(60)) {
                    self.supply_steps = 0;
                }
                None
            }
        }
    }

    /// The temperature in 30 s is too high.
    fn hot(&self) -> Option<Reason> {
        let load = self.heating();
        // A burst of others is not taken for a lasting load at once: what we use can still be taken back when it lasts.
        let horizon = if self.demand.others_burst() { BURST_AHEAD } else { AHEAD };
        let (now, ahead) = (self.heat.now()?, self.heat.after(horizon, load)?);
        let kept = self.kept_celsius();
        // While the board is hardly known and cool, a doubtful forecast is no reason yet.
        let doubt = if now.celsius < kept - FAR_CELSIUS { DOUBT * ahead.sd } else { 0.0 };
        // A board that has just been relieved is given the time to cool; one that is not seen is judged by what it settles at.
        let settles = self.settles(&self.levels())?;
        let falls = ahead.celsius <= now.celsius || now.celsius <= kept - COOLER_CELSIUS;
        let relieved = falls && !self.due(self.last_down, RELIEVED);
        let patient = relieved || matches!(self.heat.thermometer(), Thermometer::Failed(_));
        let cooling = patient && settles.celsius <= kept - BELOW_CELSIUS && ahead.celsius <= kept + COOLER_CELSIUS;
        if cooling || ahead.celsius - doubt <= kept - CLOSE_CELSIUS {
            return None;
        }
        let levels = self.cool_levels()?;
        let why = match self.heat.thermometer() {
            Thermometer::Failed(why) => format!("soc sensor {why}; at worst "),
            _ => String::new(),
        };
        let (now, ahead, ahead_s) = (now.celsius, ahead.celsius, horizon.as_secs());
        let reason = format!("{why}soc {now:.1} °C, {ahead:.1} °C in {ahead_s} s: kept below {kept:.1} °C");
        Some(Reason { heat: true, ..Reason::new(levels, reason) })
    }

    /// A p95 is beyond its deadline, or results stay away.
    fn late(&self, r: &Reading) -> Option<Reason> {
        self.loads(r).find_map(|(index, p, load)| {
            let reason = p.lateness(load, self.now).filter(|_| !p.away.is())?;
            Some(Reason::new(self.in_time_levels(index, load)?, reason))
        })
    }

    /// Frames are overwritten because the work is too much, and a lower rung would give more answers, or better ones.
    fn overrun(&self, r: &Reading) -> Option<Reason> {
        self.loads(r).find_map(|(index, p, load)| {
            let p = Some(p).filter(|p| self.governed(index) && !p.paused() && !load.is_quiet())?;
            let dropped = load.dropped.filter(|d| *d > DROPPED)?;
            let settled = self.now.saturating_sub(p.since) >= LASTS;
            // By what is measured to get through: the clock may come and go.
            let rung = p.ladder.rungs.get(p.level).filter(|_| settled)?;
            let here = p.ladder.worth_per_s(rung) * f64::from(1.0 - dropped);
            let better = (p.level + 1..=p.last()).filter_map(|l| Some((l, self.expected_worth(p, l, load)?)));
            let (level, _) = better.filter(|(_, w)| *w > here * CLEARLY_MORE).max_by(|a, b| a.1.total_cmp(&b.1))?;
            let mut levels = self.levels();
            levels[index] = level;
            let (name, percent) = (&p.ladder.name, dropped * 100.0);
            Some(Reason::new(levels, format!("{name}: {percent:.0} % of the frames are dropped, less work gives more")))
        })
    }

    /// Every pipeline that the reading has a load of, with its index.
    fn loads<'a>(&'a self, r: &'a Reading) -> impl Iterator<Item = (usize, &'a Pipeline, &'a Load)> {
        self.pipelines.iter().enumerate().filter_map(|(i, p)| Some((i, p, r.pipelines.get(&p.ladder.name)?)))
    }

    /// Memory, the CPU of others, the broker: reasons that must last.
    fn slow_reasons(&mut self, r: &Reading) -> Option<Reason> {
        let reasons = [self.short_of_memory(r), self.crowding(), self.backed_up(r)];
        for (since, reason) in self.pressing.iter_mut().zip(&reasons) {
            *since = reason.as_ref().and(since.or(Some(self.now)));
        }
        let lasted = |since: &Option<Duration>| since.is_some_and(|s| self.now.saturating_sub(s) >= LASTS);
        let [memory, cpu, broker] = self.pressing.each_ref().map(lasted);
        let again = self.due(self.last_down, LASTS);
        let [memory_reason, cpu_reason, broker_reason] = reasons;
        if let (Some(reason), true) = (memory_reason, memory) {
            let levels = self.smaller_levels().filter(|_| again).unwrap_or_else(|| self.levels());
            return Some(Reason { processor: false, ..Reason::new(levels, reason) });
        }
        if let (Some(reason), true) = (cpu_reason, cpu) {
            return Some(Reason::new(self.modest_levels(), reason));
        }
        if let (Some(reason), true) = (broker_reason, broker) {
            let reason = if again { self.one_down(reason) } else { self.hold(reason) };
            return reason.map(|reason| Reason { processor: false, ..reason });
        }
        None
    }

    fn short_of_memory(&mut self, r: &Reading) -> Option<String> {
        if let Some((available, all)) = r.available_bytes.zip(r.memory_bytes)
            && (available as f64) < all as f64 * LEAST_AVAILABLE
        {
            return Some(format!("only {} MiB of memory are available", available >> 20));
        }
        match self.memory_pressure.take(r.memory_pressure_percent) {
            Filtered::Valid(v) if v > MAX_MEMORY_PRESSURE_PERCENT => {
                Some(format!("memory pressure {v:.0} % above {MAX_MEMORY_PRESSURE_PERCENT:.0} %"))
            }
            Filtered::Failed => Some("memory pressure can no longer be read, counted as the worst".into()),
            _ => None,
        }
    }

    fn crowding(&self) -> Option<String> {
        let all = (self.demand.others + self.demand.own) * 100.0;
        let limit = f64::from(self.config.max_cpu_percent);
        let concerned = self.mode() != Mode::Performance && self.pipelines.iter().any(|p| p.deadline_ms().is_none());
        let crowded = concerned && self.demand.others > OTHERS_WORK && all > limit;
        crowded.then(|| {
            let others = self.demand.others * 100.0;
            format!("cpu {all:.0} % above {limit:.0} %, {others:.0} % of it by others")
        })
    }

    fn backed_up(&self, r: &Reading) -> Option<String> {
        let filled = r.link.backlog.filter(|b| r.link.connected == Some(true) && *b > BACKLOG)?;
        Some(format!("the broker does not keep up: {:.0} % of the queue is filled", filled * 100.0))
    }

    /// More CPU than is asked for in quiet mode.
    fn loud(&self) -> Option<Reason> {
        let allowed = self.quiet_share()?;
        let levels = self.levels();
        let share = |levels: &[usize]| self.demand.share(self.cores(levels));
        if share(&levels) <= allowed {
            return None;
        }
        let mut lower = levels;
        while share(&lower) > allowed {
            let Some(next) = self.lower_one(&lower) else { break };
            lower = next;
        }
        Some(Reason::new(lower, format!("quiet: at most {:.0} % of the cpu", allowed * 100.0)))
    }

    fn one_down(&self, reason: String) -> Option<Reason> {
        let levels = self.levels();
        Some(Reason::new(self.lower_one(&levels).unwrap_or(levels), reason))
    }

    fn hold(&self, reason: String) -> Option<Reason> {
        Some(Reason::new(self.levels(), reason))
    }
}
