//! The choice of the pipelines that move, and of their levels.

use std::time::Duration;

use super::governor::Governor;
use super::outlook::{BELOW_CELSIUS, COOLER_CELSIUS};
use super::pipeline::Pipeline;
use crate::demand::calibrated_p95_ms;
use crate::ladder::OperatingPoint;
use crate::reading::{Load, Reading};

/// Time between two steps down that no forecast guides.
pub(super) const BLIND_DWELL: Duration = Duration::from_secs(5);
/// A rung is expected to keep its deadline when its p95 comes no closer than this.
const IN_TIME: f64 = 0.97;

impl Governor {
    /// The first levels below the present ones that settle below what is kept.
    pub(super) fn cool_levels(&self) -> Option<Vec<usize>> {
        let goal = self.kept_celsius() - BELOW_CELSIUS;
        let settles = |levels: &[usize]| self.settles(levels).map(|e| e.celsius);
        let mut levels = self.levels();
        // What is pressing now has to be relieved now: at least one step.
        while let Some(lower) = self.lower_one(&levels) {
            levels = lower;
            if settles(&levels)? <= goal {
                return Some(levels);
            }
        }
        // Nothing is left but pausing, where it is hot already and pausing helps: if others heat the board by themselves, it
        // does not.
        let last = levels.clone();
        if self.heat.now()?.celsius < self.kept_celsius() - COOLER_CELSIUS {
            return Some(last);
        }
        while let Some(index) = self.first_down(&levels, 1) {
            levels[index] += 1;
            if settles(&levels)? <= goal {
                return Some(levels);
            }
        }
        Some(last)
    }

    /// Levels on which pipeline `index` is expected to keep its deadline: its own first such rung, or where it has none, one
    /// step down of the pipeline that weighs least, in case it is we who crowd each other.
    pub(super) fn in_time_levels(&self, index: usize, load: &Load) -> Option<Vec<usize>> {
        let p = &self.pipelines[index];
        let mut levels = self.levels();
        let crowded = self.pipelines.iter().enumerate().any(|(i, q)| {
            i != index && q.ladder.weight < p.ladder.weight && q.level < q.last() && q.ladder.cores(q.at(q.level)) > 0.1
        });
        // Without results there is nothing to measure by but what others use; and if that leaves no time for any rung, the last one
        // at least does not crowd them.
        let starved = load.p95_ms.is_none() || load.infer_ms.is_none();
        let expected = |level: usize| match p.ladder.rungs.get(level) {
            Some(to) if starved => Some(calibrated_p95_ms(&p.ladder, to, &self.demand.at_worst()) / p.deadline_ms()?),
            _ => self.expected_ratio(p, level, load),
        };
        let wanted = (p.level + 1..=p.last()).find(|level| expected(*level).is_some_and(|ratio| ratio <= IN_TIME));
        match wanted.or_else(|| starved.then(|| p.last())) {
            Some(level) if !crowded && self.governed(index) => {
                levels[index] = level;
                Some(levels)
            }
            _ if self.due(self.last_down, BLIND_DWELL) => self.lower_one(&levels),
            _ => Some(levels),
        }
    }

    /// The next levels that need less memory: a smaller batch, a smaller variant or input.
    pub(super) fn smaller_levels(&self) -> Option<Vec<usize>> {
        let size =
            |r: &OperatingPoint| (r.setpoint.batch, r.setpoint.variant, r.setpoint.resolution.unwrap_or(u32::MAX));
        let smaller = |a: &OperatingPoint, b: &OperatingPoint| {
            let ((batch, variant, resolution), (batch_b, variant_b, resolution_b)) = (size(a), size(b));
            batch < batch_b || (batch == batch_b && (variant > variant_b || resolution < resolution_b))
        };
        let mut levels = self.levels();
        let mut order: Vec<usize> = (0..self.pipelines.len()).filter(|i| self.governed(*i)).collect();
        order.sort_by(|a, b| self.pipelines[*a].ladder.weight.total_cmp(&self.pipelines[*b].ladder.weight));
        for index in order {
            let p = &self.pipelines[index];
            let here = p.ladder.rungs.get(p.level)?;
            if let Some(level) =
                (p.level + 1..=p.last()).find(|l| p.ladder.rungs.get(*l).is_some_and(|r| smaller(r, here)))
            {
                levels[index] = level;
                return Some(levels);
            }
        }
        None
    }

    /// The first levels on which the pipelines without a deadline leave others what they want.
    pub(super) fn modest_levels(&self) -> Vec<usize> {
        let limit = f64::from(self.config.max_cpu_percent) / 100.0;
        let mut levels = self.levels();
        loop {
            let movable = self
                .pipelines
                .iter()
                .enumerate()
                .filter(|(i, p)| self.governed(*i) && p.deadline_ms().is_none() && levels[*i] < p.last());
            let Some((index, _)) = movable.min_by(|a, b| self.before(a.0, b.0, &levels)) else { return levels };
            levels[index] += 1;
            if self.demand.at_worst().others + self.demand.share(self.cores(&levels)) <= limit {
                return levels;
            }
        }
    }

    /// One pipeline one rung lower: the one that weighs least.
    pub(super) fn lower_one(&self, levels: &[usize]) -> Option<Vec<usize>> {
        let index = self.first_down(levels, 0)?;
        let mut lower = levels.to_vec();
        lower[index] += 1;
        Some(lower)
    }

    /// The first pipeline to step down among those that can; with `beyond` = 1 also from the last rung into the pause.
    pub(super) fn first_down(&self, levels: &[usize], beyond: usize) -> Option<usize> {
        let can = |i: &usize| self.governed(*i) && levels[*i] < self.pipelines[*i].last() + beyond;
        (0..self.pipelines.len()).filter(can).min_by(|a, b| self.before(*a, *b, levels))
    }

    pub(super) fn before(&self, a: usize, b: usize, levels: &[usize]) -> std::cmp::Ordering {
        let weight = |i: usize| self.pipelines[i].ladder.weight;
        let left = |i: usize| self.pipelines[i].last() as isize - levels[i] as isize;
        weight(a).total_cmp(&weight(b)).then(left(b).cmp(&left(a)))
    }

    /// One pipeline as much higher as everything allows, the heaviest first, and what is expected of that.
    pub(super) fn higher_levels(&self, r: &Reading) -> Option<(Vec<usize>, String)> {
        let levels = self.levels();
        let mut order: Vec<usize> =
            (0..self.pipelines.len()).filter(|i| self.governed(*i) && self.pipelines[*i].level > 0).collect();
        order.sort_by(|a, b| self.before(*b, *a, &levels));
        let no_load = Load::default();
        order.into_iter().find_map(|index| {
            let p = &self.pipelines[index];
            let load = r.pipelines.get(&p.ladder.name).unwrap_or(&no_load);
            (0..p.level).find_map(|level| {
                let mut higher = levels.clone();
                higher[index] = level;
                let load = &self.slowed_above_soft_limit(load, &higher);
                let fine = self.would_give_more(p, level, load)
                    && self.would_be_in_time(p, level, load)
                    && self.would_stay_cool(&higher)
                    && self.would_be_modest(&higher);
                fine.then(|| (higher.clone(), self.expectation(p, level, load, &higher)))
            })
        })
    }

    /// The expected outcome of a step up, for people.
    fn expectation(&self, p: &Pipeline, level: usize, load: &Load, levels: &[usize]) -> String {
        self.expected(levels, self.expected_ratio(p, level, load))
    }

    /// The same of `levels`, where p95 ÷ deadline is expected to be `ratio`.
    pub(super) fn expected(&self, levels: &[usize], ratio: Option<f64>) -> String {
        let mut text = String::from("expected");
        if let Some(settled) = self.settles(levels) {
            text += &format!(" to settle at {:.1} °C,", settled.celsius);
        }
        if let Some(ratio) = ratio {
            text += &format!(" p95 at {:.0} % of the deadline,", ratio * 100.0);
        }
        text + &format!(" {:.0} % cpu", self.total(levels) * 100.0)
    }
}
