//! Many givers over one queue, in virtual time: they share what there is, and do not come and go together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use leptond_governor::{Candidate, Config, Cost, Governor, Group, Load, PipelineConfig, PipelineLadder, Reading};

use super::seen::HANDLING;
use super::window::Window;

/// Step of the clock; the governors turn every half second.
const STEP_MS: u64 = 50;
const TURN_MS: u64 = 500;
/// Frames of each node, and the time that an answer is waited for.
const FRAME_MS: u64 = 200;
const WAIT_MS: u64 = 250;
/// Time of an inference at a node that computes for others.
const INFER_MS: u64 = 45;

/// The begin of virtual time.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A node that is too slow for its own work.
struct Giver {
    governor: Governor,
    name: Arc<str>,
    window: Window,
    on: bool,
    away: usize,
    rest_until_ms: u64,
    /// Nodes that waited at its latest look, and the time of the next one.
    waiting: usize,
    look_ms: u64,
    next_frame_ms: u64,
    changes: usize,
}

/// Counts of a run, after everything has begun.
#[derive(Debug, Default)]
struct Counts {
    given: u64,
    in_time: u64,
    missed: u64,
    /// Inferences that the computing nodes had time for.
    possible: u64,
    changes: usize,
}

/// A generator of numbers from 0 to 1 that is the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}

/// Two sizes of a model, of which only the small one is in time on a board that is ten times slower than when it was measured.
fn ladder(name: &str) -> PipelineLadder {
    let config =
        PipelineConfig { interval_ms: FRAME_MS, min_fps: 5.0, deadline_ms: 2 * WAIT_MS, ..PipelineConfig::default() };
    let candidate = |resolution, ms, accuracy| Candidate {
        capture: None,
        resolution: Some(resolution),
        batch: 1,
        variant: 0,
        threads: 1,
        cost: Cost { infer_ms: ms, cpu_ms: ms, accuracy: Some(accuracy) },
    };
    PipelineLadder::new(
        name,
        &config,
        Duration::from_millis(FRAME_MS),
        &[candidate(320, 80.0, 0.7), candidate(128, 10.0, 0.5)],
    )
}

impl Giver {
    fn new(number: usize, dice: &mut Dice) -> Giver {
        let name: Arc<str> = format!("p{number}").into();
        Giver {
            governor: Governor::new(Config::default(), vec![ladder(&name)]),
            name,
            window: Window::default(),
            on: false,
            away: 0,
            rest_until_ms: 0,
            waiting: 0,
            look_ms: (dice.roll() * 1000.0) as u64,
            next_frame_ms: (dice.roll() * FRAME_MS as f64) as u64,
            changes: 0,
        }
    }

    /// One turn of its governor, on a board that becomes ten times slower after 15 s.
    fn turn(&mut self, now_ms: u64, dice: &mut Dice) {
        let slow = if now_ms < 15_000 { 1.0 } else { 10.0 };
        let rung = self.governor.status(&self.name).map_or(0, |status| status.setpoint.rung);
        let infer_ms = slow * if rung == 0 { 80.0 } else { 10.0 };
        let p95_ms = if self.on { 100.0 } else { infer_ms * 1.05 };
        let spare = if now_ms < self.rest_until_ms { 0.0 } else { self.waiting as f64 * 1e3 / INFER_MS as f64 };
        let now = *START + Duration::from_millis(now_ms);
        let in_time = if self.on { self.window.told(self.waiting > 0, now, || dice.roll() as f32) } else { None };
        let load = Load {
            p95_ms: Some(p95_ms as f32),
            infer_ms: Some((slow * if self.on { 80.0 } else { infer_ms / slow }) as f32),
            dropped: Some(0.0),
            frame_age_ms: Some(50.0),
            group: Some(Group { spare_per_s: spare as f32, in_time }),
            ..Load::default()
        };
        let reading = Reading {
            soc_celsius: Some(50.0),
            cpu_percent: Some(40.0),
            own_cpu_percent: Some(30.0),
            core_percent: vec![40.0; 4],
            throttled: Some(false),
            under_voltage: Some(false),
            pipelines: [(self.name.clone(), load)].into(),
            ..Reading::default()
        };
        self.changes += self.governor.step(&reading, Duration::from_millis(now_ms)).len();
        let on = self.governor.status(&self.name).is_some_and(|status| status.setpoint.offload);
        if on != self.on {
            (self.on, self.window) = (on, Window::default());
            if !on {
                self.rest_until_ms = now_ms + (dice.roll() * 10_000.0) as u64;
            }
        }
    }
}

/// `givers` nodes and `workers` that compute for them, for `seconds`; counts of the second half.
fn run(givers: usize, workers: usize, seconds: u64) -> Counts {
    let mut dice = Dice(7);
    let mut nodes: Vec<Giver> = (0..givers).map(|number| Giver::new(number, &mut dice)).collect();
    let mut queue: VecDeque<(usize, u64)> = VecDeque::new();
    // Frames that are computed, with the time of their end; no more than there are workers.
    let mut at_work: Vec<(u64, usize, u64)> = Vec::new();
    let mut counts = Counts::default();
    let each_ms = INFER_MS + HANDLING.as_millis() as u64;
    let mut before = 0;
    for now_ms in (0..seconds * 1000).step_by(STEP_MS as usize) {
        let counted = now_ms >= seconds * 500;
        if counted && before == 0 {
            before = nodes.iter().map(|node| node.changes).sum();
        }
        at_work.retain(|(end_ms, node, given_ms)| {
            let over = *end_ms <= now_ms;
            if over {
                let (node, in_time) = (&mut nodes[*node], end_ms - given_ms <= WAIT_MS);
                node.away = node.away.saturating_sub(1);
                if in_time {
                    node.window.back()
                } else {
                    node.window.missed(node.away)
                }
                counts.in_time += u64::from(in_time && counted);
                counts.missed += u64::from(!in_time && counted);
            }
            !over
        });
        // Work whose time is over is refused at once.
        while let Some((node, given_ms)) = queue.front().copied() {
            if now_ms - given_ms > WAIT_MS {
                let node = &mut nodes[node];
                node.away = node.away.saturating_sub(1);
                node.window.missed(node.away);
                counts.missed += u64::from(counted);
            } else if at_work.len() < workers {
                at_work.push((now_ms + each_ms, node, given_ms));
            } else {
                break;
            }
            queue.pop_front();
        }
        let waiting = workers - at_work.len();
        counts.possible += if counted { workers as u64 } else { 0 };
        for (number, node) in nodes.iter_mut().enumerate() {
            if now_ms >= node.look_ms {
                (node.waiting, node.look_ms) = (waiting, node.look_ms + 1000);
            }
            if now_ms % TURN_MS == number as u64 % (TURN_MS / STEP_MS) * STEP_MS {
                node.turn(now_ms, &mut dice);
            }
            if now_ms >= node.next_frame_ms {
                node.next_frame_ms += FRAME_MS;
                if node.on && node.window.has_room(node.away) {
                    node.away += 1;
                    queue.push_back((number, now_ms));
                    counts.given += u64::from(counted);
                } else if node.on {
                    node.window.kept();
                }
            }
        }
    }
    counts.possible = counts.possible * STEP_MS / each_ms;
    counts.changes = nodes.iter().map(|node| node.changes).sum::<usize>() - before;
    counts
}

/// Share of the frames given that came back in time, of the computing nodes' time that was used for that, and changes of a node in a minute.
fn figures(counts: &Counts, givers: usize, seconds: u64) -> [f64; 3] {
    let minutes = seconds as f64 / 120.0;
    [
        counts.in_time as f64 / counts.given.max(1) as f64,
        counts.in_time as f64 / counts.possible as f64,
        counts.changes as f64 / givers as f64 / minutes,
    ]
}

#[test]
fn enough_nodes_take_all_that_is_given() {
    let counts = run(60, 24, 120);
    let [in_time, _, changes] = figures(&counts, 60, 120);
    assert!(in_time > 0.99 && changes < 0.2, "{counts:?}");
    assert!(counts.in_time as f64 > 60.0 * 5.0 * 60.0 * 0.97, "all of them give: {counts:?}");
}

#[test]
fn givers_that_want_far_more_than_there_is_share_it_and_do_not_come_and_go_together() {
    // Sixty nodes want 300 inferences a second, eight give 160.
    let counts = run(60, 8, 240);
    let [in_time, used, changes] = figures(&counts, 60, 240);
    assert!(in_time > 0.8 && used > 0.6 && changes < 2.0, "{in_time:.2} {used:.2} {changes:.2} {counts:?}");
}

#[test]
#[ignore = "takes long; prints the table of docs/fleet.md"]
fn thousand_governors_over_one_queue() {
    for (givers, workers) in [(1000, 500), (1000, 250), (1000, 100), (1000, 25)] {
        let counts = run(givers, workers, 300);
        let [in_time, used, changes] = figures(&counts, givers, 300);
        println!(
            "{givers} givers, {workers} nodes: {:.1} % in time, {:.0} % of their time used, {changes:.2} changes a minute",
            in_time * 100.0,
            used * 100.0
        );
    }
}
