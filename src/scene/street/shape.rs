//! Flat shapes in metres that figures are put together from, as signed distances.

/// A colour: red, green, blue, 0 to 255.
pub(super) type Ink = [u8; 3];

/// An outline in metres, `x` to the right of the figure's foot and `y` above it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outline {
    /// An ellipse: centre and radii.
    Ellipse([f32; 2], [f32; 2]),
    /// A rectangle with round corners: centre, half size, radius.
    Slab([f32; 2], [f32; 2], f32),
    /// A line with round ends: from, to, thickness.
    Limb([f32; 2], [f32; 2], f32),
    /// A symmetrical trapezoid: centre, half of the width below and above, half of the height.
    Trapezoid([f32; 2], [f32; 2], f32),
    /// A ring: centre, radius, thickness.
    Ring([f32; 2], f32, f32),
}

/// An outline with its colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub outline: Outline,
    pub ink: Ink,
}

impl Outline {
    /// Distance of a point from the edge in metres, or nearly; below 0 inside.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Outline::Ellipse([cx, cy], [rx, ry]) => (((x - cx) / rx).hypot((y - cy) / ry) - 1.0) * rx.min(ry),
            Outline::Slab([cx, cy], [hw, hh], radius) => {
                let (dx, dy) = ((x - cx).abs() - hw + radius, (y - cy).abs() - hh + radius);
                dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
            }
            Outline::Limb(from, to, thickness) => {
                let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
                let square = (dx * dx + dy * dy).max(1e-6);
                let t = (((x - from[0]) * dx + (y - from[1]) * dy) / square).clamp(0.0, 1.0);
                (x - from[0] - t * dx).hypot(y - from[1] - t * dy) - thickness / 2.0
            }
            Outline::Trapezoid([cx, cy], [below, above], hh) => {
                let up = ((y - cy) / hh * 0.5 + 0.5).clamp(0.0, 1.0);
                ((x - cx).abs() - (below + (above - below) * up)).max((y - cy).abs() - hh)
            }
            Outline::Ring([cx, cy], radius, thickness) => ((x - cx).hypot(y - cy) - radius).abs() - thickness / 2.0,
        }
    }

    /// `[left, bottom, right, top]` in metres.
    pub fn bounds(&self) -> [f32; 4] {
        let around = |[cx, cy]: [f32; 2], [rx, ry]: [f32; 2]| [cx - rx, cy - ry, cx + rx, cy + ry];
        match *self {
            Outline::Ellipse(centre, radii) => around(centre, radii),
            Outline::Slab(centre, half, _) => around(centre, half),
            Outline::Limb(from, to, thickness) => {
                let half = thickness / 2.0;
                let (low, high) = (|i: usize| from[i].min(to[i]) - half, |i: usize| from[i].max(to[i]) + half);
                [low(0), low(1), high(0), high(1)]
            }
            Outline::Trapezoid(centre, [below, above], hh) => around(centre, [below.max(above), hh]),
            Outline::Ring(centre, radius, thickness) => around(centre, [radius + thickness / 2.0; 2]),
        }
    }
}

/// Parts with places in metres, in the order in which they are painted.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(pub Vec<Part>);

impl Parts {
    pub fn ellipse(&mut self, centre: [f32; 2], radii: [f32; 2], ink: Ink) {
        self.0.push(Part { outline: Outline::Ellipse(centre, radii), ink });
    }

    pub fn slab(&mut self, centre: [f32; 2], half: [f32; 2], radius: f32, ink: Ink) {
        self.0.push(Part { outline: Outline::Slab(centre, half, radius), ink });
    }

    pub fn limb(&mut self, from: [f32; 2], to: [f32; 2], thickness: f32, ink: Ink) {
        self.0.push(Part { outline: Outline::Limb(from, to, thickness), ink });
    }

    pub fn trapezoid(&mut self, centre: [f32; 2], widths: [f32; 2], half_height: f32, ink: Ink) {
        self.0.push(Part { outline: Outline::Trapezoid(centre, widths, half_height), ink });
    }

    pub fn ring(&mut self, centre: [f32; 2], radius: f32, thickness: f32, ink: Ink) {
        self.0.push(Part { outline: Outline::Ring(centre, radius, thickness), ink });
    }

    /// `[left, bottom, right, top]` of all parts in metres.
    pub fn bounds(&self) -> [f32; 4] {
        let widest = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        self.0
            .iter()
            .map(|part| part.outline.bounds())
            .fold(widest, |a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    }
}

/// `ink` with all three colours times `gain`.
pub(super) fn shade(ink: Ink, gain: f32) -> Ink {
    ink.map(|v| (f32::from(v) * gain).clamp(0.0, 255.0) as u8)
}
