//! A camera on a wall that looks over a street: a pinhole whose image plane stands upright, so that upright things stay upright.

/// Height of the horizon, as a share of the picture's height.
const HORIZON: f32 = 0.15;

/// From metres to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    /// Pixels that a thing of one metre takes at a distance of one metre.
    pub focal: f32,
    /// Height above the ground in metres.
    pub height: f32,
    /// `[width, height]` of the picture in pixels.
    pub size: [f32; 2],
}

impl Camera {
    /// A camera `height` metres above the ground with a focal length of `focal` picture heights.
    pub fn new(focal: f32, height: f32, size: [u32; 2]) -> Self {
        let size = size.map(|side| side as f32);
        Camera { focal: focal * size[1], height, size }
    }

    /// Pixels per metre at the distance `z` in metres.
    pub fn scale(&self, z: f32) -> f32 {
        self.focal / z.max(0.5)
    }

    /// Pixel of the point of the ground `x` metres to the right and `z` metres away.
    pub fn ground(&self, x: f32, z: f32) -> [f32; 2] {
        let scale = self.scale(z);
        [self.size[0] / 2.0 + x * scale, self.size[1] * HORIZON + self.height * scale]
    }

    /// Distance in metres of the ground in a row of pixels; `None` at and above the horizon.
    pub fn distance(&self, row: f32) -> Option<f32> {
        let below = row - self.size[1] * HORIZON;
        (below > 1.0).then(|| self.height * self.focal / below)
    }

    /// Half of the width in metres that the picture shows at the distance `z`.
    pub fn half_width(&self, z: f32) -> f32 {
        self.size[0] / 2.0 / self.scale(z)
    }
}
