//! State of a model, read and written along with its graph.

use tract_onnx::pb;

use super::constants::onnx_type;
use super::schema::ElementType;
use super::state::Kept;
use super::write::{Try, Writer};
use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::state;

/// Most tensors that a model keeps.
const MAX_STATES: usize = 1024;
/// Largest tensor that a model keeps, in bytes.
const MAX_STATE_BYTES: usize = 64 << 20;

impl Writer<'_, '_> {
    /// Name of what `key` holds now, of this type and shape.
    pub fn kept(&mut self, key: &str, kind: ElementType, shape: &[usize]) -> Try<String> {
        let place = self.place(key, kind, shape)?;
        Ok(self.states.kept[place].now.clone())
    }

    /// From here on `key` holds what `name` names, of this type and shape.
    pub fn keep(&mut self, key: &str, kind: ElementType, shape: &[usize], name: String) -> Try<()> {
        let place = self.place(key, kind, shape)?;
        self.states.kept[place].now = name;
        Ok(())
    }

    fn place(&mut self, key: &str, kind: ElementType, shape: &[usize]) -> Try<usize> {
        let onnx = onnx_type(kind)?;
        if let Some(&place) = self.states.places.get(key) {
            let kept = &self.states.kept[place];
            if kept.kind != onnx || kept.shape != shape {
                return Err(format!("variable {key:?} of shape {:?} is used with shape {shape:?}", kept.shape));
            }
            return Ok(place);
        }
        if self.depth > 0 {
            return Err("it keeps a variable inside a branch or loop".into());
        }
        let bytes = kind.size_bytes().unwrap_or(1) * shape.iter().product::<usize>();
        if bytes > MAX_STATE_BYTES || self.states.kept.len() >= MAX_STATES {
            return Err(format!(
                "it keeps {bytes} bytes in one of more than {MAX_STATES} variables or in one too large"
            ));
        }
        let input = self.unique(format!("state_{}", self.states.kept.len()));
        let initial = match self.states.initial.remove(key) {
            None => None,
            Some((_, _, values)) if values.iter().all(|&byte| byte == 0) => None,
            Some((from, dims, values)) => {
                if from != kind || dims != shape {
                    return Err(format!("variable {key:?} of shape {dims:?} is used with shape {shape:?}"));
                }
                Some(self.values(kind, shape, values)?)
            }
        };
        self.graph.input.push(build::port_of_shape(&input, onnx, shape));
        self.states.kept.push(Kept { now: input.clone(), input, kind: onnx, shape: shape.to_vec(), initial });
        self.states.places.insert(key.to_owned(), self.states.kept.len() - 1);
        Ok(self.states.kept.len() - 1)
    }

    /// Adds the outputs of what is kept, and says which ones belong together.
    pub(super) fn finish_states(&mut self) -> Vec<pb::StringStringEntryProto> {
        let kept = std::mem::take(&mut self.states.kept);
        let mut pairs = Vec::new();
        for kept in kept {
            let output = self.unique(format!("{}_next", kept.input));
            self.node(NodeBuilder::new("Identity", [&kept.now]), output.clone());
            self.graph.output.push(build::port_of_shape(&output, kept.kind, &kept.shape));
            pairs.push(state::Pair { input: kept.input, output, initial: kept.initial });
        }
        state::written(&pairs)
    }
}
