//! `Attention` of opset 23 and later in full: caches, masks, caps, windows, groups of heads.
//!
//! A row that no key is allowed for gives zeros, as the specification has it.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{floats, ints, of_floats, optional, required, slice};
use crate::onnx::node;

pub(super) fn attention(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let count = |name: &str| -> TractResult<Option<usize>> {
        let heads = node::int(node, name, 0)?;
        Ok(usize::try_from(heads).ok().filter(|heads| *heads > 0))
    };
    let window = |name: &str| -> TractResult<Option<i64>> { Ok(Some(node::int(node, name, -1)?).filter(|w| *w >= 0)) };
    let scale = match node::attribute(node, "scale") {
        Some(_) => Some(node::float(node, "scale", 1.0)?),
        None => None,
    };
    Ok(Arc::new(Attention {
        causal: node::flag(node, "is_causal")?,
        heads: (count("q_num_heads")?, count("kv_num_heads")?),
        scale,
        cap: node::float(node, "softcap", 0.0)?,
        shown: node::int(node, "qk_matmul_output_mode", 0)?,
        window: (window("left_window_size")?, window("right_window_size")?),
    }))
}

#[derive(Debug)]
struct Attention {
    causal: bool,
    /// Of queries, and of keys and values.
    heads: (Option<usize>, Option<usize>),
    scale: Option<f32>,
    cap: f32,
    /// Stage of the scores in the fourth output: raw, capped, masked or as weights.
    shown: i64,
    /// Keys before and behind a query that it sees.
    window: (Option<i64>, Option<i64>),
}

/// Sizes of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    queries: usize,
    /// Those in the cache, and those given.
    keys: (usize, usize),
    size: usize,
    value_size: usize,
}

impl Sizes {
    fn all_keys(&self) -> usize {
        self.keys.0 + self.keys.1
    }
}

impl Attention {
    fn sizes(&self, q: &[usize], k: &[usize], v: &[usize], past: Option<&[usize]>) -> TractResult<Sizes> {
        let past = past.map_or(0, |shape| shape.get(2).copied().unwrap_or(0));
        let sizes = match (q, k, v) {
            (&[batch, heads, queries, size], &[_, kv_heads, keys, _], &[_, _, _, value_size]) => {
                Sizes { batch, heads, kv_heads, queries, keys: (past, keys), size, value_size }
            }
            (&[batch, queries, q_width], &[_, keys, _], &[_, _, v_width]) => {
                let heads = self.heads.0.context("its q_num_heads is missing")?;
                let kv_heads = self.heads.1.context("its kv_num_heads is missing")?;
                ensure!(
                    q_width % heads == 0 && v_width % kv_heads == 0,
                    "its {heads} and {kv_heads} heads do not fit {q_width} and {v_width} values"
                );
                let (size, value_size) = (q_width / heads, v_width / kv_heads);
                Sizes { batch, heads, kv_heads, queries, keys: (past, keys), size, value_size }
            }
            _ => bail!("its inputs have shapes {q:?}, {k:?} and {v:?}"),
        };
        let Sizes { batch, kv_heads, heads, size, value_size, .. } = sizes;
        ensure!(kv_heads > 0 && heads % kv_heads == 0, "its {heads} heads are no multiple of {kv_heads}");
        let keys = sizes.keys.1;
        let (wanted_k, wanted_v) = (batch * kv_heads * keys * size, batch * kv_heads * keys * value_size);
        let fits = k.iter().product::<usize>() == wanted_k && v.iter().product::<usize>() == wanted_v;
        ensure!(fits, "its inputs of shapes {q:?}, {k:?} and {v:?} do not fit");
        Ok(sizes)
    }
}

/// `[B, S, H · D]` as `[B, H, S, D]`.
fn by_head(values: Vec<f32>, rank: usize, batch: usize, heads: usize, rows: usize, size: usize) -> Vec<f32> {
    if rank == 4 {
        return values;
    }
    let mut out = Vec::with_capacity(values.len());
    for item in 0..batch {
        for head in 0..heads {
            for row in 0..rows {
                out.extend_from_slice(&values[((item * rows + row) * heads + head) * size..][..size]);
            }
        }
    }
    out
}

/// Cached rows with new ones behind them, for each item and head.
fn appended(past: Option<Vec<f32>>, new: Vec<f32>, lanes: usize, old_len: usize, new_len: usize) -> Vec<f32> {
    let Some(past) = past else { return new };
    let mut out = Vec::with_capacity(past.len() + new.len());
    for lane in 0..lanes {
        out.extend_from_slice(&past[lane * old_len..][..old_len]);
        out.extend_from_slice(&new[lane * new_len..][..new_len]);
    }
    out
}

/// Terms added to the scores: −∞ where a key is not allowed.
struct Mask {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Mask {
    fn of(tensor: &Tensor) -> TractResult<Self> {
        let values = match tensor.datum_type() {
            DatumType::Bool => {
                slice::<bool>(tensor)?.iter().map(|&seen| if seen { 0.0 } else { f32::NEG_INFINITY }).collect()
            }
            _ => floats(tensor)?,
        };
        ensure!(tensor.rank() <= 4 && tensor.rank() > 0, "its mask has shape {:?}", tensor.shape());
        let mut shape = vec![1; 4 - tensor.rank()];
        shape.extend_from_slice(tensor.shape());
        Ok(Mask { shape, values })
    }

    fn fits(&self, s: &Sizes) -> bool {
        let whole = [s.batch, s.heads, s.queries];
        self.shape[..3].iter().zip(whole).all(|(&dim, size)| dim == 1 || dim == size)
            && self.shape[3] <= s.all_keys().max(1)
    }

    fn at(&self, item: usize, head: usize, query: usize, key: usize, keys: usize) -> f32 {
        let pick = |axis: usize, index: usize| if self.shape[axis] == 1 { 0 } else { index };
        let row = (pick(0, item) * self.shape[1] + pick(1, head)) * self.shape[2] + pick(2, query);
        let last = self.shape[3];
        // A single column holds for all keys; a shorter row ends before those that are not allowed.
        let key = if last == 1 && keys != 1 { 0 } else { key };
        if key < last { self.values[row * last + key] } else { f32::NEG_INFINITY }
    }
}

impl Kernel for Attention {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (q, k, v) = (required(inputs, 0)?, required(inputs, 1)?, required(inputs, 2)?);
        let s = self.sizes(&q.shape, &k.shape, &v.shape, optional(inputs, 4).map(|past| &past.shape[..]))?;
        let y = if q.shape.len() == 3 {
            vec![s.batch, s.queries, s.heads * s.value_size]
        } else {
            vec![s.batch, s.heads, s.queries, s.value_size]
        };
        let cache = |size: usize| vec![s.batch, s.kv_heads, s.all_keys(), size];
        Ok(Some(vec![
            (q.dtype, y),
            (k.dtype, cache(s.size)),
            (v.dtype, cache(s.value_size)),
            (q.dtype, vec![s.batch, s.heads, s.queries, s.all_keys()]),
        ]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (q, k, v) = (*required(inputs, 0)?, *required(inputs, 1)?, *required(inputs, 2)?);
        let past = optional(inputs, 4).map(|past| past.shape());
        let s = self.sizes(q.shape(), k.shape(), v.shape(), past)?;
        let (rank, keys, lanes) = (q.rank(), s.all_keys(), s.batch * s.kv_heads);
        let query = by_head(floats(q)?, rank, s.batch, s.heads, s.queries, s.size);
        let cached = |slot: usize, size: usize| -> TractResult<Option<Vec<f32>>> {
            let Some(past) = optional(inputs, slot) else { return Ok(None) };
            ensure!(past.len() == lanes * s.keys.0 * size, "its cache has shape {:?}", past.shape());
            Ok(Some(floats(past)?))
        };
        let key = by_head(floats(k)?, rank, s.batch, s.kv_heads, s.keys.1, s.size);
        let key = appended(cached(4, s.size)?, key, lanes, s.keys.0 * s.size, s.keys.1 * s.size);
        let value = by_head(floats(v)?, rank, s.batch, s.kv_heads, s.keys.1, s.value_size);
        let value = appended(cached(5, s.value_size)?, value, lanes, s.keys.0 * s.value_size, s.keys.1 * s.value_size);
        let mask = optional(inputs, 3).map(|mask| Mask::of(mask)).transpose()?;
        if let Some(mask) = mask.as_ref().filter(|mask| !mask.fits(&s)) {
            bail!("its mask of shape {:?} does not fit {} queries and {keys} keys", mask.shape, s.queries);
        }
        let lengths = optional(inputs, 6).map(|lengths| ints(lengths)).transpose()?;
        ensure!(lengths.as_ref().is_none_or(|l| l.len() == s.batch), "it has not one length for each item");
        let scale = self.scale.unwrap_or(1.0 / (s.size as f32).sqrt());
        let mut shown = vec![0f32; s.batch * s.heads * s.queries * keys];
        let mut made = vec![0f32; s.batch * s.heads * s.queries * s.value_size];
        let mut scores = vec![0f32; keys];
        let mut bias = vec![0f32; keys];
        for row in 0..s.batch * s.heads * s.queries {
            let (item, head, position) = (row / s.queries / s.heads, row / s.queries % s.heads, row % s.queries);
            let lane = item * s.kv_heads + head / (s.heads / s.kv_heads);
            let length = lengths.as_ref().map(|lengths| lengths[item]);
            // Where the query stands among the keys.
            let offset = length.map_or(s.keys.0 as i64, |length| length - s.queries as i64);
            let at = position as i64 + offset;
            let x = &query[row * s.size..][..s.size];
            for k in 0..keys {
                let j = k as i64;
                let hidden = self.causal && j > at
                    || self.window.0.is_some_and(|left| at - j > left)
                    || self.window.1.is_some_and(|right| j - at > right)
                    || length.is_some_and(|length| j >= length);
                let given = mask.as_ref().map_or(0.0, |mask| mask.at(item, head, position, k, keys));
                bias[k] = if hidden { f32::NEG_INFINITY } else { given };
                let y = &key[(lane * keys + k) * s.size..][..s.size];
                let product: f32 = x.iter().zip(y).map(|(a, b)| a * b).sum();
                let raw = product * scale;
                let capped = if self.cap > 0.0 { (raw / self.cap).tanh() * self.cap } else { raw };
                scores[k] = capped + bias[k];
                shown[row * keys + k] = match self.shown {
                    0 => raw,
                    1 => capped,
                    _ => scores[k],
                };
            }
            let nothing = bias.iter().all(|b| *b == f32::NEG_INFINITY);
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|score| *score = if nothing { 0.0 } else { (*score - largest).exp() });
            let sum: f32 = scores.iter().sum();
            if sum != 0.0 {
                scores.iter_mut().for_each(|score| *score /= sum);
            }
            if self.shown == 3 {
                shown[row * keys..][..keys].copy_from_slice(&scores);
            }
            let out = &mut made[row * s.value_size..][..s.value_size];
            for (k, weight) in scores.iter().enumerate() {
                let v = &value[(lane * keys + k) * s.value_size..][..s.value_size];
                out.iter_mut().zip(v).for_each(|(out, v)| *out += weight * v);
            }
        }
        let y = if rank == 3 {
            let mut rows = Vec::with_capacity(made.len());
            for row in 0..s.batch * s.queries {
                for head in 0..s.heads {
                    let from = ((row / s.queries) * s.heads + head) * s.queries + row % s.queries;
                    rows.extend_from_slice(&made[from * s.value_size..][..s.value_size]);
                }
            }
            of_floats(&[s.batch, s.queries, s.heads * s.value_size], &rows)?
        } else {
            of_floats(&[s.batch, s.heads, s.queries, s.value_size], &made)?
        };
        let cast = |tensor: Tensor, like: &Tensor| -> TractResult<Tensor> {
            Ok(tensor.cast_to_dt(like.datum_type())?.into_owned())
        };
        Ok(vec![
            cast(y, q)?,
            cast(of_floats(&[s.batch, s.kv_heads, keys, s.size], &key)?, k)?,
            cast(of_floats(&[s.batch, s.kv_heads, keys, s.value_size], &value)?, v)?,
            cast(of_floats(&[s.batch, s.heads, s.queries, keys], &shown)?, q)?,
        ])
    }
}
