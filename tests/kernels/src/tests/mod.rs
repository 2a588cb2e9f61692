//! The properties; see the crate.

mod broken;
mod depthwise;
mod elementwise;
mod fault;
mod float;
mod gemm;
mod memory;
mod naive;
mod rng;

use std::env;

use proptest::prelude::*;

use crate::kernels::{Kernels, Requant, available};

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
