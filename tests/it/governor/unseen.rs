//! Ladders, boards and weather drawn by number: nothing was tuned for them.

use leptond_governor::Config;
use leptond_governor::simulate::scenario::{Expect, Fault, FaultKind, RungSpec, Workload};
use leptond_governor::simulate::{Kind, Parameters, Scenario, simulate};

use crate::common;

/// Xorshift (Marsaglia 2003), 0 to 1.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..8 {
            chance.next();
        }
        chance
    }

    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Four to nine rungs from (nearly) all cores down; each costs 55 to 90 % of the one before, by its interval or its size.
fn workload(chance: &mut Chance) -> Workload {
    let threads = [1, 2, 4, 4][(chance.next() * 4.0) as usize];
    let mut cost_ms = 60.0 * 10.0_f64.powf(chance.next());
    let wall_ms = cost_ms / f64::from(threads).powf(0.85);
    let mut interval_ms = (wall_ms * f64::from(threads) / 4.0 / (0.8 + 0.2 * chance.next())).max(wall_ms * 1.02);
    let deadline_ms = (wall_ms * 2.5).max(interval_ms * 1.2);
    let mut accuracy = 0.6 + 0.3 * chance.next();
    let mut rungs = Vec::new();
    for _ in 0..4 + (chance.next() * 6.0) as usize {
        rungs.push(RungSpec { interval_ms, resolution: 0, batch: 1, threads, cost_ms, accuracy, batch_gain: 0.0 });
        let share = 0.55 + 0.35 * chance.next();
        if chance.next() < 0.6 {
            interval_ms /= share;
        } else {
            cost_ms *= share;
            accuracy *= 0.9 + 0.08 * chance.next();
        }
    }
    Workload { deadline_ms, events: None, gate: None, rungs }
}

fn scenario(chance: &mut Chance) -> Scenario {
    let workload = workload(chance);
    let warm = 15.0 + 25.0 * chance.next();
    let ambient_celsius = if chance.next() < 0.5 {
        vec![[0.0, warm]]
    } else {
        vec![[0.0, warm], [900.0, warm], [1200.0, warm + 15.0 * chance.next()]]
    };
    let background_cpu =
        if chance.next() < 0.7 { Vec::new() } else { vec![[0.0, 0.0], [600.0, 0.5 * chance.next()], [1500.0, 0.0]] };
    Scenario {
        name: "unseen".into(),
        board: None,
        duration_s: 3600,
        ambient_celsius,
        background_cpu,
        faults: Vec::new(),
        workload,
        expect: Expect::default(),
    }
}

/// `LEPTOND_UNSEEN=300 cargo test --test it -- nobody_tuned --nocapture` draws more, and prints the figures.
#[test]
fn boards_and_ladders_that_nobody_tuned_for() {
    let count: u64 = std::env::var("LEPTOND_UNSEEN")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(if common::emulated() { 3 } else { 15 });
    let (mut useful, mut hottest, mut throttled, mut late, mut changes) = (Vec::new(), 0.0_f64, 0.0_f64, 0, 0);
    for seed in 0..count {
        let mut chance = Chance::new(seed);
        let scenario = scenario(&mut chance);
        let kind = Kind::ALL[seed as usize % Kind::ALL.len()];
        let report = simulate(&scenario, Parameters::new(kind, Some(seed)), &Config::default());
        if !report.hindsight_keeps {
            // Others alone make the board too hot: nothing that we do could keep the limits.
            continue;
        }
        let governed = &report.governed;
        useful.push(report.useful_vs_hindsight());
        if report.useful_vs_hindsight() < 0.95 {
            println!(
                "seed {seed}, {}: {:.3} of the best fixed rung, {}",
                kind.name(),
                useful[useful.len() - 1],
                report.hindsight_rung
            );
        }
        hottest = hottest.max(governed.max_celsius);
        throttled += governed.throttled_s;
        late += usize::from(report.hindsight.deadline_met >= 0.99 && governed.deadline_met < 0.99);
        changes = changes.max(governed.changes_per_10min(3600.0));
    }
    useful.sort_by(f64::total_cmp);
    let short = useful.iter().filter(|u| **u < 0.95).count();
    println!(
        "{} runs: hottest {hottest:.2} °C, throttled {throttled} s, useful against hindsight {:.3} at least, {:.3} in the middle, \
         {short} below 0.95, {late} below 99 % in time, at most {changes} changes in 10 min of the last half",
        useful.len(),
        useful[0],
        useful[useful.len() / 2]
    );
    assert!(useful.len() * 2 > count as usize);
    assert!(hottest < 79.0 && throttled == 0.0 && late == 0);
    // A rung that settles within a quarter of a degree of what is kept cannot be told from one that does not.
    assert!(short <= 1 + useful.len() / 20, "{useful:?}");
}

/// Ladders without sense, weather without mercy, and up to a dozen faults at once: nothing panics, and while the thermometer
/// gives nothing the work is never raised.
#[test]
fn any_faults_at_once_never_raise_the_work_blindly() {
    const KINDS: [FaultKind; 6] = [
        FaultKind::SensorNan,
        FaultKind::SensorMissing,
        FaultKind::FanStop,
        FaultKind::SupplySag,
        FaultKind::SourceLost,
        FaultKind::BrokerLost,
    ];
    let mut blind_s = 0;
    let count = if common::emulated() { 5 } else { 25 };
    for seed in 0..count {
        let mut chance = Chance::new(1000 + seed);
        let mut between = |low: f64, high: f64| low + (high - low) * chance.next();
        let rungs = 1 + between(0.0, 6.0) as usize;
        let rung = |between: &mut dyn FnMut(f64, f64) -> f64| RungSpec {
            interval_ms: 10.0_f64.powf(between(1.5, 3.5)),
            resolution: 0,
            batch: between(1.0, 5.0) as u32,
            threads: between(1.0, 7.0) as u32,
            cost_ms: 10.0_f64.powf(between(0.5, 3.0)),
            accuracy: between(0.0, 1.0),
            batch_gain: between(0.0, 0.5),
        };
        let rungs = (0..rungs).map(|_| rung(&mut between)).collect();
        let faults = (0..between(0.0, 12.0) as usize).map(|_| Fault {
            at_s: between(30.0, 1500.0),
            for_s: 10.0_f64.powf(between(-0.5, 2.8)),
            kind: KINDS[between(0.0, 6.0) as usize],
            value: None,
        });
        let faults: Vec<Fault> = faults.collect();
        let scenario = Scenario {
            name: "faults".into(),
            board: None,
            duration_s: 1800,
            ambient_celsius: (0..4).map(|i| [f64::from(i) * 450.0, between(-20.0, 70.0)]).collect(),
            background_cpu: (0..6).map(|i| [f64::from(i) * 300.0, between(0.0, 1.0)]).collect(),
            faults: faults.clone(),
            workload: Workload { deadline_ms: 10.0_f64.powf(between(1.0, 3.0)), events: None, gate: None, rungs },
            expect: Expect::default(),
        };
        let kind = Kind::ALL[seed as usize % Kind::ALL.len()];
        let report = simulate(&scenario, Parameters::new(kind, Some(seed)), &Config::default());
        let blind = |t_s: f64| {
            let hides = |f: &&Fault| matches!(f.kind, FaultKind::SensorNan | FaultKind::SensorMissing);
            faults.iter().filter(hides).any(|f| t_s > f.at_s + 1.0 && t_s < f.at_s + f.for_s)
        };
        for pair in report.governed.rows.windows(2) {
            let level = |i: usize| pair[i].rung + usize::from(pair[i].interval_ms.is_nan());
            let t_s = f64::from(pair[1].t_s);
            if blind(t_s - 1.0) && blind(t_s) {
                blind_s += 1;
                assert!(level(1) >= level(0), "seed {seed}, second {t_s}: {}", pair[1].reason);
            }
        }
    }
    assert!(blind_s > 20 * count, "{blind_s}");
}
