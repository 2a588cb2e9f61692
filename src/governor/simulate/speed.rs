//! Speed of an inference on a simulated board, by cores and clock.

/// Speed of an inference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Gain by further cores.
    pub scaling: Scaling,
    /// Share of the run time at full clock that no clock changes, 0 to 1: the memory's.
    pub clockless: f64,
}

/// Speed of several cores against one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// `cores^exponent`.
    Power {
        /// 1 = every core counts whole.
        exponent: f64,
    },
    /// `cores^exponent` up to a number of cores that keeps the memory busy; more add nothing.
    Saturating {
        /// As for [`Scaling::Power`].
        exponent: f64,
        /// Cores that keep the memory busy.
        cores: f64,
    },
    /// `1 / (serial + (1 − serial) / cores)` (Amdahl 1967).
    Amdahl {
        /// Share of the work that one core does alone.
        serial: f64,
    },
}

impl Speed {
    /// The law that the governor assumes.
    pub const NOMINAL: Speed = Speed { scaling: Scaling::Power { exponent: 0.85 }, clockless: 0.0 };

    /// Speed against one core at full clock: on so many cores, at this clock (as a share of the highest).
    pub fn at(&self, cores: f64, clock: f64) -> f64 {
        let by_cores = match self.scaling {
            _ if cores < 1.0 => cores,
            Scaling::Power { exponent } => cores.powf(exponent),
            Scaling::Saturating { exponent, cores: most } => cores.min(most).powf(exponent),
            Scaling::Amdahl { serial } => 1.0 / (serial + (1.0 - serial) / cores),
        };
        by_cores / (self.clockless + (1.0 - self.clockless) / clock.max(1e-3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_grows_with_cores_and_clock_as_its_law_says() {
        let close = |speed: Speed, cores: f64, clock: f64, expected: f64| {
            let found = speed.at(cores, clock);
            assert!((found - expected).abs() < 1e-9, "{speed:?} {cores} {clock}: {found} instead of {expected}");
        };
        let full = |scaling| Speed { scaling, clockless: 0.0 };
        close(Speed::NOMINAL, 4.0, 1.0, 4.0_f64.powf(0.85));
        close(Speed::NOMINAL, 0.5, 0.5, 0.25);
        close(full(Scaling::Saturating { exponent: 1.0, cores: 2.5 }), 4.0, 1.0, 2.5);
        close(full(Scaling::Amdahl { serial: 0.25 }), 3.0, 1.0, 2.0);
        close(Speed { clockless: 0.5, ..Speed::NOMINAL }, 1.0, 0.5, 1.0 / 1.5);
    }
}
