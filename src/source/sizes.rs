//! Smaller capture sizes: which are worth asking for, and which size belongs to a longer side.

/// Shares of the configured size that are offered where a source can scale freely.
const SHARES: [[u32; 2]; 4] = [[3, 4], [1, 2], [3, 8], [1, 4]];

/// Least width and height in pixels.
const LEAST: [u32; 2] = [64, 48];

/// A size has to have at most this share of the pixels of the one before it: less of a difference is no rung's worth.
const WORTH_ASKING: f64 = 0.75;

/// Allowed difference from the configured shape: the effect of rounding to whole pixels.
const SAME_SHAPE: f64 = 0.02;

/// Most sizes that are offered.
const MOST: usize = 6;

/// Sizes below `full` for a source that can scale to any width that divides by `step`, largest first.
pub(super) fn free(full: [u32; 2], step: u32) -> Vec<[u32; 2]> {
    let longer = full[0].max(full[1]);
    worth_asking(full, SHARES.iter().map(|[share, of]| scaled(full, longer * share / of, step)))
}

/// The size with the shape of `full` whose longer side is `side` pixels, or nearly: the width divides by `step`, the height
/// by two.
pub(super) fn scaled(full: [u32; 2], side: u32, step: u32) -> [u32; 2] {
    let [full_width, full_height] = full.map(|v| f64::from(v.max(1)));
    let factor = f64::from(side) / full_width.max(full_height);
    let rounded = |value: f64, step: u32| {
        let steps = (value / f64::from(step.max(1))).round().max(1.0);
        steps as u32 * step.max(1)
    };
    let width = rounded(full_width * factor, step);
    [width, rounded(f64::from(width) * full_height / full_width, 2)]
}

/// Of `sizes` those of the shape of `full` that have clearly fewer pixels than it and than each other, largest first.
pub(super) fn worth_asking(full: [u32; 2], sizes: impl Iterator<Item = [u32; 2]>) -> Vec<[u32; 2]> {
    let pixels = |[width, height]: [u32; 2]| f64::from(width) * f64::from(height);
    let shape = |[width, height]: [u32; 2]| f64::from(width) / f64::from(height);
    let fits = |size: &[u32; 2]| {
        let large = size[0] >= LEAST[0] && size[1] >= LEAST[1];
        large && (shape(*size) / shape(full) - 1.0).abs() <= SAME_SHAPE
    };
    let mut all: Vec<[u32; 2]> = sizes.filter(fits).collect();
    all.sort_by(|a, b| pixels(*b).total_cmp(&pixels(*a)));
    let mut kept: Vec<[u32; 2]> = Vec::new();
    for size in all {
        let before = kept.last().copied().unwrap_or(full);
        if pixels(size) <= pixels(before) * WORTH_ASKING && kept.len() < MOST {
            kept.push(size);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_sizes_keep_the_shape_and_are_clearly_smaller() {
        let check = |full: [u32; 2], step: u32, expected: &[[u32; 2]]| {
            assert_eq!(free(full, step), expected, "{full:?} in steps of {step}");
            for size in free(full, step) {
                assert_eq!(scaled(full, size[0].max(size[1]), step), size, "the longer side names the size");
            }
        };
        check([640, 480], 2, &[[480, 360], [320, 240], [240, 180], [160, 120]]);
        check([1080, 1920], 2, &[[810, 1440], [540, 960], [406, 722], [270, 480]]);
        // A raw stream whose rows no camera pads; 3/4 and 1/2 are further from a multiple.
        check([640, 480], 128, &[[512, 384], [384, 288], [256, 192], [128, 96]]);
        check([128, 96], 2, &[[96, 72], [64, 48]]);
        check([64, 48], 2, &[]);
    }

    #[test]
    fn offered_sizes_of_another_shape_or_hardly_smaller_are_left_out() {
        let offered = [[320, 240], [640, 480], [640, 360], [600, 450], [544, 408], [1280, 960], [48, 36], [432, 324]];
        assert_eq!(worth_asking([640, 480], offered.into_iter()), [[544, 408], [432, 324], [320, 240]]);
    }
}
