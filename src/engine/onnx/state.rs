//! State of a model between its runs, as the metadata of a file tells it: inputs that take what an output gave in the run before.

use tract_onnx::pb::{ModelProto, StringStringEntryProto};

/// Key of the metadata.
const KEY: &str = "leptond.state";
/// Between the names of a pair, and between pairs.
const SEPARATORS: [char; 2] = ['\t', '\n'];

/// An input that takes what an output gave in the run before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Input of the graph.
    pub input: String,
    /// Output of the graph.
    pub output: String,
    /// Initialiser with what the input takes in the first run; zeros where there is none.
    pub initial: Option<String>,
}

/// Metadata that tells `pairs`; none where there is nothing to tell. Their names hold neither tabs nor line ends.
pub fn written(pairs: &[Pair]) -> Vec<StringStringEntryProto> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let line = |p: &Pair| {
        [p.input.as_str(), &p.output, p.initial.as_deref().unwrap_or_default()].join(&SEPARATORS[0].to_string())
    };
    let value = pairs.iter().map(line).collect::<Vec<_>>().join(&SEPARATORS[1].to_string());
    vec![StringStringEntryProto { key: KEY.into(), value }]
}

/// The pairs that a file's metadata tells; what has not two or three names is left out.
pub fn read(model: &ModelProto) -> Vec<Pair> {
    let told = model.metadata_props.iter().filter(|p| p.key == KEY).flat_map(|p| p.value.split(SEPARATORS[1]));
    told.filter_map(|line| {
        let mut names = line.split(SEPARATORS[0]).map(str::to_owned);
        let (input, output) = (names.next()?, names.next()?);
        Some(Pair { input, output, initial: names.next().filter(|name| !name.is_empty()) })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pair = |k: usize, initial: Option<&str>| Pair {
            input: format!("state_{k}"),
            output: format!("state_{k}_next"),
            initial: initial.map(str::to_owned),
        };
        let pairs = [pair(0, None), pair(1, Some("constant_4"))];
        assert_eq!(read(&ModelProto { metadata_props: written(&pairs), ..Default::default() }), pairs);
        assert_eq!(read(&ModelProto { metadata_props: written(&[]), ..Default::default() }), []);
        let broken = StringStringEntryProto { key: KEY.into(), value: "alone\n\na\tb".into() };
        let told = read(&ModelProto { metadata_props: vec![broken], ..Default::default() });
        assert_eq!(told, [Pair { input: "a".into(), output: "b".into(), initial: None }]);
    }
}
