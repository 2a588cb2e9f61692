//! Mapping from model pixels back to the source picture.

/// Mapping of one item of a model input from model pixels to source pixels.
///
/// `source = model × scale + offset`, per axis. For a quadrilateral region this is its bounding box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Source pixels per model pixel, horizontally and vertically.
    pub scale: [f32; 2],
    /// Source position of the model's top left corner, `[x, y]`.
    pub offset: [f32; 2],
    /// Size of the whole source picture in pixels, `[width, height]`.
    pub source: [u32; 2],
}

impl Geometry {
    /// A box `[x1, y1, x2, y2]` from model pixels to source pixels, clamped to the picture.
    pub fn to_source(&self, model: [f32; 4]) -> [f32; 4] {
        self.clamped([self.x(model[0]), self.y(model[1]), self.x(model[2]), self.y(model[3])])
    }

    /// A horizontal place from model pixels to source pixels.
    pub fn x(&self, model: f32) -> f32 {
        model * self.scale[0] + self.offset[0]
    }

    /// A vertical place from model pixels to source pixels.
    pub fn y(&self, model: f32) -> f32 {
        model * self.scale[1] + self.offset[1]
    }

    /// A box of source pixels, clamped to the picture.
    pub fn clamped(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        let [w, h] = self.source.map(|v| v as f32);
        [x1.clamp(0.0, w), y1.clamp(0.0, h), x2.clamp(0.0, w), y2.clamp(0.0, h)]
    }
}
