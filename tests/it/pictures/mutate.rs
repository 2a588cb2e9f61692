//! Changes to JPEG files that know their structure; the same for the same number.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A simple generator (xorshift64*), so that every run makes the same files.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }
}

const WIDTH: u16 = 72;
const HEIGHT: u16 = 56;

type Setup = fn(&mut Encoder<&mut Vec<u8>>);

/// Whole pictures of every kind.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let setups: [(&str, ColorType, Setup); 10] = [
        ("444", ColorType::Rgb, |e| e.set_sampling_factor(SamplingFactor::F_1_1)),
        ("420", ColorType::Rgb, |e| e.set_sampling_factor(SamplingFactor::F_2_2)),
        ("422 restarts", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_1);
            e.set_restart_interval(2);
        }),
        ("grey", ColorType::Luma, |_| ()),
        ("grey restarts", ColorType::Luma, |e| e.set_restart_interval(5)),
        ("scans 420", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_2);
            e.set_optimized_huffman_tables(true);
        }),
        ("scans restarts", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_4_1);
            e.set_restart_interval(3);
        }),
        ("progressive 420", ColorType::Rgb, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_2);
            e.set_progressive(true);
        }),
        ("progressive grey", ColorType::Luma, |e| e.set_progressive(true)),
        ("progressive restarts", ColorType::Rgb, |e| {
            e.set_progressive(true);
            e.set_restart_interval(6);
        }),
    ];
    let mut chance = Chance(7);
    let mut pixels = Vec::new();
    for y in 0..usize::from(HEIGHT) {
        for x in 0..usize::from(WIDTH) {
            let edge = if (x / 9 + y / 7).is_multiple_of(2) { 40 } else { 0 };
            let noise = chance.below(20);
            pixels.extend([40 + x * 2 + noise, 200 - y * 2 - noise, 80 + edge + noise].map(|v| v as u8));
        }
    }
    let encode = |(name, kind, setup): (&'static str, ColorType, Setup)| {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, 85);
        setup(&mut encoder);
        let grey: Vec<u8> = pixels.iter().copied().step_by(3).collect();
        encoder.encode(if kind == ColorType::Luma { &grey } else { &pixels }, WIDTH, HEIGHT, kind).unwrap();
        (name, out)
    };
    setups.into_iter().map(encode).collect()
}

/// A file in parts: segments by marker, and the entropy-coded data behind each scan header.
#[derive(Clone)]
struct Parts(Vec<Vec<u8>>);

impl Parts {
    fn of(file: &[u8]) -> Self {
        let mut parts = vec![file[..2].to_vec()];
        let mut at = 2;
        while file[at + 1] != 0xd9 {
            let length = 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
            let scan = file[at + 1] == 0xda;
            parts.push(file[at..at + length].to_vec());
            at += length;
            if scan {
                let end = (at..).find(|&i| file[i] == 0xff && !matches!(file[i + 1], 0 | 0xd0..=0xd7)).unwrap();
                parts.push(file[at..end].to_vec());
                at = end;
            }
        }
        parts.push(file[at..].to_vec());
        Parts(parts)
    }

    fn is(&self, i: usize, code: u8) -> bool {
        self.0[i].starts_with(&[0xff, code])
    }

    /// Parts that hold entropy-coded data.
    fn data(&self) -> Vec<usize> {
        (1..self.0.len()).filter(|&i| self.is(i - 1, 0xda)).collect()
    }

    fn segments(&self, code: u8) -> Vec<usize> {
        (0..self.0.len()).filter(|&i| self.is(i, code)).collect()
    }

    fn file(&self) -> Vec<u8> {
        self.0.concat()
    }
}

/// Where the restart markers of some data are.
fn restarts(data: &[u8]) -> Vec<usize> {
    (1..data.len()).filter(|&i| data[i - 1] == 0xff && (0xd0..=0xd7).contains(&data[i])).map(|i| i - 1).collect()
}

fn pick(chance: &mut Chance, from: &[usize]) -> Option<usize> {
    if from.is_empty() { None } else { Some(from[chance.below(from.len())]) }
}

/// Changes one thing; says what. `None` where the file has no such thing.
fn mutate(chance: &mut Chance, parts: &mut Parts) -> Option<&'static str> {
    let data = pick(chance, &parts.data())?;
    let at = chance.below(parts.0[data].len());
    let some = 1 + chance.below(12);
    let end = (at + some).min(parts.0[data].len());
    let what = match chance.below(24) {
        0 => {
            parts.0[data].truncate(at);
            parts.0.truncate(data + 1);
            "cut"
        }
        1..=3 => {
            parts.0[data].truncate(at);
            parts.0.truncate(data + 1);
            parts.0.push(vec![0xff, 0xd9]);
            "cut and ended"
        }
        4 => {
            parts.0[data].truncate(at);
            "data of a scan cut"
        }
        5 => {
            parts.0.truncate(data + 1);
            parts.0.push(vec![0xff, 0xd9]);
            "ended behind a scan"
        }
        6 => {
            parts.0[data].drain(at..end);
            "bytes lost"
        }
        7 => {
            let again = parts.0[data][at..end].to_vec();
            parts.0[data].splice(at..at, again);
            "bytes twice"
        }
        8 => {
            parts.0[data][at] ^= 1 << chance.below(8);
            "a bit"
        }
        9 => {
            parts.0[data][at..end].fill(0);
            "zeros"
        }
        10 => {
            let i = 1 + chance.below(parts.0.len() - 1);
            let strays: Vec<u8> = chance.bytes(some * 9).into_iter().map(|b| b.min(0xfe)).collect();
            parts.0.insert(i, strays);
            "stray bytes"
        }
        11 => {
            parts.0.insert(1 + chance.below(data - 1), vec![0xff; some]);
            "fill bytes"
        }
        12 => {
            let place = pick(chance, &restarts(&parts.0[data]))?;
            parts.0[data].drain(place..place + 2);
            "a restart marker lost"
        }
        13 => {
            let place = pick(chance, &restarts(&parts.0[data]))?;
            parts.0[data][place + 1] = 0xd0 + chance.below(8) as u8;
            "a restart marker renamed"
        }
        14 => {
            let places = restarts(&parts.0[data]);
            let i = chance.below(places.len().checked_sub(1)?);
            parts.0[data].drain(places[i]..places[i + 1]);
            "a restart interval lost"
        }
        15 => {
            parts.0[data].splice(at..at, [0xff, 0xd0 + chance.below(8) as u8]);
            "a restart marker more"
        }
        16 => {
            let interval = chance.below(9) as u8;
            match pick(chance, &parts.segments(0xdd)) {
                Some(i) => parts.0[i][5] = interval,
                None => parts.0.insert(1, vec![0xff, 0xdd, 0, 4, 0, interval]),
            }
            "another restart interval"
        }
        17 => {
            let i = pick(chance, &[parts.segments(0xc0), parts.segments(0xc2)].concat())?;
            let byte = [6, 8, 11, 14][chance.below(4)].min(parts.0[i].len() - 2);
            parts.0[i][byte] = [8, 16, 40, 56, 64, 72, 90, 0x11, 0x21, 0x12, 0x22][chance.below(11)];
            "frame header"
        }
        18 => {
            let i = pick(chance, &parts.segments(0xc4))?;
            let byte = 4 + chance.below(parts.0[i].len() - 4);
            parts.0[i][byte] = parts.0[i][byte].wrapping_add(1);
            "Huffman table"
        }
        19 => {
            let code = [0xc4, 0xdb][chance.below(2)];
            let i = pick(chance, &parts.segments(code))?;
            parts.0.remove(i);
            "a table lost"
        }
        20 => {
            let i = pick(chance, &parts.segments(0xda))?;
            let byte = 4 + chance.below(parts.0[i].len() - 4);
            parts.0[i][byte] ^= 1 << chance.below(3);
            "scan header"
        }
        21 => {
            let (from, to) = (1 + chance.below(parts.0.len() - 2), 1 + chance.below(parts.0.len() - 2));
            parts.0.swap(from, to);
            "parts in another order"
        }
        22 => {
            let i = 1 + chance.below(parts.0.len() - 1);
            parts.0.insert(i, vec![0xff, [0xd8, 0xd9, 0x01, 0xd3, 0x37, 0xf7][chance.below(6)]]);
            "a marker more"
        }
        _ => {
            let i = pick(chance, &parts.segments(0xdb))?;
            let byte = 5 + chance.below(parts.0[i].len() - 5);
            parts.0[i][byte] = 1 + chance.below(99) as u8;
            "quantisation table"
        }
    };
    Some(what)
}

/// The seeds as they are, then `count` files with one or two changes, with what was changed.
pub fn all(count: usize) -> Vec<(String, Vec<u8>)> {
    let seeds = seeds();
    let mut files: Vec<(String, Vec<u8>)> =
        seeds.iter().map(|(name, file)| (format!("{name} whole"), file.clone())).collect();
    let mut number = 0;
    while files.len() < count + seeds.len() {
        number += 1;
        let (name, file) = &seeds[number % seeds.len()];
        let mut chance = Chance((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut parts = Parts::of(file);
        let Some(first) = mutate(&mut chance, &mut parts) else { continue };
        files.push((format!("{name} {number}: {first}"), parts.file()));
    }
    files
}
