//! Three runs of one scenario beside each other, held against its expectations.

use super::board::Parameters;
use super::run::{Control, Outcome, ladder, run};
use super::scenario::Scenario;
use crate::{Config, Governor};

/// The governed run and its two controls.
#[derive(Debug)]
pub struct Report {
    /// With the governor.
    pub governed: Outcome,
    /// On the first rung throughout: only the firmware throttles.
    pub ungoverned: Outcome,
    /// The best fixed rung with hindsight …
    pub hindsight: Outcome,
    /// … and its index.
    pub hindsight_rung: usize,
    /// That rung keeps the limits; if none does, it is the coolest one.
    pub hindsight_keeps: bool,
    /// The expectations, in the order of the file.
    pub findings: Vec<Finding>,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its key.
    pub key: &'static str,
    /// The bound of the scenario.
    pub allowed: f64,
    /// The value of the run.
    pub found: f64,
    /// The value is within the bound.
    pub kept: bool,
}

impl Report {
    /// Useful work against the best fixed rung; 1 when that does none either.
    pub fn useful_vs_hindsight(&self) -> f64 {
        if self.hindsight.useful > 0.0 { self.governed.useful / self.hindsight.useful } else { 1.0 }
    }
}

/// Runs `scenario` on a board with the figures `parameters`.
pub fn simulate(scenario: &Scenario, parameters: Parameters, config: &Config) -> Report {
    let governor = Governor::new(config.clone(), vec![ladder(scenario, &parameters)]);
    let governed = run(scenario, parameters, config, Control::Governor(Box::new(governor)), true);
    let ungoverned = run(scenario, parameters, config, Control::Fixed(0), true);
    // Where the scenario sets no limit the governor's own applies: that is what the two are compared under.
    let max_celsius = scenario.expect.max_celsius.unwrap_or(f64::from(config.limit_celsius - config.margin_celsius));
    let max_throttled_s = scenario.expect.max_throttled_s.unwrap_or(0.0);
    let keeps = |o: &Outcome| o.max_celsius <= max_celsius && o.throttled_s <= max_throttled_s;
    let mut best: Option<(usize, Outcome)> = None;
    for rung in 0..scenario.workload.rungs.len() {
        let fixed = run(scenario, parameters, config, Control::Fixed(rung), false);
        let better = best.as_ref().is_none_or(|(_, best)| match (keeps(&fixed), keeps(best)) {
            (true, true) => fixed.useful > best.useful,
            (kept, best_kept) if kept != best_kept => kept,
            _ => (fixed.throttled_s, fixed.max_celsius) < (best.throttled_s, best.max_celsius),
        });
        if better {
            best = Some((rung, fixed));
        }
    }
    let (hindsight_rung, hindsight) = best.unwrap_or_default();
    let hindsight_keeps = keeps(&hindsight);
    let mut report = Report { governed, ungoverned, hindsight, hindsight_rung, hindsight_keeps, findings: Vec::new() };
    report.findings = findings(scenario, &report);
    report
}

fn findings(scenario: &Scenario, report: &Report) -> Vec<Finding> {
    let (expect, governed) = (&scenario.expect, &report.governed);
    let changes = governed.changes_per_10min(f64::from(scenario.duration_s)) as f64;
    let at_most = [
        ("max_celsius", expect.max_celsius, governed.max_celsius),
        ("max_throttled_s", expect.max_throttled_s, governed.throttled_s),
        ("max_changes_per_10min", expect.max_changes_per_10min, changes),
        ("recover_within_s", expect.recover_within_s, governed.recover_s),
        ("max_event_churn", expect.max_event_churn, governed.events.churn()),
    ];
    let at_least = [
        ("min_useful_vs_hindsight", expect.min_useful_vs_hindsight, report.useful_vs_hindsight()),
        ("min_deadline_met", expect.min_deadline_met, governed.deadline_met),
        ("min_event_recall", expect.min_event_recall, governed.events.recall()),
    ];
    let finding = |key, allowed: Option<f64>, found: f64, kept: &dyn Fn(f64) -> bool| {
        allowed.map(|allowed| Finding { key, allowed, found, kept: kept(allowed) })
    };
    let most = at_most.into_iter().filter_map(|(key, allowed, found)| finding(key, allowed, found, &|a| found <= a));
    let least = at_least.into_iter().filter_map(|(key, allowed, found)| finding(key, allowed, found, &|a| found >= a));
    most.chain(least).collect()
}
