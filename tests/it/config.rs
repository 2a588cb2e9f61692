//! The configuration: wrong files with their messages, the shipped examples, layering, and text that nobody would write.

mod printed;
mod text_that_nobody_would_write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use leptond::config::{self, Options, Override};
use serde_json::Value as Json;

use crate::common::{data, leptond};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `leptond check` in the project's directory, with nothing of ours in the environment.
fn check(file: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = leptond();
    command.current_dir(root()).arg("check").arg("--config").arg(file).args(args);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEPTOND")) {
        command.env_remove(name);
    }
    command.envs(env.iter().copied()).output().unwrap()
}

/// The wrong files, each with what must be said about it in `NAME.expected` (the file's path written as `FILE`). Lines
/// `# args:` and `# env:` at the top say how the check is called.
#[test]
fn wrong_files_are_explained() {
    let mut files: Vec<_> = std::fs::read_dir(data("config-bad")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(files.len() >= 100, "only {} wrong files were found", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        let header = || text.lines().take_while(|l| l.starts_with("# args: ") || l.starts_with("# env: "));
        let args: Vec<&str> = header().filter_map(|l| l.strip_prefix("# args: ")).flat_map(|l| l.split(' ')).collect();
        let env: Vec<(&str, &str)> =
            header().filter_map(|l| l.strip_prefix("# env: ")).map(|l| l.split_once('=').unwrap()).collect();
        let output = check(file, &args, &env);
        let said = String::from_utf8_lossy(&output.stderr).replace(&file.display().to_string(), "FILE");
        let expected = std::fs::read_to_string(file.with_extension("expected")).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        if output.status.code() != Some(78) {
            wrong.push(format!("{name}: exit code {:?} instead of 78", output.status.code()));
        }
        if said != expected {
            wrong.push(format!("{name}:\n--- expected\n{expected}--- said\n{said}"));
        }
        if !output.stdout.is_empty() {
            wrong.push(format!("{name}: standard output is not empty"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = check(&dir.path().join("absent.toml"), &[], &[]);
    assert_eq!(absent.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("absent.toml: there is no such file"));

    let directory = check(dir.path(), &[], &[]);
    assert_eq!(directory.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&directory.stderr).contains("is a directory, a file is wanted"));

    let endless = check(Path::new("/dev/zero"), &[], &[]);
    assert_eq!(endless.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&endless.stderr).contains("/dev/zero: is a device, a file is wanted"));
}

#[test]
fn without_any_configuration_the_file_looked_for_is_named() {
    if Path::new(config::DEFAULT_FILE).exists() {
        return crate::common::skip("without_any_configuration", "this computer has a configuration");
    }
    let errors = config::load(&Options::default()).unwrap_err().to_string();
    assert!(errors.contains("/etc/leptond/leptond.toml: there is no such file"), "{errors}");
    assert!(errors.contains("--config FILE"), "{errors}");
}

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("configs")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
}

/// A commented-out key or section is written `#key = value` or `#[section]`, prose `# words`.
fn switched_on(text: &str) -> String {
    let is_key = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    text.lines().map(|line| if is_key(line) { &line[1..] } else { line }.to_owned() + "\n").collect()
}

fn load_elsewhere(file: &Path) -> config::Loaded {
    let options = Options { file: Some(file.into()), skip_files: true, ..Options::default() };
    config::load(&options).unwrap_or_else(|errors| panic!("{}: {errors}", file.display()))
}

#[test]
fn examples_load_as_they_are_and_with_everything_switched_on() {
    let dir = tempfile::tempdir().unwrap();
    for file in examples() {
        let plain = load_elsewhere(&file);
        assert_eq!(plain.warnings, [], "{}", file.display());
        let text = std::fs::read_to_string(&file).unwrap();
        let on = switched_on(&text);
        let copy = dir.path().join(file.file_name().unwrap());
        std::fs::write(&copy, &on).unwrap();
        let loaded = load_elsewhere(&copy);
        if on != text {
            assert!(loaded.sources.len() > plain.sources.len(), "{}: nothing was switched on", file.display());
        }
    }
}

#[test]
fn examples_suit_the_models_that_are_shipped() {
    for file in examples() {
        let mut config = load_elsewhere(&file).config;
        config.models.dirs = vec![root().join("models")];
        assert_eq!(config.check_models().problems, [], "{}", file.display());
    }
}

/// One key of a file: its value and the comment above it.
type Keys = BTreeMap<String, (Json, String)>;

/// Every key of the default file with everything switched on; a source's keys by its type (`pipeline.source:v4l2.device`).
fn keys_of_default_file() -> Vec<Keys> {
    let text = std::fs::read_to_string(root().join("configs/leptond.toml")).unwrap();
    let on = switched_on(&text);
    let document: toml_edit::Document<String> = on.parse().unwrap();
    let comment_above = |span: Option<std::ops::Range<usize>>| {
        let before = &on[..span.unwrap().start];
        let lines: Vec<&str> = before.lines().rev().take_while(|l| l.starts_with('#')).collect();
        lines.into_iter().rev().map(|l| l.trim_start_matches("# ").to_owned() + " ").collect::<String>()
    };
    fn read(
        table: &dyn toml_edit::TableLike,
        prefix: &str,
        comment: &dyn Fn(Option<std::ops::Range<usize>>) -> String,
        out: &mut Keys,
    ) {
        let tag = table.get("type").and_then(|t| t.as_str());
        let prefix = match tag {
            Some(tag) if prefix == "pipeline.source." => format!("pipeline.source:{tag}."),
            _ => prefix.to_owned(),
        };
        for (name, item) in table.iter() {
            let path = format!("{prefix}{name}");
            if let Some(tables) = item.as_array_of_tables() {
                tables.iter().for_each(|inner| read(inner, &format!("{path}."), comment, out));
                continue;
            }
            match item.as_table_like() {
                Some(inner) => read(inner, &format!("{path}."), comment, out),
                None => {
                    let text = format!("v = {}", item.as_value().unwrap().clone().decorated("", ""));
                    let json: Json = toml_edit::de::from_str(&text).unwrap();
                    let span = table.get_key_value(name).unwrap().0.span();
                    out.insert(path, (json["v"].clone(), comment(span)));
                }
            }
        }
    }
    let mut all = vec![Keys::new()];
    for (name, item) in document.iter() {
        match item.as_array_of_tables() {
            Some(tables) => {
                for table in tables {
                    let mut keys = Keys::new();
                    read(table, &format!("{name}."), &comment_above, &mut keys);
                    all.push(keys);
                }
            }
            None => read(item.as_table_like().unwrap(), &format!("{name}."), &comment_above, &mut all[0]),
        }
    }
    all
}

fn resolve(json: &Json) -> &Json {
    if let Some(pointer) = json.get("$ref").and_then(Json::as_str) {
        return resolve(config::schema().pointer(&pointer[1..]).unwrap());
    }
    match json.get("anyOf").and_then(Json::as_array) {
        Some(any) => resolve(any.iter().find(|b| b.get("type") != Some(&Json::from("null"))).unwrap()),
        None => json,
    }
}

/// Every key of the schema with the node that describes it.
fn keys_of_schema(node: &'static Json, prefix: &str, out: &mut BTreeMap<String, &'static Json>) {
    let node = resolve(node);
    let objects: Vec<(String, &Json)> = match node.get("oneOf").and_then(Json::as_array) {
        Some(variants) => variants
            .iter()
            .map(|v| {
                (format!("{}:{}.", prefix.trim_end_matches('.'), v["properties"]["type"]["const"].as_str().unwrap()), v)
            })
            .collect(),
        None => vec![(prefix.to_owned(), node)],
    };
    for (prefix, object) in objects {
        for (name, child) in object["properties"].as_object().unwrap() {
            let path = format!("{prefix}{name}");
            let inner = resolve(child);
            if path == "source" {
                // The other keys are those of a pipeline's own source.
                let tables = resolve(&child["items"])["oneOf"].as_array().unwrap();
                out.insert("source.name".into(), &tables[0]["properties"]["name"]);
            } else if path == "pipeline.source" {
                let forms =
                    config::schema().pointer(&child["$ref"].as_str().unwrap()[1..]).unwrap()["anyOf"].as_array();
                for form in &forms.unwrap()[1..] {
                    keys_of_schema(form, "pipeline.source.", out);
                }
                out.insert(path, child);
            } else if path == "meter" {
                // Its governor is that of a pipeline.
                let keys = resolve(&child["items"])["properties"].as_object().unwrap();
                for (name, key) in keys.iter().filter(|(name, _)| *name != "governor") {
                    match resolve(key).get("properties") {
                        Some(_) => keys_of_schema(key, &format!("meter.{name}."), out),
                        None => _ = out.insert(format!("meter.{name}"), key),
                    }
                }
            } else if inner.get("properties").is_some() {
                keys_of_schema(child, &format!("{path}."), out);
            } else if matches!(path.as_str(), "pipeline" | "pipeline.zone" | "pipeline.line" | "pipeline.task.limit") {
                keys_of_schema(&child["items"], &format!("{path}."), out);
            } else {
                out.insert(path, child);
            }
        }
    }
}

#[test]
fn the_default_file_has_every_key_with_default_meaning_and_range() {
    let mut schema = BTreeMap::new();
    keys_of_schema(config::schema(), "", &mut schema);
    assert!(schema.len() > 90, "{}", schema.len());
    let blocks = keys_of_default_file();
    let mut wrong = Vec::new();
    for (path, node) in &schema {
        let here: Vec<_> = blocks.iter().filter_map(|block| block.get(path)).collect();
        let Some((_, comment)) = here.iter().find(|(_, comment)| !comment.is_empty()).or(here.first()) else {
            wrong.push(format!("{path}: is not in the file"));
            continue;
        };
        // `type` of a source is explained by the comment of its table.
        let is_tag = node.get("const").is_some();
        if comment.is_empty() && !is_tag && !matches!(path.as_str(), "pipeline.name" | "pipeline.model") {
            wrong.push(format!("{path}: has no comment"));
        }
        let default = node.get("default").filter(|d| !d.is_null());
        match default {
            Some(default) => {
                for (value, _) in &here {
                    let same = match (value.as_f64(), default.as_f64()) {
                        (Some(a), Some(b)) => a == b,
                        _ => value == default,
                    };
                    // A key that is in use may differ, if its comment gives the default.
                    if !same && !comment.contains(&format!("Default: {default}")) {
                        wrong.push(format!("{path}: the file says {value}, the default is {default}"));
                    }
                }
            }
            None if is_tag => {}
            None => {
                if !comment.contains("Default: unset") && !comment.contains("Required") {
                    wrong.push(format!(
                        "{path}: has no default; the comment must say \"Default: unset\" or \"Required\""
                    ));
                }
            }
        }
        let inner = resolve(node);
        if let (Some(min), Some(max)) = (inner.get("minimum"), inner.get("maximum")) {
            let range = format!("{} to {}", min.as_f64().unwrap(), max.as_f64().unwrap());
            if !comment.contains(&range) {
                wrong.push(format!("{path}: the comment does not give the range {range}"));
            }
        }
        for word in
            inner.get("oneOf").and_then(Json::as_array).into_iter().flatten().filter_map(|v| v["const"].as_str())
        {
            if !comment.contains(&format!("\"{word}\"")) {
                wrong.push(format!("{path}: the comment does not name the value {word:?}"));
            }
        }
        if inner["type"] == "boolean" && !comment.contains("true or false") {
            wrong.push(format!("{path}: the comment does not say \"true or false\""));
        }
    }
    for path in blocks.iter().flat_map(BTreeMap::keys).filter(|path| !schema.contains_key(*path)) {
        // A named source has the keys of a pipeline's own.
        if path.starts_with("source.") || path.starts_with("meter.governor.") {
            continue;
        }
        wrong.push(format!("{path}: is in the file but not in the schema"));
    }
    assert!(wrong.is_empty(), "configs/leptond.toml:\n{}", wrong.join("\n"));
}

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, text).unwrap();
    (dir, file)
}

const PIPELINE: &str = "[[pipeline]]\nname = \"meter\"\nmodel = \"m\"\nsource = { type = \"synthetic\", fps = 3 }\n";

fn options(file: &Path, env: &[(&str, &str)], sets: &[&str]) -> Options {
    Options {
        file: Some(file.into()),
        env: env.iter().map(|(k, v)| (k.into(), v.into())).collect(),
        overrides: sets.iter().map(|s| Override::set(s).unwrap()).collect(),
        skip_files: true,
        waits: false,
    }
}

#[test]
fn flags_win_over_environment_over_file() {
    let (_dir, file) =
        write(&format!("[mqtt]\nhost = \"file\"\nport = 1001\nqueue = 7\nprefix = \"file\"\n{PIPELINE}"));
    let env = [
        ("LEPTOND__MQTT__HOST", "1234"),
        ("LEPTOND__MQTT__PORT", "1002"),
        ("LEPTOND__PIPELINE__0__SOURCE__FPS", "4.5"),
        ("LEPTOND__PIPELINE__0__TASK__LABELS", r#"["a", "b"]"#),
        ("LEPTOND__MQTT__RESULTS", "false"),
        ("LEPTOND__MQTT__TLS__CA_FILE", "/ca.pem"),
        ("PATH", "/bin"),
    ];
    let loaded = config::load(&options(&file, &env, &["mqtt.port=1003", "node.name=0012"])).unwrap();
    let mqtt = &loaded.config.mqtt;
    assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.queue, mqtt.results), ("1234", 1003, 7, false));
    assert_eq!(mqtt.tls.as_ref().unwrap().ca_file.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(loaded.config.node.name.as_deref(), Some("0012"), "text stays text, leading zeros and all");
    let pipeline = &loaded.config.pipelines[0];
    let leptond::pipeline::Input::Inline(leptond::source::Config::Synthetic(source)) = &pipeline.source else {
        panic!("{:?}", pipeline.source)
    };
    let expected = leptond::task::ClassifyConfig { labels: vec!["a".into(), "b".into()], ..Default::default() };
    let settings = pipeline.task.over(leptond::frame::TaskKind::Classify, &Default::default()).unwrap();
    assert_eq!(settings, leptond::task::Settings::Classify(expected));
    assert_eq!((source.fps, source.width), (4.5, 640));

    let origin = |key: &str| loaded.sources.get(key).map(ToString::to_string).unwrap_or_default();
    assert_eq!(origin("mqtt.prefix"), format!("{}:5:10", file.display()));
    assert_eq!(origin("mqtt.host"), "environment variable LEPTOND__MQTT__HOST");
    assert_eq!(origin("mqtt.port"), "flag --set mqtt.port");
    assert_eq!(origin("pipeline[0].source.fps"), "environment variable LEPTOND__PIPELINE__0__SOURCE__FPS");
    assert_eq!(origin("mqtt.keep_alive_s"), "");
}

#[test]
fn a_configuration_may_come_from_the_environment_alone() {
    let (_dir, file) = write("");
    let env = [
        ("LEPTOND__PIPELINE__0__NAME", "a"),
        ("LEPTOND__PIPELINE__0__MODEL", "m"),
        ("LEPTOND__PIPELINE__0__SOURCE__TYPE", "synthetic"),
        ("LEPTOND__PIPELINE__1__NAME", "b"),
        ("LEPTOND__PIPELINE__1__MODEL", "m"),
        ("LEPTOND__PIPELINE__1__SOURCE", "{ type = \"files\", path = \"/p\" }"),
    ];
    let loaded = config::load(&options(&file, &env, &[])).unwrap();
    let names: Vec<_> = loaded.config.pipelines.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_variable_with_single_underscores_is_warned_about() {
    let (_dir, file) = write(PIPELINE);
    let loaded = config::load(&options(&file, &[("LEPTOND_MQTT_PORT", "1"), ("LEPTOND_SHARED", "/x")], &[])).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].to_string().contains("write LEPTOND__MQTT__PORT"), "{}", loaded.warnings[0]);
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = format!(
        "[mqtt]\nusername = \"me\"\npassword = \"hunter2\"\n{PIPELINE}[[pipeline]]\nname = \"yard\"\nmodel = \"m\"\n\
         [pipeline.source]\ntype = \"rtsp\"\nurl = \"rtsp://viewer:s3cr@t/x@cam/1?token=abcdef\"\n"
    );
    let (_dir, file) = write(&text);
    let loaded = config::load(&options(&file, &[], &[])).unwrap();
    assert_eq!(loaded.config.mqtt.password, "hunter2");
    let json = check(&file, &["--skip-files", "--json"], &[]);
    let plain = check(&file, &["--skip-files", "--print"], &[]);
    assert!(!json.stdout.is_empty() && !plain.stdout.is_empty());
    for shown in [
        format!("{loaded:?}"),
        config::effective(&loaded),
        config::masked(&loaded.config).to_string(),
        String::from_utf8(json.stdout).unwrap(),
        String::from_utf8(plain.stdout).unwrap(),
        String::from_utf8(plain.stderr).unwrap(),
    ] {
        for secret in ["hunter2", "s3cr", "abcdef"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[test]
fn the_effective_configuration_loads_again_and_means_the_same() {
    for example in examples() {
        let first = load_elsewhere(&example);
        let (_dir, file) = write(&config::effective(&first));
        let second = load_elsewhere(&file);
        if !first
            .config
            .pipelines
            .iter()
            .any(|p| matches!(p.source, leptond::pipeline::Input::Inline(leptond::source::Config::Rtsp(_))))
        {
            assert_eq!(first.config, second.config, "{}", example.display());
        }
        assert_eq!(first.digest, second.digest, "{}", example.display());
    }
}

#[test]
fn the_digest_follows_what_is_configured() {
    let (_dir, file) = write(PIPELINE);
    let digest = |sets: &[&str]| config::load(&options(&file, &[], sets)).unwrap().digest;
    assert_eq!(digest(&[]).len(), 64);
    assert_eq!(digest(&[]), digest(&["mqtt.port=1883"]), "a default that is written out changes nothing");
    assert_ne!(digest(&[]), digest(&["mqtt.port=1884"]));
}
