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
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Other,
}

impl Kind {
    /// The kind of field `number`.
    fn field(self, number: u64) -> Kind {
        match (self, number) {
            (Kind::Model, 7) => Kind::Graph,
            (Kind::Graph, 1) => Kind::Node,
            (Kind::Graph, 5) => Kind::Tensor,
            (Kind::Graph, 11..=13) => Kind::Value,
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Attribute, 5 | 10) => Kind::Tensor,
            (Kind::Attribute, 6 | 11) => Kind::Graph,
            _ => Kind::Other,
        }
    }

    /// Memory that one takes, in bytes, without what it points to.
    fn size_bytes(self) -> usize {
        match self {
            Kind::Model => size_of::<pb::ModelProto>(),
            Kind::Graph => size_of::<pb::GraphProto>(),
            Kind::Node => size_of::<pb::NodeProto>(),
            Kind::Attribute => size_of::<pb::AttributeProto>(),
            Kind::Tensor => size_of::<pb::TensorProto>(),
            Kind::Value => size_of::<pb::ValueInfoProto>(),
            // Strings, entries of metadata, and the larger ones that hold sparse tensors and training graphs.
            Kind::Other => 128,
        }
    }
}

/// Checks that a file does not decode into much more than it is worth. What is no valid encoding is left to the decoder.
///
/// # Errors
/// How large it would become.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let limit = DECODED_BYTES + PER_BYTE * bytes.len();
    let mut decoded = 0usize;
    let too_large = visit(bytes, Kind::Model, MAX_DEPTH, &mut |field| {
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

/// Whether values of any tensor lie in another file.
pub(super) fn has_external_data(bytes: &[u8]) -> bool {
    /// `TensorProto.data_location` and its value for another file.
    const DATA_LOCATION: u64 = 14;
    const EXTERNAL: u64 = 1;
    visit(bytes, Kind::Model, MAX_DEPTH, &mut |field| {
        matches!(field, Field { kind: Kind::Tensor, number: DATA_LOCATION, value: Value::Number(EXTERNAL) })
    })
}

/// One field of a message of the kind `kind`.
struct Field {
    kind: Kind,
    number: u64,
    value: Value,
}

enum Value {
    Number(u64),
    Message(Kind),
    Bits,
}

/// Calls `stop` for every field, depth first, until it says so; gives whether it did.
fn visit(mut bytes: &[u8], kind: Kind, depth: usize, stop: &mut dyn FnMut(Field) -> bool) -> bool {
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
            Value::Message(inner) if !matches!(inner, Kind::Other | Kind::Value) && depth > 0 => Some(inner),
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
