//! Boxes that are turned.

use crate::frame::Geometry;

/// A turned box in source pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turned {
    /// Its corners, going round.
    pub corners: [[f32; 2]; 4],
    centre: [f32; 2],
    /// Covariance of the even distribution over the box: of x, of y, of both.
    covariance: [f32; 3],
}

impl Turned {
    /// The box with centre and size `[x, y, w, h]` in model pixels, its width turned by `angle` radians from the x axis towards the y
    /// axis, in pixels of the source. A source that was not scaled evenly makes a parallelogram of it.
    pub fn new([x, y, w, h]: [f32; 4], angle: f32, geometry: &Geometry) -> Turned {
        let (sin, cos) = angle.sin_cos();
        let [sx, sy] = geometry.scale;
        let to_source = |dx: f32, dy: f32| [(x + dx) * sx + geometry.offset[0], (y + dy) * sy + geometry.offset[1]];
        let (along, across) = ([w / 2.0 * cos, w / 2.0 * sin], [-h / 2.0 * sin, h / 2.0 * cos]);
        let corner = |a: f32, b: f32| to_source(a * along[0] + b * across[0], a * along[1] + b * across[1]);
        let (a, b) = (w * w / 12.0, h * h / 12.0);
        Turned {
            corners: [corner(1.0, 1.0), corner(1.0, -1.0), corner(-1.0, -1.0), corner(-1.0, 1.0)],
            centre: to_source(0.0, 0.0),
            covariance: [
                (a * cos * cos + b * sin * sin) * sx * sx,
                (a * sin * sin + b * cos * cos) * sy * sy,
                (a - b) * cos * sin * sx * sy,
            ],
        }
    }

    /// True if every corner is somewhere.
    pub fn is_finite(&self) -> bool {
        self.corners.iter().flatten().all(|v| v.is_finite())
    }

    /// The upright box around it, `[x1, y1, x2, y2]`.
    pub fn hull(&self) -> [f32; 4] {
        let of =
            |axis: usize, pick: fn(f32, f32) -> f32, from: f32| self.corners.iter().map(|c| c[axis]).fold(from, pick);
        let (low, high) = (f32::INFINITY, f32::NEG_INFINITY);
        [of(0, f32::min, low), of(1, f32::min, low), of(0, f32::max, high), of(1, f32::max, high)]
    }

    /// Likeness of two boxes, 0.0 to 1.0: one less the Hellinger distance of their distributions (J. M. Llerena et al., "Gaussian
    /// Bounding Boxes and Probabilistic Intersection-over-Union", 2021, section 3).
    pub fn prob_iou(&self, other: &Turned) -> f32 {
        let [dx, dy] = [0, 1].map(|axis| f64::from(self.centre[axis]) - f64::from(other.centre[axis]));
        let one = self.covariance.map(f64::from);
        let two = other.covariance.map(f64::from);
        let [a, b, c] = [0, 1, 2].map(|i| one[i] + two[i]);
        let determinant = |[a, b, c]: [f64; 3]| (a * b - c * c).max(0.0);
        let sum = a * b - c * c;
        let distance = 0.25 * (a * dy * dy + b * dx * dx - 2.0 * c * dx * dy) / (sum + TINY)
            + 0.5 * (sum / (4.0 * (determinant(one) * determinant(two)).sqrt() + TINY) + TINY).ln();
        let distance = distance.clamp(TINY, 100.0);
        (1.0 - (1.0 - (-distance).exp() + TINY).sqrt()) as f32
    }
}

/// Keeps quotients and logarithms finite.
const TINY: f64 = 1e-7;
