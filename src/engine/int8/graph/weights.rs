//! Weights of products.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tract_onnx::prelude::{Datum, Tensor};

/// Constants in row-major order. Those of a file are most of it, so they are shared with its tensors as long as nothing changes them.
pub struct Weights<T>(Held<T>);

enum Held<T> {
    Own(Arc<Vec<T>>),
    Tensor(Arc<Tensor>),
}

impl<T: Datum + Copy> Weights<T> {
    /// The elements of a tensor; `None` where it is of another type.
    pub fn shared(tensor: Arc<Tensor>) -> Option<Self> {
        tensor.as_plain_ram()?.as_slice::<T>().ok()?;
        Some(Weights(Held::Tensor(tensor)))
    }

    /// Weights to change; they are copied where others hold them.
    pub fn make_mut(&mut self) -> &mut Vec<T> {
        if let Held::Tensor(_) = &self.0 {
            self.0 = Held::Own(Arc::new(self.to_vec()));
        }
        match &mut self.0 {
            Held::Own(own) => Arc::make_mut(own),
            Held::Tensor(_) => unreachable!("they were made their own just now"),
        }
    }

    /// Weights in a list of their own.
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Held::Own(own) => Arc::unwrap_or_clone(own),
            Held::Tensor(_) => self.to_vec(),
        }
    }
}

impl<T: Datum + Copy> Deref for Weights<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::Own(own) => own,
            Held::Tensor(tensor) => tensor.as_plain_ram().and_then(|plain| plain.as_slice().ok()).unwrap_or_default(),
        }
    }
}

impl<T> Clone for Weights<T> {
    fn clone(&self) -> Self {
        Weights(match &self.0 {
            Held::Own(own) => Held::Own(own.clone()),
            Held::Tensor(tensor) => Held::Tensor(tensor.clone()),
        })
    }
}

impl<T> From<Vec<T>> for Weights<T> {
    fn from(values: Vec<T>) -> Self {
        Weights(Held::Own(Arc::new(values)))
    }
}

impl<T: Datum + Copy> fmt::Debug for Weights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_shared_until_its_values_change() {
        let tensor = Arc::new(Tensor::from_shape(&[2, 2], &[1i8, 2, 3, 4]).unwrap());
        let mut weights = Weights::<i8>::shared(tensor.clone()).unwrap();
        let values = tensor.as_plain_ram().unwrap().as_slice::<i8>().unwrap();
        assert_eq!(weights.as_ptr(), values.as_ptr());
        let other = weights.clone();
        weights.make_mut()[0] = 7;
        assert_eq!((&weights[..], &other[..]), (&[7, 2, 3, 4][..], &[1, 2, 3, 4][..]));
        assert_eq!(other.as_ptr(), values.as_ptr());
        assert!(Weights::<f32>::shared(tensor).is_none(), "another type");
    }

    #[test]
    fn a_list_is_copied_for_a_second_holder_alone() {
        let mut weights = Weights::from(vec![1.0f32, 2.0]);
        let first = weights.as_ptr();
        weights.make_mut()[1] = 3.0;
        assert_eq!(weights.as_ptr(), first);
        let other = weights.clone();
        weights.make_mut()[1] = 4.0;
        assert_eq!((weights.into_vec(), &other[..]), (vec![1.0, 4.0], &[1.0, 3.0][..]));
    }
}
