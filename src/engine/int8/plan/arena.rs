//! Packs buffers whose lifetimes do not overlap into one block of memory.

use super::super::kernels::SLACK;

/// A buffer with its lifetime in steps, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Bytes.
    pub len: usize,
    /// The step that writes it first.
    pub first: usize,
    /// The last step that uses it.
    pub last: usize,
}

/// Vectors load fastest from multiples of this.
const ALIGN: usize = 64;

/// Start of every buffer, and the length of the whole. Largest first, each at the lowest place that is free during all its
/// life: close to the best possible for chains of layers.
pub fn lay_out(buffers: &[Buffer]) -> (Vec<usize>, usize) {
    let mut by_size: Vec<usize> = (0..buffers.len()).collect();
    by_size.sort_by_key(|&b| (std::cmp::Reverse(buffers[b].len), b));
    let mut starts = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for id in by_size {
        let buffer = buffers[id];
        let size = (buffer.len + SLACK).next_multiple_of(ALIGN);
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&p| buffers[p].first <= buffer.last && buffer.first <= buffers[p].last)
            .map(|&p| (starts[p], starts[p] + (buffers[p].len + SLACK).next_multiple_of(ALIGN)))
            .collect();
        busy.sort_unstable();
        let mut at = 0;
        for (start, end) in busy {
            if start >= at + size {
                break;
            }
            at = at.max(end);
        }
        starts[id] = at;
        total = total.max(at + size);
        placed.push(id);
    }
    (starts, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_share_memory_only_when_they_never_live_together() {
        let buffer = |len, first, last| Buffer { len, first, last };
        let all = [buffer(1000, 0, 1), buffer(500, 1, 2), buffer(1000, 2, 3), buffer(10, 0, 9), buffer(400, 3, 4)];
        let (starts, total) = lay_out(&all);
        for (i, a) in all.iter().enumerate() {
            assert!(starts[i] % ALIGN == 0 && starts[i] + a.len + SLACK <= total);
            for (j, b) in all.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = starts[i] + a.len + SLACK <= starts[j] || starts[j] + b.len + SLACK <= starts[i];
                assert!(!together || apart, "{i} {j} {starts:?}");
            }
        }
        assert_eq!(starts[0], starts[2]);
        assert!(total < 1100 + 600 + 100, "{total}");
    }
}
