//! Shapes that a user gives for what a file leaves open.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use super::ModelError;
use super::graph::{GraphInfo, Port, show};

/// Length of an open dimension that nothing says anything about, where some length has to be taken.
const ASSUMED: usize = 16;

/// A whole shape of an input, or the size of a dimension, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenShape {
    /// Name of an input or of a dimension.
    pub name: String,
    /// One size for each dimension; one alone may be a dimension's.
    pub dims: Vec<usize>,
}

impl FromStr for GivenShape {
    type Err = String;

    /// Reads `NAME=1x3x224x224` or `DIM=16`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "found {text:?}, expected NAME=1x3x224x224 (an input and its shape) or DIM=16 (a dimension and its size)"
            )
        };
        let (name, dims) = text.rsplit_once('=').ok_or_else(wrong)?;
        let size = |dim: &str| dim.trim().parse().ok().filter(|size| *size > 0);
        let dims = dims.split(['x', 'X', ',']).map(size).collect::<Option<Vec<usize>>>();
        match (name, dims) {
            ("", _) | (_, None) => Err(wrong()),
            (name, Some(dims)) => Ok(GivenShape { name: name.to_owned(), dims }),
        }
    }
}

impl GraphInfo {
    /// Takes given shapes for those of the file.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for a name that the file does not have, and for a size that it fixes otherwise.
    pub(super) fn give(&mut self, shapes: &BTreeMap<String, Vec<usize>>, path: &Path) -> Result<(), ModelError> {
        for (name, dims) in shapes {
            let wrong = |reason: String| ModelError::Shape { path: path.into(), tensor: name.clone(), reason };
            if let Some(port) = self.inputs.iter_mut().find(|port| port.name == *name && port.dims.len() == dims.len())
            {
                let fits = port.dims.iter().zip(dims).all(|(have, given)| have.is_none_or(|have| have == *given));
                if !fits {
                    return Err(wrong(format!("the file says {}, given is {dims:?}", show(&port.dims))));
                }
                port.dims = dims.iter().copied().map(Some).collect();
                continue;
            }
            let &[size] = &dims[..] else {
                let known: Vec<String> =
                    self.inputs.iter().map(|p| format!("{:?} {}", p.name, show(&p.dims))).collect();
                let reason = format!("no input of that name takes {dims:?}; there are {}", known.join(", "));
                return Err(wrong(reason));
            };
            let mut found = false;
            for port in &mut self.inputs {
                for (dim, open) in port.dims.iter_mut().zip(&port.open) {
                    if open.as_deref() == Some(name) {
                        (*dim, found) = (Some(size), true);
                    }
                }
            }
            if !found {
                let open: Vec<&str> = self.inputs.iter().flat_map(|p| &p.open).flatten().map(String::as_str).collect();
                return Err(wrong(format!("no input and no open dimension has that name; open are {open:?}")));
            }
        }
        Ok(())
    }

    /// Takes a length for every dimension that is left open, but for the first of an input; says which were taken.
    pub(super) fn assume(&mut self) -> Vec<String> {
        let mut taken = Vec::new();
        for port in &mut self.inputs {
            for axis in 1..port.dims.len() {
                if port.dims[axis].is_none() {
                    port.dims[axis] = Some(ASSUMED);
                    taken.push(said(port, axis));
                }
            }
        }
        taken
    }
}

fn said(port: &Port, axis: usize) -> String {
    let name = port.open.get(axis).cloned().flatten();
    let dimension = name.as_ref().map_or_else(|| axis.to_string(), |name| format!("{name:?}"));
    let mut shape: Vec<String> = port.dims.iter().map(|d| d.unwrap_or(1).to_string()).collect();
    shape[axis] = "N".into();
    let whole = format!("--shape {}={}", port.name, shape.join("x"));
    let how = name.map_or_else(|| whole.clone(), |name| format!("{whole}, or --shape {name}=N"));
    format!(
        "dimension {dimension} of input {:?} is open in the file and taken as {ASSUMED}: {how} says otherwise",
        port.name
    )
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::DatumType;

    use super::*;

    fn info() -> GraphInfo {
        let port = |name: &str, dims: &[Option<usize>], open: &[Option<&str>]| Port {
            name: name.into(),
            dtype: DatumType::F32,
            dims: dims.to_vec(),
            open: open.iter().map(|o| o.map(str::to_owned)).collect(),
            quant: None,
        };
        let inputs = vec![
            port("x", &[None, None, Some(40)], &[Some("batch"), Some("time"), None]),
            port("mask", &[None, None], &[Some("batch"), Some("time")]),
        ];
        GraphInfo {
            opset: 17,
            producer: String::new(),
            inputs,
            outputs: vec![],
            nodes: vec![],
            weights_bytes: 0,
            metadata: vec![],
            kept: vec![],
        }
    }

    fn given(texts: &[&str]) -> Result<Vec<Vec<Option<usize>>>, String> {
        let shapes = texts.iter().map(|text| text.parse::<GivenShape>()).collect::<Result<Vec<_>, _>>()?;
        let mut info = info();
        let shapes = shapes.into_iter().map(|s| (s.name, s.dims)).collect();
        info.give(&shapes, Path::new("m.onnx")).map_err(|error| error.to_string())?;
        Ok(info.inputs.into_iter().map(|port| port.dims).collect())
    }

    #[test]
    fn inputs_and_dimensions_are_given_by_name() {
        assert_eq!(given(&["x=1x8x40"]).unwrap()[0], [Some(1), Some(8), Some(40)]);
        let by_dimension = given(&["time=8"]).unwrap();
        assert_eq!(by_dimension, [vec![None, Some(8), Some(40)], vec![None, Some(8)]]);
        for (texts, words) in [
            (&["x"][..], "expected NAME="),
            (&["x=1x0"], "expected NAME="),
            (&["=3"], "expected NAME="),
            (&["x=1x8x41"], "the file says [?, ?, 40]"),
            (&["y=1x8"], "no input of that name"),
            (&["length=8"], "open are"),
        ] {
            let error = given(texts).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_nothing_says_is_assumed_and_told() {
        let mut info = info();
        let told = info.assume();
        assert_eq!(info.inputs[0].dims, [None, Some(16), Some(40)]);
        assert!(told[0].contains("\"time\"") && told[0].contains("--shape x=1xNx40, or --shape time=N"), "{told:?}");
    }
}
