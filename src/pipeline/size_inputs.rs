//! Inputs beside the picture that tell a network the size of the picture, by which it scales its boxes. They get the size of the model's
//! input, so that boxes are in its pixels.

use crate::frame::ElementsMut;
use crate::model::Model;

/// Values of an input, for a picture of this height and width.
type Values = fn([f32; 2]) -> [f32; 2];

/// Names of such inputs, and their values for an input of this height and width.
const NAMES: [(&str, Values); 6] = [
    // RT-DETR, D-FINE: width first.
    ("orig_target_sizes", |[height, width]| [width, height]),
    ("orig_size", |[height, width]| [width, height]),
    // DETR of Hugging Face, PaddleDetection.
    ("target_sizes", |[height, width]| [height, width]),
    ("im_shape", |[height, width]| [height, width]),
    ("image_shape", |[height, width]| [height, width]),
    ("scale_factor", |_| [1.0, 1.0]),
];

/// True if an input of this name is filled here.
pub fn is_size(name: &str) -> bool {
    values(name).is_some()
}

fn values(name: &str) -> Option<fn([f32; 2]) -> [f32; 2]> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, values)| *values)
}

/// Fills the inputs of `model` behind the first that tell sizes, for a picture of `[height, width]` in each item of a batch.
pub(super) fn fill(model: &mut dyn Model, [height, width]: [usize; 2]) {
    for index in 1..model.inputs().len() {
        let spec = &model.inputs()[index];
        let Some(values) = values(&spec.name).filter(|_| spec.shape.last() == Some(&2)) else { continue };
        let pair = values([height as f32, width as f32]);
        match model.input_mut(index).data {
            ElementsMut::F32(all) => all.chunks_exact_mut(2).for_each(|item| item.copy_from_slice(&pair)),
            ElementsMut::I32(all) => {
                all.chunks_exact_mut(2).for_each(|item| item.copy_from_slice(&pair.map(|v| v as i32)))
            }
            ElementsMut::I64(all) => {
                all.chunks_exact_mut(2).for_each(|item| item.copy_from_slice(&pair.map(|v| v as i64)))
            }
            ElementsMut::I8(_) | ElementsMut::U8(_) => {}
        }
    }
}
