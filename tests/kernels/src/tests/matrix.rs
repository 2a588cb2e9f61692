//! Products of two operands that both come with the inference: the second one is packed from wherever its elements lie.

use proptest::prelude::*;

use crate::kernels::{MAX_ROWS, Matrix};

use super::gemm::{Case, check_packed};
use super::memory::Input;
use super::rng::{FILLS, Rng};
use super::{Results, config, requant, sets, zero_point};

/// Order in which a matrix lies.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Columns adjacent, so many bytes between the end of a row and the next one.
    Rows(usize),
    /// Terms adjacent.
    Columns(usize),
    /// Nothing is.
    Scattered,
}

fn order() -> impl Strategy<Value = Order> {
    let gap = || prop_oneof![2 => Just(0usize), 1 => 1..=70usize];
    prop_oneof![4 => gap().prop_map(Order::Rows), 4 => gap().prop_map(Order::Columns), 1 => Just(Order::Scattered)]
}

fn case() -> impl Strategy<Value = Case> {
    let most = if cfg!(miri) { [20, 30] } else { [150, 200] };
    let n = prop_oneof![2 => 1..=40usize.min(most[0]), 1 => 1..=most[0]];
    // Beyond what the longest segment of any set's layout takes, now and then.
    let long = if cfg!(miri) { 30usize } else { 600 };
    let k = prop_oneof![6 => 1..=40usize.min(most[1]), 6 => 1..=most[1], 1 => 1..=long];
    let fill = || proptest::sample::select(&FILLS[..]);
    let bytes = requant().prop_map(Results::Bytes);
    let layer = (n, k, 1..=MAX_ROWS, zero_point(), bytes);
    (layer, fill(), fill(), any::<bool>(), any::<u64>()).prop_map(
        |((n, segment, rows, x_zero, results), x, w, tight_front, seed)| {
            let (zeros, range) = (None, (0, 255));
            Case { n, segments: 1, segment, rows, x_zero, results, x, w, zeros, range, tight_front, seed }
        },
    )
}

/// Packs and multiplies on every set.
fn check(case: &Case, zero: i32, order: Order) {
    let mut data = case.data();
    let (n, k) = (case.n, case.segment);
    data.zeros = vec![zero as i8; n];
    data.bias = vec![0; n];
    data.scale = vec![data.scale[0]; n];
    let expected = data.expected(case);
    let steps @ [term, column] = match order {
        Order::Rows(gap) => [n + gap, 1],
        Order::Columns(gap) => [1, k + gap],
        Order::Scattered => [2, 2 * k + 1],
    };
    let mut rng = Rng(case.seed);
    let mut bytes = vec![0i8; (k - 1) * term + (n - 1) * column + 1];
    for (i, &weight) in data.weights.iter().enumerate() {
        bytes[i % k * term + i / k * column] = weight;
    }
    let mut input = Input::new(&bytes, case.tight_front, &mut rng);
    let matrix = Matrix { k, n, data: input.ptr(), steps, zeros: [case.x_zero, zero], scale: data.scale[0] };
    for set in sets() {
        // SAFETY: the matrix lies within the input, which has its slack.
        let packed = unsafe { set.pack_matrix(&matrix) };
        check_packed(set, case, &mut data, &expected, &packed);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_matrix(case in case(), zero in zero_point(), order in order()) {
        check(&case, zero, order);
    }
}

/// Every number of columns up to two blocks and one, and of terms around every power of two.
#[test]
fn every_tail() {
    let depths: &[usize] =
        if cfg!(miri) { &[1, 5, 33] } else { &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 17, 31, 33, 64] };
    let mut seed = 0;
    for &segment in depths {
        for n in 1..=33 {
            for order in [Order::Rows(0), Order::Columns(0)] {
                seed += 1;
                let results = Results::of_seed(3 * seed + 1);
                let (x, w) = (FILLS[seed as usize % FILLS.len()], FILLS[seed as usize / 2 % FILLS.len()]);
                let (x_zero, tight_front) = ((seed % 256) as i32 - 128, seed % 3 == 0);
                let (zeros, range) = (None, (0, 255));
                let case =
                    Case { n, segments: 1, segment, rows: 3, x_zero, results, x, w, zeros, range, tight_front, seed };
                check(&case, (seed % 5) as i32 - 2, order);
            }
        }
    }
}
