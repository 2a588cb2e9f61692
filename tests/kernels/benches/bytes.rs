//! Times the steps that are neither convolution nor matrix product, on every set of kernels that this processor has.
//!
//! ```sh
//! cargo bench --manifest-path tests/kernels/Cargo.toml                     # nanoseconds for a byte of the result
//! cargo bench --manifest-path tests/kernels/Cargo.toml -- NAME             # only steps whose names have this in them
//! BINARY run SET STEP TIMES                                                # one of them, so often: for counting instructions
//! ```
//!
//! Each figure is the least of several rounds; the sets take turns.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use leptond_kernels::kernels::executor::{Executor, Program};
use leptond_kernels::kernels::run::{Input, Output};
use leptond_kernels::kernels::step::{Address, Means, Pixels, Step, Windows, Work};
use leptond_kernels::kernels::{AddParams, AlignedBytes, Kernels, Loops, Requant, available, float};

/// Where the first operand, the second and the result lie.
const PLACES: [usize; 3] = [0, 4 << 20, 8 << 20];

/// Bytes of the arena: three tensors.
const ARENA: usize = 12 << 20;

/// Rounds, of which the best counts.
const ROUNDS: usize = 7;

const REQUANT: Requant = Requant { zero_point: -10, low: -128, high: 127 };

/// A step to be timed and how many bytes come out of it.
struct Case {
    name: &'static str,
    bytes: usize,
    work: Work,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", set, step, times] => {
            let Some(&kernels) = available().iter().find(|k| k.name() == set) else { return ExitCode::from(2) };
            let case = cases().into_iter().find(|c| c.name == step);
            let (Some(case), Ok(times)) = (case, times.parse()) else { return ExitCode::from(2) };
            time(&mut Bench::new(&case, kernels), times);
        }
        [] => table(""),
        [name] => table(name),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn table(part: &str) {
    let sets = available();
    let names: Vec<_> = sets.iter().map(|s| format!("{:>12}", s.name())).collect();
    println!("{:36}{:>10}{}   (ns for a byte)", "step", "bytes", names.concat());
    for case in cases().iter().filter(|c| c.name.contains(part)) {
        let mut benches: Vec<_> = sets.iter().map(|&set| (Bench::new(case, set), f64::MAX)).collect();
        for _ in 0..ROUNDS {
            for (bench, best) in &mut benches {
                // As often as takes about two milliseconds.
                let once = time(bench, 1);
                let times = (2e6 / once).clamp(1.0, 10_000.0) as usize;
                *best = best.min(time(bench, times) / times as f64);
            }
        }
        let figures: Vec<_> = benches.iter().map(|(_, best)| format!("{:12.4}", best / case.bytes as f64)).collect();
        println!("{:36}{:>10}{}", case.name, case.bytes, figures.concat());
    }
}

/// One step, ready to run.
struct Bench {
    executor: Executor,
    floats: Vec<f32>,
}

impl Bench {
    fn new(case: &Case, kernels: &'static dyn Kernels) -> Self {
        let step =
            Step { name: String::new(), op: "", macs: 0, bytes: case.bytes, work: case.work.clone(), table: None };
        let mut bytes = AlignedBytes::zeroed(PLACES[2]);
        bytes.put_i8(0, (0..PLACES[2]).map(|i| ((i * 7919) >> 4) as i8));
        let program = Program {
            steps: vec![step],
            arena_len: ARENA,
            constants: vec![(0, Arc::new(bytes))],
            kernels,
            floats: float::best(),
        };
        let floats = (0..case.bytes).map(|i| (i % 251) as f32 * 0.1 - 12.0).collect();
        Bench { executor: Executor::new(&Arc::new(program), 1), floats }
    }
}

/// Nanoseconds of so many runs.
fn time(bench: &mut Bench, times: usize) -> f64 {
    let input = bench.floats.clone();
    let start = Instant::now();
    for _ in 0..times {
        let outputs = &mut [Output::F32(&mut bench.floats)];
        bench.executor.run(&[Input::F32(&input)], outputs, &mut |_| {}).expect("a program that runs");
    }
    start.elapsed().as_nanos() as f64
}

fn place(index: usize) -> Address {
    Address { buffer: 0, offset: PLACES[index] + if index == 2 { 0 } else { 64 } }
}

fn pixels(index: usize, cols: usize, channels: usize) -> Pixels {
    Pixels { place: place(index), steps: [0, cols * channels, channels] }
}

/// Windows without padding where the input has `size` rows, or clipped at its ends.
fn windows(size: usize, kernel: usize, stride: usize, pad: usize) -> Windows {
    let count = (size + 2 * pad - kernel) / stride + 1;
    let span = |i: usize| {
        let (first, end) = ((i * stride).saturating_sub(pad), (i * stride + kernel).saturating_sub(pad).min(size));
        (first, end - first)
    };
    Windows { spans: (0..count).map(span).collect(), dilation: 1 }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name, bytes, work| cases.push(Case { name, bytes, work });
    let full = |n| vec![(n, [1, 1, 1])];
    // One value for each channel against pixels of so many channels.
    let channels = |pixels, c| vec![(pixels, [c, 0, c]), (c, [1, 1, 1])];
    let mul = |axes| Work::Mul {
        zeros: [3, -7],
        scale: 0.013,
        requant: REQUANT,
        places: [place(0), place(1), place(2)],
        loops: Loops { axes },
    };
    let params = AddParams { a_factor: 1 << 20, b_factor: 900_001, offset: 77, shift: 20, low: -128, high: 127 };
    let add = |axes| Work::Add { params, places: [place(0), place(1), place(2)], loops: Loops { axes } };
    for (name, axes) in [
        ("mul 56x56x32", full(100_352)),
        ("mul 56x56x32 by channel", channels(3136, 32)),
        ("mul 14x14x480 by channel", channels(196, 480)),
        ("mul 28x28x72 by channel, bordered", vec![(28, [2016, 0, 2160]), (28, [72, 0, 72]), (72, [1, 1, 1])]),
        ("mul 56x56x32 by pixel", vec![(3136, [32, 1, 32]), (32, [1, 0, 1])]),
        ("mul 100352 by one value", vec![(100_352, [1, 0, 1])]),
        ("mul 28x28x64, every second", vec![(784 * 64, [2, 1, 1])]),
    ] {
        let bytes = axes.iter().map(|(len, _)| len).product();
        case(name, bytes, mul(axes));
    }
    for (name, axes) in [
        ("add 56x56x32", full(100_352)),
        ("add 56x56x32 by channel", channels(3136, 32)),
        ("add 28x28x64, every second", vec![(784 * 64, [2, 1, 1])]),
    ] {
        let bytes = axes.iter().map(|(len, _)| len).product();
        case(name, bytes, add(axes));
    }
    let table = Arc::new(std::array::from_fn(|i| ((i * 37) >> 1) as i8));
    let copy = |table: Option<&Arc<[i8; 256]>>, axes| Work::Lookup {
        table: table.cloned(),
        places: [place(0), place(2)],
        loops: Loops { axes },
    };
    for (name, table, axes) in [
        ("lookup 56x56x32", Some(&table), vec![(100_352, [1, 1])]),
        ("lookup into a concatenation", Some(&table), vec![(3136, [32, 64]), (32, [1, 1])]),
        ("copy into a concatenation", None, vec![(3136, [32, 64]), (32, [1, 1])]),
        ("copy, every second channel", None, vec![(3136, [64, 32]), (32, [2, 1])]),
        ("copy, every third channel", None, vec![(3136, [96, 32]), (32, [3, 1])]),
        ("copy, channel shuffle of 2", None, vec![(784, [116, 116]), (58, [1, 2]), (2, [58, 1])]),
        ("copy, channel shuffle of 3", None, vec![(784, [240, 240]), (80, [1, 3]), (3, [80, 1])]),
        ("copy, channel shuffle of 8", None, vec![(784, [384, 384]), (48, [1, 8]), (8, [48, 1])]),
        ("copy 20x20x84 to planes", None, vec![(84, [1, 400]), (400, [84, 1])]),
        ("copy planes to 40x40x64", None, vec![(1600, [1, 64]), (64, [1600, 1])]),
        ("copy 3 planes to 224x224x3", None, vec![(50_176, [1, 3]), (3, [50_176, 1])]),
        ("copy 224x224x3 to 3 planes", None, vec![(3, [1, 50_176]), (50_176, [3, 1])]),
        ("lookup 20x20x84 to planes", Some(&table), vec![(84, [1, 400]), (400, [84, 1])]),
    ] {
        let bytes = axes.iter().map(|(len, _)| len).product();
        case(name, bytes, copy(table, axes));
    }
    let border = (0..57).map(|row| (row * 58 * 32, 64)).collect();
    case("fill the border of 56x56x32", 57 * 64, Work::Fill { value: 3, place: place(2), runs: border });
    let pool = |size: usize, c: usize, kernel, stride, pad, means: Option<Means>| {
        let (rows, cols) = (windows(size, kernel, stride, pad), windows(size, kernel, stride, pad));
        let count = rows.spans.len();
        let (input, output) = (pixels(0, size, c), pixels(2, count, c));
        let work = match means {
            Some(means) => Work::AveragePool { rows, cols, channels: c, input, output, images: 1, means },
            None => Work::MaxPool { rows, cols, channels: c, input, output, images: 1 },
        };
        (count * count * c, work)
    };
    let means = Some(Means { from: (0.02, 4), to: (0.03, -9), divisor: None });
    for (name, (bytes, work)) in [
        ("max 5x5 of 20x20x128", pool(20, 128, 5, 1, 2, None)),
        ("max 3x3, stride 2, of 112x112x24", pool(112, 24, 3, 2, 1, None)),
        ("max 2x2, stride 2, of 64x64x16", pool(64, 16, 2, 2, 0, None)),
        ("mean 3x3 of 28x28x64", pool(28, 64, 3, 1, 1, means)),
        ("mean 7x7x1280, whole", pool(7, 1280, 7, 1, 0, means)),
        ("mean 56x56x32, whole", pool(56, 32, 56, 1, 0, means)),
    ] {
        case(name, bytes, work);
    }
    let resize = |size: usize, c: usize, linear: bool| {
        let tap = |i: usize| match linear {
            false => (i / 2, i / 2, 0),
            true => (i.saturating_sub(1) / 2, i.div_ceil(2).min(size - 1), [1536, 512][i % 2]),
        };
        let taps: Vec<_> = (0..2 * size).map(tap).collect();
        let work = Work::Resize {
            rows: taps.clone(),
            cols: taps,
            channels: c,
            input: pixels(0, size, c),
            output: pixels(2, 2 * size, c),
            images: 1,
            x_zero: 5,
            ratio: 0.9,
            requant: REQUANT,
            copy: !linear,
        };
        (4 * size * size * c, work)
    };
    for (name, (bytes, work)) in [
        ("resize 20x20x128, nearest", resize(20, 128, false)),
        ("resize 40x40x24, nearest", resize(40, 24, false)),
        ("resize 20x20x128, linear", resize(20, 128, true)),
    ] {
        case(name, bytes, work);
    }
    let softmax = |len: usize, steps: [usize; 2], axes: Vec<(usize, [usize; 2])>| {
        let table = std::array::from_fn(|d| (-(d as f64) * 0.05).exp() as f32);
        let bytes = len * axes.iter().map(|(n, _)| n).product::<usize>();
        let requant = Requant { zero_point: -128, ..REQUANT };
        let (places, loops) = ([place(0), place(2)], Loops { axes });
        (bytes, Work::Softmax { table: Arc::new(table), inverse: 256.0, requant, len, steps, places, loops })
    };
    for (name, (bytes, work)) in [
        ("softmax of 16, contiguous", softmax(16, [1, 1], vec![(8400, [16, 16])])),
        ("softmax of 16, strided", softmax(16, [2100, 2100], vec![(2100, [1, 1])])),
        ("softmax of 400, contiguous", softmax(400, [1, 1], vec![(400, [400, 400])])),
    ] {
        case(name, bytes, work);
    }
    let shuffle = |i: usize| i % 2 * 58 + i / 2;
    let gather = Work::Gather {
        offsets: (0..116).map(shuffle).collect(),
        step: 1,
        places: [place(0), place(2)],
        loops: Loops { axes: vec![(784, [116, 116])] },
    };
    case("gather, channel shuffle of 2", 784 * 116, gather);
    let load = |axes| Work::Load { port: 0, quant: (0.05, 3), place: place(2), loops: Loops { axes } };
    let store = |axes| Work::Store { port: 0, quant: (0.05, 3), place: place(0), loops: Loops { axes } };
    case("load floats", 150_528, load(vec![(150_528, [1, 1])]));
    case("store floats", 150_528, store(vec![(150_528, [1, 1])]));
    cases
}
