//! `infer` over files and the golden inputs that `check` runs, through the real binary.

use std::path::{Path, PathBuf};

use crate::common::leptond;

pub fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

pub fn lines(stdout: &[u8]) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn pictures_are_classified_and_a_bad_one_does_not_stop_the_rest() {
    let digits = bundle("leptonnet-digits");
    let bad = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
    std::fs::write(bad.path(), b"no picture").unwrap();
    let mut command = leptond();
    command.arg("infer").arg(&digits).arg("--json").arg(digits.join("golden/3.png")).arg(bad.path());
    let output = command.arg(digits.join("golden/7.png")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a file without a result is a failure");
    let labels: Vec<_> = lines(&output.stdout).iter().map(|l| l["label"].as_str().unwrap().to_string()).collect();
    assert_eq!(labels, ["3", "7"]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains(&bad.path().display().to_string()), "{complaint}");
}

#[test]
fn tables_are_cut_into_windows() {
    let anomaly = bundle("machine-anomaly");
    let run = |file: &str| {
        let output = leptond().arg("infer").arg(&anomaly).arg("--json").arg(anomaly.join(file)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let scores: Vec<f64> = lines(&output.stdout).iter().map(|l| l["score"].as_f64().unwrap()).collect();
        assert!(!scores.is_empty());
        scores.into_iter().fold(0.0, f64::max)
    };
    let (quiet, busy) = (run("golden/quiet.csv"), run("golden/busy.csv"));
    assert!(quiet < 1.0 && busy > 3.0, "quiet {quiet}, busy {busy}");
}

#[test]
fn a_picture_for_a_model_of_tables_is_refused_in_words() {
    let output = leptond()
        .arg("infer")
        .arg(bundle("machine-anomaly"))
        .arg(bundle("leptonnet-digits").join("golden/3.png"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("3.png") && complaint.contains(".csv"), "{complaint}");
}

#[test]
fn check_runs_golden_inputs_and_says_which_fails() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("leptonnet-digits");
    std::fs::create_dir_all(copy.join("golden")).unwrap();
    for file in
        ["model.toml", "model.onnx", "small.onnx"].iter().filter(|f| bundle("leptonnet-digits").join(f).exists())
    {
        std::fs::copy(bundle("leptonnet-digits").join(file), copy.join(file)).unwrap();
    }
    for entry in std::fs::read_dir(bundle("leptonnet-digits").join("golden")).unwrap() {
        let file = entry.unwrap().path();
        std::fs::copy(&file, copy.join("golden").join(file.file_name().unwrap())).unwrap();
    }
    let config = dir.path().join("leptond.toml");
    let text = format!(
        "[[pipeline]]\nname = \"a\"\nmodel = \"{}\"\n[pipeline.source]\ntype = \"synthetic\"\n",
        copy.display()
    );
    std::fs::write(&config, text).unwrap();
    let check = || leptond().args(["check", "--print", "--config"]).arg(&config).output().unwrap();
    let good = check();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(String::from_utf8_lossy(&good.stderr).contains("14 golden inputs"));

    std::fs::copy(bundle("leptonnet-digits").join("golden/1.png"), copy.join("golden/4.png")).unwrap();
    let bad = check();
    assert_eq!(bad.status.code(), Some(78));
    let complaint = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(complaint.contains("golden/4.png") && complaint.contains("expected \"4\", found \"1\""), "{complaint}");
}

/// A meter's five regions in a configuration with two pipelines, and pictures of it with what they show.
pub struct Meter {
    dir: tempfile::TempDir,
}

impl Meter {
    pub fn new() -> Meter {
        let dir = tempfile::tempdir().unwrap();
        let rendered = leptond()
            .args(["render", "--seeds", "3..6", "--frames", "1", "--pictures"])
            .arg(dir.path().join("pictures"))
            .output()
            .unwrap();
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        let regions: Vec<String> = (0..5).map(|i| format!("{{ rect = [{}, 192, 72, 96] }}", 140 + 72 * i)).collect();
        let text = format!(
            "[[pipeline]]\nname = \"water\"\nmodel = {:?}\nsource = {{ type = \"synthetic\" }}\npreprocess = {{ regions = [{}] }}\n\
             [[pipeline]]\nname = \"quiet\"\nmodel = {:?}\nsource = {{ type = \"sensor\", kind = \"machine\", window = 20 }}\n",
            bundle("leptonnet-digits"),
            regions.join(", "),
            bundle("machine-anomaly")
        );
        std::fs::write(dir.path().join("meter.toml"), text).unwrap();
        std::fs::write(dir.path().join("regions.toml"), format!("regions = [{}]\n", regions.join(", "))).unwrap();
        Meter { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn pictures(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> = std::fs::read_dir(self.path("pictures")).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }
}

/// The reading in the name of a rendered picture, `seed-frame-truth.jpg`.
pub fn truth(picture: &Path) -> String {
    picture.file_stem().unwrap().to_string_lossy().rsplit('-').next().unwrap().to_owned()
}

pub fn failed(output: &std::process::Output, code: i32, parts: &[&str]) {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    parts.iter().for_each(|part| assert!(complaint.contains(part), "{part}: {complaint}"));
}

/// Width, height and pixels of a PNG file.
fn png(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn regions_come_from_a_file_or_from_a_configuration() {
    let meter = Meter::new();
    let picture = meter.pictures().remove(0);
    let infer = |regions: &Path| {
        leptond()
            .arg("infer")
            .arg(bundle("leptonnet-digits"))
            .arg("--json")
            .arg("--regions")
            .arg(regions)
            .arg(&picture)
            .output()
            .unwrap()
    };
    for file in ["regions.toml", "meter.toml"] {
        let output = infer(&meter.path(file));
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(lines(&output.stdout)[0]["label"], truth(&picture), "{file}");
    }
    for (text, part) in [
        ("[[regions]]\nrect = [1, 2, 0, 4]\n", "regions[0]"),
        ("[[regions]]\nrectangle = [1, 2, 3, 4]\n", "rectangle"),
        ("fit = \"crop\"\n", "no regions"),
        ("regions = [", "TOML"),
    ] {
        let file = meter.path("wrong.toml");
        std::fs::write(&file, text).unwrap();
        failed(&infer(&file), 78, &["wrong.toml", part]);
    }
    std::fs::write(meter.path("far.toml"), "[[regions]]\nrect = [600, 400, 100, 100]\n").unwrap();
    failed(&infer(&meter.path("far.toml")), 1, &["region 0", "640x480"]);
}

#[test]
fn drawn_pictures_keep_names_sizes_and_what_is_outside_of_the_boxes() {
    let meter = Meter::new();
    let digit = bundle("leptonnet-digits").join("golden/3.png");
    let other = meter.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(&digit, other.join("3.png")).unwrap();
    let out = meter.path("out");
    let draw = || {
        let mut command = leptond();
        command.arg("infer").arg(bundle("leptonnet-digits")).arg("--draw").arg(&out);
        command
    };
    let output = draw().arg(&digit).arg(other.join("3.png")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("3-2.png"), "the second of two of one name is told of: {told}");
    let (plain, drawn) = (png(&digit), png(&out.join("3.png")));
    assert_eq!((drawn.0 % plain.0, drawn.1 % plain.1), (0, 0), "a small picture is enlarged by a whole factor");
    assert_eq!(png(&out.join("3-2.png")), drawn);
    let last = |pixels: &[u8]| pixels[pixels.len() - 1];
    assert_eq!(last(&drawn.2), last(&plain.2), "a corner without text is as it was");

    let picture = meter.pictures().remove(0);
    let output = draw().arg("--regions").arg(meter.path("regions.toml")).arg(&picture).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let jpeg = std::fs::read(out.join(picture.file_name().unwrap())).unwrap();
    assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg != std::fs::read(&picture).unwrap());
}

#[test]
fn nothing_is_drawn_over_an_input_or_where_it_cannot_be() {
    let meter = Meter::new();
    let picture = meter.pictures().remove(0);
    let before = std::fs::read(&picture).unwrap();
    let draw = |dir: &Path, input: &Path| {
        leptond().arg("infer").arg(bundle("leptonnet-digits")).arg(input).arg("--draw").arg(dir).output().unwrap()
    };
    failed(&draw(&meter.path("pictures"), &picture), 2, &["pictures", "another directory"]);
    failed(&draw(&meter.path("pictures"), &meter.path("pictures")), 2, &["another directory"]);
    failed(&draw(&meter.path("pictures"), &meter.path("pictures/*.jpg")), 2, &["another directory"]);
    assert_eq!(std::fs::read(&picture).unwrap(), before);
    failed(&draw(&meter.path("meter.toml"), &picture), 1, &["meter.toml"]);
    failed(&draw(&meter.path("meter.toml/below"), &picture), 1, &["meter.toml/below"]);
    let raw = leptond().args(["infer", "m", "a.npy", "--raw", "-o", "b.npy", "--draw", "d"]).output().unwrap();
    failed(&raw, 2, &["--raw", "--draw"]);
    let table = leptond()
        .arg("infer")
        .arg(bundle("machine-anomaly"))
        .arg(bundle("machine-anomaly").join("golden/quiet.csv"))
        .arg("--draw")
        .arg(meter.path("out"))
        .output()
        .unwrap();
    failed(&table, 2, &["--draw", "windows"]);
}
