//! Numbers by their names: whatever is wrong with a table or a message, a value stands under its own name, or nowhere.

mod keys;
mod messages;
mod mutate;
mod subscriber;
mod thermometer;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leptond::frame::{Frame, Payload};
use leptond::source::{self, Config, Context, Decimal, Delimiter, MissingPolicy, Next, SensorConfig, SensorKind};
use tract_onnx::pb;

use crate::common;
use mutate::{Case, Random};

/// `y = x` of `[1, 1, width]`, as a bare ONNX file.
fn identity(width: i64) -> Vec<u8> {
    let dimension = |size: i64| pb::tensor_shape_proto::Dimension {
        denotation: String::new(),
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(size)),
    };
    let port = |name: &str| pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: pb::tensor_proto::DataType::Float as i32,
                shape: Some(pb::TensorShapeProto { dim: vec![dimension(1), dimension(1), dimension(width)] }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    };
    let node = pb::NodeProto {
        op_type: "Identity".into(),
        input: vec!["x".into()],
        output: vec!["y".into()],
        ..Default::default()
    };
    let graph = pb::GraphProto {
        name: "g".into(),
        node: vec![node],
        input: vec![port("x")],
        output: vec![port("y")],
        ..Default::default()
    };
    let opset = pb::OperatorSetIdProto { domain: String::new(), version: 13 };
    let model = pb::ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    prost::Message::encode_to_vec(&model)
}

/// Makes a bundle in `dir` whose model takes these channels, one reading at a time, and gives them back.
fn bundle(dir: &Path, channels: &[&str]) {
    let onnx = identity(i64::try_from(channels.len()).unwrap());
    let digest = leptond::model::sha256(&onnx);
    let name = dir.file_name().unwrap().to_str().unwrap();
    let manifest = format!(
        "name = \"{name}\"\ntask = \"raw\"\nsha256 = \"{digest}\"\n[input]\nkind = \"window\"\nrows = 1\nchannels = {channels:?}\n"
    );
    std::fs::create_dir(dir).unwrap();
    std::fs::write(dir.join("model.onnx"), &onnx).unwrap();
    std::fs::write(dir.join("model.toml"), manifest).unwrap();
}

/// Standard output and error of `infer` with an unnamed model of two channels over a file of this text.
fn infer(name: &str, text: &[u8]) -> (Vec<Vec<f64>>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (model, file) = (dir.path().join("two.onnx"), dir.path().join(name));
    std::fs::write(&model, identity(2)).unwrap();
    std::fs::write(&file, text).unwrap();
    let output = common::leptond().args(["infer", "--json"]).arg(&model).arg(&file).output().unwrap();
    let rows = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outputs"][0]["values"].clone())
        .map(|values| values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect())
        .collect();
    (rows, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn tables_as_loggers_write_them() {
    for (name, text, rows, complaint) in [
        ("plain.csv", &b"time,a,b\n12:00,1,2\n12:01,3,4\n"[..], &[[1.0, 2.0], [3.0, 4.0]][..], ""),
        ("twice.csv", b"time,temp,temp\n12:00,1,2\n", &[], "two values of one name"),
        ("unnamed.csv", b"time,,\n12:00,1,2\n", &[], "3 fields, and the header has 1"),
        ("warming.csv", b"time,a,b\n12:00,---,2\n12:01,3,4\n", &[[3.0, 4.0]], "no value of a"),
        ("latin1.csv", b"Zeit;Temp \xb0C;RH\n12:00;1;2\n", &[[1.0, 2.0]], ""),
        (
            "headless.csv",
            b"2024-01-01 12:00:00,21.5,40\n2024-01-01 12:01:00,22.5,41\n",
            &[[21.5, 40.0], [22.5, 41.0]],
            "",
        ),
        ("comma.csv", b"Zeit;Temp;RH\n12:00;21,5;40,25\n", &[[21.5, 40.25]], ""),
        ("epoch.csv", b"timestamp,a,b\n1722077515,1,2\n", &[[1.0, 2.0]], ""),
        ("one.csv", b"time,a\n12:00,1\n", &[], "takes 2 values in each of 1 readings, the source has 1 channels: a"),
        ("three.csv", b"time,a,b,c\n12:00,1,2,3\n", &[], "the source has 3 channels: a, b, c"),
        ("utf16.csv", b"\xff\xfea\0,\0b\0\n\x001\0,\x002\0", &[], "UTF-16"),
        ("nested.jsonl", br#"{"Time":"2024-07-27T10:51:55","E":{"P":143,"V":230}}"#, &[[143.0, 230.0]], ""),
        ("double.jsonl", br#"{"a":1,"b":2,"a":3}"#, &[], "the key \"a\" is there twice"),
    ] {
        let (found, said) = infer(name, text);
        assert_eq!(found, rows, "{name}: {said}");
        assert!(said.contains(complaint) && (complaint.is_empty() == said.is_empty()), "{name}: {said}");
    }
}

#[test]
fn a_model_takes_its_channels_by_name_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("two");
    bundle(&model, &["b", "a"]);
    for (text, expected, complaint) in [
        ("time,a,x,b\n12:00,1,9,2\n", Some([2.0, 1.0]), ""),
        ("time,a,x\n12:00,1,9\n", None, "no b of the model's b, a among its values: time, a, x"),
        ("12:00,1,9\n", None, "the columns have no names, and the model takes b, a by name"),
        ("time,b,a,b\n12:00,1,9,3\n", None, "channel \"b\" could be"),
    ] {
        let file = dir.path().join("file.csv");
        std::fs::write(&file, text).unwrap();
        let output = common::leptond().args(["infer", "--json"]).arg(&model).arg(&file).output().unwrap();
        let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let row = out.lines().next().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let row = row.map(|l| [0, 1].map(|i| l["outputs"][0]["values"][i].as_f64().unwrap()));
        assert_eq!(row, expected, "{text}: {said}");
        assert!(said.contains(complaint), "{text}: {said}");
    }
}

/// Names and values of every window that a file gives; NaN where one is missing.
fn windows(path: &Path, case: &Case, by_name: bool, keys: bool) -> Vec<Vec<(String, f32)>> {
    let config = SensorConfig {
        kind: if case.csv { SensorKind::Csv } else { SensorKind::Jsonl },
        path: path.to_str().unwrap().into(),
        channels: if by_name { case.names.iter().map(|n| (*n).to_owned()).collect() } else { Vec::new() },
        missing: Some(MissingPolicy::Nan),
        decimal: if keys && case.comma { Decimal::Comma } else { Decimal::Auto },
        delimiter: match case.delimiter {
            "tab" if keys => Delimiter::Tab,
            "semicolon" if keys => Delimiter::Semicolon,
            _ => Delimiter::Auto,
        },
        interval_ms: 0,
        ..SensorConfig::default()
    };
    let mut source = source::open(&Config::Sensor(config), Context::default()).unwrap();
    let (mut rows, mut frame) = (Vec::new(), Frame::empty());
    loop {
        match source.next(&mut frame) {
            Ok(Next::Frame) => {
                let Payload::Window(window) = &frame.payload else { panic!("a picture of numbers") };
                assert_eq!(window.channels.len(), window.data.len());
                rows.push(window.channels.iter().cloned().zip(window.data.iter().copied()).collect());
            }
            Ok(Next::End) => return rows,
            Ok(Next::Idle(_)) | Err(_) => {}
        }
    }
}

/// What Python's readers make of each file.
fn judged(dir: &Path, cases: &[(PathBuf, Case)]) -> Option<Vec<Vec<HashMap<String, f64>>>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/numbers/judge.py");
    let list: String = cases
        .iter()
        .map(|(path, case)| {
            let kind = if case.csv { "csv" } else { "json" };
            format!("{}|{kind}|{}|{}\n", path.display(), case.delimiter, u8::from(case.comma))
        })
        .collect();
    let out = std::fs::File::create(dir.join("judged")).unwrap();
    let mut python = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(out).spawn().ok()?;
    python.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    assert!(python.wait().unwrap().success());
    let text = std::fs::read_to_string(dir.join("judged")).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Each row that we give is a row that the judge has, in its order, with the same value under each name or none.
fn check_mutations(test: &str, seed: u64, make: fn(&mut Random) -> Case) {
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let cases: Vec<(PathBuf, Case)> = (0..common::cases(1000))
        .map(|i| {
            let (path, case) = (dir.path().join(i.to_string()), make(&mut random));
            std::fs::write(&path, &case.bytes).unwrap();
            (path, case)
        })
        .collect();
    let Some(judged) = judged(dir.path(), &cases) else {
        return common::skip(test, "python3 is not installed");
    };
    assert_eq!(judged.len(), cases.len());
    let (mut given, mut possible) = (0, 0);
    for (i, ((path, case), judged)) in cases.iter().zip(&judged).enumerate() {
        let rows = windows(path, case, i % 2 == 0, i % 3 == 0);
        possible += judged.len();
        given += rows.len();
        let mut left = judged.iter();
        // A row without any value stands nowhere.
        for row in rows.into_iter().filter(|row| row.iter().any(|(_, value)| !value.is_nan())) {
            let fits = |judge: &HashMap<String, f64>| {
                row.iter().all(|(name, value)| value.is_nan() || judge.get(name).is_some_and(|v| *v as f32 == *value))
            };
            let text = String::from_utf8_lossy(&case.bytes);
            assert!(left.any(fits), "case {i}: {row:?} is not in\n{text}\njudged {judged:?}");
        }
    }
    // Refusing everything would be right as well, and of no use.
    assert!(given * 3 > possible, "{given} of {possible} rows");
    println!("{given} of {possible} rows of {} files", cases.len());
}

#[test]
fn no_value_of_a_mutated_table_stands_under_another_name() {
    check_mutations("no_value_of_a_mutated_table_stands_under_another_name", 1, mutate::csv);
}

#[test]
fn no_value_of_a_mutated_message_stands_under_another_name() {
    check_mutations("no_value_of_a_mutated_message_stands_under_another_name", 2, mutate::json);
}
