//! Constants that a file stores without their zeros, expanded.
//!
//! Format: `SparsityParameters` in `schema.fbs` of TensorFlow Lite, after TACO (Kjolstad et al. 2017, "The Tensor Algebra Compiler"). The
//! dimensions of a tensor, and those of the blocks that some of them are divided into, are gone through in `traversal_order`. Each level
//! of it is dense (every index is there) or compressed (`array_segments` says for each position of the level above which part of
//! `array_indices` holds its indices).

use super::reader::{Read, Table};
use super::schema::{MAX_RANK, field};

/// Storage of a sparse tensor.
pub struct Sparsity {
    /// The dimension of each level: those of the tensor, then those of blocks.
    order: Vec<usize>,
    /// For each dimension of blocks, which one of the tensor it divides.
    blocks: Vec<usize>,
    levels: Vec<Level>,
}

/// One level.
enum Level {
    /// Every index below this is there.
    Dense(usize),
    /// `segments[p]..segments[p + 1]` of `indices` belong to position `p` of the level above.
    Compressed { segments: Vec<usize>, indices: Vec<usize> },
}

impl Sparsity {
    /// Reads a table; the second part of the result is how many bytes of vectors it holds.
    pub fn read(table: Table<'_>) -> Read<Result<(Sparsity, usize), String>> {
        let (order, blocks) = (table.words(field::SPARSITY_ORDER)?, table.words(field::SPARSITY_BLOCKS)?);
        let listed = table.words(field::SPARSITY_LEVELS)?;
        let count = listed.len();
        if count > 2 * MAX_RANK || order.len() != count || blocks.len() > count {
            return Ok(Err(format!("its sparsity has {count} levels and an order of {}", order.len())));
        }
        let mut levels = Vec::with_capacity(count);
        let mut bytes = 0;
        for level in listed.tables() {
            let level = level?;
            levels.push(match level.i8(field::LEVEL_FORMAT)? {
                0 => Level::Dense(usize::try_from(level.i32(field::LEVEL_SIZE, 0)?).unwrap_or(usize::MAX)),
                1 => {
                    let segments = integers(level, field::LEVEL_SEGMENTS)?;
                    let indices = integers(level, field::LEVEL_INDICES)?;
                    let (Some(segments), Some(indices)) = (segments, indices) else {
                        return Ok(Err("the indices of its sparsity are of a type that is not known".into()));
                    };
                    bytes += 8 * (segments.len() + indices.len());
                    Level::Compressed { segments, indices }
                }
                other => return Ok(Err(format!("a level of its sparsity has the format {other}, known are 0 and 1"))),
            });
        }
        // A negative one becomes too large to be a dimension.
        let dimension = |d: i32| usize::try_from(d).unwrap_or(usize::MAX);
        let (order, blocks) = (order.i32s().map(dimension).collect(), blocks.i32s().map(dimension).collect());
        Ok(Ok((Sparsity { order, blocks, levels }, bytes)))
    }

    /// All values of a tensor of shape `shape` with elements of `width` bytes; what is not stored is zero.
    ///
    /// # Errors
    /// Mismatch with the shape or the values.
    pub fn expand(&self, stored: &[u8], shape: &[usize], width: usize) -> Result<Vec<u8>, String> {
        let rank = shape.len();
        if self.levels.len() != rank + self.blocks.len() {
            return Err(format!("its sparsity has {} levels for {rank} dimensions", self.levels.len()));
        }
        let mut seen = vec![false; self.levels.len()];
        for &dim in &self.order {
            match seen.get_mut(dim) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(format!("the traversal order {:?} of its sparsity is no permutation", self.order)),
            }
        }
        // Sizes of the dimensions of the tensor, divided into blocks, and of the blocks.
        let mut sizes = shape.to_vec();
        for (block, &dim) in self.blocks.iter().enumerate() {
            let level = self.order.iter().position(|&d| d == rank + block).and_then(|level| self.levels.get(level));
            let size = match level {
                Some(Level::Dense(size)) if *size > 0 => *size,
                _ => return Err(format!("block {block} of its sparsity has no size")),
            };
            match sizes[..rank].get_mut(dim) {
                Some(divided) if divided.is_multiple_of(size) => *divided /= size,
                _ => return Err(format!("its shape {shape:?} cannot be divided into blocks of {size} along {dim}")),
            }
            sizes.push(size);
        }
        let strides: Vec<usize> = (0..rank).map(|axis| shape[axis + 1..].iter().product()).collect();
        // How far one step along each dimension goes in the tensor.
        let mut steps: Vec<usize> = strides.clone();
        for (block, &dim) in self.blocks.iter().enumerate() {
            steps[dim] = steps[dim].saturating_mul(sizes[rank + block]);
            steps.push(strides[dim]);
        }
        let mut levels = Vec::with_capacity(self.levels.len());
        for (level, &dim) in self.levels.iter().zip(&self.order) {
            let (size, step) = (sizes[dim], steps[dim]);
            match level {
                Level::Dense(found) if *found != size => {
                    return Err(format!("a level of its sparsity has size {found}, its dimension {size}"));
                }
                Level::Compressed { segments, indices } => {
                    let rising = segments.windows(2).all(|pair| pair[0] <= pair[1]);
                    if !rising || segments.last().is_some_and(|&last| last > indices.len()) {
                        return Err("the segments of its sparsity do not rise up to the number of its indices".into());
                    }
                    if let Some(index) = indices.iter().find(|i| **i >= size) {
                        return Err(format!("its sparsity names index {index} of a dimension of {size}"));
                    }
                }
                Level::Dense(_) => {}
            }
            levels.push((level, size, step));
        }
        let elements: usize = shape.iter().product();
        let mut cursor =
            Cursor { levels: &levels, stored: stored.chunks_exact(width), out: vec![0; elements * width], width };
        cursor.fill(0, 0, 0)?;
        let left = cursor.stored.len();
        if left > 0 || !stored.len().is_multiple_of(width) {
            return Err(format!("{left} values of its {} stored bytes belong nowhere", stored.len()));
        }
        Ok(cursor.out)
    }
}

/// Destination of values.
struct Cursor<'a> {
    /// With the size of each one's dimension and how far a step along it goes.
    levels: &'a [(&'a Level, usize, usize)],
    stored: std::slice::ChunksExact<'a, u8>,
    out: Vec<u8>,
    width: usize,
}

impl Cursor<'_> {
    /// Puts in what is below position `position` of the level above `depth`, from element `at` on. Goes as deep as there are levels.
    fn fill(&mut self, depth: usize, position: usize, at: usize) -> Result<(), String> {
        let Some(&(level, size, step)) = self.levels.get(depth) else {
            let value = self.stored.next().ok_or("its sparsity names more values than are stored")?;
            let place = self.out.get_mut(at * self.width..(at + 1) * self.width);
            place.ok_or("its sparsity names an element that is not there")?.copy_from_slice(value);
            return Ok(());
        };
        match level {
            Level::Dense(_) => {
                for index in 0..size {
                    self.fill(depth + 1, position * size + index, at + index * step)?;
                }
            }
            Level::Compressed { segments, indices } => {
                let (Some(&from), Some(&to)) = (segments.get(position), segments.get(position + 1)) else {
                    return Err("its sparsity has too few segments".into());
                };
                for (place, &index) in indices.iter().enumerate().take(to).skip(from) {
                    self.fill(depth + 1, place, at + index * step)?;
                }
            }
        }
        Ok(())
    }
}

/// The integers of a `SparseIndexVector`, a union whose value stands in the field behind its type.
fn integers(level: Table<'_>, id: usize) -> Read<Option<Vec<usize>>> {
    let Some(vector) = level.table(id + 1)? else { return Ok(Some(Vec::new())) };
    Ok(match level.u8(id)? {
        1 => Some(vector.words(0)?.i32s().map(|v| usize::try_from(v).unwrap_or(usize::MAX)).collect()),
        2 => Some(vector.halves(0)?.u16s().map(usize::from).collect()),
        3 => Some(vector.bytes(0)?.iter().copied().map(usize::from).collect()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(segments: &[usize], indices: &[usize]) -> Level {
        Level::Compressed { segments: segments.to_vec(), indices: indices.to_vec() }
    }

    #[test]
    fn rows_with_few_values() {
        // [[0, 7, 0], [8, 0, 9]]
        let levels = vec![Level::Dense(2), compressed(&[0, 1, 3], &[1, 0, 2])];
        let rows = Sparsity { order: vec![0, 1], blocks: vec![], levels };
        assert_eq!(rows.expand(&[7, 8, 9], &[2, 3], 1), Ok(vec![0, 7, 0, 8, 0, 9]));
        assert_eq!(rows.expand(&[7, 0, 8, 0, 9, 0], &[2, 3], 2), Ok(vec![0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0]));
    }

    #[test]
    fn columns_first() {
        // The same, column by column: [8, 7, 9] at rows 1, 0, 1.
        let levels = vec![Level::Dense(3), compressed(&[0, 1, 2, 3], &[1, 0, 1])];
        let columns = Sparsity { order: vec![1, 0], blocks: vec![], levels };
        assert_eq!(columns.expand(&[8, 7, 9], &[2, 3], 1), Ok(vec![0, 7, 0, 8, 0, 9]));
    }

    #[test]
    fn blocks_as_in_the_schema_s_example() {
        // A 4×4 tensor in 2×2 blocks, of which the first and the last are stored.
        let levels = vec![Level::Dense(2), compressed(&[0, 1, 2], &[0, 1]), Level::Dense(2), Level::Dense(2)];
        let blocks = Sparsity { order: vec![0, 1, 2, 3], blocks: vec![0, 1], levels };
        let expected = vec![1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 5, 6, 0, 0, 7, 8];
        assert_eq!(blocks.expand(&[1, 2, 3, 4, 5, 6, 7, 8], &[4, 4], 1), Ok(expected));
    }

    #[test]
    fn what_does_not_fit_says_so() {
        let dense = |size| Level::Dense(size);
        let of = |order: &[usize], blocks: &[usize], levels: Vec<Level>| Sparsity {
            order: order.to_vec(),
            blocks: blocks.to_vec(),
            levels,
        };
        let cases = [
            (of(&[0, 0], &[], vec![dense(2), dense(3)]), "no permutation"),
            (of(&[0, 2], &[], vec![dense(2), dense(3)]), "no permutation"),
            (of(&[0], &[], vec![dense(2)]), "levels for 2 dimensions"),
            (of(&[0, 1], &[], vec![dense(2), dense(4)]), "size 4"),
            (of(&[0, 1], &[], vec![dense(2), compressed(&[0, 1, 3], &[1, 0, 3])]), "index 3"),
            (of(&[0, 1], &[], vec![dense(2), compressed(&[0, 2, 1], &[1, 0])]), "do not rise"),
            (of(&[0, 1], &[], vec![dense(2), compressed(&[0, 1, 9], &[1, 0])]), "do not rise"),
            (of(&[0, 1], &[], vec![dense(2), compressed(&[0, 1], &[1])]), "too few segments"),
            (of(&[0, 1], &[], vec![dense(2), compressed(&[0, 1, 2], &[1, 0])]), "belong nowhere"),
            (of(&[0, 1], &[], vec![dense(2), dense(3)]), "more values than"),
            (of(&[0, 1, 2], &[1], vec![dense(2), dense(1), dense(2)]), "cannot be divided"),
            (of(&[0, 1, 2], &[7], vec![dense(2), dense(1), dense(3)]), "cannot be divided"),
            (of(&[0, 1, 2], &[1], vec![dense(2), dense(1), compressed(&[0], &[])]), "has no size"),
        ];
        for (sparsity, words) in cases {
            let error = sparsity.expand(&[1, 2, 3], &[2, 3], 1).unwrap_err();
            assert!(error.contains(words), "{error}, expected {words}");
        }
    }
}
