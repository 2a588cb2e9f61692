//! Things that move: their way through the street as a function of time.

use super::super::chance::Chance;

/// Kind of a thing that a detector has a label for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Bicycle,
    Car,
    Dog,
}

impl Kind {
    /// Its label, as COCO has it. A bicycle is that with its rider.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Person => "person",
            Kind::Bicycle => "bicycle",
            Kind::Car => "car",
            Kind::Dog => "dog",
        }
    }
}

/// One thing that moves.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub id: u64,
    pub kind: Kind,
    /// Time of its first knot in seconds.
    pub start: f64,
    /// Its way: at least one knot, in order of time.
    pub way: Vec<Knot>,
    /// Displacement from the way in metres, `[x, z]`; to the left or right of the heading for a dog.
    pub beside: [f32; 2],
    /// Seed of its colours and build.
    pub look: u64,
}

/// A point of a way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knot {
    /// Seconds since the start.
    pub t: f32,
    pub x: f32,
    pub z: f32,
}

/// Place and gait at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pose {
    pub x: f32,
    pub z: f32,
    /// Speed in metres per second, to the right and away from the camera.
    pub speed: [f32; 2],
    /// Metres gone since the start, for the legs and wheels.
    pub gone: f32,
}

impl Actor {
    /// The pose at a time in seconds; `None` before the start and after the end.
    pub fn pose(&self, time: f64) -> Option<Pose> {
        let t = (time - self.start) as f32;
        let next = self.way.iter().position(|knot| knot.t > t)?;
        let (a, b) = (self.way.get(next.checked_sub(1)?)?, self.way.get(next)?);
        let share = (t - a.t) / (b.t - a.t).max(1e-6);
        let before: f32 = self.way.windows(2).take(next - 1).map(|w| (w[1].x - w[0].x).hypot(w[1].z - w[0].z)).sum();
        let (dx, dz) = (b.x - a.x, b.z - a.z);
        let speed = [dx, dz].map(|d| d / (b.t - a.t).max(1e-6));
        let wander = if self.kind == Kind::Dog { 0.5 * (t * 0.9).sin() + 0.2 * (t * 2.3).sin() } else { 0.0 };
        Some(Pose {
            x: a.x + dx * share + self.beside[0] + wander,
            z: a.z + dz * share + self.beside[1],
            speed,
            gone: before + dx.hypot(dz) * share,
        })
    }
}

/// A way while it is laid out.
#[derive(Debug)]
pub(super) struct Way {
    pub knots: Vec<Knot>,
}

impl Way {
    pub fn from(x: f32, z: f32) -> Self {
        Way { knots: vec![Knot { t: 0.0, x, z }] }
    }

    fn last(&self) -> Knot {
        self.knots.last().copied().unwrap_or(Knot { t: 0.0, x: 0.0, z: 0.0 })
    }

    /// On to a point at an even speed in metres per second.
    pub fn walk(&mut self, x: f32, z: f32, speed: f32) {
        let last = self.last();
        let t = last.t + (x - last.x).hypot(z - last.z) / speed;
        self.knots.push(Knot { t, x, z });
    }

    /// Along `x` with the speed changing evenly `from` one value `to` another.
    pub fn drive(&mut self, x: f32, from: f32, to: f32) {
        /// Straight pieces for a change of speed.
        const PIECES: u8 = 8;
        let last = self.last();
        let total = 2.0 * (x - last.x).abs() / (from + to).max(0.1);
        for piece in 1..=PIECES {
            let share = f32::from(piece) / f32::from(PIECES);
            // The distance covered under even acceleration, as a share of all.
            let covered = (from * share + (to - from) * share * share / 2.0) / ((from + to) / 2.0).max(0.05);
            self.knots.push(Knot { t: last.t + total * share, x: last.x + (x - last.x) * covered, z: last.z });
        }
    }

    /// Nothing for some seconds.
    pub fn wait(&mut self, seconds: f32) {
        let last = self.last();
        self.knots.push(Knot { t: last.t + seconds, ..last });
    }
}

/// A number of events of which `mean` are expected (Knuth's method for a Poisson distribution), 12 at most.
pub(super) fn poisson(mean: f32, chance: &mut Chance) -> u32 {
    let (limit, mut product) = ((-mean).exp(), 1.0);
    for count in 0..12 {
        product *= chance.within(0.0, 1.0);
        if product <= limit {
            return count;
        }
    }
    12
}
