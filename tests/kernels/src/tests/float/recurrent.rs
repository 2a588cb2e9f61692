//! Steps of recurrent layers.

use proptest::prelude::*;

use crate::kernels::float::*;
use crate::tests::config;
use crate::tests::fault::running;
use crate::tests::rng::Rng;

use super::memory::Floats;
use super::{is_near, sets, uniform};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn scaled(rng: &mut Rng, len: usize) -> Vec<f32> {
    uniform(rng, len).into_iter().map(|x| x * 4.0).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lstm(len in 1usize..=70, has_peepholes in any::<bool>(), clips in any::<bool>(), seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let (gates, old, weights) = (scaled(rng, 4 * len), uniform(rng, len), uniform(rng, 3 * len));
        let bound = if clips { 1.5 } else { f32::INFINITY };
        let (mut from, mut peepholes) = (Floats::new(&gates, seed % 2 == 0), Floats::new(&weights, seed % 2 == 0));
        for set in sets() {
            let (mut cell, mut hidden) = (Floats::new(&old, seed % 2 == 0), Floats::output(len, rng));
            let call = LstmCall {
                gates: from.ptr(),
                peepholes: if has_peepholes { peepholes.ptr() } else { std::ptr::null() },
                cell: cell.ptr(),
                hidden: hidden.ptr(),
                len,
                clip: bound,
            };
            running(set.name(), &call);
            // SAFETY: `sets` gives what this processor can run; everything has the units.
            unsafe { set.lstm(&call) };
            let (cells, hiddens) = (cell.values(), hidden.values());
            for i in 0..len {
                let clip = |x: f64| x.clamp(-f64::from(bound), f64::from(bound));
                let peep = |which: usize, cell: f64| if has_peepholes { f64::from(weights[which * len + i]) * cell } else { 0.0 };
                let gate = |which: usize| f64::from(gates[which * len + i]);
                let before = f64::from(old[i]);
                let input = sigmoid(clip(gate(0) + peep(0, before)));
                let forget = sigmoid(clip(gate(2) + peep(2, before)));
                let after = forget * before + input * clip(gate(3)).tanh();
                let output = sigmoid(clip(gate(1) + peep(1, after)));
                prop_assert!(is_near(cells[i], after, 1e-6), "{}: cell {} for {}", set.name(), cells[i], after);
                prop_assert!(is_near(hiddens[i], output * after.tanh(), 1e-6), "{}: hidden", set.name());
            }
        }
    }

    #[test]
    fn gru(len in 1usize..=70, linear in any::<bool>(), clips in any::<bool>(), seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let (inputs, recurrents, old) = (scaled(rng, 3 * len), scaled(rng, 3 * len), uniform(rng, len));
        let bound = if clips { 1.5 } else { f32::INFINITY };
        let (mut input, mut recurrent) = (Floats::new(&inputs, seed % 2 == 0), Floats::new(&recurrents, seed % 2 == 0));
        for set in sets() {
            let (mut hidden, mut reset) = (Floats::new(&old, seed % 2 == 0), Floats::output(len, rng));
            let call = GruCall { input: input.ptr(), recurrent: recurrent.ptr(), hidden: hidden.ptr(), len, clip: bound };
            running(set.name(), &call);
            // SAFETY: `sets` gives what this processor can run; everything has the units.
            unsafe {
                set.gru_reset(&call, reset.ptr());
                set.gru(linear, &call);
            }
            let (hiddens, resets) = (hidden.values(), reset.values());
            for i in 0..len {
                let clip = |x: f64| x.clamp(-f64::from(bound), f64::from(bound));
                let [x, r]: [Vec<f64>; 2] =
                    [&inputs, &recurrents].map(|gates| (0..3).map(|gate| f64::from(gates[gate * len + i])).collect());
                let update = sigmoid(clip(x[0] + r[0]));
                let reset = sigmoid(clip(x[1] + r[1]));
                let new = clip(x[2] + if linear { reset * r[2] } else { r[2] }).tanh();
                let before = f64::from(old[i]);
                let want = (1.0 - update) * new + update * before;
                prop_assert!(is_near(hiddens[i], want, 1e-6), "{}: {} for {}", set.name(), hiddens[i], want);
                prop_assert!(is_near(resets[i], reset * before, 1e-6), "{}: reset", set.name());
            }
        }
    }
}
