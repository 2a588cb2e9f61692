//! The properties; see the crate.

mod broken;
mod depthwise;
mod elementwise;
mod fault;
mod float;
mod floats;
mod gemm;
mod matrix;
mod memory;
mod naive;
mod rng;
mod steps;

use std::env;

use proptest::prelude::*;

use crate::kernels::{Dequant, Finish, Kernels, Requant, available};

/// Every set to be tested, the reference first.
fn sets() -> Vec<&'static dyn Kernels> {
    available()
}

/// How many cases, where `PROPTEST_CASES` does not say. Miri is some thousand times slower.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if env::var_os("PROPTEST_CASES").is_none() && cfg!(miri) { ProptestConfig { cases: 4, ..default } } else { default }
}

/// Any output quantisation: often the whole range, often a zero point at the end of it.
fn requant() -> impl Strategy<Value = Requant> {
    let edge = || prop_oneof![3 => Just(-128i8), 3 => Just(127i8), 4 => any::<i8>()];
    (edge(), prop_oneof![2 => Just((-128i8, 127i8)), 3 => (edge(), edge())]).prop_map(|(zero, (a, b))| Requant {
        zero_point: i32::from(zero),
        low: a.min(b),
        high: a.max(b),
    })
}

/// Type of a layer's results.
#[derive(Clone, Copy, Debug)]
pub enum Results {
    /// Bytes.
    Bytes(Requant),
    /// Floats, with the input's scale and bounds.
    Floats { x_scale: f32, bounds: (f32, f32) },
}

impl Results {
    /// Bytes of one.
    pub fn width(&self) -> usize {
        if matches!(self, Results::Bytes(_)) { 1 } else { 4 }
    }

    /// As a call has them.
    pub fn finish(&self, x_zero: i32) -> Finish {
        match *self {
            Results::Bytes(requant) => Finish::Bytes(requant),
            Results::Floats { x_scale, bounds: (low, high) } => Finish::Floats(Dequant { x_scale, x_zero, low, high }),
        }
    }

    /// Some: one in three are floats.
    pub fn of_seed(seed: u64) -> Self {
        match seed % 3 {
            0 => Results::Floats { x_scale: 0.01 * (1 + seed % 5) as f32, bounds: (f32::NEG_INFINITY, f32::INFINITY) },
            _ => Results::Bytes(Requant { zero_point: (seed % 17) as i32 - 8, low: -128, high: 127 }),
        }
    }
}

/// Any results.
fn results() -> impl Strategy<Value = Results> {
    let bounds = prop_oneof![
        Just((f32::NEG_INFINITY, f32::INFINITY)),
        Just((0.0, f32::INFINITY)),
        Just((0.0, 6.0)),
        Just((-1.5, 0.0))
    ];
    let x_scale = prop_oneof![3 => 1e-3f32..1.0, 1 => Just(0.0), 1 => Just(1e30)];
    let floats = (x_scale, bounds).prop_map(|(x_scale, bounds)| Results::Floats { x_scale, bounds });
    prop_oneof![2 => requant().prop_map(Results::Bytes), 1 => floats]
}

/// Zero point of an input.
fn zero_point() -> impl Strategy<Value = i32> {
    prop_oneof![1 => Just(-128i32), 1 => Just(127), 1 => Just(0), 4 => -128i32..=127]
}

#[test]
fn the_sets_are_those_expected() {
    let names: Vec<_> = sets().iter().map(|k| k.name()).collect();
    println!("sets: {}", names.join(","));
    assert_eq!(names.first(), Some(&"reference"));
    for (i, name) in names.iter().enumerate() {
        assert!(!names[..i].contains(name), "{name} twice");
    }
    if let Ok(expected) = env::var("LEPTOND_KERNEL_SETS") {
        assert_eq!(names.join(","), expected);
    }
}
