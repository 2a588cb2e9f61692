//! Parts of a picture that a model looks at one by one.

/// A part of a picture that is a picture by itself, in whole pixels of the whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width, above 0.
    pub width: u32,
    /// Height, above 0.
    pub height: u32,
}

impl Tile {
    /// All of a `[width, height]` picture.
    pub fn whole([width, height]: [u32; 2]) -> Tile {
        Tile { x: 0, y: 0, width, height }
    }

    /// Its first pixel along `axis`: 0 = x, 1 = y.
    pub fn start(self, axis: usize) -> u32 {
        if axis == 0 { self.x } else { self.y }
    }

    /// Its pixels along `axis`: 0 = width, 1 = height.
    pub fn side(self, axis: usize) -> u32 {
        if axis == 0 { self.width } else { self.height }
    }

    /// `[width, height]`.
    pub fn size(self) -> [u32; 2] {
        [self.width, self.height]
    }
}
