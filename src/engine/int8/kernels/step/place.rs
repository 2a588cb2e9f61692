//! Places in the arena.

/// A place in the arena: a buffer, and bytes from its start. Once the plan is laid out, `buffer` has no meaning any more and `offset` counts from
/// the arena's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The buffer.
    pub buffer: usize,
    /// Bytes.
    pub offset: usize,
}

/// A grid of pixels: where the first one is and how far the next image, row and column are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// The first pixel.
    pub place: Address,
    /// Distance between images, rows and columns.
    pub steps: [usize; 3],
}

/// Rows and columns of the windows of a pool, with the parts in the padding cut off.
#[derive(Clone, Debug)]
pub struct Windows {
    /// For each output row or column: the first input row or column, and how many (at least 1).
    pub spans: Vec<(usize, usize)>,
    /// Between the input rows or columns of a window.
    pub dilation: usize,
}
