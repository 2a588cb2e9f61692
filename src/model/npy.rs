//! NumPy's `.npy` files to tensors and back, for every element type that a model may have.
//!
//! Reading accepts either byte order and either memory order; writing gives little-endian and C order, format 1.0
//! (NumPy enhancement proposal 1).

use std::io::Write;

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use tract_onnx::prelude::{DatumType, Tensor};

use super::budget::MAX_TENSOR_BYTES;
use super::guard;

/// Reads a whole `.npy` file.
///
/// # Errors
/// A sentence that says what is wrong: not an `.npy` file, an element type without a counterpart, too few bytes.
pub fn read(bytes: &[u8]) -> Result<Tensor, String> {
    let mut rest = bytes;
    // Versions 2 and 3 give the header's length in four bytes; a false one must not become an allocation.
    let announced = match *bytes {
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => 0,
    };
    if announced > bytes.len() {
        return Err("not a complete .npy file: its header is cut short".into());
    }
    // The parser multiplies the dimensions unchecked, which panics where overflow is checked.
    let header = guard::guarded(|| NpyHeader::from_reader(&mut rest))
        .map_err(|_| "its shape asks for more than memory can hold".to_owned())?
        .map_err(|e| format!("not an .npy file: {e}"))?;
    let DType::Plain(dtype) = header.dtype() else {
        return Err("records and sub-arrays are not supported, only plain arrays".into());
    };
    let datum = datum_type(dtype.type_char(), dtype.size_field())
        .ok_or_else(|| format!("element type {} is not supported", header.dtype().descr()))?;
    let shape: Option<Vec<usize>> = header.shape().iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| format!("shape {:?} is too large", header.shape()))?;
    let size = datum.size_of();
    let want = shape.iter().try_fold(size, |acc, d| acc.checked_mul(*d)).filter(|b| *b <= MAX_TENSOR_BYTES);
    let Some(want) = want else {
        return Err(format!("shape {shape:?} asks for more than {} MiB", MAX_TENSOR_BYTES >> 20));
    };
    if rest.len() != want {
        return Err(format!("shape {shape:?} needs {want} bytes, the file has {}", rest.len()));
    }
    let mut tensor = Tensor::zero_dt(datum, &shape).map_err(|e| format!("{e:#}"))?;
    let out = tensor.as_bytes_mut();
    out.copy_from_slice(rest);
    if header.order() == Order::Fortran && shape.len() > 1 && want > 0 {
        from_fortran(rest, out, &shape, size);
    }
    if dtype.endianness() == Endianness::Big {
        out.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    if datum == DatumType::Bool {
        out.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    Ok(tensor)
}

/// Array out of an `.npy` file, of floats or of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Type of the elements; `I64` for integers of a type that no pipeline has.
    pub dtype: crate::frame::DType,
    /// Elements of floats, in C order.
    pub floats: Vec<f32>,
    /// Elements of integers, in C order.
    pub integers: Vec<i64>,
}

/// Reads a whole `.npy` file as floats (of any precision) or integers.
///
/// # Errors
/// As [`read`].
pub fn array(bytes: &[u8]) -> Result<Array, String> {
    use crate::frame::DType;
    let tensor = read(bytes)?;
    let (mut floats, mut integers) = (Vec::new(), Vec::new());
    let failed = |e: tract_onnx::prelude::TractError| format!("{e:#}");
    let dtype = match tensor.datum_type() {
        DatumType::F16 | DatumType::F32 | DatumType::F64 => {
            let cast = tensor.cast_to::<f32>().map_err(failed)?;
            floats = cast.try_as_plain_ram().and_then(|p| p.as_slice::<f32>().map(<[_]>::to_vec)).map_err(failed)?;
            DType::F32
        }
        other => {
            let cast = tensor.cast_to::<i64>().map_err(failed)?;
            integers = cast.try_as_plain_ram().and_then(|p| p.as_slice::<i64>().map(<[_]>::to_vec)).map_err(failed)?;
            super::graph::dtype_of(other).unwrap_or(DType::I64)
        }
    };
    Ok(Array { shape: tensor.shape().to_vec(), dtype, floats, integers })
}

/// Writes a tensor as an `.npy` file.
///
/// # Errors
/// For element types that NumPy does not have.
pub fn write(tensor: &Tensor, mut to: impl Write) -> std::io::Result<()> {
    let datum = tensor.datum_type();
    let Some(code) = code(datum) else {
        return Err(std::io::Error::other(format!("NumPy has no element type for {datum:?}")));
    };
    let shape: Vec<String> = tensor.shape().iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    // The header ends in a line feed and pads the data to 64 bytes.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    to.write_all(b"\x93NUMPY\x01\x00")?;
    to.write_all(&u16::try_from(header.len()).map_err(std::io::Error::other)?.to_le_bytes())?;
    to.write_all(header.as_bytes())?;
    if cfg!(target_endian = "big") {
        for element in tensor.as_bytes().chunks_exact(datum.size_of()) {
            to.write_all(&element.iter().rev().copied().collect::<Vec<_>>())?;
        }
        return Ok(());
    }
    to.write_all(tensor.as_bytes())
}

/// The name of an element type as people write it: `f32`, `i8`, `bool`.
pub fn type_name(datum: DatumType) -> String {
    format!("{datum:?}").to_lowercase()
}

fn datum_type(kind: TypeChar, size: u64) -> Option<DatumType> {
    Some(match (kind, size) {
        (TypeChar::Bool, 1) => DatumType::Bool,
        (TypeChar::Int, 1) => DatumType::I8,
        (TypeChar::Int, 2) => DatumType::I16,
        (TypeChar::Int, 4) => DatumType::I32,
        (TypeChar::Int, 8) => DatumType::I64,
        (TypeChar::Uint, 1) => DatumType::U8,
        (TypeChar::Uint, 2) => DatumType::U16,
        (TypeChar::Uint, 4) => DatumType::U32,
        (TypeChar::Uint, 8) => DatumType::U64,
        (TypeChar::Float, 2) => DatumType::F16,
        (TypeChar::Float, 4) => DatumType::F32,
        (TypeChar::Float, 8) => DatumType::F64,
        _ => return None,
    })
}

fn code(datum: DatumType) -> Option<&'static str> {
    Some(match datum {
        DatumType::Bool => "|b1",
        DatumType::I8 => "|i1",
        DatumType::I16 => "<i2",
        DatumType::I32 => "<i4",
        DatumType::I64 => "<i8",
        DatumType::U8 => "|u1",
        DatumType::U16 => "<u2",
        DatumType::U32 => "<u4",
        DatumType::U64 => "<u8",
        DatumType::F16 => "<f2",
        DatumType::F32 => "<f4",
        DatumType::F64 => "<f8",
        _ => return None,
    })
}

/// Elements in Fortran order (first axis fastest) into C order (last axis fastest).
fn from_fortran(from: &[u8], to: &mut [u8], shape: &[usize], size: usize) {
    let mut index = vec![0usize; shape.len()];
    for element in to.chunks_exact_mut(size) {
        let offset = index.iter().zip(shape).rev().fold(0, |acc, (i, d)| acc * d + i);
        element.copy_from_slice(&from[offset * size..][..size]);
        for (i, d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *d {
                break;
            }
            *i = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::prelude::{f16, tensor1};

    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn every_type_survives_the_way_there_and_back() {
        let tensors = [
            tensor1(&[true, false, true]),
            tensor1(&[-1i8, 2, 3]),
            tensor1(&[-1i16, 2, 300]),
            tensor1(&[-1i32, 2, 3]),
            tensor1(&[i64::MIN, 2, 3]),
            tensor1(&[255u8, 2, 3]),
            tensor1(&[65535u16, 2, 3]),
            tensor1(&[1u32, 2, u32::MAX]),
            tensor1(&[1u64, 2, u64::MAX]),
            tensor1(&[f16::from_f32(0.5), f16::from_f32(-2.0), f16::from_f32(3.0)]),
            tensor1(&[0.5f32, f32::NEG_INFINITY, 3.0]),
            tensor1(&[0.5f64, -2.0, 1e300]),
            Tensor::zero::<f32>(&[2, 0, 3]).unwrap(),
            Tensor::zero::<i64>(&[]).unwrap(),
        ];
        for tensor in tensors {
            let mut file = Vec::new();
            write(&tensor, &mut file).unwrap();
            assert!((file.len() - tensor.as_bytes().len()).is_multiple_of(64), "data is aligned to 64 bytes");
            assert_eq!(read(&file), Ok(tensor));
        }
    }

    #[test]
    fn big_endian_and_fortran_order_are_turned() {
        let tensor = read(&npy(">i2", true, "(2, 3)", &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 1, 0])).unwrap();
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.try_as_plain_ram().unwrap().as_slice::<i16>().unwrap(), [1, 3, 5, 2, 4, 256]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases: [(Vec<u8>, &str); 7] = [
            (b"hello".to_vec(), "not an .npy file"),
            (npy("<f4", false, "(2, 2)", &[0; 12]), "needs 16 bytes, the file has 12"),
            (npy("<f4", false, "(1,)", &[0; 5]), "needs 4 bytes, the file has 5"),
            (npy("<c8", false, "(1,)", &[0; 8]), "<c8"),
            (npy("<f4", false, "(4000000000, 4000000000, 4000000000)", &[]), "asks for more than"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{".to_vec(), "cut short"),
            (npy("<U3", false, "(1,)", &[0; 12]), "<U3"),
        ];
        for (file, words) in cases {
            let error = read(&file).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
