//! Work given to other nodes instead of being lowered: when a pipeline leaves, and when it comes home.

use std::time::Duration;

use super::governor::Governor;
use super::pipeline::Pipeline;
use super::reasons::Reason;
use crate::config::Mode;
use crate::demand::calibrated_infer_ms;
use crate::reading::{Group, Load, Reading};
use crate::setpoint::Change;

/// The others have to have this many times what full work needs.
const ENOUGH: f64 = 1.1;
/// Time in which a pipeline that has just left is not judged: the first frames are given few at a time.
const GRACE: Duration = Duration::from_secs(2);
/// Time for which the others must have had enough before a pipeline that is lowered leaves.
const ENOUGH_FOR: Duration = Duration::from_secs(5);
/// Share of the time between two frames that an inference at home may take.
const MOST_BUSY: f64 = 0.9;

impl Governor {
    /// Takes note of what the others do and could do.
    pub(super) fn look_at_group(&mut self, r: &Reading) {
        let now = self.now;
        for index in 0..self.pipelines.len() {
            let group = r.pipelines.get(&self.pipelines[index].ladder.name).and_then(|load| load.group);
            let enough = self.may_leave(index, r);
            self.pipelines[index].away.look(group.and_then(|group| group.in_time), enough, now);
        }
    }

    /// True where the others have enough for full work of pipeline `index`, which works here and may leave.
    fn may_leave(&self, index: usize, r: &Reading) -> bool {
        let p = &self.pipelines[index];
        let Some(load) = r.pipelines.get(&p.ladder.name).filter(|load| !load.idle) else { return false };
        let Some(Group { spare_per_s, .. }) = load.group else { return false };
        let needed = p.ladder.rungs.first().map_or(f64::INFINITY, |full| p.ladder.wanted_per_s(full));
        let free = !p.ladder.provisional && p.away.may_go(self.now);
        free && self.mode() != Mode::Manual && self.governed(index) && f64::from(spare_per_s) >= needed * ENOUGH
    }

    /// Gives the work of the pipelines that `reason` would lower to others, where those have enough for it.
    pub(super) fn leave(&mut self, reason: &Reason, r: &Reading) -> Vec<Change> {
        if !reason.processor {
            return Vec::new();
        }
        let lowered = |index: &usize| reason.levels[*index] > self.pipelines[*index].level;
        let going: Vec<usize> =
            (0..self.pipelines.len()).filter(lowered).filter(|index| self.may_leave(*index, r)).collect();
        if going.is_empty() {
            return Vec::new();
        }
        self.note_down(reason);
        let levels = reason.levels.clone();
        going.into_iter().filter_map(|index| self.go(index, levels[index], r, &reason.text)).collect()
    }

    /// Gives the work of one pipeline that is lowered to others that have had enough for all of it for a while.
    pub(super) fn leave_for_more(&mut self, r: &Reading) -> Vec<Change> {
        let ready = |p: &Pipeline| p.level > 0 && p.away.had_enough(self.now) >= ENOUGH_FOR;
        let due = self.due(self.last_down, self.config_seconds(self.config.dwell_down_s));
        let Some(index) = self.pipelines.iter().position(ready).filter(|_| due) else { return Vec::new() };
        self.last_down = Some(self.now);
        let (level, name) = (self.pipelines[index].level, self.pipelines[index].ladder.name.clone());
        self.go(index, level, r, &format!("{name}: less than full work here")).into_iter().collect()
    }

    fn go(&mut self, index: usize, home: usize, r: &Reading, why: &str) -> Option<Change> {
        let name = &self.pipelines[index].ladder.name;
        let spare = r.pipelines.get(name).and_then(|load| load.group).map_or(0.0, |group| group.spare_per_s);
        self.pipelines[index].away.leave(home, self.now);
        self.place(index, 0, &format!("{why}; given to other nodes, which have {spare:.1} inferences/s to spare"))
    }

    /// Brings the work home that the others do not do in time, or cannot be reached for, to the level that it would have had.
    pub(super) fn come_home(&mut self, r: &Reading) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.pipelines.len() {
            let p = &self.pipelines[index];
            let Some(since) = p.away.since() else { continue };
            let group = r.pipelines.get(&p.ladder.name).and_then(|load| load.group);
            let name = &p.ladder.name;
            let reason = match group {
                None => format!("{name}: the other nodes cannot be reached"),
                Some(Group { in_time: Some(share), .. })
                    if share < Group::LEAST_IN_TIME && self.now.saturating_sub(since) >= GRACE =>
                {
                    format!("{name}: other nodes answered only {:.0} % in time", share * 100.0)
                }
                Some(_) => continue,
            };
            let home = p.away.home().min(p.last());
            self.pipelines[index].away.fail(self.now);
            changes.extend(self.place(index, home, &format!("{reason}, the work is done here again")));
        }
        changes
    }

    /// Takes the work home; `false` where it was.
    pub(super) fn recall(&mut self, index: usize) -> bool {
        self.pipelines[index].away.end()
    }

    /// A pipeline whose full work would be well at home again, with what is expected of that.
    pub(super) fn could_come_home(&self, r: &Reading) -> Option<(usize, String)> {
        let no_load = Load::default();
        self.pipelines.iter().enumerate().filter(|(_, p)| p.away.is()).find_map(|(index, p)| {
            let load = r.pipelines.get(&p.ladder.name).unwrap_or(&no_load);
            let levels = self.levels();
            let mut there = self.clone();
            there.recall(index);
            let full = p.ladder.rungs.first()?;
            let interval_ms = full.setpoint.interval.max(p.ladder.frame_interval).as_secs_f64() * 1e3;
            let keeps_up = interval_ms <= 0.0
                || calibrated_infer_ms(full, &self.demand) <= interval_ms * MOST_BUSY * full.setpoint.batch as f64;
            let fine = keeps_up
                && self.would_be_in_time(p, 0, load)
                && there.would_stay_cool(&levels)
                && there.is_modest(&levels, p.deadline_ms().is_none());
            let text = || format!("full work is done here again: {}", there.expected(&levels, None));
            (fine && !load.idle).then(|| (index, text()))
        })
    }

    /// Brings pipeline `index` home at full work.
    pub(super) fn take_home(&mut self, index: usize, reason: &str) -> Vec<Change> {
        self.recall(index);
        self.place(index, 0, reason).into_iter().collect()
    }
}
