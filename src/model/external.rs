//! Tensors of an ONNX model that lie in files beside it ("external data"): read and put into the model, so that everything after
//! this, hashes included, sees one whole model.
//!
//! Exporters write them so by default since PyTorch 2.9. Each tensor names a file, an offset and a length in bytes
//! (`onnx.proto`, `TensorProto.external_data`); all three come from the file and are held against what is there.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use leptond_engine::onnx::tensor::declared_bytes;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

use super::budget::MAX_FILE_BYTES;
use super::wire;

/// Most files that one model may be spread over.
const MAX_FILES: usize = 4096;

/// Advice for making one file of several.
pub(super) const REMEDY: &str =
    "save it as one file: onnx.save_model(onnx.load(\"model.onnx\"), \"whole.onnx\", save_as_external_data=False)";

/// Failure to read tensors of other files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExternalError {
    /// One tensor's.
    #[error("tensor {tensor:?}: {reason}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// Cause.
        reason: String,
    },
    /// The model's own file cannot be decoded.
    #[error("{0}")]
    Broken(String),
}

/// Opens a file beside the model by the name that the model gives it; gives the reason where it must not or cannot.
pub(super) type Open<'a> = &'a dyn Fn(&str) -> Result<File, String>;

/// The model with the tensors of other files put in; `None` if it has none, which is found without decoding it.
///
/// # Errors
/// [`ExternalError`] naming the tensor.
pub(super) fn merge(bytes: &[u8], open: Open<'_>) -> Result<Option<Vec<u8>>, ExternalError> {
    if !wire::has_external_data(bytes) {
        return Ok(None);
    }
    wire::check(bytes).map_err(ExternalError::Broken)?;
    let mut model = ModelProto::decode(bytes).map_err(|e| ExternalError::Broken(e.to_string()))?;
    let mut files = Files { open, opened: HashMap::new(), read_bytes: 0, there_bytes: 0 };
    if let Some(graph) = &mut model.graph {
        files.fill_graph(graph)?;
    }
    Ok(Some(model.encode_to_vec()))
}

/// The files beside the model.
struct Files<'a> {
    open: Open<'a>,
    /// With their sizes, in bytes.
    opened: HashMap<String, (File, u64)>,
    /// Bytes put into tensors so far.
    read_bytes: u64,
    /// Sizes of all opened files.
    there_bytes: u64,
}

impl Files<'_> {
    fn fill_graph(&mut self, graph: &mut GraphProto) -> Result<(), ExternalError> {
        for tensor in &mut graph.initializer {
            self.fill(tensor)?;
        }
        for node in &mut graph.node {
            for attribute in &mut node.attribute {
                for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                    if tensor.name.is_empty() {
                        tensor.name.clone_from(&node.name);
                    }
                    self.fill(tensor)?;
                }
                for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.fill_graph(inner)?;
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, tensor: &mut TensorProto) -> Result<(), ExternalError> {
        if tensor.data_location == Some(DataLocation::External as i32) {
            let values = self.values(tensor);
            let reason = |reason: String| ExternalError::Tensor { tensor: tensor.name.clone(), reason };
            tensor.raw_data = values.map_err(reason)?;
            tensor.data_location = None;
            tensor.external_data.clear();
        }
        Ok(())
    }

    fn values(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, String> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| -> Result<Option<u64>, String> {
            let parse = |text: &str| {
                text.trim().parse().map_err(|_| format!("the {key} of its values is {text:?}, not a number of bytes"))
            };
            entry(key).map(parse).transpose()
        };
        let name = entry("location").ok_or("its values lie in another file that it does not name")?;
        let offset = number("offset")?.unwrap_or(0);
        if !self.opened.contains_key(name) {
            if self.opened.len() >= MAX_FILES {
                return Err(format!("its model is spread over more than {MAX_FILES} files"));
            }
            let file = (self.open)(name).map_err(|reason| format!("its values lie in {name:?}: {reason}; {REMEDY}"))?;
            let size = file.metadata().map_err(|e| format!("its values lie in {name:?}: {e}"))?.len();
            self.there_bytes = self.there_bytes.saturating_add(size);
            self.opened.insert(name.to_owned(), (file, size));
        }
        let (file, size) = self.opened.get(name).ok_or("its values are gone")?;
        let whole = size.checked_sub(offset);
        let whole = whole.ok_or_else(|| format!("its values begin at byte {offset} of {name:?}, which has {size}"))?;
        let expected =
            declared_bytes(tensor).ok_or_else(|| format!("its type or shape {:?} cannot be", tensor.dims))? as u64;
        // Some exporters leave the length out, or count what they put behind the values to align the next ones.
        let length = number("length")?.unwrap_or(expected);
        if length < expected || expected > whole {
            let there = length.min(whole);
            return Err(format!("its shape {:?} takes {expected} bytes, {name:?} has {there} for it", tensor.dims));
        }
        // One file's bytes may serve two tensors, but not any number of them.
        let read_bytes = self.read_bytes.saturating_add(expected);
        if read_bytes > MAX_FILE_BYTES || read_bytes > self.there_bytes.saturating_mul(2).max(1 << 20) {
            return Err(format!(
                "together with those before it, its values are {read_bytes} bytes from {} in files",
                self.there_bytes
            ));
        }
        self.read_bytes = read_bytes;
        let mut values = vec![0; usize::try_from(expected).map_err(|e| e.to_string())?];
        file.read_exact_at(&mut values, offset).map_err(|e| format!("its values cannot be read from {name:?}: {e}"))?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{AttributeProto, NodeProto, StringStringEntryProto};

    use super::*;

    fn tensor(dims: &[i64], entries: &[(&str, &str)]) -> TensorProto {
        TensorProto {
            name: "w".into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            data_location: Some(DataLocation::External as i32),
            external_data: entries
                .iter()
                .map(|(k, v)| StringStringEntryProto { key: (*k).into(), value: (*v).into() })
                .collect(),
            ..Default::default()
        }
    }

    fn model(initializer: Vec<TensorProto>, node: Vec<NodeProto>) -> Vec<u8> {
        let graph = Some(GraphProto { initializer, node, ..Default::default() });
        ModelProto { graph, ..Default::default() }.encode_to_vec()
    }

    fn merged(dir: &Path, bytes: &[u8]) -> Result<Option<ModelProto>, ExternalError> {
        let open = |name: &str| File::open(dir.join(name)).map_err(|e| e.to_string());
        Ok(merge(bytes, &open)?.map(|bytes| ModelProto::decode(&*bytes).unwrap()))
    }

    #[test]
    fn values_are_put_where_they_belong() {
        let dir = tempfile::tempdir().unwrap();
        let values: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(dir.path().join("m.data"), &values).unwrap();
        let second = tensor(&[2], &[("location", "m.data"), ("offset", "8"), ("length", "8")]);
        let inside = AttributeProto { t: Some(second), ..Default::default() };
        let node = NodeProto { name: "c".into(), attribute: vec![inside], ..Default::default() };
        let bytes = model(vec![tensor(&[2, 1], &[("location", "m.data"), ("length", "8")])], vec![node]);
        let graph = merged(dir.path(), &bytes).unwrap().unwrap().graph.unwrap();
        assert_eq!(graph.initializer[0].raw_data, &values[..8]);
        assert_eq!(graph.node[0].attribute[0].t.as_ref().unwrap().raw_data, &values[8..]);
        assert!(graph.initializer[0].external_data.is_empty() && graph.initializer[0].data_location.is_none());
        let whole = model(vec![TensorProto { raw_data: values, ..Default::default() }], vec![]);
        assert_eq!(merged(dir.path(), &whole), Ok(None), "a model in one file is left as it is");
    }

    #[test]
    fn what_does_not_fit_the_file_names_the_tensor() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("m.data"), [0; 16]).unwrap();
        let at = |offset: &str, length: &str| {
            vec![("location", "m.data"), ("offset", offset), ("length", length)]
                .into_iter()
                .map(|(k, v)| (k, v.to_owned()))
                .collect::<Vec<_>>()
        };
        type Entries = Vec<(&'static str, String)>;
        let cases: Vec<(&[i64], Entries, &str)> = vec![
            (&[5], at("0", "20"), "takes 20 bytes"),
            (&[4], at("8", "16"), "takes 16 bytes"),
            (&[4], at("0", "8"), "takes 16 bytes"),
            (&[1], at("17", "4"), "begin at byte 17"),
            (&[1], at("18446744073709551615", "4"), "begin at byte"),
            (&[1], at("-4", "4"), "not a number of bytes"),
            (&[1], at("0", "x"), "not a number of bytes"),
            (&[-1], at("0", "4"), "cannot be"),
            (&[i64::MAX, 4], at("0", "4"), "cannot be"),
            (&[1], vec![("location", "other".into())], "other"),
            (&[1], vec![], "does not name"),
        ];
        for (dims, entries, words) in cases {
            let entries: Vec<(&str, &str)> = entries.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let error = merged(dir.path(), &model(vec![tensor(dims, &entries)], vec![])).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("\"w\""), "{error}");
        }
    }

    #[test]
    fn the_same_bytes_do_not_serve_any_number_of_tensors() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("m.data"), vec![0; 1 << 20]).unwrap();
        let one = tensor(&[1 << 18], &[("location", "m.data")]);
        assert!(merged(dir.path(), &model(vec![one.clone(); 2], vec![])).is_ok());
        let error = merged(dir.path(), &model(vec![one; 3], vec![])).unwrap_err().to_string();
        assert!(error.contains("together"), "{error}");
    }
}
