//! Whole steps over strided tensors: what lies how must make no difference, nor how many threads share it.

use std::sync::Arc;

use proptest::prelude::*;

use crate::kernels::executor::{Executor, Program};
use crate::kernels::run::{Input, Output};
use crate::kernels::step::{Address, Pixels, Step, Windows, Work};
use crate::kernels::{AddParams, AlignedBytes, Loops, Requant, SLACK, float};

use super::rng::{Fill, Rng};
use super::sets;

/// Bytes that each operand and the result have.
const SIZE: usize = 1 << 14;

/// Where the operands and the result begin.
const PLACES: [usize; 3] = [0, SIZE, 2 * SIZE];

const ARENA: usize = 3 * SIZE + SLACK;

/// An eighth of the cases of single kernels: each is run by all sets, alone and in threads.
fn config() -> ProptestConfig {
    let config = super::config();
    ProptestConfig { cases: config.cases.div_ceil(8), ..config }
}

/// Runs a step on every set, alone and in threads; returns the arenas' result part.
fn results(work: &Work, arena: &[i8], floats: &[f32]) -> Vec<(String, Vec<i8>, Vec<f32>)> {
    let mut all = Vec::new();
    let mut constants = AlignedBytes::zeroed(arena.len());
    constants.put_i8(0, arena.iter().copied());
    let constants = Arc::new(constants);
    for set in sets() {
        for threads in [1, 3] {
            let step =
                |work: &Work| Step { name: String::new(), op: "", macs: 0, bytes: 0, work: work.clone(), table: None };
            // The result is looked at by a second step, which stores the whole arena.
            let look = Work::Store {
                port: 1,
                quant: (1.0, 0),
                place: Address { buffer: 0, offset: PLACES[2] },
                loops: Loops { axes: vec![(SIZE, [1, 1])] },
            };
            let program = Program {
                steps: vec![step(work), step(&look)],
                arena_len: ARENA,
                constants: vec![(0, Arc::clone(&constants))],
                kernels: set,
                floats: float::best(),
            };
            let (mut out, mut stored) = (vec![0i8; SIZE], vec![f32::NAN; floats.len()]);
            let outputs = &mut [Output::F32(&mut stored), Output::I8(&mut out)];
            Executor::sharing_all(&Arc::new(program), threads)
                .run(&[Input::F32(floats)], outputs, &mut |_| {})
                .expect("no thread panics");
            all.push((format!("{}, {threads} threads", set.name()), out, stored));
        }
    }
    all
}

/// A shape and strides of up to four axes for `N` views; the last one has every element once, the others may lack axes.
#[derive(Clone, Debug)]
struct Layout<const N: usize> {
    shape: Vec<usize>,
    strides: [Vec<usize>; N],
}

/// `broadcast`: views but the last may stand still along axes.
fn layout<const N: usize>(broadcast: bool, rng: &mut Rng) -> Layout<N> {
    let rank = 1 + rng.below(4);
    let most = [3000, 60, 24, 10][rank - 1];
    let shape: Vec<usize> =
        (0..rank).map(|_| if rng.below(3) == 0 { 1 + rng.below(4) } else { 1 + rng.below(most) }).collect();
    let strides = std::array::from_fn(|v| {
        let mut order: Vec<usize> = (0..rank).collect();
        // As it comes, or any order of axes.
        if rng.below(2) == 0 {
            for i in (1..rank).rev() {
                order.swap(i, rng.below(i + 1));
            }
        }
        let mut strides = vec![0; rank];
        let mut pitch = if rng.below(5) == 0 { 2 } else { 1 };
        for axis in order {
            if broadcast && v + 1 < N && rng.below(3) == 0 {
                continue;
            }
            strides[axis] = pitch;
            pitch *= shape[axis];
            pitch += if rng.below(4) == 0 { rng.below(5) } else { 0 };
        }
        strides
    });
    Layout { shape, strides }
}

impl<const N: usize> Layout<N> {
    fn fits(&self) -> bool {
        self.strides.iter().all(|s| s.iter().zip(&self.shape).map(|(s, d)| s * (d - 1)).sum::<usize>() < (SIZE) - 64)
    }

    fn loops(&self) -> Loops<N> {
        Loops::new(&self.shape, std::array::from_fn(|v| &self.strides[v][..]))
    }

    /// Offsets of every element in every view.
    fn elements(&self) -> Vec<[usize; N]> {
        let mut all = vec![[0; N]];
        for (axis, &len) in self.shape.iter().enumerate() {
            let step = |o: &[usize; N], i: usize| std::array::from_fn(|v| o[v] + i * self.strides[v][axis]);
            all = all.iter().flat_map(|o| (0..len).map(move |i| step(o, i))).collect();
        }
        all
    }
}

fn address(index: usize) -> Address {
    Address { buffer: 0, offset: PLACES[index] }
}

const REQUANT: Requant = Requant { zero_point: 7, low: -120, high: 127 };

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pairs(seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let layout = layout::<3>(true, rng);
        prop_assume!(layout.fits());
        let arena = rng.bytes(Fill::Any, ARENA);
        let params = AddParams { a_factor: 900_000, b_factor: -700_000, offset: 1 << 19, shift: 20, low: -128, high: 120 };
        let places = [address(0), address(1), address(2)];
        let add = Work::Add { params, places, loops: layout.loops() };
        let mul = Work::Mul { zeros: [3, -9], scale: 0.017, requant: REQUANT, places, loops: layout.loops() };
        for (work, multiply) in [(add, false), (mul, true)] {
            let mut want = arena[PLACES[2]..][..SIZE].to_vec();
            for [a, b, out] in layout.elements() {
                let (a, b) = (i32::from(arena[PLACES[0] + a]), i32::from(arena[PLACES[1] + b]));
                want[out] = if multiply {
                    REQUANT.apply((a - 3) * (b + 9), 0.017)
                } else {
                    ((a * params.a_factor + b * params.b_factor + params.offset) >> params.shift).clamp(-128, 120) as i8
                };
            }
            for (name, out, _) in results(&work, &arena, &[]) {
                prop_assert!(out == want, "{name}: {layout:?}");
            }
        }
    }

    #[test]
    fn lookups(table in any::<bool>(), seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let layout = layout::<2>(false, rng);
        prop_assume!(layout.fits());
        let arena = rng.bytes(Fill::Any, ARENA);
        let function: [i8; 256] = std::array::from_fn(|_| rng.next() as i8);
        let work = Work::Lookup {
            table: table.then(|| Arc::new(function)),
            places: [address(0), address(2)],
            loops: layout.loops(),
        };
        let mut want = arena[PLACES[2]..][..SIZE].to_vec();
        for [x, out] in layout.elements() {
            let byte = arena[x];
            want[out] = if table { function[usize::from(byte as u8)] } else { byte };
        }
        for (name, out, _) in results(&work, &arena, &[]) {
            prop_assert!(out == want, "{name}: {layout:?}");
        }
    }

    #[test]
    fn loads_and_stores(seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let mut layout = layout::<2>(false, rng);
        // The outside is row-major.
        let mut pitch = 1;
        for axis in (0..layout.shape.len()).rev() {
            layout.strides[0][axis] = pitch;
            pitch *= layout.shape[axis];
        }
        prop_assume!(layout.fits() && pitch < SIZE);
        let arena = rng.bytes(Fill::Any, ARENA);
        let floats: Vec<f32> = (0..pitch).map(|_| (rng.unit() - 0.5) * 40.0).collect();
        let load = Work::Load { port: 0, quant: (0.125, 5), place: address(2), loops: layout.loops() };
        let mut want = arena[PLACES[2]..][..SIZE].to_vec();
        for [outside, inside] in layout.elements() {
            want[inside] = ((floats[outside] / 0.125).round_ties_even() as i32 + 5).clamp(-128, 127) as i8;
        }
        for (name, out, _) in results(&load, &arena, &floats) {
            prop_assert!(out == want, "{name}: {layout:?}");
        }
        layout.strides.swap(0, 1);
        let store = Work::Store { port: 0, quant: (0.125, 5), place: address(0), loops: layout.loops() };
        let mut want = vec![f32::NAN; pitch];
        for [inside, outside] in layout.elements() {
            want[outside] = (f32::from(arena[inside]) - 5.0) * 0.125;
        }
        for (name, _, out) in results(&store, &arena, &floats) {
            prop_assert!(out == want, "{name}: {layout:?}");
        }
    }

    #[test]
    fn max_pools(
        images in 1usize..=2,
        size in [1usize..=12, 1usize..=12],
        kernel in [1usize..=5, 1usize..=5],
        stride in [1usize..=3, 1usize..=3],
        dilation in [1usize..=2, 1usize..=2],
        pads in [0usize..=2, 0usize..=2],
        channels in prop_oneof![4 => 1usize..=40, 1 => 200usize..=400],
        gaps in [0usize..=30, 0usize..=30],
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        // Positions of every window's elements that are inside.
        let inside = |axis: usize| -> Option<Vec<Vec<usize>>> {
            let span = (kernel[axis] - 1) * dilation[axis] + 1;
            let count = (size[axis] + 2 * pads[axis]).checked_sub(span)? / stride[axis] + 1;
            let window = |i: usize| -> Vec<usize> {
                let at = (0..kernel[axis]).filter_map(|k| (i * stride[axis] + k * dilation[axis]).checked_sub(pads[axis]));
                at.filter(|&p| p < size[axis]).collect()
            };
            let all: Vec<_> = (0..count).map(window).collect();
            all.iter().all(|w| !w.is_empty()).then_some(all)
        };
        let (Some(rows), Some(cols)) = (inside(0), inside(1)) else { return Ok(()) };
        let pixels = |index: usize, dims: [usize; 2], gap: usize| {
            let col = channels + gap;
            let row = dims[1] * col + gap;
            Pixels { place: address(index), steps: [dims[0] * row, row, col] }
        };
        let (input, output) = (pixels(0, size, gaps[0]), pixels(2, [rows.len(), cols.len()], gaps[1]));
        prop_assume!(input.steps[0] * images < 2 * SIZE && output.steps[0] * images < SIZE);
        let arena = rng.bytes(Fill::Any, ARENA);
        let windows = |all: &[Vec<usize>], dilation| Windows { spans: all.iter().map(|w| (w[0], w.len())).collect(), dilation };
        let work = Work::MaxPool {
            rows: windows(&rows, dilation[0]),
            cols: windows(&cols, dilation[1]),
            channels,
            input,
            output,
            images,
        };
        let at = |pixels: &Pixels, image, row, col| image * pixels.steps[0] + row * pixels.steps[1] + col * pixels.steps[2];
        let mut want = arena[PLACES[2]..][..SIZE].to_vec();
        for image in 0..images {
            for (row, ys) in rows.iter().enumerate() {
                for (col, xs) in cols.iter().enumerate() {
                    for channel in 0..channels {
                        let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| (y, x)));
                        let values = values.map(|(y, x)| arena[at(&input, image, y, x) + channel]);
                        want[at(&output, image, row, col) + channel] = values.max().expect("a value");
                    }
                }
            }
        }
        for (name, out, _) in results(&work, &arena, &[]) {
            prop_assert!(out == want, "{name}: {work:?}");
        }
    }

    #[test]
    fn softmaxes(
        count in 1usize..=30,
        len in prop_oneof![4 => 1usize..=200, 1 => 1000usize..=1200],
        strided in any::<[bool; 2]>(),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        prop_assume!(count * len < SIZE);
        let table = Arc::new(std::array::from_fn(|d| (-(d as f64) * 0.03).exp() as f32));
        let [steps, rows]: [[usize; 2]; 2] = [0, 1].map(|which| strided.map(|s| match (s, which) {
            (true, 0) => count,
            (false, 1) => len,
            _ => 1,
        }));
        let softmax = |steps, loops| Work::Softmax {
            table: Arc::clone(&table),
            inverse: 256.0,
            requant: REQUANT,
            len,
            steps,
            places: [address(0), address(2)],
            loops,
        };
        let arena = rng.bytes(Fill::Any, ARENA);
        // The same rows without strides, one at a time, on the reference.
        let mut want = arena[PLACES[2]..][..SIZE].to_vec();
        for row in 0..count {
            let mut one = arena.clone();
            for i in 0..len {
                one[i] = arena[row * rows[0] + i * steps[0]];
            }
            let work = softmax([1, 1], Loops { axes: vec![(1, [len, len])] });
            let (_, out, _) = &results(&work, &one, &[])[0];
            for i in 0..len {
                want[row * rows[1] + i * steps[1]] = out[i];
            }
        }
        for (name, out, _) in results(&softmax(steps, Loops { axes: vec![(count, rows)] }), &arena, &[]) {
            prop_assert!(out == want, "{name}: {count} {len} {strided:?}");
        }
    }
}
