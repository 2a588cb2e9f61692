//! Light: the change of luminance that a picture has as a whole, by exposure, a cloud, a lamp.

/// Bands of luminance that are compared on their own, since exposure changes dark and light parts by other amounts.
const BANDS: usize = 4;
/// Levels of a band.
const LEVELS: usize = 256 / BANDS;
/// A band with a smaller share of the cells than this goes with the whole picture.
const TELLING: f32 = 0.03;

/// The change of light between a background and a picture.
#[derive(Clone, Debug)]
pub(super) struct Light {
    /// Change by luminance of the background.
    by_level: [f32; 256],
    /// Change of the whole picture: the median over all cells.
    pub(super) overall: f32,
}

impl Light {
    /// The change from `means` to `cells`, where `skip` is false: the median of each band, so that what moves has no part in it as
    /// long as it covers less than half of the band.
    pub(super) fn between(means: &[f32], cells: &[u8], skip: &[bool]) -> Light {
        let mut histograms = [[0_u32; 511]; BANDS];
        let mut levels = [0.0_f32; BANDS];
        for ((mean, cell), _) in means.iter().zip(cells).zip(skip).filter(|(_, skip)| !**skip) {
            let level = mean.clamp(0.0, 255.0) as usize;
            // From -255 to 255; rounding to whole levels is finer than any threshold.
            let change = (f32::from(*cell) - mean).round() as i32 + 255;
            histograms[level / LEVELS][change.clamp(0, 510) as usize] += 1;
            levels[level / LEVELS] += mean;
        }
        let mut whole = [0_u32; 511];
        for histogram in &histograms {
            whole.iter_mut().zip(histogram).for_each(|(sum, count)| *sum += count);
        }
        let all: u32 = whole.iter().sum();
        let overall = median(&whole).unwrap_or(0.0);
        // Each telling band by its mean level and its change.
        let bands = histograms.iter().zip(levels).filter_map(|(histogram, sum)| {
            let count = histogram.iter().sum::<u32>() as f32;
            if count >= all as f32 * TELLING { Some([sum / count, median(histogram)?]) } else { None }
        });
        let bands: Vec<[f32; 2]> = bands.collect();
        let mut by_level = [overall; 256];
        for (level, change) in by_level.iter_mut().enumerate() {
            // Exposure and contrast are linear: between two bands, and beyond the last one.
            let after = bands.partition_point(|[middle, _]| *middle < level as f32).clamp(1, bands.len().max(2) - 1);
            if let (Some([x0, y0]), Some([x1, y1])) = (bands.get(after - 1), bands.get(after)) {
                *change = y0 + (y1 - y0) * (level as f32 - x0) / (x1 - x0).max(1.0);
            }
        }
        Light { by_level, overall }
    }

    /// The change for a cell whose background is `mean`.
    pub(super) fn at(&self, mean: f32) -> f32 {
        self.by_level[mean.clamp(0.0, 255.0) as usize]
    }
}

/// Light of parts of the picture: shadows of clouds, a lamp's cone. It is smooth, where what moves has edges.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalLight {
    /// Relative changes summed over all cells above and to the left, with their number; a row and a column of zeros first.
    sums: Vec<[f32; 2]>,
}

/// Cells on each side over which light is thought to be the same.
const AROUND: usize = 10;
/// Larger relative changes are not those of a shadow.
const MOST_RELATIVE: f32 = 0.6;
/// Levels that a dark cell is taken for at least.
const DARK: f32 = 16.0;

impl LocalLight {
    /// Takes the local light out of `deviations` of cells that are `means`, `width` of them a row.
    pub(super) fn take_out(&mut self, means: &[f32], deviations: &mut [f32], width: usize) {
        let (height, line) = (deviations.len() / width.max(1), width + 1);
        self.sums.clear();
        self.sums.resize(line * (height + 1), [0.0; 2]);
        for row in 0..height {
            let [mut sum, mut count] = [0.0; 2];
            for column in 0..width {
                let index = row * width + column;
                let relative = deviations[index] / (means[index] + DARK);
                if relative.abs() <= MOST_RELATIVE {
                    (sum, count) = (sum + relative, count + 1.0);
                }
                let [above, counted] = self.sums[row * line + column + 1];
                self.sums[(row + 1) * line + column + 1] = [above + sum, counted + count];
            }
        }
        for row in 0..height {
            let [top, bottom] = [row.saturating_sub(AROUND) * line, (row + AROUND + 1).min(height) * line];
            for column in 0..width {
                let [left, right] = [column.saturating_sub(AROUND), (column + AROUND + 1).min(width)];
                let part = |item: usize| {
                    self.sums[bottom + right][item] - self.sums[top + right][item] - self.sums[bottom + left][item]
                        + self.sums[top + left][item]
                };
                let index = row * width + column;
                deviations[index] -= part(0) / part(1).max(1.0) * (means[index] + DARK);
            }
        }
    }
}

/// The median of changes from -255 to 255; `None` without any.
fn median(histogram: &[u32; 511]) -> Option<f32> {
    let half = histogram.iter().sum::<u32>().div_ceil(2);
    let mut sum = 0;
    let index = histogram.iter().position(|count| {
        sum += count;
        half > 0 && sum >= half
    })?;
    Some(index as f32 - 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_is_found_beside_what_moves() {
        // Three quarters of the picture from dark to light, brightened by a fifth; the rest covered by something black.
        let means: Vec<f32> = (0..4000).map(|i| (i % 200) as f32 + 10.0).collect();
        let cells: Vec<u8> =
            means.iter().enumerate().map(|(i, v)| if i % 4 == 3 { 0 } else { (v * 1.2).min(255.0) as u8 }).collect();
        let light = Light::between(&means, &cells, &vec![false; 4000]);
        for level in [20.0, 60.0, 100.0, 150.0] {
            let expected = level * 0.2;
            assert!((light.at(level) - expected).abs() < 9.0, "{level}: {} for {expected}", light.at(level));
        }
        assert!(light.overall > 5.0);
    }

    #[test]
    fn nothing_to_compare_is_no_change() {
        assert_eq!(Light::between(&[], &[], &[]).overall, 0.0);
        assert_eq!(Light::between(&[100.0], &[200], &[true]).at(100.0), 0.0);
    }
}
