//! Inputs of a model out of files of bare values, in place of pictures and readings.

use std::path::Path;

use super::error::StageError;
use super::stages::Stages;
use crate::frame::{DType, Elements, ElementsMut, Geometry, Quant, TensorSpec};
use crate::model::{Model, ModelError, npy};
use crate::sys::file;

/// Larger files are no input.
const MOST_BYTES: u64 = 1 << 30;

/// Endings of files of bare values.
const ENDINGS: [&str; 3] = ["npy", "bin", "f32"];

/// True for a file of bare values, by its name: `.npy`, `.bin` (the model's own type) or `.f32` (floats, little-endian).
pub fn is_tensor(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Bare values out of a file, of one input or of several after each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    values: Values,
    /// Shape that the file says; `None` where it says none.
    shape: Option<Vec<usize>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Values {
    /// Elements in the type of the model's input, little-endian.
    Own(Vec<u8>),
    /// Reals.
    Floats(Vec<f32>),
    /// Integers of this type.
    Integers(DType, Vec<i64>),
}

impl Stored {
    /// Reads a file that [`is_tensor`].
    ///
    /// # Errors
    /// Reason for which it cannot be read; an element that is not finite is left as it is.
    pub fn read(path: &Path) -> Result<Stored, String> {
        let bytes = file::read_regular(path, MOST_BYTES).map_err(|e| e.to_string())?;
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
        if ending == "npy" {
            let npy::Array { shape, dtype, floats, integers } = npy::array(&bytes)?;
            let values = match dtype {
                DType::F32 => Values::Floats(floats),
                dtype => Values::Integers(dtype, integers),
            };
            return Ok(Stored { values, shape: Some(shape) });
        }
        if ending == "f32" {
            if !bytes.len().is_multiple_of(4) {
                return Err(format!("{} bytes are no whole number of floats", bytes.len()));
            }
            return Ok(Stored { values: Values::Floats(floats(&bytes)), shape: None });
        }
        Ok(Stored { values: Values::Own(bytes), shape: None })
    }

    /// The values for an input of `spec`, one item after the other. Integers for an input of floats mean reals by `quant`; reals for an
    /// input of integers are rounded by its own.
    fn fit(self, spec: &TensorSpec, quant: Option<Quant>) -> Result<Vec<f64>, String> {
        let item: usize = spec.shape.iter().product::<usize>().max(1);
        if let Some(shape) = self.shape.as_deref().filter(|shape| shape.len() > 1) {
            let inner = spec.shape.get(1..).unwrap_or_default();
            if shape != spec.shape && shape != inner && shape.get(1..) != Some(inner) {
                return Err(format!("shape {shape:?}, but the input {:?} takes {:?}", spec.name, spec.shape));
            }
        }
        let own = |bytes: Vec<u8>| -> Result<Values, String> {
            let size = size_of(spec.dtype);
            if !bytes.is_empty() && bytes.len().is_multiple_of(item * size) {
                return Ok(elements(&bytes, spec.dtype));
            }
            // Bytes of the model in integers, for its float form.
            match quant.filter(|_| spec.dtype == DType::F32 && bytes.len().is_multiple_of(item) && !bytes.is_empty()) {
                Some(quant) if quant.zero_point > 127 || quant.zero_point < -128 => Ok(elements(&bytes, DType::U8)),
                Some(_) => Ok(elements(&bytes, DType::I8)),
                None => Err(format!(
                    "{} bytes, but the input {:?} takes {item} elements of {size}{}",
                    bytes.len(),
                    spec.name,
                    if spec.dtype == DType::F32 && bytes.len() == item {
                        "; if they are quantised, --quant SCALE,ZERO says how"
                    } else {
                        ""
                    }
                )),
            }
        };
        let stored = match self.values {
            Values::Own(bytes) => own(bytes)?,
            other => other,
        };
        let values: Vec<f64> = match (stored, spec.dtype) {
            (Values::Floats(floats), DType::F32) => floats.into_iter().map(f64::from).collect(),
            (Values::Floats(floats), _) => {
                let Some(Quant { scale, zero_point }) = spec.quant else {
                    return Err(format!(
                        "floats, but the input {:?} takes integers and does not say what they mean",
                        spec.name
                    ));
                };
                let quantised = |v: f32| f64::from((v / scale).round_ties_even()) + f64::from(zero_point);
                floats.into_iter().map(quantised).collect()
            }
            (Values::Integers(dtype, integers), wanted) if dtype == wanted => {
                integers.into_iter().map(|v| v as f64).collect()
            }
            (Values::Integers(_, integers), DType::F32) => {
                let Some(Quant { scale, zero_point }) = quant else {
                    return Err(format!(
                        "integers, but the input {:?} takes floats; --quant SCALE,ZERO says what they mean",
                        spec.name
                    ));
                };
                integers.into_iter().map(|v| f64::from(scale * (v - i64::from(zero_point)) as f32)).collect()
            }
            (Values::Integers(dtype, _), wanted) => {
                return Err(format!("elements of {dtype:?}, but the input {:?} takes {wanted:?}", spec.name));
            }
            (Values::Own(_), _) => Vec::new(),
        };
        if values.is_empty() || !values.len().is_multiple_of(item) {
            return Err(format!("{} values, but the input {:?} takes {:?}", values.len(), spec.name, spec.shape));
        }
        Ok(values)
    }
}

impl Stages {
    /// Quantisation of the model's input, where it takes integers.
    pub fn input_quant(&self) -> Option<Quant> {
        self.plan.model().inputs().first().filter(|spec| spec.dtype != DType::F32).and_then(|spec| spec.quant)
    }

    /// The items that `stored` holds for this model, as many values each as its input has; to be written by [`Stages::set_input`].
    ///
    /// # Errors
    /// Reason for which they do not fit, naming the input.
    pub fn items_of(&self, stored: Stored, quant: Option<Quant>) -> Result<Vec<Vec<f64>>, String> {
        let Some(spec) = self.plan.model().inputs().first() else { return Err("the model has no input".into()) };
        let item: usize = spec.shape.iter().product::<usize>().max(1);
        let values = stored.fit(spec, quant)?;
        Ok(values.chunks_exact(item).map(<[f64]>::to_vec).collect())
    }

    /// Writes one of [`Stages::items_of`] into the model's input, in place of a frame; boxes of it are in the input's own pixels.
    ///
    /// # Errors
    /// [`StageError::Model`] when the item is not of this model.
    pub fn set_input(&mut self, item: &[f64]) -> Result<(), StageError> {
        let [height, width] = self.task_spec.input_size.map(|side| u32::try_from(side).unwrap_or(0));
        let whole = Geometry { scale: [1.0, 1.0], offset: [0.0, 0.0], source: [width, height] };
        let input = self.plan.input_mut(0);
        if input.data.count() != item.len() {
            let reason = format!("{} values, {} are wanted", item.len(), input.data.count());
            return Err(ModelError::Run { model: input.spec.name.clone(), reason }.into());
        }
        // Casts to integers saturate.
        match input.data {
            ElementsMut::F32(all) => all.iter_mut().zip(item).for_each(|(to, from)| *to = *from as f32),
            ElementsMut::I8(all) => all.iter_mut().zip(item).for_each(|(to, from)| *to = *from as i8),
            ElementsMut::U8(all) => all.iter_mut().zip(item).for_each(|(to, from)| *to = *from as u8),
            ElementsMut::I32(all) => all.iter_mut().zip(item).for_each(|(to, from)| *to = *from as i32),
            ElementsMut::I64(all) => all.iter_mut().zip(item).for_each(|(to, from)| *to = *from as i64),
        }
        let is_picture = width > 0;
        for kept in &mut self.geometry {
            kept.clear();
            kept.extend(std::iter::repeat_n(whole, if is_picture { self.items } else { 0 }));
        }
        self.unreadable.iter_mut().for_each(Vec::clear);
        if let Some(tiling) = &mut self.tiling {
            tiling.clear();
        }
        Ok(())
    }
}

impl Stages {
    /// Writes the inputs of the last run into those of another form of the same model.
    ///
    /// # Errors
    /// [`StageError::Model`] where that takes other inputs.
    pub fn copy_inputs(&self, to: &mut dyn Model) -> Result<(), StageError> {
        let from = self.plan.model();
        for index in 0..from.inputs().len() {
            let name = from.inputs()[index].name.clone();
            let wrong =
                || ModelError::Run { model: name.clone(), reason: "the other model takes another input".into() };
            if index >= to.inputs().len() || to.inputs()[index].shape != from.inputs()[index].shape {
                return Err(wrong().into());
            }
            match (from.input(index).data, to.input_mut(index).data) {
                (Elements::F32(from), ElementsMut::F32(to)) => to.copy_from_slice(from),
                (Elements::I8(from), ElementsMut::I8(to)) => to.copy_from_slice(from),
                (Elements::U8(from), ElementsMut::U8(to)) => to.copy_from_slice(from),
                (Elements::I32(from), ElementsMut::I32(to)) => to.copy_from_slice(from),
                (Elements::I64(from), ElementsMut::I64(to)) => to.copy_from_slice(from),
                _ => return Err(wrong().into()),
            }
        }
        Ok(())
    }
}

fn size_of(dtype: DType) -> usize {
    match dtype {
        DType::I8 | DType::U8 => 1,
        DType::F32 | DType::I32 => 4,
        DType::I64 => 8,
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn elements(bytes: &[u8], dtype: DType) -> Values {
    let integers = match dtype {
        DType::F32 => return Values::Floats(floats(bytes)),
        DType::I8 => bytes.iter().map(|byte| i64::from(*byte as i8)).collect(),
        DType::U8 => bytes.iter().map(|byte| i64::from(*byte)).collect(),
        DType::I32 => bytes.as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
        DType::I64 => bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
    };
    Values::Integers(dtype, integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: DType, quant: Option<Quant>) -> TensorSpec {
        TensorSpec { name: "x".into(), dtype, shape: vec![1, 2], quant }
    }

    fn bare(values: Values) -> Stored {
        Stored { values, shape: None }
    }

    const STEP: Quant = Quant { scale: 0.5, zero_point: -3 };

    #[test]
    fn values_become_what_the_input_takes() {
        let own = |bytes: &[u8]| bare(Values::Own(bytes.to_vec()));
        assert_eq!(own(&[255, 2, 3, 4]).fit(&spec(DType::I8, None), None), Ok(vec![-1.0, 2.0, 3.0, 4.0]), "two items");
        assert_eq!(own(&1.5_f32.to_le_bytes().repeat(2)).fit(&spec(DType::F32, None), None), Ok(vec![1.5, 1.5]));
        assert_eq!(bare(Values::Floats(vec![1.0, 0.24])).fit(&spec(DType::I8, Some(STEP)), None), Ok(vec![-1.0, -3.0]));
        // Bytes of the integer form, for the float form.
        assert_eq!(own(&[255, 2]).fit(&spec(DType::F32, None), Some(STEP)), Ok(vec![1.0, 2.5]));
        let integers = bare(Values::Integers(DType::U8, vec![200, 2]));
        assert_eq!(integers.fit(&spec(DType::F32, None), Some(STEP)), Ok(vec![101.5, 2.5]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (stored, dtype, words) in [
            (Values::Own(vec![1, 2, 3]), DType::I8, "3 bytes"),
            (Values::Own(vec![]), DType::I8, "0 bytes"),
            (Values::Own(vec![1, 2]), DType::F32, "--quant"),
            (Values::Floats(vec![1.0; 3]), DType::F32, "3 values"),
            (Values::Floats(vec![1.0; 2]), DType::I8, "does not say what they mean"),
            (Values::Integers(DType::U8, vec![1; 2]), DType::F32, "--quant"),
            (Values::Integers(DType::U8, vec![1; 2]), DType::I8, "U8"),
        ] {
            let error = bare(stored.clone()).fit(&spec(dtype, None), None).unwrap_err();
            assert!(error.contains(words) && error.contains("\"x\""), "{stored:?}: {error}");
        }
        // The axes in another order are as many values.
        let turned = Stored { values: Values::Floats(vec![1.0; 2]), shape: Some(vec![2, 1]) };
        assert!(turned.fit(&spec(DType::F32, None), None).unwrap_err().contains("[2, 1]"));
    }
}
