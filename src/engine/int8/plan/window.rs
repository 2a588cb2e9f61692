//! Windows of dense convolutions as rows of products, for bytes and for floats alike.

use std::borrow::Cow;

/// The adjacent elements that a window of `[kh, kw]` pixels of `inside` channels is made of, where pixels are `row` elements below and `col`
/// to the right of one another: number of segments, length of each, and how far each is from the first.
pub fn segments([kh, kw]: [usize; 2], inside: usize, [row, col]: [usize; 2]) -> (usize, usize, Vec<usize>) {
    if col != inside && kw != 1 {
        return (kh * kw, inside, (0..kh * kw).map(|tap| tap / kw * row + tap % kw * col).collect());
    }
    if row == kw * inside && kh > 1 {
        return (1, kh * kw * inside, vec![0]);
    }
    (kh, kw * inside, (0..kh).map(|y| y * row).collect())
}

/// Weights `[out, in, kh, kw]` as `[out][kh][kw][in]`; `taps` is kh · kw.
pub fn taps_first<T: Copy>(weights: &[T], inside: usize, taps: usize) -> Cow<'_, [T]> {
    if taps == 1 {
        return Cow::Borrowed(weights);
    }
    let mut data = Vec::with_capacity(weights.len());
    for output in weights.chunks_exact(inside * taps) {
        for tap in 0..taps {
            data.extend(output.iter().skip(tap).step_by(taps));
        }
    }
    Cow::Owned(data)
}
