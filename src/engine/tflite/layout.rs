//! The two orders of axes.

/// The order of a tensor's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As in the file; pictures are `[N, H, W, C]`.
    File,
    /// `[N, C, H, W]`.
    ChannelsFirst,
}

impl Layout {
    /// Where the axes of a picture come from.
    pub const TO_CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];
    /// And back.
    pub const TO_FILE: [usize; 4] = [0, 2, 3, 1];

    /// The other one.
    pub fn other(self) -> Layout {
        match self {
            Layout::File => Layout::ChannelsFirst,
            Layout::ChannelsFirst => Layout::File,
        }
    }

    /// A shape of the file in this layout.
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Layout::ChannelsFirst, &[n, h, w, c]) => vec![n, c, h, w],
            _ => shape.to_vec(),
        }
    }

    /// Where axis `axis` of the file is in this layout.
    pub fn axis(self, axis: usize) -> usize {
        match self {
            Layout::File => axis,
            Layout::ChannelsFirst => Self::TO_FILE.get(axis).copied().unwrap_or(axis),
        }
    }
}

/// Test for a picture of this shape whose elements a change of layout moves.
pub fn spreads(shape: &[usize]) -> bool {
    matches!(shape, &[_, h, w, c] if c != 1 && h * w != 1)
}
