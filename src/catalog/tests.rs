use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fetch::content_range;
use super::*;

fn built_in() -> Catalog {
    Catalog::of_this_computer(Path::new("/nonexistent/catalog.toml")).unwrap()
}

#[test]
fn the_programs_catalog_is_whole() {
    let catalog = built_in();
    let names: Vec<&str> = catalog.entries().map(Entry::name).collect();
    let known = [
        "fastestdet",
        "mobilenet-v2",
        "mlperf-vww",
        "mlperf-ic",
        "mlperf-kws",
        "mlperf-ad",
        "blazeface",
        "face-full-range",
        "palms",
        "persons",
        "body-landmarks",
        "body-landmarks-full",
        "face-landmarks",
        "selfie",
        "selfie-wide",
        "ppocr-lines",
        "ppocr-text",
    ];
    assert_eq!(names, known);
    for entry in catalog.entries() {
        let (name, manifest) = (entry.name(), &entry.manifest);
        let said = [&manifest.description, &manifest.licence, &manifest.origin, &manifest.sha256];
        assert!(said.iter().all(|text| !text.is_empty()), "{name}");
        assert!(entry.cost.as_ref().is_some_and(|cost| cost.infer_ms > 0.0), "{name} is measured");
        let is_published = manifest.accuracy.is_some();
        assert!(is_published || entry.locations[0].to_string().contains("@mediapipe/"), "{name}");
        assert!(
            entry.locations.iter().all(|p| matches!(p, Location::Url(url) if url.starts_with("https://"))),
            "{name}"
        );
        let texts = catalog.texts(entry).unwrap();
        let listed = texts.iter().find(|(file, _)| *file == "labels.txt").map(|(_, text)| text.lines().count());
        let labels = listed.unwrap_or(manifest.labels.len());
        let one = manifest.output.head.is_some() && labels == 1;
        assert!(labels >= 2 || one || name == "mlperf-ad", "{name}: {labels} labels");
    }
}

#[test]
fn a_list_of_this_computer_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.toml");
    let hash = "0".repeat(64);
    let text = format!("[[model]]\nname = \"fastestdet\"\nurl = \"mine.onnx\"\nsha256 = \"{hash}\"\nbytes = 7\n");
    std::fs::write(&file, text).unwrap();
    let catalog = Catalog::of_this_computer(&file).unwrap();
    assert_eq!(catalog.entries().filter(|e| e.name() == "fastestdet").count(), 1);
    assert_eq!(catalog.find("fastestdet").unwrap().locations, [Location::File(dir.path().join("mine.onnx"))]);
    assert!(catalog.find("mlperf-kws").is_some());
}

#[test]
fn a_wrong_catalog_names_model_and_key() {
    let good = format!("name = \"m\"\nurl = \"https://h/m.onnx\"\nsha256 = \"{}\"\nbytes = 7\n", "0".repeat(64));
    let check = |entry: &str, wanted: &[&str]| {
        let error = Catalog::from_url(entry, "http://h/c.toml").unwrap_err().to_string();
        for word in wanted.iter().chain(&["http://h/c.toml"]) {
            assert!(error.contains(word), "{word:?} is missing in: {error}");
        }
    };
    let with = |from: &str, to: &str| format!("[[model]]\n{}", good.replace(from, to));
    assert!(Catalog::from_url(&with("", ""), "http://h/c.toml").is_ok());
    check("", &["no [[model]]"]);
    check("[[model]\n", &["line 1"]);
    check("[[models]]\n", &["unknown key \"models\""]);
    check(&with("bytes = 7", ""), &["model \"m\"", "bytes: missing"]);
    check(&with("bytes = 7", "bytes = 0"), &["bytes: found 0"]);
    check(&with("bytes = 7", "bytes = \"7\""), &["model \"m\"", "invalid type"]);
    let part = |text: &str| with("bytes = 7", &format!("bytes = 7\npart = {text}"));
    let of = "1".repeat(64);
    assert!(Catalog::from_url(&part(&format!("{{ start = 2, bytes = 5, of = {of:?} }}")), "http://h/c.toml").is_ok());
    check(&part(&format!("{{ start = 3, bytes = 5, of = {of:?} }}")), &["part: found 5 bytes from 3 on", "has 7"]);
    check(&part(&format!("{{ start = 3, bytes = 0, of = {of:?} }}")), &["part: found 0 bytes"]);
    check(&part("{ start = 2, bytes = 5, of = \"x\" }"), &["part.of", "64 hexadecimal"]);
    check(&part(&format!("{{ start = -1, bytes = 5, of = {of:?} }}")), &["model \"m\""]);
    check(&with("bytes = 7", "bytes = 7\noutput.anchors = 3"), &["output.anchors", "string"]);
    check(&with("https://h/m.onnx", "ftp://h/m.onnx"), &["url", "ftp://h/m.onnx", "https://"]);
    check(&with("0000", "zz00"), &["sha256", "64 hexadecimal"]);
    check(&with("bytes = 7", "bytes = 7\ntusk = \"raw\""), &["unknown key \"tusk\"", "task"]);
    check(&with("bytes = 7", "bytes = 7\ntask = \"detect\""), &["output.head"]);
    check(&format!("{0}{0}", with("", "")), &["two of this name"]);
}

#[test]
fn texts_of_an_entry_come_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |more: &str| {
        let hash = "0".repeat(64);
        let text = format!(
            "[[model]]\nname = \"m\"\nurl = \"m.onnx\"\nsha256 = \"{hash}\"\nbytes = 7\ntask = \"detect\"\n{more}\n"
        );
        std::fs::write(dir.path().join("c.toml"), text).unwrap();
        Catalog::open(&dir.path().join("c.toml")).unwrap()
    };
    std::fs::write(dir.path().join("own.toml"), "anchors = []").unwrap();
    let catalog = entry("labels_file = \"labels/coco.txt\"\noutput = { head = \"ssd\", anchors = \"own.toml\" }");
    let found = catalog.find("m").unwrap();
    let texts = catalog.texts(found).unwrap();
    let names: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    assert_eq!((names, texts[1].1.as_str()), (vec!["labels.txt", "anchors.toml"], "anchors = []"));
    assert_eq!(found.manifest.output.anchors.as_deref(), Some("anchors.toml"));
    let catalog = entry("output = { head = \"ssd\", anchors = \"gone.toml\" }");
    let error = catalog.texts(catalog.find("m").unwrap()).unwrap_err().to_string();
    assert!(error.contains("gone.toml") && error.contains("\"m\""), "{error}");
}

#[test]
fn relative_addresses_are_beside_the_list() {
    let text = format!(
        "[[model]]\nname = \"m\"\nurl = [\"a/m.tflite\", \"http://x/m\"]\nsha256 = \"{}\"\nbytes = 7\n",
        "0".repeat(64)
    );
    let catalog = Catalog::from_url(&text, "https://h/lists/c.toml").unwrap();
    let entry = catalog.find("m").unwrap();
    assert_eq!(
        entry.locations,
        [Location::Url("https://h/lists/a/m.tflite".into()), Location::Url("http://x/m".into())]
    );
    assert_eq!(entry.manifest.file, "model.tflite");
}

#[test]
fn ranges_are_read() {
    assert_eq!(content_range("bytes 100-199/200"), Some((100, Some(200))));
    assert_eq!(content_range("bytes 0-9/*"), Some((0, None)));
    assert_eq!(content_range("bytes */200"), None);
    assert_eq!(content_range("lines 1-2/3"), None);
}

fn open(dir: &Path) -> Store {
    Store::open(dir, SystemTime::now(), || panic!("nobody has it open")).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".partial");
    names.sort();
    names
}

fn install(store: &Store, name: &str, text: &str, replace: bool) -> Result<PathBuf, StoreError> {
    let stage = store.stage(name).unwrap();
    stage.write("sub/file", text.as_bytes()).unwrap();
    store.install(stage, replace)
}

#[test]
fn a_bundle_comes_is_replaced_and_goes_whole() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("a/models");
    let store = open(&models);
    install(&store, "m", "one", false).unwrap();
    let file = models.join("m/sub/file");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(matches!(install(&store, "m", "two", false), Err(StoreError::Occupied { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    install(&store, "m", "two", true).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
    assert_eq!(names(&models.join(".partial")), ["lock"]);
    store.remove("m").unwrap();
    assert!(names(&models).is_empty());
}

#[test]
fn what_a_killed_process_left_is_cleared_up() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path();
    drop(open(models));
    let partial = models.join(".partial");
    for file in ["stage/half/model.onnx", "gone/removed/x", "old/lost/x", "old/there/x", "new.part", "old.part"] {
        let path = partial.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "old").unwrap();
    }
    std::fs::create_dir(models.join("there")).unwrap();
    std::fs::write(models.join("there/x"), "new").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    std::fs::File::options().write(true).open(partial.join("old.part")).unwrap().set_modified(long_ago).unwrap();
    drop(open(models));
    // A replaced bundle returns when the new one did not get into place.
    assert_eq!(names(models), ["lost", "there"]);
    assert_eq!(std::fs::read_to_string(models.join("there/x")).unwrap(), "new");
    assert_eq!(names(&partial), ["lock", "new.part"]);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let (waits, waiting) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| Store::open(dir.path(), SystemTime::now(), || waits.send(()).unwrap()).unwrap());
        waiting.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap();
    });
}

#[test]
fn the_first_directory_that_may_be_written_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let [new, packaged, below] = [dir.path().join("a/b"), "/usr/share/leptond/models".into(), file.join("models")];
    assert_eq!(choose(&[packaged.clone(), file.clone(), new.clone()]).unwrap(), new);
    // A relative directory is created below the current one.
    assert_eq!(choose(&["not-there-yet".into()]).unwrap(), PathBuf::from("not-there-yet"));
    let error = choose(&[packaged, file, below]).unwrap_err().to_string();
    assert!(error.contains("belongs to a package") && error.matches("not a directory").count() == 2, "{error}");
}
