//! Signals as sensors give them when nothing is wrong, by a seed.

/// Readings are a minute apart.
pub const INTERVAL_S: f64 = 60.0;
pub const DAY: f64 = 86_400.0;

/// A source of chance.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of a standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().max(1e-300).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Of Student's distribution with three degrees of freedom.
    fn heavy(&mut self) -> f64 {
        let normal = self.normal();
        normal / ((0..3).map(|_| self.normal().powi(2)).sum::<f64>() / 3.0).sqrt()
    }
}

/// Kinds of signals: name, and the size by which its faults are measured.
pub const KINDS: [(&str, f64); 14] = [
    ("white noise", 1.0),
    ("autocorrelated, 10 min", 1.0),
    ("autocorrelated, 100 min", 1.0),
    ("random walk", 1.0),
    ("daily course, weather", 1.0),
    ("heating by schedule", 1.0),
    ("counter, day and night", 20.0),
    ("appliance on and off", 1000.0),
    ("heavy tails", 1.0),
    ("thermometer in steps of 0.5", 0.5),
    ("the same with a daily course", 1.0),
    ("slow seasonal trend", 1.0),
    ("bursts", 3.0),
    ("rain gauge", 1.0),
];

/// `count` readings of a kind of [`KINDS`].
pub fn signal(kind: usize, count: usize, random: &mut Random) -> Vec<f64> {
    let (mut state, mut total, mut on) = (0.0_f64, 1000.0_f64, false);
    let phase = random.uniform();
    let rough = |value: f64| (value * 2.0).round() / 2.0;
    let mut one = |i: usize| {
        let time = i as f64 * INTERVAL_S;
        let share = (time / DAY).fract();
        let hour = share * 24.0;
        let wave = (std::f64::consts::TAU * (share - phase)).sin();
        match kind {
            0 => 20.0 + random.normal(),
            1 => {
                state = 0.9 * state + random.normal() * 0.19_f64.sqrt();
                50.0 + state
            }
            2 => {
                state = 0.99 * state + random.normal() * 0.0199_f64.sqrt();
                50.0 + state
            }
            3 => {
                state += 0.1 * random.normal();
                100.0 + state
            }
            4 => {
                state = 0.9995 * state + 0.03 * random.normal();
                15.0 + 5.0 * wave + state + 0.3 * random.normal()
            }
            5 => {
                let hour = (hour + 3.0 * phase) % 24.0;
                let wanted = if (6.0..8.0).contains(&hour) || (17.0..22.0).contains(&hour) { 21.0 } else { 18.0 };
                state += (wanted - state) * 0.03;
                state + 0.1 * random.normal()
            }
            6 => {
                let rate = if (7.0..22.0).contains(&hour) { 0.2 } else { 0.05 };
                total += f64::from(u8::from(random.uniform() < rate));
                total
            }
            7 => {
                on ^= random.uniform() < if on { 1.0 / 15.0 } else { 1.0 / 45.0 };
                if on { 1500.0 + 20.0 * random.normal() } else { 5.0 + 0.3 * random.normal() }
            }
            8 => 10.0 + random.heavy(),
            9 => {
                state = 0.999 * state + 0.02 * random.normal();
                rough(21.0 + state + 0.02 * random.normal())
            }
            10 => {
                state = 0.9995 * state + 0.015 * random.normal();
                rough(19.0 + 1.5 * wave + state)
            }
            11 => 20.0 + time / (7.0 * DAY) + random.normal(),
            12 => {
                state = 0.8 * (state + if random.uniform() < 0.01 { 20.0 * random.uniform() } else { 0.0 });
                5.0 + state + 0.5 * random.normal().abs()
            }
            _ => {
                on = if on { random.uniform() > 1.0 / 60.0 } else { random.uniform() < 1.0 / 600.0 };
                if on { (random.uniform() * 50.0).round() / 10.0 } else { 0.0 }
            }
        }
    };
    (0..count).map(&mut one).collect()
}
