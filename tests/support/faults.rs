//! Faults of a proxy, and schedules of them: scripted, or random and decided by a seed.

use std::time::Duration;

/// Direction of bytes through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// Faults of one direction; the default passes everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nothing passes, and nothing is closed: connections are accepted and stay silent.
    pub frozen: bool,
    /// Most bytes per second, for each connection.
    pub bytes_per_s: Option<u64>,
    /// Time that each byte takes.
    pub delay: Duration,
    /// Each connection is cut when this many bytes have passed, counted from its beginning or from the time at which this was set.
    pub cut_after: Option<u64>,
    /// Each connection is cut after a random number of bytes with this mean.
    pub mean_bytes_to_loss: Option<u64>,
}

/// Change of a [`FaultProxy`](super::FaultProxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Faults towards the server and towards the client.
    Faults(Faults, Faults),
    /// Every connection is cut.
    Cut,
    /// Every connection is cut, and new ones are closed at once.
    Close,
    /// Connections are accepted again.
    Open,
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time after the step before.
    pub after: Duration,
    /// Change.
    pub action: Action,
}

/// Random faults for `length`, each of 0.5 to 6 s with 0.5 to 6 s without between them; the last step heals everything.
pub fn random(seed: u64, length: Duration) -> Vec<Step> {
    let mut random = Random(seed);
    let (mut steps, mut at) = (Vec::new(), Duration::ZERO);
    let healthy = Faults::default();
    while at < length {
        let calm = random.between(500, 6_000);
        let trouble = random.between(500, 6_000);
        let faults = match random.below(7) {
            0 => Faults { frozen: true, ..healthy },
            1 => Faults { bytes_per_s: Some(1_000), ..healthy },
            2 => Faults { delay: Duration::from_millis(200), ..healthy },
            3 => Faults { cut_after: Some(random.below(2_000)), ..healthy },
            4 => Faults { mean_bytes_to_loss: Some(2_000), ..healthy },
            other => {
                let action = if other == 5 { Action::Cut } else { Action::Close };
                steps.push(Step { after: calm, action });
                steps.push(Step { after: trouble, action: Action::Open });
                at += calm + trouble;
                continue;
            }
        };
        let action = match random.below(3) {
            0 => Action::Faults(faults, healthy),
            1 => Action::Faults(healthy, faults),
            _ => Action::Faults(faults, faults),
        };
        steps.push(Step { after: calm, action });
        steps.push(Step { after: trouble, action: Action::Faults(healthy, healthy) });
        at += calm + trouble;
    }
    steps
}

/// Random number of an exponential distribution with this mean, decided by the seed.
pub(super) fn exponential(seed: u64, mean: u64) -> u64 {
    let share = (Random(seed).next() >> 11) as f64 / (1u64 << 53) as f64;
    (-(1.0 - share).ln() * mean as f64) as u64
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms - from_ms))
    }
}
