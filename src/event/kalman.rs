//! Motion of a box: a Kalman filter with constant velocity for centre and size, whose noise grows with the time that has passed and is
//! measured in sizes of the box, so that no unit, frame rate or picture size is assumed.

/// Acceleration of a centre, in sizes of the box per s² over 1 s: a person who turns round, a car that brakes.
const ACCELERATION: f32 = 0.7;
/// The same of width and height.
const GROWTH: f32 = 0.2;
/// Speed of a centre that was seen once, in sizes of the box per s: a car that passes close.
const FIRST_SPEED: f32 = 4.0;
/// The same of width and height.
const FIRST_GROWTH: f32 = 0.5;
/// Deviation of a detected centre, in sizes of the box, with a score of 1.
const POSITION_NOISE: f32 = 0.08;
/// The same of width and height.
const SIZE_NOISE: f32 = 0.15;
/// Least width and height, so that nothing is divided by 0.
const LEAST_SIDE: f32 = 1e-3;
/// Coordinates from here on are no place of any picture, and would overflow where a box is scaled.
const NOWHERE: f32 = 1e30;
/// Coordinates beyond this are cut off.
const FAR: f32 = 1e6;

/// A box by its centre and size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// `[x, y]`.
    pub(super) centre: [f32; 2],
    /// `[width, height]`.
    pub(super) size: [f32; 2],
}

impl Shape {
    /// The shape of a box `[x1, y1, x2, y2]`; `None` where it is none.
    pub(super) fn of([x1, y1, x2, y2]: [f32; 4]) -> Option<Shape> {
        let somewhere = [x1, y1, x2, y2].iter().all(|v| v.abs() < NOWHERE);
        if !somewhere || x1 >= x2 || y1 >= y2 {
            return None;
        }
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|v| v.clamp(-FAR, FAR));
        Some(Shape {
            centre: [(x1 + x2) / 2.0, (y1 + y2) / 2.0],
            size: [(x2 - x1).max(LEAST_SIDE), (y2 - y1).max(LEAST_SIDE)],
        })
    }

    /// The box `[x1, y1, x2, y2]`.
    pub(super) fn bbox(&self) -> [f32; 4] {
        let Shape { centre: [x, y], size: [w, h] } = self;
        [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
    }

    /// Side of the square of the same area.
    pub(super) fn scale(&self) -> f32 {
        (self.size[0] * self.size[1]).sqrt().max(LEAST_SIDE)
    }

    /// Intersection over union of both, each widened by `margin` on every side.
    pub(super) fn overlap(&self, other: &Shape, margin: [f32; 2]) -> f32 {
        let mut shared = 1.0;
        let mut areas = [1.0, 1.0];
        for (axis, margin) in margin.into_iter().enumerate() {
            let half = [self, other].map(|shape| shape.size[axis] / 2.0 + margin);
            let low = (self.centre[axis] - half[0]).max(other.centre[axis] - half[1]);
            let high = (self.centre[axis] + half[0]).min(other.centre[axis] + half[1]);
            shared *= (high - low).max(0.0);
            areas = [areas[0] * half[0] * 2.0, areas[1] * half[1] * 2.0];
        }
        let union = areas[0] + areas[1] - shared;
        if union > 0.0 { (shared / union).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// One coordinate with its rate, and their covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    value: f32,
    rate: f32,
    /// Variance of the value, covariance, variance of the rate.
    variance: [f32; 3],
}

impl Axis {
    fn new(value: f32, noise: f32, rate_noise: f32) -> Axis {
        Axis { value, rate: 0.0, variance: [noise * noise, 0.0, rate_noise * rate_noise] }
    }

    /// `dt` seconds later; `density` is that of white acceleration (Bar-Shalom, Li, Kirubarajan, section 6.2.2).
    fn predict(&mut self, dt: f32, density: f32) {
        let [p, c, r] = self.variance;
        self.value += self.rate * dt;
        self.variance = [
            p + dt * (2.0 * c + dt * r) + density * dt * dt * dt / 3.0,
            c + dt * r + density * dt * dt / 2.0,
            r + density * dt,
        ];
    }

    fn correct(&mut self, measured: f32, noise: f32) {
        let [p, c, r] = self.variance;
        let total = p + noise * noise;
        if total > 0.0 {
            let (gain, rate_gain) = (p / total, c / total);
            let error = measured - self.value;
            self.value += gain * error;
            self.rate += rate_gain * error;
            self.variance = [(p - gain * p).max(0.0), c - gain * c, (r - rate_gain * c).max(0.0)];
        }
    }

    fn scale(&mut self, by: f32) {
        self.value *= by;
        self.rate *= by;
        self.variance = self.variance.map(|v| v * by * by);
    }
}

/// The motion of one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Motion {
    centre: [Axis; 2],
    size: [Axis; 2],
}

impl Motion {
    /// An object seen for the first time.
    pub(super) fn new(shape: &Shape) -> Motion {
        let scale = shape.scale();
        let centre = |value| Axis::new(value, POSITION_NOISE * scale, FIRST_SPEED * scale);
        let size = |value| Axis::new(value, SIZE_NOISE * scale, FIRST_GROWTH * scale);
        Motion { centre: shape.centre.map(centre), size: shape.size.map(size) }
    }

    /// `dt` seconds later. The size of an object that is `lost` stays as it was: what grew before it was hidden may have been half of it.
    pub(super) fn predict(&mut self, dt: f32, lost: bool) {
        let scale = self.shape().scale();
        let density = |rate: f32| (rate * scale) * (rate * scale);
        self.centre.iter_mut().for_each(|axis| axis.predict(dt, density(ACCELERATION)));
        for axis in &mut self.size {
            if lost {
                axis.rate = 0.0;
            }
            axis.predict(dt, density(GROWTH));
        }
    }

    /// The object was seen at `shape`; a low `score` counts less.
    pub(super) fn correct(&mut self, shape: &Shape, score: f32) {
        let scale = shape.scale() * (2.0 - score.clamp(0.0, 1.0));
        for (axis, measured) in self.centre.iter_mut().zip(shape.centre) {
            axis.correct(measured, POSITION_NOISE * scale);
        }
        for (axis, measured) in self.size.iter_mut().zip(shape.size) {
            axis.correct(measured, SIZE_NOISE * scale);
        }
    }

    /// The box where it is expected.
    pub(super) fn shape(&self) -> Shape {
        Shape {
            centre: self.centre.map(|axis| axis.value.clamp(-FAR, FAR)),
            size: self.size.map(|axis| axis.value.clamp(LEAST_SIDE, 2.0 * FAR)),
        }
    }

    /// Deviation of the expected centre, `[x, y]`.
    pub(super) fn deviation(&self) -> [f32; 2] {
        self.centre.map(|axis| axis.variance[0].max(0.0).sqrt())
    }

    /// Speed of the centre per second, `[x, y]`.
    pub(super) fn velocity(&self) -> [f32; 2] {
        self.centre.map(|axis| axis.rate)
    }

    /// Squared distance of `shape` from where the object is expected, in deviations (Mahalanobis).
    pub(super) fn distance(&self, shape: &Shape) -> f32 {
        let noise = (POSITION_NOISE * shape.scale()).powi(2);
        let part = |(axis, measured): (&Axis, f32)| (measured - axis.value).powi(2) / (axis.variance[0] + noise);
        self.centre.iter().zip(shape.centre).map(part).sum()
    }

    /// The same motion in a picture of other pixels.
    pub(super) fn rescale(&mut self, by: [f32; 2]) {
        for axes in [&mut self.centre, &mut self.size] {
            axes.iter_mut().zip(by).for_each(|(axis, by)| axis.scale(by));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box of 40 by 80 pixels that moves by `speed` pixels a second to the right, seen every `dt` seconds.
    fn moving(speed: f32, dt: f32, looks: usize) -> Motion {
        let shape = |i: usize| Shape { centre: [100.0 + speed * dt * i as f32, 200.0], size: [40.0, 80.0] };
        let mut motion = Motion::new(&shape(0));
        for i in 1..looks {
            motion.predict(dt, false);
            motion.correct(&shape(i), 0.8);
        }
        motion
    }

    #[test]
    fn the_speed_is_found_at_any_rate() {
        for (dt, looks) in [(0.5, 4), (0.2, 8), (1.0 / 15.0, 20)] {
            let [x, y] = moving(90.0, dt, looks).velocity();
            assert!((x - 90.0).abs() < 12.0 && y.abs() < 1.0, "every {dt} s: {x} {y}");
        }
    }

    #[test]
    fn uncertainty_grows_with_time_not_with_looks() {
        let mut once = moving(0.0, 0.1, 20);
        let mut often = once.clone();
        once.predict(1.0, true);
        (0..10).for_each(|_| often.predict(0.1, true));
        let ([a, _], [b, _]) = (once.deviation(), often.deviation());
        assert!((a - b).abs() < a * 0.02, "{a} {b}");
        assert!(a > 10.0 * moving(0.0, 0.1, 20).deviation()[0] / 2.0);
    }

    #[test]
    fn another_picture_size_is_the_same_motion() {
        let mut small = moving(90.0, 0.2, 8);
        small.rescale([0.5, 0.5]);
        let before = moving(90.0, 0.2, 8);
        let target = |by: f32| Shape { centre: [300.0 * by, 210.0 * by], size: [40.0 * by, 80.0 * by] };
        assert!((small.distance(&target(0.5)) - before.distance(&target(1.0))).abs() < 1e-2);
    }

    #[test]
    fn boxes_that_are_none_have_no_shape() {
        for bbox in [
            [f32::MIN, 0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0, 1.0],
            [f32::NAN, 0.0, 1.0, 1.0],
            [2.0, 0.0, 1.0, 1.0],
            [0.0, 0.0, f32::INFINITY, 1.0],
        ] {
            assert_eq!(Shape::of(bbox), None, "{bbox:?}");
        }
        let extreme = Shape::of([-9e29, -9e29, 9e29, 9e29]).unwrap();
        let mut motion = Motion::new(&extreme);
        motion.predict(3600.0, false);
        motion.correct(&Shape::of([0.0, 0.0, 1e-30, 1e-30]).unwrap(), f32::NAN);
        assert!(motion.shape().bbox().iter().all(|v| v.is_finite()), "{motion:?}");
    }
}
