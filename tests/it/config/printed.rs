//! Lines that `check` and `schema` print of a configuration that is right.

use leptond::config;
use serde_json::Value as Json;

use super::{PIPELINE, check, leptond, write};

#[test]
fn check_prints_what_is_in_force_and_where_it_came_from() {
    let (_dir, file) = write(PIPELINE);
    let plain =
        check(&file, &["--skip-files", "--print", "--set", "mqtt.port=1884"], &[("LEPTOND__LOG__LEVEL", "debug")]);
    assert_eq!(plain.status.code(), Some(0), "{}", String::from_utf8_lossy(&plain.stderr));
    let text = String::from_utf8(plain.stdout).unwrap();
    let line = |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap_or_default();
    assert!(line("port = 1884").ends_with("# flag --set mqtt.port"), "{text}");
    assert!(line("level = \"debug\"").ends_with("# environment variable LEPTOND__LOG__LEVEL"), "{text}");
    assert!(line("fps = 3.0").ends_with(&format!("# {}:4:38", file.display())), "{text}");
    assert_eq!(line("keep_alive_s"), "keep_alive_s = 30");

    let json = check(&file, &["--skip-files", "--json"], &[]);
    let object: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(object["ok"], true);
    assert_eq!(object["config"]["mqtt"]["port"], 1883);
    assert_eq!(object["sources"]["pipeline[0].name"]["line"], 2);
    assert_eq!(object["digest"].as_str().unwrap().len(), 64);

    let (_dir, wrong) = write("[mqtt]\nport = 0\n");
    let json = check(&wrong, &["--json"], &[]);
    assert_eq!(json.status.code(), Some(78));
    let object: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(object["ok"], false);
    assert_eq!(object["problems"][0]["key"], "mqtt.port");
    assert_eq!(object["problems"][0]["line"], 2);
    assert_eq!(object["problems"][0]["found"], "0");
}

#[test]
fn check_says_in_one_line_that_all_is_well() {
    let said = |text: &str, args: &[&str]| {
        let (_dir, file) = write(text);
        let output = check(&file, args, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let digits = PIPELINE.replace("\"m\"", "\"leptonnet-digits\"");
    assert_eq!(said(&format!("[mqtt]\nhost = \"h\"\n{digits}"), &[]), "OK: 1 pipeline, 1 model\n");
    let meter = "[[meter]]\nname = \"water\"\nsource = { type = \"synthetic\", scene = \"dials\" }\n\
                 digits = [{ rect = [140, 192, 72, 96] }, { rect = [212, 192, 72, 96] }]\ndials = [{ rect = [424, 302, 84, 84] }]\n";
    let second = digits.replace("\"meter\"", "\"second\"");
    let several = said(&format!("[mqtt]\nhost = \"h\"\n{digits}{second}{meter}"), &["--skip-files"]);
    assert!(several.starts_with("OK: 2 pipelines, 1 meter, 2 models"), "{several}");
    #[cfg(feature = "fleet")]
    {
        let worker = "[fleet]\nservers = [\"nats://127.0.0.1:4222\"]\ngroup = \"g\"\nassist = true\nmodels = [\"leptonnet-digits\"]\n";
        assert_eq!(said(&format!("[mqtt]\nhost = \"h\"\n{worker}"), &[]), "OK: 1 model, computes for other nodes\n");
    }
    let warned = format!("[mqtt]\nhost = \"h\"\nusername = \"u\"\npassword = \"p\"\n{digits}");
    let said = said(&warned, &["--skip-files"]);
    assert!(said.starts_with("OK: 1 pipeline, 1 model") && said.lines().count() == 1, "{said}");
}

#[test]
fn the_schema_is_printed() {
    let output = leptond().arg("schema").output().unwrap();
    let schema: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(&schema, config::schema());
    assert_eq!(schema["properties"]["mqtt"]["default"]["port"], 1883);
    assert_eq!(schema["properties"]["mqtt"]["default"]["password"], "");
}
