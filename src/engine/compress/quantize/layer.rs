//! A layer's weights and bias in integers.

use super::super::run::CompressError;
use super::range::Method;
use super::settings::Settings;
use super::weights::{self, Rows};
use crate::onnx::{GraphView, node, tensor};

/// A layer in integers.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Weights in floats, each a multiple of its scale once they are rounded.
    pub(super) weights: Rows,
    /// Scale of each output.
    pub(super) scales: Vec<f32>,
    /// Bias of each output.
    pub(super) bias: Option<Vec<f32>>,
    /// Step of the layer's input.
    pub(super) input_scale: f32,
    /// Scales differ.
    pub(super) per_channel: bool,
}

/// Integer weights of a layer before anything is put right.
pub(super) fn layer(
    view: &GraphView<'_>,
    index: usize,
    input_scale: f32,
    settings: &Settings,
) -> Result<Layer, CompressError> {
    let node = view.node(index);
    let axis = weights::axis_of(node);
    let missing = || CompressError::Node {
        node: node.name.clone(),
        operator: node.op_type.clone(),
        reason: "its weights cannot be read".into(),
    };
    let constant = |index: usize| node::input(node, index).and_then(|name| view.constant(name));
    let values = constant(1).ok_or_else(missing)?;
    let floats = tensor::floats(&values).map_err(|_| missing())?;
    let per_channel = settings.per_channel;
    let rows = Rows::of(values.shape(), axis, &floats);
    let outputs = rows.rows.len();
    let bias = match constant(2) {
        Some(bias) => Some(tensor::floats(&bias).map_err(|_| missing())?),
        None => None,
    };
    let bias = match bias {
        Some(bias) if bias.len() == 1 => Some(vec![bias[0]; outputs]),
        other => other,
    };
    let search = settings.method == Method::Mse;
    let scales = match per_channel {
        true => rows.rows.iter().map(|row| weights::scale_of(row, &[], search)).collect::<Vec<f32>>(),
        false => vec![weights::scale_of(&floats, &[], search); outputs],
    };
    let mut layer = Layer { weights: rows, scales, bias, input_scale, per_channel };
    layer.make_room_for_bias();
    Ok(layer)
}

impl Layer {
    /// Widens scales until the bias fits into integers.
    pub(super) fn make_room_for_bias(&mut self) {
        let Some(bias) = &self.bias else { return };
        if self.per_channel {
            for (scale, &bias) in self.scales.iter_mut().zip(bias) {
                *scale = weights::with_room_for_bias(*scale, self.input_scale, bias);
            }
            return;
        }
        let most = bias.iter().fold(0.0f32, |most, bias| most.max(bias.abs()));
        let scale = weights::with_room_for_bias(self.scales.first().copied().unwrap_or(1.0), self.input_scale, most);
        self.scales.fill(scale);
    }

    /// The weights that the integers stand for, in the order of the tensor.
    pub(super) fn rounded(&self) -> Vec<f32> {
        self.weights.joined(|row, value| weights::rounded(value, self.scales[row]) * self.scales[row])
    }
}
