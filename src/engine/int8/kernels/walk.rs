//! Walks over strided tensors: which bytes a thread takes, and in what order.

use super::Loops;
use super::step::Pixels;

/// One thread's share of a step.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Index of the thread.
    pub index: usize,
    /// Number of threads.
    pub count: usize,
}

impl Part {
    /// Everything.
    pub const WHOLE: Part = Part { index: 0, count: 1 };

    /// This thread's range of `len` items.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        len * self.index / self.count..len * (self.index + 1) / self.count
    }
}

/// Offset of a pixel, in bytes from the arena's start.
pub fn at(pixels: &Pixels, image: usize, row: usize, col: usize) -> usize {
    pixels.place.offset + image * pixels.steps[0] + row * pixels.steps[1] + col * pixels.steps[2]
}

/// A rectangle inside a walk: two axes of it.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle<const N: usize> {
    /// Offset in every view.
    pub start: [usize; N],
    /// Iterations of the outer of the two axes.
    pub rows: usize,
    /// Bytes from a row to the next in every view.
    pub pitches: [usize; N],
    /// Iterations of the inner axis.
    pub len: usize,
    /// Bytes from an element to the next in every view.
    pub steps: [usize; N],
}

/// Calls `body` with every rectangle of this part: the innermost axis and the axis `outer` (the one around the innermost, unless a step
/// wants another), or rows of one where there is a single axis. Threads deal out the outermost axis.
#[inline(always)]
pub fn rectangles<const N: usize>(
    loops: &Loops<N>,
    outer: Option<usize>,
    base: [usize; N],
    part: Part,
    mut body: impl FnMut(Rectangle<N>),
) {
    let Some((&(len, steps), around)) = loops.axes.split_last() else { return };
    let shifted = |base: [usize; N], pitches: [usize; N], by: usize| std::array::from_fn(|v| base[v] + by * pitches[v]);
    let Some(&(first, first_steps)) = around.first() else {
        let range = part.range(len);
        if !range.is_empty() {
            let start = shifted(base, steps, range.start);
            body(Rectangle { start, rows: 1, pitches: [0; N], len: range.len(), steps });
        }
        return;
    };
    let outer = outer.unwrap_or(around.len() - 1);
    let (rows, pitches) = around[outer];
    let range = part.range(first);
    if range.is_empty() {
        return;
    }
    let start = shifted(base, first_steps, range.start);
    if outer == 0 {
        nest(&around[1..], usize::MAX, start, &mut |start| {
            body(Rectangle { start, rows: range.len(), pitches, len, steps });
        });
        return;
    }
    for index in 0..range.len() {
        nest(&around[1..], outer - 1, shifted(start, first_steps, index), &mut |start| {
            body(Rectangle { start, rows, pitches, len, steps });
        });
    }
}

/// Calls `body` with the offsets, length and steps of every innermost run of this part. A single run is cut into pieces, more of
/// them are dealt out by the outermost axis.
#[inline(always)]
pub fn each<const N: usize>(
    loops: &Loops<N>,
    base: [usize; N],
    part: Part,
    mut body: impl FnMut([usize; N], usize, [usize; N]),
) {
    let Some((&(outer, outer_steps), rest)) = loops.axes.split_first() else { return };
    let range = part.range(outer);
    if range.is_empty() {
        return;
    }
    let start: [usize; N] = std::array::from_fn(|v| base[v] + range.start * outer_steps[v]);
    let Some((&(len, steps), middle)) = rest.split_last() else {
        return body(start, range.len(), outer_steps);
    };
    for index in 0..range.len() {
        let start = std::array::from_fn(|v| start[v] + index * outer_steps[v]);
        nest(middle, usize::MAX, start, &mut |offsets| body(offsets, len, steps));
    }
}

/// Calls `body` with the offsets of every iteration of all axes but `skip`.
pub fn nest<const N: usize>(
    axes: &[(usize, [usize; N])],
    skip: usize,
    start: [usize; N],
    body: &mut impl FnMut([usize; N]),
) {
    match axes.split_first() {
        None => body(start),
        Some((_, rest)) if skip == 0 => nest(rest, usize::MAX, start, body),
        Some((&(len, steps), rest)) => {
            for index in 0..len {
                let start = std::array::from_fn(|v| start[v] + index * steps[v]);
                nest(rest, skip.wrapping_sub(1), start, body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets in both views of every element, sorted.
    fn visited(loops: &Loops<2>, outer: Option<usize>, parts: usize) -> Vec<[usize; 2]> {
        let mut all = Vec::new();
        for index in 0..parts {
            rectangles(loops, outer, [5, 7], Part { index, count: parts }, |r| {
                for row in 0..r.rows {
                    for i in 0..r.len {
                        all.push([0, 1].map(|v| r.start[v] + row * r.pitches[v] + i * r.steps[v]));
                    }
                }
            });
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn every_element_is_visited_once_whatever_the_parts_and_the_outer_axis() {
        for axes in [
            vec![(7, [1, 3])],
            vec![(3, [100, 60]), (5, [1, 10])],
            vec![(2, [1000, 900]), (3, [1, 100]), (4, [10, 20]), (5, [200, 1])],
        ] {
            let mut want = vec![[5, 7]];
            for &(len, steps) in &axes {
                want = want.iter().flat_map(|w| (0..len).map(|i| [0, 1].map(|v| w[v] + i * steps[v]))).collect();
            }
            want.sort_unstable();
            let outers = axes.len() - 1;
            let loops = Loops { axes };
            for outer in (0..outers).map(Some).chain([None]) {
                for parts in [1, 2, 3, 9] {
                    assert_eq!(visited(&loops, outer, parts), want, "{loops:?} {outer:?} {parts}");
                }
            }
        }
    }
}
