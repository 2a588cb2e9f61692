//! Parts cut out of tensors and put into them.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::gather;
use super::node::{Node, moved, same_bytes};
use crate::onnx::build::NodeBuilder;

/// One axis of a slice: from where, to where, how far apart.
struct Cut {
    axis: usize,
    start: i64,
    end: i64,
    step: i64,
}

/// `SLICE`: constant beginnings and sizes, a size of −1 being the rest.
pub fn slice(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let (Ok(starts), Ok(sizes)) = (w.integers(node.input(1)?), w.integers(node.input(2)?)) else {
        let moves = (0..shape.len()).map(Some).collect::<Vec<_>>();
        return from_computed(w, [x, node.input(1)?, y], &moves, &w.tensor(y).shape.clone());
    };
    if starts.len() != shape.len() || sizes.len() != shape.len() {
        return Err("its beginnings and sizes do not fit its operand".into());
    }
    let mut cuts = Vec::new();
    for (axis, &dim) in shape.iter().enumerate() {
        let (start, size) = (starts[axis], sizes[axis]);
        let end = if size == -1 { Some(dim as i64) } else { start.checked_add(size) };
        let end = end.filter(|&end| start >= 0 && end > start && end <= dim as i64);
        cuts.push(Cut { axis, start, end: end.ok_or("its parts leave its operand")?, step: 1 });
    }
    cut(w, x, y, cuts, true)
}

/// `STRIDED_SLICE`.
pub fn strided_slice(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let masks = Masks::of(node)?;
    let Masks { begin, ellipsis, new, shrink, .. } = masks;
    let lists = [w.integers(node.input(1)?), w.integers(node.input(2)?), w.integers(node.input(3)?)];
    let [Ok(starts), Ok(stops), Ok(steps)] = lists else {
        let plain = ellipsis == 0 && new == 0 && begin == 0;
        let count = w.tensor(node.input(1)?).len();
        let ones = w.integers(node.input(3)?).is_ok_and(|steps| steps.iter().all(|&step| step == 1));
        if !plain || !ones || count > shape.len() {
            return Err("its limits are computed, and have masks or steps beside them".into());
        }
        // How much it takes is what the file says of its result.
        let mut kept = w.tensor(y).shape.iter();
        let sizes = (0..shape.len()).map(|axis| if has(shrink, axis) { Some(1) } else { kept.next().copied() });
        let sizes: Option<Vec<usize>> = sizes.collect();
        let sizes = sizes.ok_or("its limits do not fit its operand")?;
        let moves: Vec<Option<usize>> = (0..shape.len()).map(|axis| (axis < count).then_some(axis)).collect();
        return from_computed(w, [x, node.input(1)?, y], &moves, &sizes);
    };
    let count = starts.len();
    if stops.len() != count || steps.len() != count || count > 32 {
        return Err("its limits do not fit its operand".into());
    }
    let named = (0..count).filter(|&p| !has(ellipsis, p) && !has(new, p)).count();
    let skipped = shape.len().checked_sub(named).ok_or("its limits do not fit its operand")?;
    let mut cuts = Vec::new();
    let mut axis = 0;
    let mut drops = false;
    for place in 0..count {
        if has(ellipsis, place) {
            axis += skipped;
            continue;
        }
        if has(new, place) {
            drops = true;
            continue;
        }
        let Some(&dim) = shape.get(axis) else { return Err("its limits do not fit its operand".into()) };
        let (start, end, step) = masks.range(place, dim as i64, [starts[place], stops[place], steps[place]])?;
        drops |= has(shrink, place);
        cuts.push(Cut { axis, start, end, step });
        axis += 1;
    }
    cut(w, x, y, cuts, !drops)
}

/// The elements that `SLICE` or `STRIDED_SLICE` takes from a row of `len`, and whether the result is a single one; `None` where it is not
/// as simple as that.
pub fn of_row(node: Node<'_, '_>, len: i64, limits: [Vec<i64>; 3]) -> Option<(Vec<i64>, bool)> {
    match &limits {
        [start, size, step] if start.len() == 1 && size.len() == 1 && step.is_empty() => {
            let end = if size[0] == -1 { len } else { start[0].checked_add(size[0])? };
            (start[0] >= 0 && end <= len).then(|| ((start[0]..end).collect(), false))
        }
        [start, stop, step] if start.len() == 1 && stop.len() == 1 && step.len() == 1 => {
            let masks = Masks::of(node).ok().filter(|m| m.ellipsis == 0 && m.new == 0)?;
            let (start, stop, step) = masks.range(0, len, [start[0], stop[0], step[0]]).ok()?;
            let places = std::iter::successors(Some(start), |at| at.checked_add(step));
            Some((places.take_while(|&at| (stop - at).signum() == step.signum()).collect(), has(masks.shrink, 0)))
        }
        _ => None,
    }
}

/// The shape of what `STRIDED_SLICE` takes by constant limits; `None` where it is not as simple as that.
pub fn shape_of(node: Node<'_, '_>, shape: &[usize], [starts, stops, steps]: &[Vec<i64>; 3]) -> Option<Vec<usize>> {
    let masks = Masks::of(node).ok().filter(|m| m.ellipsis == 0 && m.new == 0)?;
    if starts.len() > shape.len() || stops.len() != starts.len() || steps.len() != starts.len() {
        return None;
    }
    let mut made = Vec::new();
    for (axis, &dim) in shape.iter().enumerate() {
        if axis >= starts.len() {
            made.push(dim);
        } else if !has(masks.shrink, axis) {
            let (start, stop, step) = masks.range(axis, dim as i64, [starts[axis], stops[axis], steps[axis]]).ok()?;
            made.push(usize::try_from((stop - start).unsigned_abs().div_ceil(step.unsigned_abs())).ok()?);
        }
    }
    Some(made)
}

/// Options of `STRIDED_SLICE`.
#[derive(Clone, Copy)]
struct Masks {
    begin: i32,
    end: i32,
    ellipsis: i32,
    new: i32,
    shrink: i32,
    /// True if ends count from beginnings.
    offset: bool,
}

fn has(mask: i32, place: usize) -> bool {
    place < 32 && mask >> place & 1 == 1
}

impl Masks {
    fn of(node: Node<'_, '_>) -> Try<Masks> {
        let mask = |id| node.option(0, |o| o.i32(id, 0));
        Ok(Masks {
            begin: mask(0)?,
            end: mask(1)?,
            ellipsis: mask(2)?,
            new: mask(3)?,
            shrink: mask(4)?,
            offset: node.option(false, |o| o.flag(5))?,
        })
    }

    /// First element, end and step on an axis of `dim` elements, from the limits in `place`.
    fn range(&self, place: usize, dim: i64, [start, stop, step]: [i64; 3]) -> Try<(i64, i64, i64)> {
        if step == 0 {
            return Err("its step is 0".into());
        }
        // Backwards, the end lies in front of the first element.
        let (least, most) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
        let within = |value: i64| (if value < 0 { value.saturating_add(dim) } else { value }).clamp(least, most);
        let (front, back) = if step > 0 { (0, dim) } else { (dim - 1, -1) };
        let start = if has(self.begin, place) { front } else { within(start) };
        let stop = match self.offset && !has(self.end, place) {
            true => (start.saturating_add(stop)).clamp(least, most),
            false if has(self.end, place) => back,
            false => within(stop),
        };
        let (stop, step) = if has(self.shrink, place) { (start.saturating_add(1).min(dim), 1) } else { (stop, step) };
        if (stop - start).signum() != step.signum() {
            return Err("it takes nothing".into());
        }
        Ok((start, stop, step))
    }
}

/// Takes `sizes` from computed beginnings: for each axis of `x`, the place of its beginning in the operand that holds them.
fn from_computed(
    w: &mut Writer<'_, '_>,
    [x, starts, y]: [usize; 3],
    moves: &[Option<usize>],
    sizes: &[usize],
) -> Try<()> {
    let shape = w.tensor(x).shape.clone();
    let fits = sizes.len() == shape.len() && sizes.iter().zip(&shape).all(|(size, dim)| size <= dim);
    if !fits || sizes.iter().product::<usize>() != w.tensor(y).len() {
        return Err(format!("it does not take {:?} of {shape:?}", w.tensor(y).shape));
    }
    let starts = gather::places(w, starts)?;
    let zero = w.typed(ElementType::I64, 0.0)?;
    let mut lists = Vec::new();
    for (axis, place) in moves.iter().enumerate() {
        let Some(place) = place.filter(|_| sizes[axis] != shape[axis]) else { continue };
        let (at, dim) = (w.longs(&[place as i64])?, w.typed(ElementType::I64, shape[axis] as f64)?);
        let start = w.extra(y, NodeBuilder::new("Gather", [&starts, &at]).size("axis", 0));
        let below = w.extra(y, NodeBuilder::new("Less", [&start, &zero]));
        let turned = w.extra(y, NodeBuilder::new("Add", [&start, &dim]));
        let start = w.extra(y, NodeBuilder::new("Where", [&below, &turned, &start]));
        w.room(sizes[axis])?;
        let line = w.longs(&(0..sizes[axis] as i64).collect::<Vec<_>>())?;
        lists.push((axis, w.extra(y, NodeBuilder::new("Add", [&start, &line]))));
    }
    let dims = w.dims(&w.tensor(y).shape)?;
    moved(w, x, y, Layout::File, |name| {
        let mut steps = vec![NodeBuilder::new("Identity", [name])];
        steps.extend(lists.iter().map(|(axis, list)| NodeBuilder::new("Gather", [list]).size("axis", *axis)));
        steps.push(NodeBuilder::new("Reshape", [&dims]));
        steps
    })
}

/// `DYNAMIC_UPDATE_SLICE`: a part put into a tensor where computed beginnings say, as far as it has room there.
pub fn update(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    /// Most places that are named one by one.
    const MAX_PLACES: usize = 1 << 20;
    let (x, part, starts, y) = (node.input(0)?, node.input(1)?, node.input(2)?, node.output()?);
    let (shape, own) = (w.tensor(x).shape.clone(), w.tensor(part).shape.clone());
    let fits = shape.len() == own.len() && own.iter().zip(&shape).all(|(own, dim)| own <= dim);
    if !fits || shape != w.tensor(y).shape || w.tensor(starts).len() != shape.len() {
        return Err(format!("a part {own:?} does not fit into {shape:?}"));
    }
    if !same_bytes(w, x, y) || !same_bytes(w, part, y) {
        return Err("its operands are of other types than its result".into());
    }
    // Axes that are replaced whole need no places.
    let depth = (0..shape.len()).rev().find(|&axis| own[axis] != shape[axis]).map_or(1, |axis| axis + 1);
    let count: usize = own[..depth].iter().product();
    if count.saturating_mul(depth) > MAX_PLACES {
        return Err(format!("a part {own:?} has too many places"));
    }
    w.room(count.saturating_mul(depth))?;
    let mut grid = Vec::with_capacity(8 * count * depth);
    for place in 0..count {
        let mut rest = place;
        let mut at = vec![0i64; depth];
        for axis in (0..depth).rev() {
            at[axis] = (rest % own[axis]) as i64;
            rest /= own[axis];
        }
        grid.extend(at.iter().flat_map(|a| a.to_le_bytes()));
    }
    let list: Vec<usize> = own[..depth].iter().copied().chain([depth]).collect();
    let grid = w.values(ElementType::I64, &list, grid)?;
    let room: Vec<i64> = (0..depth).map(|axis| (shape[axis] - own[axis]) as i64).collect();
    let (room, zero, first) = (w.longs(&room)?, w.typed(ElementType::I64, 0.0)?, w.longs(&[0])?);
    let (flat, end) = (w.longs(&[-1])?, w.longs(&[depth as i64])?);
    let starts = gather::places(w, starts)?;
    let starts = w.extra(y, NodeBuilder::new("Reshape", [&starts, &flat]));
    let starts = w.extra(y, NodeBuilder::new("Slice", [&starts, &first, &end]));
    let starts = w.extra(y, NodeBuilder::new("Max", [&starts, &zero]));
    let starts = w.extra(y, NodeBuilder::new("Min", [&starts, &room]));
    let at = w.extra(y, NodeBuilder::new("Add", [&grid, &starts]));
    let (name, part) = (w.stored(x, Layout::File)?, w.stored(part, Layout::File)?);
    w.row(y, Layout::File, vec![NodeBuilder::new("ScatterND", [&name, &at, &part])])
}

/// Takes parts of `x`; dimensions that are left with one element are dropped where `keeps` is false and `y` lacks them.
fn cut(w: &mut Writer<'_, '_>, x: usize, y: usize, mut cuts: Vec<Cut>, keeps: bool) -> Try<()> {
    let mut shape = w.tensor(x).shape.clone();
    for cut in &cuts {
        let count = (cut.end - cut.start + cut.step - cut.step.signum()) / cut.step;
        shape[cut.axis] = usize::try_from(count).map_err(|_| "it takes nothing")?;
    }
    cuts.retain(|cut| shape[cut.axis] != w.tensor(x).shape[cut.axis] || cut.step != 1);
    let (made, wanted) = (shape.iter().product::<usize>(), w.tensor(y).shape.clone());
    if if keeps { shape != wanted } else { made != w.tensor(y).len() } {
        return Err(format!("it makes {shape:?}, the file says {wanted:?}"));
    }
    let layout = if keeps { w.common_layout(&[x], y) } else { Layout::File };
    // Backwards, as lists of places.
    let mut lists = Vec::new();
    for cut in cuts.extract_if(.., |cut| cut.step < 0) {
        let count = (cut.end - cut.start + cut.step + 1) / cut.step;
        w.room(shape[cut.axis])?;
        let places: Vec<i64> = (0..count).map(|place| cut.start + place * cut.step).collect();
        lists.push((layout.axis(cut.axis), w.longs(&places)?));
    }
    let column = |get: fn(&Cut) -> i64| cuts.iter().map(get).collect::<Vec<i64>>();
    let starts = w.longs(&column(|c| c.start))?;
    let ends = w.longs(&column(|c| c.end))?;
    let axes: Vec<i64> = cuts.iter().map(|c| layout.axis(c.axis) as i64).collect();
    let axes = w.longs(&axes)?;
    let steps = w.longs(&column(|c| c.step))?;
    let dims = w.dims(&wanted)?;
    moved(w, x, y, layout, |name| {
        let mut nodes = match cuts.is_empty() {
            true => vec![NodeBuilder::new("Identity", [name])],
            false => vec![NodeBuilder::new("Slice", [name, &starts, &ends, &axes, &steps])],
        };
        nodes.extend(lists.iter().map(|(axis, list)| NodeBuilder::new("Gather", [list]).size("axis", *axis)));
        if shape != wanted {
            nodes.push(NodeBuilder::new("Reshape", [&dims]));
        }
        nodes
    })
}
