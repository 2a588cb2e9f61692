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
    Cow::Owned(match taps {
        9 => gathered::<T, 9>(weights, inside),
        25 => gathered::<T, 25>(weights, inside),
        _ => {
            let mut data = Vec::with_capacity(weights.len());
            for output in weights.chunks_exact(inside * taps) {
                (0..taps).for_each(|tap| data.extend(output.iter().skip(tap).step_by(taps)));
            }
            data
        }
    })
}

/// [`taps_first`] for the usual windows, whose size the compiler is told.
fn gathered<T: Copy, const TAPS: usize>(weights: &[T], inside: usize) -> Vec<T> {
    let mut data = Vec::with_capacity(weights.len());
    for output in weights.as_chunks::<TAPS>().0.chunks_exact(inside) {
        (0..TAPS).for_each(|tap| data.extend(output.iter().map(|window| window[tap])));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::taps_first;

    #[test]
    fn windows_of_any_size_become_rows_of_taps() {
        for (outside, inside, taps) in [(2, 3, 1), (3, 4, 4), (2, 5, 9), (4, 1, 9), (2, 3, 25)] {
            let weights: Vec<u16> = (0..(outside * inside * taps) as u16).collect();
            let at = |out: usize, tap: usize, channel: usize| ((out * inside + channel) * taps + tap) as u16;
            let expected: Vec<u16> =
                (0..outside * taps * inside).map(|i| at(i / (taps * inside), i / inside % taps, i % inside)).collect();
            assert_eq!(taps_first(&weights, inside, taps)[..], expected, "{outside} {inside} {taps}");
        }
    }
}
