//! A row of digits as a shape: where each of its digits is.

use super::level::Corners;

/// Width of a digit's region in heights of it at most.
const WIDEST: f32 = 0.8;

/// A straight row of equal digits, seen a little from the side at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// Middle of the row in pixels of the picture.
    pub middle: [f32; 2],
    /// Direction of reading in radians, clockwise from the right.
    pub angle: f32,
    /// From one digit to the next in pixels, in the middle.
    pub pitch: f32,
    /// Height of a digit or of its region in pixels, in the middle.
    pub height: f32,
    /// Growth of everything from one digit to the next, as a part.
    pub grow: f32,
    /// Lean of the digits: sideways for each pixel up.
    pub shear: f32,
    /// Digits.
    pub count: usize,
}

impl Row {
    /// Digit `index` counted from the middle, which is between two digits where their number is even.
    fn offset(&self, index: i32) -> f32 {
        index as f32 - (self.count as f32 - 1.0) / 2.0
    }

    /// Middle of digit `index`; those before the first and after the last are as far on.
    pub fn place(&self, index: i32) -> [f32; 2] {
        let offset = self.offset(index);
        let along = self.pitch * (offset + self.grow * offset * offset / 2.0);
        let (sin, cos) = self.angle.sin_cos();
        [self.middle[0] + along * cos, self.middle[1] + along * sin]
    }

    /// Size of digit `index` as a part of that in the middle.
    fn scale(&self, index: i32) -> f32 {
        (1.0 + self.grow * self.offset(index)).max(0.2)
    }

    /// Region of digit `index`, the row's height being that of regions.
    pub fn region(&self, index: i32) -> Corners {
        let [x, y] = self.place(index);
        let scale = self.scale(index);
        let half = [self.pitch.min(WIDEST * self.height) * scale / 2.0, self.height * scale / 2.0];
        let (sin, cos) = self.angle.sin_cos();
        let corner = |right: f32, down: f32| {
            let right = right * half[0] - self.shear * down * half[1];
            let down = down * half[1];
            [x + right * cos - down * sin, y + right * sin + down * cos]
        };
        [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)]
    }

    /// The same row with another begin and end: `first` of its digits left out (or added where below 0), and `count` in all.
    pub fn part(&self, first: i32, count: usize) -> Row {
        let shift = first as f32 + (count as f32 - 1.0) / 2.0 - (self.count as f32 - 1.0) / 2.0;
        let along = self.pitch * (shift + self.grow * shift * shift / 2.0);
        let (sin, cos) = self.angle.sin_cos();
        let scale = (1.0 + self.grow * shift).max(0.2);
        Row {
            middle: [self.middle[0] + along * cos, self.middle[1] + along * sin],
            pitch: self.pitch * scale,
            height: self.height * scale,
            grow: self.grow / scale,
            count,
            ..*self
        }
    }

    /// The row read the other way round, upside down.
    pub fn turned(&self) -> Row {
        Row { angle: self.angle + std::f32::consts::PI, grow: -self.grow, ..*self }
    }

    /// Directions of reading and of down, each of length 1.
    pub fn axes(&self) -> [[f32; 2]; 2] {
        let (sin, cos) = self.angle.sin_cos();
        [[cos, sin], [-sin, cos]]
    }

    /// A place as seen from the row's middle: along and across, in pixels.
    pub fn seen(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [right, down] = self.axes();
        let [dx, dy] = [x - self.middle[0], y - self.middle[1]];
        [dx * right[0] + dy * right[1], dx * down[0] + dy * down[1]]
    }

    /// True where both rows cross each other's middle.
    pub fn meets(&self, other: &Row) -> bool {
        let [along, across] = self.seen(other.middle);
        along.abs() < self.pitch * self.count as f32 / 2.0 && across.abs() < self.height / 2.0
    }

    /// True where most digits of this row are digits of the other one as well.
    pub fn lies_on(&self, other: &Row) -> bool {
        let turn = (self.angle - other.angle).sin().abs();
        let tall = (self.height / other.height).ln().abs();
        let apart = (self.pitch / other.pitch).ln().abs();
        if turn > 0.2 || tall > 0.3 || apart > 0.3 {
            return false;
        }
        let last = self.count as i32;
        let near = |index: &i32| {
            let [x, y] = self.place(*index);
            (0..other.count as i32).any(|digit| {
                let [ox, oy] = other.place(digit);
                (x - ox).hypot(y - oy) < 0.3 * other.pitch.min(other.height)
            })
        };
        (0..last).filter(near).count() * 5 >= self.count * 4
    }
}
