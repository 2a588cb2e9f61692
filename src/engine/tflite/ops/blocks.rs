//! Blocks of pixels that become channels or items, and the other way round.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::{Node, moved, same_bytes};
use crate::onnx::build::NodeBuilder;

/// `DEPTH_TO_SPACE` and `SPACE_TO_DEPTH`, whose channels are in ONNX's usual order.
pub fn depth(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let size = node.option(0, |o| o.i32(0, 0))?;
    let block = usize::try_from(size).ok().filter(|b| (1..1 << 12).contains(b)).ok_or("its block size cannot be")?;
    let (small, large) = if op == "DepthToSpace" { (x, y) } else { (y, x) };
    let fits = match (&w.tensor(small).shape[..], &w.tensor(large).shape[..]) {
        (&[n, h, width, deep], &[m, rows, columns, c]) => {
            n == m
                && rows / block == h
                && rows % block == 0
                && columns / block == width
                && columns % block == 0
                && deep / c == block * block
                && deep % c == 0
        }
        _ => false,
    };
    if !fits || matches!(w.tensor(x).kind, ElementType::I32 | ElementType::I64) {
        return Err(format!("blocks of {block} do not lead to {:?}", w.tensor(y).shape));
    }
    let name = w.real(x, Layout::ChannelsFirst)?;
    w.compute(y, Layout::ChannelsFirst, vec![NodeBuilder::new(op, [&name]).size("blocksize", block)])
}

/// Block sizes and pairs of amounts of the axes behind the first one.
fn amounts(w: &Writer<'_, '_>, node: Node<'_, '_>, rank: usize) -> Try<(Vec<usize>, Vec<[usize; 2]>)> {
    let number = |value: &i64| usize::try_from(*value).ok().filter(|v| *v <= 1 << 16);
    let blocks: Option<Vec<usize>> = w.integers(node.input(1)?)?.iter().map(number).collect();
    let pairs: Option<Vec<usize>> = w.integers(node.input(2)?)?.iter().map(number).collect();
    match (blocks, pairs) {
        (Some(blocks), Some(pairs))
            if pairs.len() == 2 * blocks.len() && blocks.len() < rank && !blocks.contains(&0) =>
        {
            Ok((blocks, pairs.chunks(2).map(|pair| [pair[0], pair[1]]).collect()))
        }
        _ => Err("its blocks and amounts cannot be".into()),
    }
}

/// `SPACE_TO_BATCH_ND`: each place inside a block becomes an item of its own.
pub fn space_to_batch(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let rank = shape.len();
    let (blocks, pairs) = amounts(w, node, rank)?;
    let count = blocks.len();
    let mut pads = vec![0i64; 2 * rank];
    // Items; then blocks and places inside each, axis by axis; then the rest.
    let (mut split, mut made) = (vec![shape[0]], vec![shape[0]]);
    for (place, (&block, [before, after])) in blocks.iter().zip(pairs).enumerate() {
        let dim = shape[place + 1] + before + after;
        if !dim.is_multiple_of(block) {
            return Err(format!("blocks of {block} do not fill {dim}"));
        }
        (pads[place + 1], pads[place + 1 + rank]) = (before as i64, after as i64);
        split.extend([dim / block, block]);
        made.push(dim / block);
        made[0] = made[0].saturating_mul(block);
    }
    split.extend(&shape[count + 1..]);
    made.extend(&shape[count + 1..]);
    if made != w.tensor(y).shape {
        return Err(format!("blocks {blocks:?} do not lead from {shape:?} to {:?}", w.tensor(y).shape));
    }
    let inside = (0..count).map(|place| 2 * place + 2);
    let outside = (0..count).map(|place| 2 * place + 1);
    let order: Vec<usize> = inside.chain([0]).chain(outside).chain(2 * count + 1..rank + count).collect();
    let padded = pads.iter().any(|&p| p > 0);
    let (pads, zero, split, made) = (w.longs(&pads)?, w.number(0.0)?, w.dims(&split)?, w.dims(&made)?);
    let mut steps = vec![
        NodeBuilder::new("Reshape", [&split]),
        NodeBuilder::new("Transpose", [""; 0]).sizes("perm", &order),
        NodeBuilder::new("Reshape", [&made]),
    ];
    if !padded && same_bytes(w, x, y) {
        let name = w.stored(x, Layout::File)?;
        steps[0].prepend_input(name);
        return w.row(y, Layout::File, steps);
    }
    super::elementwise::alike(w, &[x], y)?;
    let kind = w.tensor(x).kind;
    let zero = if kind.is_quantised() { zero } else { w.typed(kind, 0.0)? };
    let name = w.real(x, Layout::File)?;
    steps.insert(0, NodeBuilder::new("Pad", [&name, &pads, &zero]));
    w.compute(y, Layout::File, steps)
}

/// `BATCH_TO_SPACE_ND`: items become places inside blocks again, and borders are cut off.
pub fn batch_to_space(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let rank = shape.len();
    let (blocks, pairs) = amounts(w, node, rank)?;
    let count = blocks.len();
    let all = blocks.iter().try_fold(1usize, |all, &b| all.checked_mul(b)).filter(|all| shape[0].is_multiple_of(*all));
    let items = shape[0] / all.ok_or_else(|| format!("{} items are not of blocks {blocks:?}", shape[0]))?;
    let split: Vec<usize> = blocks.iter().copied().chain([items]).chain(shape[1..].iter().copied()).collect();
    let (mut joined, mut starts, mut ends) = (vec![items], vec![0i64; rank], Vec::new());
    for (place, (&block, [before, after])) in blocks.iter().zip(pairs).enumerate() {
        let dim = shape[place + 1].saturating_mul(block);
        joined.push(dim);
        starts[place + 1] = before as i64;
        ends.push(dim.saturating_sub(after));
    }
    joined.extend(&shape[count + 1..]);
    let mut kept = joined.clone();
    kept[1..=count].copy_from_slice(&ends);
    let made: Vec<usize> = kept.iter().zip(&starts).map(|(&end, &start)| end.saturating_sub(start as usize)).collect();
    if made != w.tensor(y).shape {
        return Err(format!("blocks {blocks:?} do not lead from {shape:?} to {:?}", w.tensor(y).shape));
    }
    let pairs = (0..count).flat_map(|place| [count + 1 + place, place]);
    let order: Vec<usize> = [count].into_iter().chain(pairs).chain(2 * count + 1..rank + count).collect();
    let (split, joined_dims) = (w.dims(&split)?, w.dims(&joined)?);
    let (starts, ends) = (w.longs(&starts)?, w.dims(&kept)?);
    moved(w, x, y, Layout::File, |name| {
        let mut steps = vec![
            NodeBuilder::new("Reshape", [name, &split]),
            NodeBuilder::new("Transpose", [""; 0]).sizes("perm", &order),
            NodeBuilder::new("Reshape", [&joined_dims]),
        ];
        if made != joined {
            steps.push(NodeBuilder::new("Slice", [&starts, &ends]));
        }
        steps
    })
}
