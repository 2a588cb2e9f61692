//! The baseline beside a z-score and an EWMA chart: false alarms in weeks of usual readings, delays on faults.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use leptond::frame::{Outcome, TaskSpec, Trouble, Window};
use leptond::task::{BaselineConfig, Task, TaskConfig, TaskInput};

use super::faults::{FAULTS, put};
use super::signals::{DAY, INTERVAL_S, KINDS, Random, signal};
use crate::common;

/// All three learn for a day.
const LEARN_S: f64 = DAY;

/// Tells whether something is wrong, reading by reading.
trait Detector {
    /// The word for what is wrong; empty where a chart has none.
    fn take(&mut self, time: f64, value: f64) -> Option<&'static str>;
}

/// The task through its public form, as a pipeline runs it.
struct Baseline {
    task: Box<dyn Task>,
    window: Window,
}

impl Baseline {
    fn new() -> Self {
        let config = BaselineConfig { learn_s: Some(LEARN_S), ..BaselineConfig::default() };
        let channels: Arc<[String]> = Arc::from(["a".to_owned()]);
        let window = Window { channels, rows: 1, data: vec![0.0], noted: None };
        Baseline { task: config.task(&TaskSpec::default()).unwrap(), window }
    }
}

impl Detector for Baseline {
    fn take(&mut self, time: f64, value: f64) -> Option<&'static str> {
        self.window.data[0] = value as f32;
        self.window.noted = Some(time);
        let input = TaskInput {
            inputs: &[],
            outputs: &[],
            first_item: 0,
            geometry: &[],
            unreadable: &[],
            faint_score: None,
            window: Some(&self.window),
            now: Duration::from_secs_f64(time),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(time),
        };
        match self.task.run(&input).unwrap().outcome {
            Outcome::Channels { channels, .. } => channels.first().map(|found| found.fault).map(Trouble::word),
            other => panic!("{other:?}"),
        }
    }
}

/// Mean and standard deviation of the first day; an alarm beyond three of them.
#[derive(Default)]
struct ZScore {
    count: f64,
    mean: f64,
    squares: f64,
}

impl ZScore {
    fn learn(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn sigma(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

impl Detector for ZScore {
    fn take(&mut self, time: f64, value: f64) -> Option<&'static str> {
        if !value.is_finite() {
            return None;
        }
        if time < LEARN_S {
            self.learn(value);
            return None;
        }
        ((value - self.mean).abs() > 3.0 * self.sigma()).then_some("")
    }
}

/// An exponentially weighted mean with weight 0.2; an alarm beyond three of its standard deviations.
#[derive(Default)]
struct Ewma {
    learnt: ZScore,
    mean: Option<f64>,
}

impl Detector for Ewma {
    fn take(&mut self, time: f64, value: f64) -> Option<&'static str> {
        const WEIGHT: f64 = 0.2;
        if time < LEARN_S || !value.is_finite() {
            return self.learnt.take(time.min(LEARN_S - 1.0), value);
        }
        let mean = self.mean.get_or_insert(self.learnt.mean);
        *mean += WEIGHT * (value - *mean);
        let sigma = self.learnt.sigma() * (WEIGHT / (2.0 - WEIGHT)).sqrt();
        ((*mean - self.learnt.mean).abs() > 3.0 * sigma).then_some("")
    }
}

/// A detector that has seen nothing yet.
type Fresh = fn() -> Box<dyn Detector>;

const DETECTORS: [(&str, Fresh); 3] = [
    ("baseline", || Box::new(Baseline::new())),
    ("z-score", || Box::new(ZScore::default())),
    ("EWMA", || Box::new(Ewma::default())),
];

/// Alarms that begin in a week of usual readings after the learning.
fn false_alarms_per_week(
    kind: usize,
    days: usize,
    seeds: std::ops::Range<u64>,
    make: fn() -> Box<dyn Detector>,
) -> f64 {
    let count = (days as f64 * DAY / INTERVAL_S) as usize;
    let (mut alarms, runs) = (0, seeds.clone().count());
    for seed in seeds {
        let values = signal(kind, count, &mut Random(seed * 7919));
        let (mut detector, mut was) = (make(), false);
        for (i, value) in values.iter().enumerate() {
            let is = detector.take(i as f64 * INTERVAL_S, *value).is_some();
            alarms += usize::from(is && !was);
            was = is;
        }
    }
    alarms as f64 * 7.0 / (runs as f64 * (days as f64 - LEARN_S / DAY))
}

/// Faults that are found.
#[derive(Clone, Debug, Default)]
struct Found {
    /// Minutes from the beginning of each to its alarm.
    delays: Vec<f64>,
    /// Faults during which nothing was told, or something was already.
    missed: usize,
    /// Faults that were given their own name, sooner or later.
    named: usize,
}

impl Found {
    fn median(&mut self) -> Option<f64> {
        self.delays.sort_by(f64::total_cmp);
        self.delays.get(self.delays.len() / 2).copied()
    }
}

/// Faults in the third week.
fn find(kind: usize, fault: &str, seeds: std::ops::Range<u64>, make: fn() -> Box<dyn Detector>) -> Found {
    let mut found = Found::default();
    for seed in seeds {
        let mut random = Random(seed * 104_729);
        let mut values = signal(kind, (21.0 * DAY / INTERVAL_S) as usize, &mut random);
        let at = ((14.0 + 4.0 * random.uniform()) * DAY / INTERVAL_S) as usize;
        let end = put(fault, &mut values, at, KINDS[kind].1);
        let (mut detector, mut before, mut first, mut named) = (make(), false, None, false);
        for (i, value) in values.iter().enumerate().take(end) {
            let said = detector.take(i as f64 * INTERVAL_S, *value);
            if i < at {
                before = said.is_some();
            } else if said.is_some() && !before {
                first.get_or_insert(i - at);
                named |= said == Some(fault);
            } else {
                before &= said.is_some();
            }
        }
        match first {
            Some(delay) => found.delays.push(delay as f64 * INTERVAL_S / 60.0),
            None => found.missed += 1,
        }
        found.named += usize::from(named);
    }
    found
}

/// The bounds that hold on every kind of signal, on a few seeds.
#[test]
fn hardly_any_false_alarm_and_no_missed_dead_sensor() {
    let days = if common::emulated() { 8 } else { 15 };
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let alarms = false_alarms_per_week(kind, days, 901..904, DETECTORS[0].1);
        assert!(alarms <= 0.5, "{name}: {alarms:.2} false alarms a week");
        let mut dead = find(kind, "dead", 901..903, DETECTORS[0].1);
        assert_eq!((dead.missed, dead.named), (0, 2), "{name}: {dead:?}");
        assert!(dead.median().unwrap() <= 10.0, "{name}: {dead:?}");
    }
    for (kind, fault, within) in
        [(0, "spike", 0.0), (4, "spike", 0.0), (0, "level", 1.0), (0, "drift", 600.0), (2, "stuck", 20.0)]
    {
        let mut found = find(kind, fault, 901..904, DETECTORS[0].1);
        assert!(found.missed == 0 && found.median().unwrap() <= within, "{} {fault}: {found:?}", KINDS[kind].0);
    }
}

/// Prints the tables of docs/measurements.md. Its seeds are none that anything was tuned on.
#[test]
#[ignore = "takes minutes: cargo test --test it -- --ignored --nocapture baseline_against_charts"]
fn baseline_against_charts() {
    let seeds = 1001..1007;
    println!("\n| signal | baseline | z-score | EWMA |\n|---|---|---|---|");
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let each = DETECTORS.map(|(_, make)| format!("{:.2}", false_alarms_per_week(kind, 29, seeds.clone(), make)));
        println!("| {name} | {} |", each.join(" | "));
    }
    for (detector, make) in DETECTORS {
        println!("\n| {detector} | {} |\n|---|---|---|---|---|---|", FAULTS.join(" | "));
        for (kind, (name, _)) in KINDS.iter().enumerate() {
            let each = FAULTS.map(|fault| {
                let mut found = find(kind, fault, seeds.clone(), make);
                let all = found.delays.len() + found.missed;
                let delay = found.median().map_or("–".into(), |minutes| format!("{minutes:.0}"));
                format!("{delay} ({} of {all}, {} named)", found.delays.len(), found.named)
            });
            println!("| {name} | {} |", each.join(" | "));
        }
    }
}
