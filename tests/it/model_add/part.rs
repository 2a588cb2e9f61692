//! A model that lies within another file.

use leptond::model::sha256;

use super::home::Home;
use super::server::{Reply, Server};
use super::{catalog_of, cifar};

#[test]
fn a_model_within_another_file_is_cut_out() {
    let (onnx, _) = cifar();
    let (bytes, hash) = (onnx.len(), sha256(&onnx));
    let whole = [b"what is before it".as_slice(), &onnx, b"and behind it"].concat();
    let (all, of) = (whole.len(), sha256(&whole));
    let server = Server::start(move |_, _| Reply::whole(&whole));
    let catalog = |start: usize| {
        let part = format!("bytes = {all}\npart = {{ start = {start}, bytes = {bytes}, of = {of:?} }}");
        catalog_of(&server.url("pack.data")).replacen(&format!("bytes = {bytes}"), &part, 1)
    };
    let home = Home::new();
    home.write("catalog.toml", catalog(17));
    home.add("m", &[]).ok();
    assert_eq!(sha256(&std::fs::read(home.path("models/m/model.onnx")).unwrap()), hash);
    assert!(home.add("m", &[]).ok().out.contains("installed already"));
    assert_eq!(home.partial_bytes(), 0);
    home.run(&["remove", "m"]).ok();
    home.write("catalog.toml", catalog(16));
    home.add("m", &[]).fails(1, &["bytes 16 to", &hash]);
    assert!(home.installed().is_empty());
}
