//! Weights in a file beside the model: read from there, from nowhere else, and part of what is installed.

use std::path::Path;

use leptond::model::{Bundle, Engine, LoadedModel, sha256};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};
use tract_onnx::prelude::Tensor;

use super::build::*;
use crate::common;

/// `y = x + w` with `w` in another file.
fn model(location: &str, offset: &str) -> Vec<u8> {
    let mut bytes =
        ModelProto::decode(&*line(vec![floats("w", &[4], &[])], vec![node("Add", &["x", "w"], &["y"])])).unwrap();
    let tensor = &mut bytes.graph.as_mut().unwrap().initializer[0];
    tensor.raw_data.clear();
    tensor.data_location = Some(DataLocation::External as i32);
    let entry = |(key, value): (&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
    tensor.external_data = [("location", location), ("offset", offset), ("length", "16")].map(entry).to_vec();
    bytes.encode_to_vec()
}

fn write_weights(path: &Path) {
    let values = [0.0f32, 0.0, 10.0, 20.0, 30.0, 40.0];
    std::fs::write(path, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

fn run(path: &Path) -> Result<Vec<f32>, String> {
    let load = || LoadedModel::load(&Bundle::open(path)?, 0, Engine::Auto, 1);
    let model = load().map_err(|e| e.to_string())?;
    let x = Tensor::from_shape(&[1, 4], &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    let y = model.run_raw(vec![x], |_, _| {}).map_err(|e| e.to_string())?;
    Ok(y[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec())
}

#[test]
fn weights_are_read_from_beside_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    std::fs::create_dir(dir.path().join("weights")).unwrap();
    for location in ["model.onnx.data", "weights/w.bin"] {
        std::fs::write(&path, model(location, "8")).unwrap();
        write_weights(&dir.path().join(location));
        assert_eq!(run(&path), Ok(vec![11.0, 22.0, 33.0, 44.0]), "{location}");
    }
}

#[test]
fn weights_are_read_from_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let (path, secret) = (inside.join("model.onnx"), dir.path().join("secret"));
    write_weights(&secret);
    std::os::unix::fs::symlink(&secret, inside.join("link")).unwrap();
    std::os::unix::fs::symlink(dir.path(), inside.join("up")).unwrap();
    let absolute = secret.to_str().unwrap();
    for location in ["../secret", absolute, "link", "up/secret", "./../inside/../secret", "missing", "", "/dev/zero"] {
        std::fs::write(&path, model(location, "0")).unwrap();
        let error = run(&path).unwrap_err();
        assert!(error.contains("\"w\"") && error.contains("save_as_external_data=False"), "{location}: {error}");
    }
    write_weights(&inside.join("short"));
    std::fs::write(&path, model("short", "16")).unwrap();
    let error = run(&path).unwrap_err();
    assert!(error.contains("\"w\"") && error.contains("takes 16 bytes"), "{error}");
}

#[test]
fn what_is_installed_is_whole_and_its_hash_covers_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let (from, models) = (dir.path().join("from"), dir.path().join("models"));
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("model.onnx"), model("model.onnx.data", "8")).unwrap();
    write_weights(&from.join("model.onnx.data"));
    let digest = Bundle::open(&from.join("model.onnx")).unwrap().digest().to_owned();
    let added = common::leptond()
        .current_dir(&from)
        .args(["model", "add", "model.onnx", "--name", "outside", "--rows", "1", "--channels", "a,b,c,d", "--dir"])
        .arg(&models)
        .env("XDG_CACHE_HOME", dir.path().join("cache"))
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let installed = Bundle::open(&models.join("outside")).unwrap();
    let whole = std::fs::read(models.join("outside").join(&installed.manifest().file)).unwrap();
    assert_eq!(installed.manifest().sha256, sha256(&whole));
    assert_eq!(digest, sha256(&whole), "other weights would make another model");
    std::fs::remove_dir_all(&from).unwrap();
    assert_eq!(run(&models.join("outside")), Ok(vec![11.0, 22.0, 33.0, 44.0]));
}
