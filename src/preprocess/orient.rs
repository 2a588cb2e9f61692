//! Rotation of pictures by their EXIF orientation.

/// Side of the square tiles, small enough for rows and columns to stay in the cache.
const TILE: usize = 16;

/// Writes the packed `[height, width, bytes]` picture upright to `out`. Returns the upright `[width, height]`.
///
/// `orientation` is EXIF's, 1 to 8: row and column 0 of the stored picture are (1) top and left, (2) top and right,
/// (3) bottom and right, (4) bottom and left, (5) left and top, (6) right and top, (7) right and bottom, (8) left and bottom
/// of the upright one.
pub(super) fn upright(
    pixels: &[u8],
    [width, height]: [usize; 2],
    bytes: usize,
    orientation: u8,
    out: &mut Vec<u8>,
) -> [usize; 2] {
    let size = if is_sideways(orientation) { [height, width] } else { [width, height] };
    out.clear();
    out.resize(width * height * bytes, 0);
    let [across, down] = size;
    for (ty, tx) in (0..down).step_by(TILE).flat_map(|y| (0..across).step_by(TILE).map(move |x| (y, x))) {
        for y in ty..(ty + TILE).min(down) {
            for x in tx..(tx + TILE).min(across) {
                let (column, row) = match orientation {
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (y, height - 1 - x),
                    7 => (width - 1 - y, height - 1 - x),
                    8 => (width - 1 - y, x),
                    _ => (x, y),
                };
                let (from, to) = ((row * width + column) * bytes, (y * across + x) * bytes);
                if let (Some(from), Some(to)) = (pixels.get(from..from + bytes), out.get_mut(to..to + bytes)) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
    size
}

/// `true` when the orientation swaps width and height.
pub(super) fn is_sideways(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}
