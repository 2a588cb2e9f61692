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
    /// Order of a picture's axes in the file, channels first.
    pub const TO_CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];
    /// Order of a picture's axes from channels first to the file's.
    pub const TO_FILE: [usize; 4] = [0, 2, 3, 1];

    /// The opposite layout.
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

    /// Position of axis `axis` of the file in this layout.
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
