//! Place of a tensor: a buffer, an offset and a stride for every axis, so that transposing, slicing and most reshaping move
//! nothing.

/// Bytes of a float.
pub const FLOAT: usize = 4;

/// Index of a buffer of the plan.
pub type BufferId = usize;

/// A tensor in a buffer. Strides are in bytes, whatever the elements are, and never 0 for an axis longer than 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// Bytes of an element.
    pub size: usize,
    /// The first element, in bytes from the buffer's start.
    pub offset: usize,
    /// Length of every axis.
    pub shape: Vec<usize>,
    /// Bytes from an element to the next along every axis.
    pub strides: Vec<usize>,
}

impl View {
    /// A view over a fresh buffer of elements of `size` bytes whose axes lie in memory in `order`, outermost first, with `halo` elements before
    /// and after each axis. Returns the view and the buffer's length.
    pub fn fresh(
        buffer: BufferId,
        size: usize,
        shape: &[usize],
        order: &[usize],
        halo: &[(usize, usize)],
    ) -> (View, usize) {
        let mut strides = vec![0; shape.len()];
        let (mut pitch, mut offset) = (size, 0);
        for &axis in order.iter().rev() {
            strides[axis] = pitch;
            offset += halo[axis].0 * pitch;
            pitch *= shape[axis] + halo[axis].0 + halo[axis].1;
        }
        (View { buffer, size, offset, shape: shape.to_vec(), strides }, pitch)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Axis `i` of the result is axis `perm[i]` of `self`.
    pub fn transposed(&self, perm: &[usize]) -> View {
        View {
            buffer: self.buffer,
            size: self.size,
            offset: self.offset,
            shape: perm.iter().map(|&p| self.shape[p]).collect(),
            strides: perm.iter().map(|&p| self.strides[p]).collect(),
        }
    }

    /// `len` elements along `axis`, `step` apart, from `start`.
    pub fn sliced(&self, axis: usize, start: usize, step: usize, len: usize) -> View {
        let mut out = self.clone();
        out.offset += start * self.strides[axis];
        out.strides[axis] *= step;
        out.shape[axis] = len;
        out
    }

    /// The same elements in row-major order under another shape, if no element has to move for it.
    pub fn reshaped(&self, shape: &[usize]) -> Option<View> {
        // Axes of length 1 have no say; runs of old axes that are contiguous among themselves match runs of new ones.
        let old: Vec<(usize, usize)> =
            self.shape.iter().zip(&self.strides).filter(|(d, _)| **d != 1).map(|(d, s)| (*d, *s)).collect();
        let mut strides = vec![self.size; shape.len()];
        let (mut i, mut j) = (0, 0);
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| shape[a] != 1).collect();
        while i < old.len() || j < axes.len() {
            let (first_old, first_new) = (i, j);
            let (mut have, mut want) = (1usize, 1usize);
            loop {
                if have == want && (i > first_old || j > first_new) {
                    break;
                }
                if have <= want {
                    have *= old.get(i)?.0;
                    i += 1;
                } else {
                    want *= shape[*axes.get(j)?];
                    j += 1;
                }
            }
            for k in first_old..i.saturating_sub(1) {
                if old[k].1 != old[k + 1].0 * old[k + 1].1 {
                    return None;
                }
            }
            let mut pitch = old[i - 1].1;
            for &axis in axes[first_new..j].iter().rev() {
                strides[axis] = pitch;
                pitch *= shape[axis];
            }
        }
        Some(View { shape: shape.to_vec(), strides, ..self.clone() })
    }

    /// The order of axes in which a copy of these elements can be [`reshaped`](View::reshaped) to `shape`, as near to the present one as possible: axes that
    /// become one, or that one becomes, follow one another; such groups stay in the order of their innermost elements.
    pub fn order_for(&self, shape: &[usize]) -> Vec<usize> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut new = shape.iter();
        let (mut have, mut want) = (1usize, 1usize);
        let mut group = Vec::new();
        for (axis, &len) in self.shape.iter().enumerate() {
            group.push(axis);
            have *= len;
            while want < have {
                let Some(&next) = new.next() else { break };
                want *= next;
            }
            if have == want {
                groups.push(std::mem::take(&mut group));
                (have, want) = (1, 1);
            }
        }
        if !group.is_empty() {
            return (0..self.shape.len()).collect();
        }
        let innermost = |group: &Vec<usize>| {
            group.iter().filter(|&&a| self.shape[a] != 1).map(|&a| self.strides[a]).min().unwrap_or(usize::MAX)
        };
        groups.sort_by_key(|group| std::cmp::Reverse(innermost(group)));
        groups.concat()
    }

    /// Axes from the outermost to the innermost, as they lie in memory; axes of length 1 keep their place among the others.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.shape.len()).filter(|&a| self.shape[a] != 1).collect();
        order.sort_by_key(|&a| std::cmp::Reverse(self.strides[a]));
        for axis in (0..self.shape.len()).filter(|&a| self.shape[a] == 1) {
            let at = order.iter().position(|&o| o == axis + 1).unwrap_or(order.len());
            order.insert(at.min(order.len()), axis);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(halo: usize) -> View {
        let h = (halo, halo);
        View::fresh(0, 1, &[2, 6, 4, 5], &[0, 2, 3, 1], &[(0, 0), (0, 0), h, h]).0
    }

    #[test]
    fn channels_last_is_a_matter_of_strides() {
        let v = image(0);
        assert_eq!(v.strides, [120, 1, 30, 6]);
        assert_eq!(v.order(), [0, 2, 3, 1]);
        assert_eq!(v.transposed(&[0, 2, 3, 1]).strides, [120, 30, 6, 1]);
        assert_eq!((image(1).offset, &image(1).strides[..]), (7 * 6 + 6, &[42 * 6, 1, 42, 6][..]));
    }

    #[test]
    fn reshapes_that_move_nothing_are_views() {
        let v = image(0);
        // Channels split into groups (a channel shuffle) keep their place.
        assert_eq!(v.reshaped(&[2, 2, 3, 4, 5]).map(|v| v.strides), Some(vec![120, 3, 1, 30, 6]));
        // Channels-last cannot be read as rows of N × (C·H·W) ...
        assert_eq!(v.reshaped(&[2, 120]), None);
        // ... but as N × (H·W·C) after a transpose, and H × W merges without padding around it.
        assert!(v.transposed(&[0, 2, 3, 1]).reshaped(&[2, 120]).is_some());
        assert!(v.reshaped(&[2, 6, 20]).is_some());
        assert_eq!(image(1).reshaped(&[2, 6, 20]), None);
        assert!(image(1).reshaped(&[2, 1, 6, 4, 1, 5]).is_some());
        // A shuffle of channels moves them within their pixels; rows of pixels with a border around them come together.
        let mixed = v.reshaped(&[2, 2, 3, 4, 5]).unwrap().transposed(&[0, 2, 1, 3, 4]);
        assert_eq!((mixed.reshaped(&[2, 6, 4, 5]), mixed.order_for(&[2, 6, 4, 5])), (None, vec![0, 3, 4, 1, 2]));
        assert_eq!(image(1).order_for(&[2, 6, 20]), [0, 2, 3, 1]);
        assert_eq!(v.order_for(&[2, 120]), [0, 1, 2, 3]);
        let one = View::fresh(0, 1, &[1, 64, 1, 1], &[0, 2, 3, 1], &[(0, 0); 4]).0;
        assert_eq!(one.reshaped(&[1, 64]).map(|v| v.strides[1]), Some(1));
        let scalar = View::fresh(0, 1, &[1, 1], &[0, 1], &[(0, 0); 2]).0;
        assert!(scalar.reshaped(&[]).is_some());
    }
}
