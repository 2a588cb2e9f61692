//! Bytes per second over all network interfaces.

use std::time::{Duration, Instant};

use crate::sys::proc::{Counter, Moved};

/// Shortest interval for a rate; a shorter one is noise.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// The counters of every interface, and the rates of the last interval.
#[derive(Default)]
pub(super) struct Traffic {
    /// Interfaces of the last reading; removed ones are forgotten.
    interfaces: Vec<Interface>,
    looked: Option<Instant>,
    /// Bytes per second, received and sent.
    rates: Option<[f32; 2]>,
}

struct Interface {
    name: String,
    received: Counter,
    sent: Counter,
}

impl Traffic {
    /// Bytes per second, received and sent, since the last reading; the previous rates within 200 ms of it, `None` at the first
    /// reading. An interface that is new or was reset counts from the next reading on.
    pub(super) fn update(&mut self, moved: &[Moved], now: Instant) -> Option<[f32; 2]> {
        let span = self.looked.map(|at| now.saturating_duration_since(at));
        if span.is_some_and(|span| span < LEAST_INTERVAL) {
            return self.rates;
        }
        self.interfaces.retain(|i| moved.iter().any(|m| m.name == i.name));
        let mut bytes = [0_u64; 2];
        for m in moved {
            let index = self.interfaces.iter().position(|i| i.name == m.name).unwrap_or_else(|| {
                let (received, sent) = Default::default();
                self.interfaces.push(Interface { name: m.name.clone(), received, sent });
                self.interfaces.len() - 1
            });
            let Some(interface) = self.interfaces.get_mut(index) else { continue };
            let added = [interface.received.advance(m.read), interface.sent.advance(m.written)];
            for (sum, added) in bytes.iter_mut().zip(added) {
                *sum = sum.saturating_add(added.unwrap_or(0));
            }
        }
        self.looked = Some(now);
        self.rates = span.map(|span| bytes.map(|b| (b as f64 / span.as_secs_f64()) as f32));
        self.rates
    }

    /// Forgets everything after a failed reading.
    pub(super) fn forget(&mut self) {
        *self = Traffic::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_survive_interfaces_that_come_go_and_start_anew() {
        let start = Instant::now();
        let mut traffic = Traffic::default();
        let mut at = |ms: u64, interfaces: &[(&str, u64, u64)]| {
            let moved = interfaces.iter().map(|&(name, read, written)| Moved { name: name.into(), read, written });
            traffic.update(&moved.collect::<Vec<_>>(), start + Duration::from_millis(ms))
        };
        assert_eq!(at(0, &[("eth0", 1000, 500)]), None, "one look is no rate");
        assert_eq!(at(100, &[("eth0", 9000, 500)]), None, "too soon");
        assert_eq!(at(1000, &[("eth0", 3000, 600)]), Some([2000.0, 100.0]));
        assert_eq!(
            at(1100, &[("eth0", 9000, 9000)]),
            Some([2000.0, 100.0]),
            "the last one until there is a better one"
        );
        assert_eq!(at(3000, &[("eth0", 3000, 600), ("wlan0", 1 << 40, 7)]), Some([0.0, 0.0]), "a new one has no past");
        assert_eq!(at(4000, &[("eth0", 3100, 600), ("wlan0", (1 << 40) + 50, 7)]), Some([150.0, 0.0]));
        assert_eq!(at(5000, &[("wlan0", 20, 7)]), Some([0.0, 0.0]), "one went, the other was set back");
        assert_eq!(at(6000, &[("wlan0", 120, 8)]), Some([100.0, 1.0]));
        let near_wrap = (1 << 32) - 100;
        assert_eq!(at(7000, &[("wlan0", near_wrap, 8)]).map(|r| r[1]), Some(0.0));
        assert_eq!(at(8000, &[("wlan0", 100, 8)]), Some([200.0, 0.0]), "a counter of 32 bits wraps");
        assert_eq!(at(9000, &[]), Some([0.0, 0.0]));
    }
}
