//! The loops over several strided tensors of one shape.

/// Axes that several views share, outermost first, neighbours that are contiguous in all of them merged: the loops to run over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loops<const N: usize> {
    /// Iterations and, for each view, bytes per iteration; outermost first.
    pub axes: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Loops<N> {
    /// Loops over `shape`, in the order of the last view's strides; `strides[v][axis]`, 0 where a view is broadcast.
    pub fn new(shape: &[usize], strides: [&[usize]; N]) -> Self {
        let mut order: Vec<usize> = (0..shape.len()).filter(|&a| shape[a] != 1).collect();
        order.sort_by_key(|&a| std::cmp::Reverse(strides[N - 1][a]));
        let mut axes: Vec<(usize, [usize; N])> = Vec::new();
        for axis in order {
            let steps: [usize; N] = std::array::from_fn(|v| strides[v][axis]);
            match axes.last_mut() {
                Some((len, outer)) if (0..N).all(|v| outer[v] == steps[v] * shape[axis]) => {
                    *len *= shape[axis];
                    *outer = steps;
                }
                _ => axes.push((shape[axis], steps)),
            }
        }
        if axes.is_empty() {
            axes.push((1, [1; N]));
        }
        Loops { axes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_contiguous_everywhere_merges() {
        // [2, 6, 4, 5], channels last, without and with a border of one pixel.
        let (dense, bordered) = ([120, 1, 30, 6], [252, 1, 42, 6]);
        assert_eq!(Loops::new(&[2, 6, 4, 5], [&dense, &dense]).axes, [(240, [1, 1])]);
        assert_eq!(Loops::new(&[2, 6, 4, 5], [&bordered, &dense]).axes, [(2, [252, 120]), (4, [42, 30]), (30, [1, 1])]);
        // One value for each channel, used for every pixel.
        assert_eq!(Loops::new(&[2, 6, 4, 5], [&[0, 1, 0, 0], &dense]).axes, [(40, [0, 6]), (6, [1, 1])]);
        assert_eq!(Loops::new(&[1, 1], [&[7, 7]]).axes, [(1, [1])]);
    }
}
