//! Nodes before they have a name, and the two orders of axes.

use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;

/// The order of a tensor's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As in the file; pictures are `[N, H, W, C]`.
    File,
    /// `[N, C, H, W]`.
    ChannelsFirst,
}

impl Layout {
    /// Where the axes of a picture come from.
    pub const TO_CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];
    /// And back.
    pub const TO_FILE: [usize; 4] = [0, 2, 3, 1];

    /// The other one.
    pub fn other(self) -> Layout {
        match self {
            Layout::File => Layout::ChannelsFirst,
            Layout::ChannelsFirst => Layout::File,
        }
    }

    /// A shape of the file in this layout.
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Layout::ChannelsFirst, &[n, h, w, c]) => vec![n, c, h, w],
            _ => shape.to_vec(),
        }
    }

    /// Where axis `axis` of the file is in this layout.
    pub fn axis(self, axis: usize) -> usize {
        match self {
            Layout::File => axis,
            Layout::ChannelsFirst => Self::TO_FILE.get(axis).copied().unwrap_or(axis),
        }
    }
}

/// A node to be; its name and output are given when it is added.
pub struct Step {
    pub op: &'static str,
    pub inputs: Vec<String>,
    pub attributes: Vec<pb::AttributeProto>,
}

impl Step {
    /// With no attributes.
    pub fn new(op: &'static str, inputs: &[&str]) -> Step {
        Step { op, inputs: inputs.iter().map(|&i| i.to_owned()).collect(), attributes: Vec::new() }
    }

    /// Makes `name` its first operand.
    pub fn read(&mut self, name: &str) {
        self.inputs.insert(0, name.to_owned());
    }

    fn with(mut self, name: &str, kind: AttributeType, fill: impl FnOnce(&mut pb::AttributeProto)) -> Step {
        let mut attribute = pb::AttributeProto { name: name.into(), r#type: kind as i32, ..Default::default() };
        fill(&mut attribute);
        self.attributes.push(attribute);
        self
    }

    /// And an integer.
    pub fn int(self, name: &str, value: usize) -> Step {
        self.with(name, AttributeType::Int, |a| a.i = value as i64)
    }

    /// And integers.
    pub fn ints(self, name: &str, values: &[usize]) -> Step {
        self.with(name, AttributeType::Ints, |a| a.ints = values.iter().map(|&v| v as i64).collect())
    }

    /// And a number.
    pub fn float(self, name: &str, value: f32) -> Step {
        self.with(name, AttributeType::Float, |a| a.f = value)
    }

    /// And a word.
    pub fn text(self, name: &str, value: &str) -> Step {
        self.with(name, AttributeType::String, |a| a.s = value.as_bytes().to_vec())
    }
}

/// Whether a change of layout moves elements of a picture of this shape.
pub fn spreads(shape: &[usize]) -> bool {
    matches!(shape, &[_, h, w, c] if c != 1 && h * w != 1)
}
