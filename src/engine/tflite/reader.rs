//! FlatBuffers, read in place: tables, vectors and strings by offset, every one of them checked.
//!
//! Format: <https://flatbuffers.dev/internals/>. Integers are little-endian; a table starts with the distance back to its
//! vtable, which says for each field where in the table it lies, or 0 where it has its default.

use std::fmt;

/// Bytes that do not hold what they must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Offset from the start of the file, in bytes.
    pub at: usize,
    /// Expected content.
    pub what: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} cannot be", self.what, self.at)
    }
}

/// A value, or where the file breaks.
pub type Read<T> = Result<T, Broken>;

fn array<const N: usize>(bytes: &[u8], at: usize, what: &'static str) -> Read<[u8; N]> {
    let end = at.checked_add(N).ok_or(Broken { at, what })?;
    bytes.get(at..end).and_then(|b| b.try_into().ok()).ok_or(Broken { at, what })
}

/// The target of the offset that lies at `at`.
fn follow(bytes: &[u8], at: usize) -> Read<usize> {
    let what = "an offset";
    let distance = u32::from_le_bytes(array(bytes, at, what)?) as usize;
    at.checked_add(distance).filter(|to| distance > 0 && *to < bytes.len()).ok_or(Broken { at, what })
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offsets of its fields, two bytes each.
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The table that a file is.
    pub fn root(bytes: &'a [u8]) -> Read<Table<'a>> {
        Table::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Read<Table<'a>> {
        let what = "a table";
        let broken = Broken { at, what };
        let back = i64::from(i32::from_le_bytes(array(bytes, at, what)?));
        let vtable = i64::try_from(at).ok().and_then(|at| usize::try_from(at - back).ok()).ok_or(broken)?;
        let size = usize::from(u16::from_le_bytes(array(bytes, vtable, what)?));
        let fields = vtable.checked_add(size).and_then(|end| bytes.get(vtable.checked_add(4)?..end)).ok_or(broken)?;
        Ok(Table { bytes, at, fields })
    }

    /// Offset of field `id`; `None` where it has its default.
    fn field(&self, id: usize) -> Option<usize> {
        let entry = self.fields.get(2 * id..2 * id + 2)?;
        let offset = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
        if offset == 0 { None } else { self.at.checked_add(offset) }
    }

    fn scalar<const N: usize>(&self, id: usize, what: &'static str) -> Read<Option<[u8; N]>> {
        self.field(id).map(|at| array(self.bytes, at, what)).transpose()
    }

    /// An unsigned byte; a flag is 0 or 1.
    pub fn u8(&self, id: usize) -> Read<u8> {
        self.u8_or(id, 0)
    }

    /// An unsigned byte, `default` where the file does not say.
    pub fn u8_or(&self, id: usize, default: u8) -> Read<u8> {
        Ok(self.scalar::<1>(id, "a byte")?.map_or(default, |b| b[0]))
    }

    /// A flag.
    pub fn flag(&self, id: usize) -> Read<bool> {
        Ok(self.u8(id)? != 0)
    }

    /// A signed byte.
    pub fn i8(&self, id: usize) -> Read<i8> {
        Ok(self.u8(id)? as i8)
    }

    /// A signed 32-bit integer.
    pub fn i32(&self, id: usize, default: i32) -> Read<i32> {
        Ok(self.scalar(id, "an integer")?.map_or(default, i32::from_le_bytes))
    }

    /// An unsigned 32-bit integer.
    pub fn u32(&self, id: usize) -> Read<u32> {
        Ok(self.scalar(id, "an integer")?.map_or(0, u32::from_le_bytes))
    }

    /// An unsigned 64-bit integer.
    pub fn u64(&self, id: usize) -> Read<u64> {
        Ok(self.scalar(id, "an integer")?.map_or(0, u64::from_le_bytes))
    }

    /// A 32-bit float.
    pub fn f32(&self, id: usize) -> Read<f32> {
        Ok(self.scalar(id, "a number")?.map_or(0.0, f32::from_le_bytes))
    }

    /// A table inside.
    pub fn table(&self, id: usize) -> Read<Option<Table<'a>>> {
        self.field(id).map(|at| Table::at(self.bytes, follow(self.bytes, at)?)).transpose()
    }

    /// A vector of elements of `width` bytes; empty where the field is absent.
    fn vector(&self, id: usize, width: usize) -> Read<Vector<'a>> {
        let what = "a vector";
        let Some(field) = self.field(id) else { return Ok(Vector { bytes: self.bytes, start: 0, raw: &[], width }) };
        let at = follow(self.bytes, field)?;
        let count = u32::from_le_bytes(array(self.bytes, at, what)?) as usize;
        let (start, len) = (at + 4, count.checked_mul(width).ok_or(Broken { at, what })?);
        let raw = start.checked_add(len).and_then(|end| self.bytes.get(start..end)).ok_or(Broken { at, what })?;
        Ok(Vector { bytes: self.bytes, start, raw, width })
    }

    /// Bytes as they stand.
    pub fn bytes(&self, id: usize) -> Read<&'a [u8]> {
        Ok(self.vector(id, 1)?.raw)
    }

    /// Text; what is not UTF-8 in it is replaced.
    pub fn text(&self, id: usize) -> Read<std::borrow::Cow<'a, str>> {
        Ok(String::from_utf8_lossy(self.vector(id, 1)?.raw))
    }

    /// A vector of 32-bit elements.
    pub fn words(&self, id: usize) -> Read<Vector<'a>> {
        self.vector(id, 4)
    }

    /// A vector of 16-bit elements.
    pub fn halves(&self, id: usize) -> Read<Vector<'a>> {
        self.vector(id, 2)
    }

    /// A vector of 64-bit elements.
    pub fn longs(&self, id: usize) -> Read<Vector<'a>> {
        self.vector(id, 8)
    }
}

/// A vector.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    bytes: &'a [u8],
    start: usize,
    raw: &'a [u8],
    width: usize,
}

impl<'a> Vector<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.raw.len() / self.width
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> usize {
        self.raw.len()
    }

    /// As signed 32-bit integers.
    pub fn i32s(self) -> impl Iterator<Item = i32> + 'a {
        self.raw.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// As unsigned 16-bit integers.
    pub fn u16s(self) -> impl Iterator<Item = u16> + 'a {
        self.raw.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }

    /// As 32-bit floats.
    pub fn f32s(self) -> impl Iterator<Item = f32> + 'a {
        self.i32s().map(|word| f32::from_bits(word as u32))
    }

    /// As signed 64-bit integers.
    pub fn i64s(self) -> impl Iterator<Item = i64> + 'a {
        self.raw.chunks_exact(8).map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
    }

    /// As tables.
    pub fn tables(self) -> impl Iterator<Item = Read<Table<'a>>> {
        (0..self.len()).map(move |index| Table::at(self.bytes, follow(self.bytes, self.start + 4 * index)?))
    }
}
