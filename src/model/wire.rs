//! A look at the bytes of an ONNX file before they are decoded: how much memory the decoded form takes.
//!
//! Two bytes of a Protocol Buffers message can stand for an empty attribute of a kilobyte, so that a small file decodes into a thousand
//! times its size. Format: <https://protobuf.dev/programming-guides/encoding/>; the fields are those of `onnx.proto`.

use tract_onnx::pb;

/// Decoded messages of a file, in bytes: this much, and [`PER_BYTE`] for each byte of the file.
const DECODED_BYTES: usize = 72 << 20;
const PER_BYTE: usize = 4;

/// Deepest nesting that is followed; the decoder itself gives up at 100.
const MAX_DEPTH: usize = 100;

/// Kinds of messages, as far as they repeat or hold others that do.
#[derive(Clone, Copy)]
enum MessageKind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Other,
}

impl MessageKind {
    /// The kind of field `number`.
    fn field(self, number: u64) -> MessageKind {
        match (self, number) {
            (MessageKind::Model, 7) => MessageKind::Graph,
            (MessageKind::Graph, 1) => MessageKind::Node,
            (MessageKind::Graph, 5) => MessageKind::Tensor,
            (MessageKind::Graph, 11..=13) => MessageKind::Value,
            (MessageKind::Node, 5) => MessageKind::Attribute,
            (MessageKind::Attribute, 5 | 10) => MessageKind::Tensor,
            (MessageKind::Attribute, 6 | 11) => MessageKind::Graph,
            _ => MessageKind::Other,
        }
    }

    /// Memory that one takes, in bytes, without what it points to.
    fn size_bytes(self) -> usize {
        match self {
            MessageKind::Model => size_of::<pb::ModelProto>(),
            MessageKind::Graph => size_of::<pb::GraphProto>(),
            MessageKind::Node => size_of::<pb::NodeProto>(),
            MessageKind::Attribute => size_of::<pb::AttributeProto>(),
            MessageKind::Tensor => size_of::<pb::TensorProto>(),
            MessageKind::Value => size_of::<pb::ValueInfoProto>(),
            // Strings, entries of metadata, and the larger ones that hold sparse tensors and training graphs.
            MessageKind::Other => 128,
        }
    }
}

/// Checks that a file does not decode into much more than it is worth. What is no valid encoding is left to the decoder.
///
/// # Errors
/// The size that it would have.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let limit = DECODED_BYTES + PER_BYTE * bytes.len();
    let mut decoded = 0usize;
    let too_large = visit(bytes, MessageKind::Model, MAX_DEPTH, &mut |field| {
        if let Value::Message(kind) = field.value {
            decoded += kind.size_bytes();
        }
        decoded > limit
    });
    match too_large {
        true => {
            Err(format!("its {} bytes hold more than {} MiB of nodes, attributes and names", bytes.len(), limit >> 20))
        }
        false => Ok(()),
    }
}

/// True if values of any tensor lie in another file.
pub(super) fn has_external_data(bytes: &[u8]) -> bool {
    /// `TensorProto.data_location` and its value for another file.
    const DATA_LOCATION: u64 = 14;
    const EXTERNAL: u64 = 1;
    visit(bytes, MessageKind::Model, MAX_DEPTH, &mut |field| {
        matches!(field, Field { kind: MessageKind::Tensor, number: DATA_LOCATION, value: Value::Number(EXTERNAL) })
    })
}

/// One field of a message of the kind `kind`.
struct Field {
    kind: MessageKind,
    number: u64,
    value: Value,
}

enum Value {
    Number(u64),
    Message(MessageKind),
    Bits,
}

/// Calls `stop` for every field, depth first, until it says so; gives whether it did.
fn visit(mut bytes: &[u8], kind: MessageKind, depth: usize, stop: &mut dyn FnMut(Field) -> bool) -> bool {
    while let Some(key) = varint(&mut bytes) {
        let (number, mut skip) = (key >> 3, 0);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes).unwrap_or(0)),
            1 => {
                skip = 8;
                Value::Bits
            }
            2 => {
                skip = varint(&mut bytes).map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX));
                Value::Message(kind.field(number))
            }
            5 => {
                skip = 4;
                Value::Bits
            }
            _ => return false,
        };
        let Some((part, rest)) = bytes.split_at_checked(skip) else { return false };
        bytes = rest;
        let nested = match value {
            Value::Message(inner) if !matches!(inner, MessageKind::Other | MessageKind::Value) && depth > 0 => {
                Some(inner)
            }
            _ => None,
        };
        if stop(Field { kind, number, value }) || nested.is_some_and(|inner| visit(part, inner, depth - 1, stop)) {
            return true;
        }
    }
    false
}

/// Takes a variable-length integer off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn model(nodes: Vec<pb::NodeProto>) -> Vec<u8> {
        let graph = Some(pb::GraphProto { node: nodes, ..Default::default() });
        pb::ModelProto { graph, ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn many_empty_parts_are_refused_and_an_ordinary_graph_is_not() {
        let empty = pb::NodeProto { attribute: vec![pb::AttributeProto::default(); 250_000], ..Default::default() };
        let error = check(&model(vec![empty])).unwrap_err();
        assert!(error.contains("MiB"), "{error}");
        let node = pb::NodeProto {
            op_type: "Conv".into(),
            input: vec!["activation".into(), "weights".into()],
            output: vec!["convolved".into()],
            attribute: vec![pb::AttributeProto { name: "strides".into(), ints: vec![1, 1], ..Default::default() }; 4],
            ..Default::default()
        };
        assert_eq!(check(&model(vec![node; 10_000])), Ok(()));
    }

    #[test]
    fn nesting_and_damage_are_left_to_the_decoder() {
        let mut graph = pb::GraphProto::default();
        for _ in 0..200 {
            let attribute = pb::AttributeProto { g: Some(graph), ..Default::default() };
            let node = pb::NodeProto { attribute: vec![attribute], ..Default::default() };
            graph = pb::GraphProto { node: vec![node], ..Default::default() };
        }
        let deep = pb::ModelProto { graph: Some(graph), ..Default::default() }.encode_to_vec();
        assert_eq!(check(&deep), Ok(()));
        for damaged in [&b""[..], &[0x3a], &[0x3a, 0xff], &[0xff; 32], &[0x3a, 0x02, 0x0a]] {
            assert_eq!(check(damaged), Ok(()));
        }
    }
}
