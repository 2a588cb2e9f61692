//! The simulated work of one pipeline: a source, a slot of one frame in which the newest wins, a worker.

use std::collections::VecDeque;

use super::objects::Objects;
use super::scenario::{GateSpec, RungSpec, Workload};
use super::speed::Speed;

/// Results that the governor judges by at most.
const RECENT: usize = 128;

/// The cores that are left, for one moment.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Cores that others leave.
    pub free: f64,
    /// Clock as a share of the highest.
    pub clock: f64,
    /// The board's law.
    pub law: Speed,
}

impl Cores {
    /// Cores that a job of so many threads keeps busy.
    fn busy(self, threads: u32) -> f64 {
        f64::from(threads).min(self.free)
    }

    /// Its speed against one core at full clock.
    fn speed(self, threads: u32) -> f64 {
        self.law.at(self.busy(threads), self.clock)
    }
}

/// Answers so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Frames that got an answer.
    pub inferences: u64,
    /// Of which in time.
    pub met: u64,
    /// Sum of accuracy over those in time.
    pub useful: f64,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its time in s.
    pub at_s: f64,
    /// Time since its frame.
    pub latency_ms: f64,
    /// Its frame was captured under the present setpoint.
    fresh: bool,
}

struct Job {
    frames: Vec<f64>,
    left_ms: f64,
    threads: u32,
    started_s: f64,
    accuracy: f64,
    fresh: bool,
}

/// The work, with everything that is under way.
pub struct Work<'a> {
    rungs: &'a [RungSpec],
    gate: Option<Gate<'a>>,
    /// Objects that pass in front of the camera.
    pub objects: Objects,
    deadline_ms: f64,
    rung: usize,
    paused: bool,
    /// Since when the present setpoint applies.
    since_s: f64,
    next_frame_s: f64,
    slot: Option<f64>,
    gathered: Vec<f64>,
    job: Option<Job>,
    latest_frame_s: f64,
    /// Answers so far.
    pub tally: Tally,
    /// The latest answers, oldest first.
    pub recent: VecDeque<Answer>,
    infer_ms: VecDeque<f64>,
    /// The latest frames: `true` = it was overwritten.
    overwritten: VecDeque<bool>,
    /// Every latency so far, in buckets; see [`Spread`].
    pub spread: Spread,
}

impl<'a> Work<'a> {
    /// Work at full rate from second 0 on.
    pub fn new(workload: &'a Workload, duration_s: f64) -> Self {
        Work {
            rungs: &workload.rungs,
            gate: workload.gate.as_ref().map(Gate::new),
            objects: Objects::new(workload.events.as_ref(), duration_s),
            deadline_ms: workload.deadline_ms,
            rung: 0,
            paused: false,
            since_s: 0.0,
            next_frame_s: 0.0,
            slot: None,
            gathered: Vec::new(),
            job: None,
            latest_frame_s: 0.0,
            tally: Tally::default(),
            recent: VecDeque::new(),
            infer_ms: VecDeque::new(),
            overwritten: VecDeque::new(),
            spread: Spread::default(),
        }
    }

    /// The rung that applies.
    pub fn rung(&self) -> usize {
        self.rung
    }

    /// No frame is worked on.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Another rung from now on; what was gathered is not lost.
    pub fn set(&mut self, rung: usize, paused: bool, now_s: f64) {
        let Some(spec) = self.rungs.get(rung) else { return };
        let last_s = self.next_frame_s - self.spec().interval_ms / 1e3;
        self.next_frame_s = (last_s + spec.interval_ms / 1e3).max(now_s);
        (self.rung, self.paused, self.since_s) = (rung, paused, now_s);
        self.infer_ms.clear();
        self.overwritten.clear();
        self.recent.iter_mut().for_each(|answer| answer.fresh = false);
        if self.job.is_none() && !self.gathered.is_empty() {
            self.start(now_s);
        }
    }

    /// The motion gate is open; `None` without one.
    pub fn is_open(&self, now_s: f64) -> Option<bool> {
        self.gate.as_ref().map(|gate| gate.is_open(now_s))
    }

    /// Works from `from_s` to `to_s`; core seconds that were used.
    pub fn advance(&mut self, from_s: f64, to_s: f64, cores: Cores, source: bool) -> f64 {
        let mut now = from_s;
        let mut used = self.gate.as_ref().filter(|_| source).map_or(0.0, |gate| gate.cores(from_s) * (to_s - from_s));
        loop {
            let frame = self.next_frame_s.max(now);
            let done = self.job.as_ref().map_or(f64::INFINITY, |job| {
                let speed = cores.speed(job.threads);
                if speed > 0.0 { now + job.left_ms / 1e3 / speed } else { f64::INFINITY }
            });
            let hurry = self.hurry_s(cores).max(now);
            let next = frame.min(done).min(hurry).min(to_s);
            if let Some(job) = &mut self.job {
                job.left_ms -= (next - now) * 1e3 * cores.speed(job.threads);
                used += (next - now) * cores.busy(job.threads);
            }
            now = next;
            if done <= now {
                self.finish(now);
            } else if frame <= now && frame < to_s {
                self.next_frame_s = frame + self.spec().interval_ms / 1e3;
                if source && !self.paused && self.is_worth_a_look(frame) {
                    self.frame(frame);
                }
            } else if hurry <= now && hurry < to_s {
                self.start(now);
            } else {
                return used;
            }
        }
    }

    /// 95 % of the latest answers under the present setpoint were no later than this; `None` before there are three.
    pub fn p95_ms(&self, now_s: f64) -> Option<f64> {
        let window_s = (4.0 * self.spec().interval_ms / 1e3).max(10.0);
        percentile(self.recent.iter().filter(|a| a.fresh && now_s - a.at_s <= window_s).map(|a| a.latency_ms), 3)
    }

    /// 95 % of the answers of the last 10 s, whatever the setpoint.
    pub fn shown_p95_ms(&self, now_s: f64) -> Option<f64> {
        percentile(self.recent.iter().filter(|a| now_s - a.at_s <= 10.0).map(|a| a.latency_ms), 1)
    }

    /// Median time of the latest inferences.
    pub fn infer_ms(&self) -> Option<f64> {
        let mut times: Vec<f64> = self.infer_ms.iter().rev().take(15).copied().collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }

    /// Share of the latest frames that were overwritten.
    pub fn dropped(&self) -> Option<f64> {
        let count = self.overwritten.iter().filter(|o| **o).count();
        (!self.overwritten.is_empty()).then(|| count as f64 / self.overwritten.len() as f64)
    }

    /// Age of the newest frame that was worked on.
    pub fn frame_age_ms(&self, now_s: f64) -> f64 {
        (now_s - self.latest_frame_s) * 1e3
    }

    /// Threads of ours that want to run, if any do.
    pub fn running(&self) -> Option<u32> {
        self.job.as_ref().map(|job| job.threads)
    }

    fn spec(&self) -> &'a RungSpec {
        &self.rungs[self.rung]
    }

    fn is_worth_a_look(&mut self, at_s: f64) -> bool {
        let objects = &self.objects;
        self.gate.as_mut().is_none_or(|gate| gate.admits(at_s, || objects.count(at_s) > 0))
    }

    fn frame(&mut self, at_s: f64) {
        if self.job.is_none() {
            self.saw(false);
            self.gather(at_s, at_s);
        } else {
            let overwrites = self.slot.replace(at_s).is_some();
            if overwrites {
                self.saw(true);
            }
        }
    }

    fn saw(&mut self, overwritten: bool) {
        push(&mut self.overwritten, overwritten);
    }

    fn gather(&mut self, frame_s: f64, now_s: f64) {
        self.gathered.push(frame_s);
        self.latest_frame_s = frame_s;
        if self.gathered.len() >= self.spec().batch as usize {
            self.start(now_s);
        }
    }

    /// Start of a batch that is not full at which its oldest frame can be in time.
    fn hurry_s(&self, cores: Cores) -> f64 {
        let (None, Some(oldest)) = (&self.job, self.gathered.first()) else { return f64::INFINITY };
        let frames = u32::try_from(self.gathered.len()).unwrap_or(u32::MAX);
        let speed = cores.speed(self.spec().threads);
        let takes_s = if speed > 0.0 { self.spec().work_ms(frames) / 1e3 / speed } else { 0.0 };
        oldest + self.deadline_ms / 1e3 - takes_s - 0.002
    }

    fn start(&mut self, now_s: f64) {
        let frames = std::mem::take(&mut self.gathered);
        let spec = self.spec();
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        self.job = Some(Job {
            left_ms: spec.work_ms(count),
            threads: spec.threads,
            started_s: now_s,
            accuracy: spec.accuracy,
            fresh: frames.first().is_some_and(|first| *first >= self.since_s),
            frames,
        });
    }

    fn finish(&mut self, now_s: f64) {
        let Some(job) = self.job.take() else { return };
        for frame in &job.frames {
            self.objects.look(*frame, now_s, job.accuracy);
            let latency_ms = (now_s - frame) * 1e3;
            self.tally.inferences += 1;
            if latency_ms <= self.deadline_ms {
                self.tally.met += 1;
                self.tally.useful += job.accuracy;
            }
            self.spread.count(latency_ms);
            push(&mut self.recent, Answer { at_s: now_s, latency_ms, fresh: job.fresh });
        }
        if job.fresh {
            push(&mut self.infer_ms, (now_s - job.started_s) * 1e3);
        }
        if let Some(frame) = self.slot.take() {
            self.saw(false);
            self.gather(frame, now_s);
        }
    }
}

/// A motion gate.
struct Gate<'a> {
    spec: &'a GateSpec,
    open_until_s: f64,
    looked_s: f64,
    /// Time of the next frame that comes while it is closed.
    next_s: f64,
}

impl<'a> Gate<'a> {
    fn new(spec: &'a GateSpec) -> Self {
        Gate { spec, open_until_s: 0.0, looked_s: 0.0, next_s: 0.0 }
    }

    fn is_open(&self, now_s: f64) -> bool {
        now_s < self.open_until_s
    }

    fn cores(&self, now_s: f64) -> f64 {
        if self.is_open(now_s) { self.spec.open_cores } else { self.spec.idle_cores }
    }

    /// True for a frame that is looked at; whatever is there moves.
    fn admits(&mut self, at_s: f64, moves: impl Fn() -> bool) -> bool {
        if !self.is_open(at_s) {
            if at_s < self.next_s {
                return false;
            }
            self.next_s = at_s + self.spec.idle_interval_ms / 1e3;
        }
        if moves() {
            self.open_until_s = at_s + self.spec.hold_s.max(1e-3);
        }
        let looks = self.is_open(at_s) || at_s - self.looked_s >= self.spec.look_every_s;
        if looks {
            self.looked_s = at_s;
        }
        looks
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T) {
    if ring.len() >= RECENT {
        ring.pop_front();
    }
    ring.push_back(value);
}

fn percentile(values: impl Iterator<Item = f64>, least: usize) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    if values.len() < least {
        return None;
    }
    values.sort_by(f64::total_cmp);
    values.get(((values.len() * 95).div_ceil(100)).checked_sub(1)?).copied()
}

/// Latencies in buckets of 2 %, from 0.01 ms on.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    buckets: Vec<u64>,
    count: u64,
}

impl Spread {
    fn count(&mut self, ms: f64) {
        let bucket = ((ms.max(0.01) / 0.01).ln() / 1.02_f64.ln()) as usize;
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// This share of the latencies was no longer, in ms; `None` without any.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        let bucket = self.buckets.iter().position(|n| {
            sum += n;
            sum >= rank
        })?;
        Some(0.01 * 1.02_f64.powf(bucket as f64 + 0.5))
    }
}
