//! Dense layers.

use proptest::prelude::*;

use crate::kernels::{GemmCall, GemmWeights, Kernels, MAX_ROWS, PackedGemm};

use super::fault::running;
use super::memory::{Input, Output};
use super::rng::{FILLS, Fill, Rng};
use super::{Results, config, naive, results, sets, zero_point};

/// A layer and what it is called with.
#[derive(Clone, Debug)]
pub struct Case {
    pub n: usize,
    pub segments: usize,
    pub segment: usize,
    pub rows: usize,
    pub x_zero: i32,
    pub results: Results,
    pub x: Fill,
    pub w: Fill,
    /// Zero points of the weights, if they have any.
    pub zeros: Option<Fill>,
    /// Where the blocks begin and how many are computed, in 256ths.
    pub range: (u8, u8),
    pub tight_front: bool,
    pub seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    // Miri is some thousand times slower.
    let most = if cfg!(miri) { [10, 20, 4, 30] } else { [40, 150, 12, 200] };
    let n = prop_oneof![3 => 1..=most[0], 2 => 1..=most[1]];
    let segments = prop_oneof![3 => Just(1usize), 3 => 1usize..=4, 2 => 1..=most[2]];
    let segment = prop_oneof![3 => 1usize..=24, 3 => 1usize..=80.min(most[3]), 2 => 1..=most[3]];
    let fill = || proptest::sample::select(&FILLS[..]);
    let zeros = proptest::option::of(fill());
    let layer = (n, segments, segment, 1..=MAX_ROWS, zero_point(), results());
    (layer, fill(), fill(), zeros, any::<(u8, u8)>(), any::<bool>(), any::<u64>()).prop_map(
        |((n, segments, segment, rows, x_zero, results), x, w, zeros, range, tight_front, seed)| {
            let range = if seed % 3 == 0 { (0, 255) } else { range };
            Case { n, segments, segment, rows, x_zero, results, x, w, zeros, range, tight_front, seed }
        },
    )
}

/// A case's data: weights, and rows somewhere in one piece of memory, overlapping or not.
pub struct Data {
    pub weights: Vec<i8>,
    pub zeros: Vec<i8>,
    pub bias: Vec<i32>,
    pub float_bias: Vec<f32>,
    pub scale: Vec<f32>,
    pub offsets: Vec<usize>,
    pub starts: Vec<usize>,
    pub input: Input,
    pub rng: Rng,
}

impl Case {
    /// Made from the seed.
    pub fn data(&self) -> Data {
        let mut rng = Rng(self.seed);
        let k = self.segments * self.segment;
        let pitch = self.segment + rng.pick(&[0, 0, 1, 13, 200]);
        let offsets: Vec<usize> = match rng.below(3) {
            // A kernel's rows in a picture; segments that overlap; segments anywhere, in any order.
            0 => (0..self.segments).map(|s| s * pitch).collect(),
            1 => (0..self.segments).map(|s| s * rng.below(self.segment) / 2).collect(),
            _ => (0..self.segments).map(|_| rng.below(1000)).collect(),
        };
        let span = offsets.iter().max().expect("a segment") + self.segment;
        // At one distance, as in a picture, or anywhere. The first row begins where the memory begins, the last or second one ends
        // where it ends.
        let is_even = rng.below(2) == 0;
        let distance = rng.pick(&[0, 1, 17, 500, self.segment]);
        let spread = if is_even { (self.rows - 1) * distance } else { distance };
        let starts = (0..self.rows).map(|r| match r {
            0 => 0,
            _ if is_even => r * distance,
            1 => spread,
            _ => rng.below(spread + 1),
        });
        let starts = starts.collect();
        let bytes = rng.bytes(self.x, span + spread);
        Data {
            weights: rng.bytes(self.w, self.n * k),
            zeros: self.zeros.map(|fill| rng.bytes(fill, self.n)).unwrap_or_default(),
            bias: (0..self.n).map(|_| rng.bias()).collect(),
            float_bias: (0..self.n).map(|_| rng.real()).collect(),
            scale: (0..self.n).map(|_| rng.scale(k)).collect(),
            offsets,
            starts,
            input: Input::new(&bytes, self.tight_front, &mut rng),
            rng,
        }
    }
}

impl Data {
    fn weights<'a>(&'a self, case: &Case) -> GemmWeights<'a> {
        let Case { n, segments, segment, x_zero, .. } = *case;
        let (data, zeros, scale) = (&self.weights[..], &self.zeros[..], &self.scale[..]);
        let (bias, x_zero, floats) = match case.results {
            Results::Bytes(_) => (&self.bias[..], x_zero, None),
            Results::Floats { .. } => (&[][..], 0, Some(&self.float_bias[..])),
        };
        GemmWeights { n, segments, segment, data, zeros, bias, scale, x_zero, floats }
    }

    /// `[rows][n]`, by hand; floats as their bytes.
    pub fn expected(&mut self, case: &Case) -> Vec<Vec<i8>> {
        let x = self.input.bytes().to_vec();
        let weights = self.weights(case);
        let row = |&start: &usize| {
            let segments: Vec<&[i8]> = self.offsets.iter().map(|o| &x[start + o..][..case.segment]).collect();
            let result = |channel| naive::gemm(&weights, &case.results, case.x_zero, channel, &segments);
            (0..case.n).flat_map(result).collect()
        };
        self.starts.iter().map(row).collect()
    }
}

/// Runs one set over the case's rows, as many at a time as it takes, and compares.
pub fn check(set: &dyn Kernels, case: &Case, data: &mut Data, expected: &[Vec<i8>]) {
    check_packed(set, case, data, expected, &set.pack_gemm(&data.weights(case)));
}

/// The same with weights that are packed.
pub fn check_packed(set: &dyn Kernels, case: &Case, data: &mut Data, expected: &[Vec<i8>], packed: &PackedGemm) {
    assert_eq!((packed.n, packed.segments, packed.segment), (case.n, case.segments, case.segment), "{}", set.name());
    assert!(packed.data.len() >= packed.blocks() * packed.block_bytes, "{}", set.name());
    let most = set.gemm_rows(packed);
    assert!((1..=MAX_ROWS).contains(&most), "{}: {most} rows", set.name());

    let blocks = packed.blocks();
    let first_block = usize::from(case.range.0) * blocks / 256;
    let count = (usize::from(case.range.1) * blocks).div_ceil(256).clamp(1, blocks - first_block);
    let channels = first_block * packed.block..((first_block + count) * packed.block).min(case.n);

    let mut rng = Rng(data.rng.0);
    let width = case.results.width();
    let out_pitch = case.n * width + rng.pick(&[0, 1, 7, 64]);
    for (rows, expected) in data.starts.chunks(most).zip(expected.chunks(most)) {
        let guard = rng.below(65);
        let mut out = Output::new((rows.len() - 1) * out_pitch + case.n * width, guard, &mut rng);
        // Outputs in any order: the last row first, sometimes.
        let reverse = rng.below(2) == 1;
        let place = |row: usize| out_pitch * if reverse { rows.len() - 1 - row } else { row };
        let (x, to) = (data.input.ptr(), out.ptr());
        // SAFETY: every row lies within the input, every place within the output.
        let (row_ptrs, outs): (Vec<_>, Vec<_>) =
            rows.iter().enumerate().map(|(i, &start)| unsafe { (x.add(start), to.add(place(i))) }).unzip();
        let call = GemmCall {
            packed,
            finish: case.results.finish(case.x_zero),
            offsets: &data.offsets,
            first_block,
            blocks: count,
            rows: &row_ptrs,
            outs: &outs,
        };
        running(set.name(), case);
        // SAFETY: `sets` gives what this processor can run; rows have their segments and the slack behind them, `outs` have
        // `n` results each, and there are at most `gemm_rows` of them.
        unsafe { set.gemm(&call) };
        let mut want = vec![None; out.bytes().len()];
        for (i, row) in expected.iter().enumerate() {
            for at in channels.start * width..channels.end * width {
                want[place(i) + at] = Some(row[at]);
            }
        }
        out.check(&want, (set.name(), "blocks", first_block, count, "of", packed.block, "reversed", reverse, case));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_layer(case in case()) {
        let mut data = case.data();
        let expected = data.expected(&case);
        for set in sets() {
            check(set, &case, &mut data, &expected);
        }
    }
}

/// Every number of rows with every number of channels up to two blocks and one, and reductions around every power of two.
#[test]
fn every_tail() {
    let depths: &[usize] =
        if cfg!(miri) { &[1, 5, 33] } else { &[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65] };
    for set in sets() {
        let probe = [0i8; 4];
        let weights = GemmWeights { bias: &[0], scale: &[1.0], ..GemmWeights::default() };
        let weights = GemmWeights { n: 1, segments: 1, segment: 4, data: &probe, ..weights };
        let packed = set.pack_gemm(&weights);
        let (most, block) = (set.gemm_rows(&packed), packed.block);
        let mut seed = 0;
        for &segment in depths {
            for n in 1..=2 * block + 1 {
                for rows in 1..=most {
                    if cfg!(miri) && (n + rows + segment) % 5 != 0 {
                        continue;
                    }
                    seed += 1;
                    let case = Case {
                        n,
                        segments: 1 + seed as usize % 2,
                        segment,
                        rows,
                        x_zero: (seed % 256) as i32 - 128,
                        results: Results::of_seed(seed),
                        x: Fill::Any,
                        w: [Fill::Symmetric, Fill::Any, Fill::Rare][seed as usize % 3],
                        zeros: (seed % 7 < 3).then_some([Fill::Any, Fill::Rare][seed as usize % 2]),
                        range: (0, 255),
                        tight_front: seed % 3 == 0,
                        seed,
                    };
                    let mut data = case.data();
                    let expected = data.expected(&case);
                    check(set, &case, &mut data, &expected);
                }
            }
        }
    }
}
