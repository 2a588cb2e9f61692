//! A model as it stands in the file: tensors, constants where they lie, operators in their order.

use std::borrow::Cow;

use super::error::TfliteError;
use super::reader::{Broken, Table, Vector};
use super::schema::{ElementType, MAX_RANK, field, operator_name};
use super::sparse::Sparsity;

/// Most tensors, and most operators.
const MAX_COUNT: usize = 50_000;
/// Largest tensor, in elements.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most operands of an operator, and most inputs and outputs of a model.
const MAX_ENDS: usize = 4096;
/// Longest name that is kept, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Bytes of expanded constants for each byte of the file: of sparse weights at least one value in thirty is stored.
const MAX_SPARSITY: usize = 32;
/// Longest constant of axes, amounts and the like.
const MAX_INTEGERS: usize = 4096;
/// Most graphs: branches, bodies of loops and the like beside the first one.
const MAX_GRAPHS: usize = 256;
/// Number of the type of two integers of four bits in each byte, the lower one first.
const INT4: i8 = 17;

/// Map from integers to reals: `(q − zero_point) · scale`, for one slice along `axis` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    pub scales: Vec<f32>,
    /// As many.
    pub zero_points: Vec<i64>,
    pub axis: usize,
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    /// True if the file leaves the first dimension open.
    pub open: bool,
    /// True if it keeps its values from one run to the next.
    pub variable: bool,
    pub kind: ElementType,
    pub quant: Option<Quant>,
    /// Values of a constant.
    pub data: Option<Cow<'a, [u8]>>,
}

impl Tensor<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of a short constant of integers.
    pub fn integers(&self) -> Option<Vec<i64>> {
        let data = self.data.as_deref().filter(|_| self.len() <= MAX_INTEGERS)?;
        let word = |b: &[u8]| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let long = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        match self.kind {
            ElementType::I32 => Some(data.chunks_exact(4).map(word).collect()),
            ElementType::I64 => Some(data.chunks_exact(8).map(long).collect()),
            ElementType::I16 => {
                Some(data.chunks_exact(2).map(|b| i64::from(i16::from_le_bytes([b[0], b[1]]))).collect())
            }
            _ => None,
        }
    }
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator<'a> {
    /// The format's name, or a custom operator's own.
    pub name: String,
    pub options: Option<Table<'a>>,
    /// Options of a custom operator, in a form of its own.
    pub custom_options: &'a [u8],
    /// Tensors; `None` where an operand is left out.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
}

/// A graph: the model, or a branch or body that its operators name.
#[derive(Debug)]
pub struct FileGraph<'a> {
    pub tensors: Vec<Tensor<'a>>,
    pub operators: Vec<Operator<'a>>,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
}

/// Bytes that may still be copied out of the file: many tables may point at the same vector.
struct Allowance(usize);

impl Allowance {
    fn spend(&mut self, bytes: usize) -> Result<(), TfliteError> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| broken("it shares its parts more often than can be"))?;
        Ok(())
    }

    fn vector(&mut self, vector: Vector<'_>) -> Result<(), TfliteError> {
        self.spend(vector.size_bytes())
    }
}

fn broken(reason: &str) -> TfliteError {
    TfliteError::Broken { reason: reason.into() }
}

/// Reads the graphs of a file; the first one is the model, the others are those that operators name by their places.
pub fn read<'a>(bytes: &'a [u8]) -> Result<Vec<FileGraph<'a>>, TfliteError> {
    if !super::schema::is_tflite(bytes) {
        return Err(broken("it does not hold the letters TFL3 at byte 4"));
    }
    let model = Table::root(bytes)?;
    let version = model.u32(field::MODEL_VERSION)?;
    if version != 3 {
        return Err(broken(&format!("it is of version {version} of the format, 3 is known")));
    }
    let mut allowance = Allowance(bytes.len().saturating_mul(16));
    let mut zeros = Allowance(bytes.len().saturating_mul(MAX_SPARSITY));
    let codes = codes(model, &mut allowance)?;
    let buffers = model.words(field::MODEL_BUFFERS)?;
    let buffers = buffers.tables().map(|b| buffer(b?, bytes)).collect::<Result<Vec<&[u8]>, Broken>>()?;
    let listed = model.words(field::MODEL_SUBGRAPHS)?;
    if listed.len() > MAX_GRAPHS {
        return Err(broken(&format!("{} graphs, allowed are up to {MAX_GRAPHS}", listed.len())));
    }
    let mut room = MAX_COUNT;
    let mut graphs = Vec::new();
    for table in listed.tables() {
        graphs.push(graph(table?, &codes, &buffers, &mut room, &mut allowance, &mut zeros)?);
    }
    match graphs.first() {
        None => Err(broken("it holds no graph")),
        Some(first) if first.outputs.is_empty() => Err(broken("its graph has no outputs")),
        Some(_) => Ok(graphs),
    }
}

fn graph<'a>(
    table: Table<'a>,
    codes: &[String],
    buffers: &[&'a [u8]],
    room: &mut usize,
    allowance: &mut Allowance,
    zeros: &mut Allowance,
) -> Result<FileGraph<'a>, TfliteError> {
    let listed = table.words(field::GRAPH_TENSORS)?;
    let operators = table.words(field::GRAPH_OPERATORS)?;
    let left = room.checked_sub(listed.len().max(operators.len()));
    *room = left.ok_or_else(|| {
        let reason =
            format!("{} tensors and {} operators, allowed are up to {MAX_COUNT}", listed.len(), operators.len());
        broken(&reason)
    })?;
    let tensors = listed.tables().map(|t| tensor(t?, buffers, allowance, zeros)).collect::<Result<Vec<_>, _>>()?;
    let count = tensors.len();
    let operators =
        operators.tables().map(|o| operator(o?, codes, count, allowance)).collect::<Result<Vec<_>, TfliteError>>()?;
    let ends = |id: usize| -> Result<Vec<usize>, TfliteError> {
        let vector = table.words(id)?;
        if vector.len() > MAX_ENDS {
            return Err(broken(&format!("{} inputs or outputs, allowed are up to {MAX_ENDS}", vector.len())));
        }
        vector.i32s().map(|index| tensor_index(index, count)).collect()
    };
    let (inputs, outputs) = (ends(field::GRAPH_INPUTS)?, ends(field::GRAPH_OUTPUTS)?);
    Ok(FileGraph { tensors, operators, inputs, outputs })
}

/// The name of each operator code.
fn codes(model: Table<'_>, allowance: &mut Allowance) -> Result<Vec<String>, TfliteError> {
    const CUSTOM: i32 = 32;
    let mut codes = Vec::new();
    for code in model.words(field::MODEL_CODES)?.tables() {
        let code = code?;
        // Numbers above 126 are in the new field only; old files have the old field only.
        let number = i32::from(code.i8(field::CODE_OLD)?).max(code.i32(field::CODE_BUILTIN, 0)?);
        let custom = code.text(field::CODE_CUSTOM)?;
        allowance.spend(custom.len())?;
        let name = if number == CUSTOM { shortened(&custom) } else { operator_name(number) };
        codes.push(name);
    }
    Ok(codes)
}

fn shortened(name: &str) -> String {
    let end = (0..=name.len().min(MAX_NAME_BYTES)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    name[..end].to_owned()
}

/// The bytes of a buffer, inside the table or, in files of more than 2 GB, behind it.
fn buffer<'a>(table: Table<'a>, bytes: &'a [u8]) -> Result<&'a [u8], Broken> {
    let (offset, size) = (table.u64(field::BUFFER_OFFSET)?, table.u64(field::BUFFER_SIZE)?);
    if offset <= 1 {
        return table.bytes(field::BUFFER_DATA);
    }
    let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(size)).ok());
    range
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or(Broken { at: bytes.len(), what: "a buffer behind the end" })
}

fn tensor<'a>(
    table: Table<'a>,
    buffers: &[&'a [u8]],
    allowance: &mut Allowance,
    zeros: &mut Allowance,
) -> Result<Tensor<'a>, TfliteError> {
    let name = table.text(field::TENSOR_NAME)?;
    allowance.spend(name.len())?;
    let name = shortened(&name);
    let wrong = |reason: String| TfliteError::Tensor { tensor: name.clone(), reason };
    let vector = table.words(field::TENSOR_SHAPE)?;
    if vector.len() > MAX_RANK {
        return Err(wrong(format!("{} dimensions, allowed are up to {MAX_RANK}", vector.len())));
    }
    let dims: Vec<i32> = vector.i32s().collect();
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| wrong(format!("its shape {dims:?} is not known")))?;
    let count = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d.max(1))).filter(|&c| c <= MAX_ELEMENTS);
    let count = count.ok_or_else(|| wrong(format!("its shape {shape:?} is too large")))?;
    let count = if shape.contains(&0) { 0 } else { count };
    let open = table.words(field::TENSOR_SIGNATURE)?.i32s().next() == Some(-1);
    let number = table.i8(field::TENSOR_TYPE)?;
    let kind = if number == INT4 { ElementType::I8 } else { ElementType::of(number) };
    let sparsity = table.table(field::TENSOR_SPARSITY)?;
    let index = table.u32(field::TENSOR_BUFFER)? as usize;
    let data = buffers.get(index).copied().ok_or_else(|| wrong(format!("its buffer {index} is not in the file")))?;
    let data = match (data.is_empty(), sparsity, kind.size_bytes()) {
        (true, ..) => None,
        (false, Some(sparsity), Some(size)) => {
            let (sparsity, read_bytes) = Sparsity::read(sparsity)?.map_err(wrong)?;
            allowance.spend(read_bytes)?;
            zeros.spend(count.saturating_mul(size))?;
            Some(Cow::Owned(sparsity.expand(data, &shape, size).map_err(wrong)?))
        }
        (false, None, _) if number == INT4 => {
            zeros.spend(count)?;
            Some(Cow::Owned(nibbles(data, count)))
        }
        (false, Some(_), None) => return Err(wrong(format!("sparse values of type {} are not known", kind.name()))),
        (false, None, _) => Some(Cow::Borrowed(data)),
    };
    if let (Some(data), Some(size)) = (&data, kind.size_bytes())
        && count.checked_mul(size) != Some(data.len())
    {
        let found = data.len();
        return Err(wrong(format!("{found} bytes of values do not fill its shape {shape:?} of {}", kind.name())));
    }
    let quant = match table.table(field::TENSOR_QUANT)? {
        Some(quant) => quantisation(quant, &shape, allowance, wrong)?,
        None => None,
    };
    let variable = table.flag(field::TENSOR_VARIABLE)?;
    Ok(Tensor { name, shape, open, variable, kind, quant, data })
}

/// Integers of four bits, each in a byte of its own; as many as there are of `count`.
fn nibbles(packed: &[u8], count: usize) -> Vec<u8> {
    let wide = |nibble: u8| (((nibble << 4) as i8) >> 4) as u8;
    packed.iter().flat_map(|byte| [wide(*byte), wide(byte >> 4)]).take(count).collect()
}

fn quantisation(
    table: Table<'_>,
    shape: &[usize],
    allowance: &mut Allowance,
    wrong: impl Fn(String) -> TfliteError,
) -> Result<Option<Quant>, TfliteError> {
    let (scales, zero_points) = (table.words(field::QUANT_SCALE)?, table.longs(field::QUANT_ZERO_POINT)?);
    if scales.len() == 0 {
        return Ok(None);
    }
    allowance.vector(scales)?;
    allowance.spend(8 * scales.len())?;
    let axis = table.i32(field::QUANT_AXIS, 0)?;
    let axis = usize::try_from(axis).map_err(|_| wrong(format!("its quantized_dimension {axis} cannot be")))?;
    let count = scales.len();
    if count > 1 && shape.get(axis) != Some(&count) {
        return Err(wrong(format!("{count} scales along axis {axis} of shape {shape:?}")));
    }
    let scales: Vec<f32> = scales.f32s().collect();
    if let Some(scale) = scales.iter().find(|s| !s.is_normal() || **s < 0.0) {
        return Err(wrong(format!("its scale {scale:e} cannot be")));
    }
    let zero_points = match zero_points.len() {
        0 => vec![0; count],
        1 => vec![zero_points.i64s().next().unwrap_or(0); count],
        found if found == count => zero_points.i64s().collect(),
        found => return Err(wrong(format!("{count} scales and {found} zero points"))),
    };
    Ok(Some(Quant { scales, zero_points, axis }))
}

fn tensor_index(index: i32, count: usize) -> Result<usize, TfliteError> {
    let known = usize::try_from(index).ok().filter(|&i| i < count);
    known.ok_or_else(|| broken(&format!("tensor {index} of {count} is asked for")))
}

fn operator<'a>(
    table: Table<'a>,
    codes: &[String],
    tensors: usize,
    allowance: &mut Allowance,
) -> Result<Operator<'a>, TfliteError> {
    let index = table.u32(field::OPERATOR_CODE)? as usize;
    let name = codes.get(index).ok_or_else(|| broken(&format!("operator code {index} is not in the file")))?;
    let (inputs, outputs) = (table.words(field::OPERATOR_INPUTS)?, table.words(field::OPERATOR_OUTPUTS)?);
    if inputs.len().max(outputs.len()) > MAX_ENDS {
        return Err(broken(&format!("an operator with more than {MAX_ENDS} operands or results")));
    }
    allowance.vector(inputs)?;
    allowance.vector(outputs)?;
    allowance.spend(name.len())?;
    let optional = |index: i32| if index == -1 { Ok(None) } else { tensor_index(index, tensors).map(Some) };
    Ok(Operator {
        name: name.clone(),
        options: match table.table(field::OPERATOR_OPTIONS_2)? {
            None => table.table(field::OPERATOR_OPTIONS)?,
            newer => newer,
        },
        custom_options: table.bytes(field::OPERATOR_CUSTOM_OPTIONS)?,
        inputs: inputs.i32s().map(optional).collect::<Result<_, _>>()?,
        outputs: outputs.i32s().map(|i| tensor_index(i, tensors)).collect::<Result<_, _>>()?,
    })
}
