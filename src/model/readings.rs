//! A plan that computes nothing: readings go to their task as they are.

use super::{Model, ModelError};
use crate::frame::{Elements, ElementsMut, TensorSpec, TensorView, TensorViewMut};

/// No network: no tensors, and nothing to run.
pub(super) struct Readings;

/// Stands for any tensor of it: one without elements.
static NOTHING: TensorSpec =
    TensorSpec { name: String::new(), dtype: crate::frame::DType::F32, shape: Vec::new(), quant: None };

impl Model for Readings {
    fn inputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn outputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn input_mut(&mut self, _index: usize) -> TensorViewMut<'_> {
        TensorViewMut { spec: &NOTHING, data: ElementsMut::F32(&mut []) }
    }

    fn run(&mut self) -> Result<(), ModelError> {
        Ok(())
    }

    fn output(&self, _index: usize) -> TensorView<'_> {
        TensorView { spec: &NOTHING, data: Elements::F32(&[]) }
    }

    fn input(&self, _index: usize) -> TensorView<'_> {
        TensorView { spec: &NOTHING, data: Elements::F32(&[]) }
    }
}
