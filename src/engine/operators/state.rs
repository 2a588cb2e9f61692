//! Layers that hand a state from run to run as a tensor: `CausalConvWithState` and `LinearAttention` (opset 27 on).

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{floats, of_floats, optional, required};
use crate::onnx::node;

/// Depthwise convolution over time that sees no later step; the steps before the first are the state.
pub(super) fn causal_conv(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    match node::text(node, "activation", "none")? {
        "none" => Ok(Arc::new(CausalConv { silu: false })),
        "silu" | "swish" => Ok(Arc::new(CausalConv { silu: true })),
        other => bail!("its activation is {other:?}, allowed are none, silu and swish"),
    }
}

#[derive(Debug)]
struct CausalConv {
    silu: bool,
}

impl CausalConv {
    /// Items, channels, steps, and length of the window.
    fn sizes(x: &[usize], w: &[usize]) -> TractResult<[usize; 4]> {
        let (&[n, channels, steps], &[filters, 1, len]) = (x, w) else {
            bail!("its inputs have shapes {x:?} and {w:?}")
        };
        ensure!(filters == channels && len > 0, "its weights {w:?} do not fit {channels} channels");
        Ok([n, channels, steps, len])
    }
}

impl Kernel for CausalConv {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, w) = (required(inputs, 0)?, required(inputs, 1)?);
        let [n, channels, steps, len] = Self::sizes(&x.shape, &w.shape)?;
        Ok(Some(vec![(x.dtype, vec![n, channels, steps]), (x.dtype, vec![n, channels, len - 1])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, w) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let [n, channels, steps, len] = Self::sizes(x.shape(), w.shape())?;
        let (values, weights) = (floats(x)?, floats(w)?);
        let bias = optional(inputs, 2).map(|bias| floats(bias)).transpose()?;
        ensure!(bias.as_ref().is_none_or(|b| b.len() == channels), "its bias has not {channels} values");
        let past = optional(inputs, 3).map_or(Ok(vec![0.0; n * channels * (len - 1)]), |past| floats(past))?;
        ensure!(past.len() == n * channels * (len - 1), "its state has not {} steps", len - 1);
        let (mut made, mut state) = (Vec::with_capacity(values.len()), Vec::with_capacity(past.len()));
        for lane in 0..n * channels {
            let channel = lane % channels;
            let mut row = past[lane * (len - 1)..][..len - 1].to_vec();
            row.extend_from_slice(&values[lane * steps..][..steps]);
            for window in row.windows(len).take(steps) {
                let sum: f32 = window.iter().zip(&weights[channel * len..][..len]).map(|(a, b)| a * b).sum();
                let sum = sum + bias.as_ref().map_or(0.0, |bias| bias[channel]);
                made.push(if self.silu { sum / (1.0 + (-sum).exp()) } else { sum });
            }
            state.extend_from_slice(&row[steps..]);
        }
        let cast = |tensor: Tensor| -> TractResult<Tensor> { Ok(tensor.cast_to_dt(x.datum_type())?.into_owned()) };
        Ok(vec![cast(of_floats(x.shape(), &made)?)?, cast(of_floats(&[n, channels, len - 1], &state)?)?])
    }
}

/// Attention by a state `[keys, values]` a head, written and read step by step.
pub(super) fn linear_attention(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let (gated, delta) = match node::text(node, "update_rule", "gated_delta")? {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => bail!("its update_rule is {other:?}"),
    };
    let heads = |name: &str| -> TractResult<usize> {
        let heads = node::int(node, name, 0)?;
        ensure!((1..=1 << 16).contains(&heads), "its {name} is {heads}");
        Ok(heads as usize)
    };
    let (heads, kv_heads) = (heads("q_num_heads")?, heads("kv_num_heads")?);
    ensure!(heads % kv_heads == 0, "its {heads} heads are no multiple of {kv_heads}");
    Ok(Arc::new(LinearAttention { gated, delta, heads, kv_heads, scale: node::float(node, "scale", 0.0)? }))
}

#[derive(Debug)]
struct LinearAttention {
    gated: bool,
    delta: bool,
    heads: usize,
    kv_heads: usize,
    /// 0 stands for one over the root of the keys' size.
    scale: f32,
}

impl LinearAttention {
    /// Items, steps, and sizes of a key and a value.
    fn sizes(&self, q: &[usize], k: &[usize], v: &[usize]) -> TractResult<[usize; 4]> {
        let (&[n, steps, q_width], &[.., v_width]) = (q, v) else { bail!("its inputs have shapes {q:?} and {v:?}") };
        let (size, value) = (q_width / self.heads, v_width / self.kv_heads);
        let fits = k == [n, steps, size * self.kv_heads]
            && v == [n, steps, value * self.kv_heads]
            && q_width == size * self.heads;
        ensure!(fits, "its inputs have shapes {q:?}, {k:?} and {v:?} for {} and {} heads", self.heads, self.kv_heads);
        Ok([n, steps, size, value])
    }
}

impl Kernel for LinearAttention {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (q, k, v) = (required(inputs, 0)?, required(inputs, 1)?, required(inputs, 2)?);
        let [n, steps, size, value] = self.sizes(&q.shape, &k.shape, &v.shape)?;
        let state = optional(inputs, 3).map_or(q.dtype, |past| past.dtype);
        Ok(Some(vec![(q.dtype, vec![n, steps, self.heads * value]), (state, vec![n, self.kv_heads, size, value])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (q, k, v) = (*required(inputs, 0)?, *required(inputs, 1)?, *required(inputs, 2)?);
        let [n, steps, size, value] = self.sizes(q.shape(), k.shape(), v.shape())?;
        let kv = self.kv_heads;
        let (queries, keys, values) = (floats(q)?, floats(k)?, floats(v)?);
        let past = optional(inputs, 3);
        let mut state = past.map_or(Ok(vec![0.0; n * kv * size * value]), |past| floats(past))?;
        ensure!(state.len() == n * kv * size * value, "its state has not {} values", n * kv * size * value);
        let decay = if self.gated { floats(required(inputs, 4)?)? } else { Vec::new() };
        let per_key = decay.len() == n * steps * kv * size;
        ensure!(!self.gated || per_key || decay.len() == n * steps * kv, "its decay does not fit");
        let beta = if self.delta { floats(required(inputs, 5)?)? } else { Vec::new() };
        let per_head = beta.len() == n * steps * kv;
        ensure!(!self.delta || per_head || beta.len() == n * steps, "its beta does not fit");
        let scale = if self.scale == 0.0 { 1.0 / (size as f32).sqrt() } else { self.scale };
        let mut made = vec![0.0; n * steps * self.heads * value];
        for at in 0..n * steps {
            for head in 0..kv {
                let state = &mut state[(at / steps * kv + head) * size * value..][..size * value];
                let key = &keys[(at * kv + head) * size..][..size];
                let mut new = values[(at * kv + head) * value..][..value].to_vec();
                if self.gated {
                    for (d, row) in state.chunks_mut(value.max(1)).enumerate() {
                        let log = decay[if per_key { (at * kv + head) * size + d } else { at * kv + head }];
                        row.iter_mut().for_each(|s| *s *= log.exp());
                    }
                }
                if self.delta {
                    let share = beta[if per_head { at * kv + head } else { at }];
                    for (m, new) in new.iter_mut().enumerate() {
                        let old: f32 = key.iter().enumerate().map(|(d, k)| state[d * value + m] * k).sum();
                        *new = share * (*new - old);
                    }
                }
                for (row, k) in state.chunks_mut(value.max(1)).zip(key) {
                    row.iter_mut().zip(&new).for_each(|(s, new)| *s += k * new);
                }
                let group = self.heads / kv;
                for reader in head * group..(head + 1) * group {
                    let query = &queries[(at * self.heads + reader) * size..][..size];
                    let out = &mut made[(at * self.heads + reader) * value..][..value];
                    for (row, q) in state.chunks(value.max(1)).zip(query) {
                        out.iter_mut().zip(row).for_each(|(out, s)| *out += scale * q * s);
                    }
                }
            }
        }
        let made = of_floats(&[n, steps, self.heads * value], &made)?;
        let state = of_floats(&[n, kv, size, value], &state)?;
        let state_type = past.map_or(q.datum_type(), |past| past.datum_type());
        Ok(vec![made.cast_to_dt(q.datum_type())?.into_owned(), state.cast_to_dt(state_type)?.into_owned()])
    }
}
