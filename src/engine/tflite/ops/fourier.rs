//! Fourier transforms of reals, and parts of complex numbers: these are kept as pairs of floats along a last axis.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// Longest transform.
const MAX_LENGTH: usize = 4096;

/// `RFFT2D` of a constant length, as products with tables of waves.
pub fn rfft2d(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let &[ref batch @ .., rows, columns] = &shape[..] else { return Err(format!("shape {shape:?} is of no picture")) };
    let &[high, wide] = &w.integers(node.input(1)?)?[..] else { return Err("its lengths are not two".into()) };
    let length = |value: i64| usize::try_from(value).ok().filter(|v| v.is_power_of_two() && *v <= MAX_LENGTH);
    let (Some(high), Some(wide)) = (length(high), length(wide)) else {
        return Err(format!("its lengths {high} and {wide} are no powers of two up to {MAX_LENGTH}"));
    };
    let half = wide / 2 + 1;
    let made: Vec<usize> = batch.iter().copied().chain([high, half]).collect();
    if w.tensor(x).kind != ElementType::F32 || made != w.tensor(y).shape {
        return Err(format!("lengths {high} and {wide} of {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    // What is longer than the transform is cut off, what is shorter is filled up with zeros: as rows of the tables.
    let (taken, own) = (columns.min(wide), rows.min(high));
    let wave = |place: usize, frequency: usize, length: usize| {
        -std::f64::consts::TAU * ((place * frequency) % length) as f64 / length as f64
    };
    let rank = shape.len() as i64;
    let (starts, axes) = (w.longs(&[0, 0])?, w.longs(&[rank - 2, rank - 1])?);
    let ends = w.longs(&[own as i64, taken as i64])?;
    let name = w.stored(x, Layout::File)?;
    let name = w.extra(y, NodeBuilder::new("Slice", [&name, &starts, &ends, &axes]));
    let table = |w: &mut Writer<'_, '_>, shape: [usize; 2], angle: &dyn Fn(usize, usize) -> f64, sine: bool| {
        w.room(shape[0] * shape[1] / 2)?;
        let angles = (0..shape[0]).flat_map(|row| (0..shape[1]).map(move |column| (row, column)));
        let part = |angle: f64| if sine { angle.sin() } else { angle.cos() } as f32;
        let bytes = angles.flat_map(|(row, column)| part(angle(row, column)).to_le_bytes()).collect();
        w.values(ElementType::F32, &shape, bytes)
    };
    let along = |place: usize, frequency: usize| wave(place, frequency, wide);
    let cosines = table(w, [taken, half], &along, false)?;
    let sines = table(w, [taken, half], &along, true)?;
    let mut real = w.extra(y, NodeBuilder::new("MatMul", [&name, &cosines]));
    let mut imaginary = w.extra(y, NodeBuilder::new("MatMul", [&name, &sines]));
    if high > 1 {
        let down = |frequency: usize, place: usize| wave(place, frequency, high);
        let cosines = table(w, [high, own], &down, false)?;
        let sines = table(w, [high, own], &down, true)?;
        let product =
            |w: &mut Writer<'_, '_>, table: &str, part: &str| w.extra(y, NodeBuilder::new("MatMul", [table, part]));
        let (rr, ii) = (product(w, &cosines, &real), product(w, &sines, &imaginary));
        let (ri, ir) = (product(w, &cosines, &imaginary), product(w, &sines, &real));
        real = w.extra(y, NodeBuilder::new("Sub", [&rr, &ii]));
        imaginary = w.extra(y, NodeBuilder::new("Add", [&ri, &ir]));
    }
    let pair: Vec<usize> = made.iter().copied().chain([1]).collect();
    let pair = w.dims(&pair)?;
    let real = w.extra(y, NodeBuilder::new("Reshape", [&real, &pair]));
    let imaginary = w.extra(y, NodeBuilder::new("Reshape", [&imaginary, &pair]));
    let step = NodeBuilder::new("Concat", [&real, &imaginary]).size("axis", made.len());
    w.row(y, Layout::File, vec![step])
}

/// `REAL` and `IMAG`.
pub fn part(w: &mut Writer<'_, '_>, node: Node<'_, '_>, part: i64) -> Try<()> {
    let (x, y) = operands(w, node)?;
    let rank = w.tensor(x).shape.len() as i64;
    let (start, end, axes) = (w.longs(&[part])?, w.longs(&[part + 1])?, w.longs(&[rank])?);
    let dims = w.dims(&w.tensor(y).shape)?;
    let name = w.stored(x, Layout::File)?;
    let steps = vec![NodeBuilder::new("Slice", [&name, &start, &end, &axes]), NodeBuilder::new("Reshape", [&dims])];
    w.row(y, Layout::File, steps)
}

/// `COMPLEX_ABS`.
pub fn magnitude(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = operands(w, node)?;
    let axes = w.longs(&[w.tensor(x).shape.len() as i64])?;
    let name = w.stored(x, Layout::File)?;
    let squares = w.extra(y, NodeBuilder::new("Mul", [&name, &name]));
    let steps =
        vec![NodeBuilder::new("ReduceSum", [&squares, &axes]).int("keepdims", 0), NodeBuilder::new("Sqrt", [""; 0])];
    w.row(y, Layout::File, steps)
}

fn operands(w: &Writer<'_, '_>, node: Node<'_, '_>) -> Try<(usize, usize)> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (from, to) = (w.tensor(x), w.tensor(y));
    if from.kind != ElementType::Complex64 || to.kind != ElementType::F32 || from.shape != to.shape {
        return Err("it does not lead from complex numbers to floats".into());
    }
    Ok((x, y))
}
