//! `leptond model add`, `list` and `remove` as a person uses them, against a server that does what servers do.

#[path = "model_add/home.rs"]
pub mod home;
#[path = "model_add/listed.rs"]
mod listed;
#[path = "model_add/part.rs"]
mod part;
#[path = "model_add/samples.rs"]
mod samples;
#[path = "model_add/server.rs"]
mod server;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use home::{Home, Ran, wait_for};
use leptond::model::sha256;
use server::{Reply, Server};

use crate::common::skip;

/// A trained model of the project, which needs nothing beside it.
pub fn cifar() -> (Vec<u8>, String) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-cifar10");
    let manifest = std::fs::read_to_string(dir.join("model.toml")).unwrap();
    (std::fs::read(dir.join("model.onnx")).unwrap(), manifest)
}

/// A catalog with that model at `url` under the name `m`.
pub fn catalog_of(url: &str) -> String {
    let (onnx, manifest) = cifar();
    let mut text = "[[model]]\n".to_string();
    for line in manifest.lines() {
        text.push_str(&match line {
            _ if line.starts_with("name = ") => format!("name = \"m\"\nurl = {url:?}\nbytes = {}", onnx.len()),
            _ if line.starts_with('[') => line.replacen('[', "[model.", 1),
            _ => line.into(),
        });
        text.push('\n');
    }
    text
}

fn home_with(server: &Server) -> Home {
    let home = Home::new();
    home.write("catalog.toml", catalog_of(&server.url("m.onnx")));
    home
}

#[test]
fn a_model_of_the_catalog_is_added_listed_and_removed() {
    let (onnx, manifest) = cifar();
    let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
    let server = Server::start(move |asked, _| match asked.path.as_str() {
        "m.onnx" => Reply::status(302).header("location", "/moved/m.onnx"),
        _ => Reply::whole(&onnx),
    });
    let home = home_with(&server);
    let listed = home.run(&["list", "--catalog", "catalog.toml"]).ok().out;
    let accuracy = format!("top-1 {}", manifest["accuracy"]["value"].as_float().unwrap());
    assert!(listed.contains("in the catalog") && listed.contains(&accuracy), "{listed}");
    let added = home.add("m", &[]).ok().out;
    assert!(added.contains("m is installed: classify") && added.contains("leptond infer"), "{added}");
    assert_eq!(home.installed(), ["m"]);
    assert_eq!(home.partial_bytes(), 0);
    let asked = server.asked().len();
    let again = home.add("m", &[]).ok().out;
    assert!(again.contains("installed already"), "{again}");
    assert_eq!(server.asked().len(), asked, "nothing is fetched for what is there");
    let listed = home.run(&["list", "--catalog", "catalog.toml", "--json"]).ok().out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["installed"][0]["name"], "m");
    assert_eq!(listed["installed"][0]["task"], "classify");
    assert_eq!(listed["catalog"][0]["installed"], true);
    home.run(&["remove", "m"]).ok();
    assert!(home.installed().is_empty());
    home.run(&["remove", "m"]).fails(1, &["no model \"m\"", "model list"]);
}

/// A server whose first answer stops in the middle; the rest of the test decides what the next ones are.
fn halting(next: impl Fn(&server::Asked, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    let (onnx, _) = cifar();
    Server::start(move |asked, before| match before {
        0 => Reply::ranged(asked, &onnx, "\"one\"").stall(onnx.len() / 2),
        _ => next(asked, &onnx),
    })
}

fn until_half_is_there(home: &Home) -> Child {
    let half = cifar().0.len() as u64 / 2;
    let mut command = home.command(&["add", "m", "--catalog", "catalog.toml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("half of the file", || home.partial_bytes() == half);
    assert!(home.installed().is_empty());
    child
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let server = halting(|asked, onnx| Reply::ranged(asked, onnx, "\"one\""));
    let home = home_with(&server);
    let mut child = until_half_is_there(&home);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(home.installed().is_empty());
    let added = home.add("m", &[]).ok();
    assert!(added.err.contains("going on from"), "{}", added.err);
    assert_eq!(home.installed(), ["m"]);
    assert_eq!(home.partial_bytes(), 0);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[1].range, asked[1].if_range.as_deref()), (Some(cifar().0.len() / 2), Some("\"one\"")));
}

#[test]
fn an_interrupted_download_says_what_is_kept() {
    let server = halting(|asked, onnx| Reply::ranged(asked, onnx, "\"one\""));
    let home = home_with(&server);
    let child = until_half_is_there(&home);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let half = format!("{} bytes are kept", cifar().0.len() / 2);
    Ran::of(child.wait_with_output().unwrap()).fails(130, &["interrupted", &half, "same command"]);
    home.add("m", &[]).ok();
}

#[test]
fn what_cannot_be_continued_begins_anew() {
    type Next = fn(&server::Asked, &[u8]) -> Reply;
    let check = |why: &str, next: Next, requests: usize| {
        let server = halting(next);
        let home = home_with(&server);
        let mut child = until_half_is_there(&home);
        child.kill().unwrap();
        child.wait().unwrap();
        home.add("m", &[]).ok();
        assert_eq!(home.installed(), ["m"], "{why}");
        assert_eq!(server.asked().len(), 1 + requests, "{why}");
    };
    check("ranges are not known there", |_, onnx| Reply::whole(onnx), 1);
    check("it has another version", |asked, onnx| Reply::ranged(asked, onnx, "\"two\""), 1);
    let another_part: Next = |asked, onnx| match asked.range {
        Some(_) => Reply::ranged(&server::Asked { range: Some(7), ..asked.clone() }, onnx, "\"one\""),
        None => Reply::whole(onnx),
    };
    check("it gives another part", another_part, 2);
    let shorter: Next = |asked, onnx| match asked.range {
        Some(_) => Reply::status(416).header("content-range", "bytes */10"),
        None => Reply::whole(onnx),
    };
    check("it is shorter now", shorter, 2);
    // It says that it is the same, but the bytes are others: only the hash tells.
    let lies: Next = |asked, onnx| match asked.range {
        Some(_) => Reply::ranged(asked, &vec![0; onnx.len()], "\"one\""),
        None => Reply::whole(onnx),
    };
    check("what comes does not fit", lies, 2);
}

#[test]
fn a_cut_connection_is_mended_in_the_same_run() {
    let (onnx, _) = cifar();
    let third = onnx.len() / 3;
    let server = Server::start(move |asked, before| {
        let reply = Reply::ranged(asked, &onnx, "\"one\"");
        if before < 2 { reply.cut(third) } else { reply }
    });
    let home = home_with(&server);
    let added = home.add("m", &[]).ok();
    assert!(added.err.contains("closed before the end; once more in 1 s"), "{}", added.err);
    let ranges: Vec<_> = server.asked().iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some(third), Some(2 * third)]);
}

#[test]
fn a_silent_server_is_given_up_and_what_came_is_kept() {
    let (onnx, _) = cifar();
    let server = Server::start(move |asked, _| Reply::ranged(asked, &onnx, "\"one\"").stall(100));
    let home = home_with(&server);
    let args = ["add", "m", "--catalog", "catalog.toml", "--timeout", "100ms", "--retries", "1"];
    home.run(&args).fails(1, &["nothing came for 0.1 s", "200 of", "bytes are kept", "same command"]);
    assert!(home.installed().is_empty());
    assert_eq!(home.partial_bytes(), 200);
}

#[test]
fn the_next_address_is_tried() {
    let (onnx, _) = cifar();
    let server =
        Server::start(move |asked, _| if asked.path == "m.onnx" { Reply::whole(&onnx) } else { Reply::status(404) });
    let home = Home::new();
    let text = catalog_of(&server.url("m.onnx"));
    let urls = format!("url = [\"{}\", \"{}\"]", server.url("gone"), server.url("m.onnx"));
    home.write("catalog.toml", text.replacen(&format!("url = {:?}", server.url("m.onnx")), &urls, 1));
    let added = home.add("m", &[]).ok();
    assert!(added.err.contains("404") && added.err.contains("trying"), "{}", added.err);
}

#[test]
fn what_goes_wrong_is_said_and_nothing_is_installed() {
    let (onnx, _) = cifar();
    let size = onnx.len();
    let other = {
        let mut other = onnx.clone();
        other[size / 2] ^= 1;
        other
    };
    let (right, found) = (sha256(&onnx), sha256(&other));
    let server = Server::start(move |asked, _| match asked.path.as_str() {
        "other" => Reply::whole(&other),
        "page" => {
            Reply::whole(b"\n<!DOCTYPE html><html><body>Log in</body></html>").header("content-type", "text/html")
        }
        "pointer" => Reply::whole(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"),
        "circle" => Reply::status(302).header("location", "/circle"),
        "long" => Reply::whole(&vec![8; 1_100_000]),
        "endless" => Reply::whole(format!("10C8E0\r\n{}\r\n0\r\n\r\n", "x".repeat(1_100_000)).as_bytes())
            .header("transfer-encoding", "chunked"),
        "trouble" => Reply::status(503),
        "private" => Reply::status(403),
        "garbage" => Reply::whole(&[0xAB; 5000]),
        "short" => Reply::whole(&onnx[..1000]),
        _ => Reply::status(404),
    });
    let home = Home::new();
    let check = |what: &str, more: &[&str], words: &[&str]| {
        let args = [&["add", what, "--name", "m", "--retries", "1", "--timeout", "5s"], more].concat();
        home.run(&args).fails(1, words);
        assert!(home.installed().is_empty(), "{what}");
    };
    let url = |path: &str| server.url(path);
    check(&url("gone"), &[], &["404", "check the address"]);
    check(&url("private"), &[], &["403"]);
    check(&url("trouble"), &[], &["503", "try again later", "once more in 1 s"]);
    check(&url("page"), &[], &["web page", "raw"]);
    check(&url("pointer"), &[], &["Git LFS pointer"]);
    check(&url("circle"), &[], &["redirected"]);
    check(&url("long"), &["--max-mb", "1"], &["1100000 bytes", "allowed are up to 1000000"]);
    check(&url("endless"), &["--max-mb", "1"], &["allowed are up to 1000000"]);
    check(&url("other"), &["--sha256", &right], &[&right, &found, "not kept"]);
    check(&url("garbage"), &[], &["not a complete ONNX model", &url("garbage")]);
    check(&url("short"), &[], &["not a complete ONNX model"]);
    check("http://name.invalid/m.onnx", &[], &["name.invalid", "not found", "online"]);
    check(&format!("https://{}/m.onnx", server.address()), &[], &["TLS"]);
    check("http://127.0.0.1:1/m.onnx", &[], &["connection refused"]);
    check("http://[::1/m.onnx", &[], &["not an address"]);
    // A file that is not the catalog's any more is not even fetched.
    home.write("catalog.toml", catalog_of(&url("page")).replace("leptonnet", "x"));
    home.add("m", &[]).fails(1, &["the catalog says", &size.to_string()]);
    assert!(home.installed().is_empty());
}

#[test]
fn a_server_is_believed_by_the_certificates_of_this_computer() {
    let home = Home::new();
    let (onnx, _) = cifar();
    // This server takes the answer's head from the file, too.
    home.write(
        "m.onnx",
        [format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n", onnx.len()).as_bytes(), &onnx].concat(),
    );
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        command.args(args.split(' ')).current_dir(home.dir.path()).stdin(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 \
                -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    if !openssl(make).output().is_ok_and(|output| output.status.success()) {
        return skip("a_server_is_believed_by_the_certificates_of_this_computer", "openssl is not installed");
    }
    let mut server = openssl("s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -HTTP")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let accept = lines.find(|line| line.starts_with("ACCEPT ")).unwrap();
    // Whatever else it prints is not to hold it up.
    std::thread::spawn(move || lines.for_each(drop));
    let url = format!("https://localhost:{}/m.onnx", accept.rsplit(':').next().unwrap());
    let run = |url: &str, certificates: &str| {
        let mut command = home.command(&["add", url, "--size", "32x32", "--retries", "0"]);
        Ran::of(command.env("SSL_CERT_FILE", home.path(certificates)).env_remove("SSL_CERT_DIR").output().unwrap())
    };
    home.write("empty.pem", "");
    run(&url, "empty.pem").fails(1, &["TLS", "ca-certificates"]);
    let system = "/etc/ssl/certs/ca-certificates.crt";
    if Path::new(system).exists() {
        run(&url, system).fails(1, &["TLS", "no authority that this computer knows"]);
    }
    run(&url.replace("localhost", "127.0.0.1"), "cert.pem").fails(1, &["TLS", "not valid for name"]);
    assert!(home.installed().is_empty());
    run(&url, "cert.pem").ok();
    assert_eq!(home.installed(), ["m"]);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let home = Home::new();
    home.write("catalog.toml", catalog_of("http://127.0.0.1:1/m.onnx"));
    home.write("file.zip", "PK");
    std::fs::create_dir(home.path("empty")).unwrap();
    let check = |args: &[&str], words: &[&str]| drop(home.run(&[&["add"], args].concat()).fails(2, words));
    check(&["fastestdat"], &["fastestdat", "did you mean \"fastestdet\"?", "mobilenet-v2"]);
    check(&["ftp://h/m.onnx"], &["only http:// and https://"]);
    check(&["./none.onnx"], &["none.onnx", "No such file"]);
    check(&["./empty"], &["model.toml"]);
    check(&["./file.zip"], &["unpack it first"]);
    check(&["leptonnet-digits"], &["part of the program"]);
    check(&["http://127.0.0.1:1/model.onnx"], &["--name"]);
    check(&["m", "--catalog", "catalog.toml", "--task", "raw"], &["--task", "manifest"]);
    check(&["./x.onnx", "--name", "a/b"], &["No such file"]);
    check(&["m", "--sha256", "12"], &["64 hexadecimal"]);
    check(&["m", "--task", "clasify"], &["clasify", "classify"]);
    home.run(&["list", "--catalog", "nowhere.toml"]).fails(1, &["nowhere.toml"]);
    home.run(&["remove", "../m"]).fails(2, &["not the name"]);
    home.run(&["remove", "leptonnet-digits"]).fails(1, &["part of the program"]);
    home.write("models", "a file");
    home.add("m", &[]).fails(1, &["may not write", "not a directory"]);
}

#[test]
fn another_model_of_the_name_needs_a_word() {
    let (onnx, _) = cifar();
    let server = Server::start(move |_, _| Reply::whole(&onnx));
    let home = home_with(&server);
    home.add("m", &[]).ok();
    let text = catalog_of(&server.url("m.onnx")).replace("Ten kinds", "10 kinds");
    home.write("catalog.toml", text);
    let asked = server.asked().len();
    home.add("m", &[]).fails(1, &["another model of this name", "--replace"]);
    assert_eq!(server.asked().len(), asked, "nothing is fetched in vain");
    home.add("m", &["--replace"]).ok();
    let manifest = std::fs::read_to_string(home.path("models/m/model.toml")).unwrap();
    assert!(manifest.contains("10 kinds"), "{manifest}");
    // What does not run does not take its place either.
    home.run(&["add", &server.url("m.onnx"), "--name", "m", "--replace", "--task", "anomaly"])
        .fails(1, &["cannot be used"]);
    assert_eq!(std::fs::read_to_string(home.path("models/m/model.toml")).unwrap(), manifest);
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let (onnx, _) = cifar();
    let server = Server::start(move |_, _| Reply::whole(&onnx));
    let home = home_with(&server);
    let spawn = || {
        let mut command = home.command(&["add", "m", "--catalog", "catalog.toml"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [spawn(), spawn()].map(|child| Ran::of(child.wait_with_output().unwrap()).ok().out);
    assert_eq!(both.iter().filter(|out| out.contains("m is installed: ")).count(), 1, "{both:?}");
    assert_eq!(both.iter().filter(|out| out.contains("installed already")).count(), 1, "{both:?}");
}

#[test]
fn what_a_pipeline_uses_is_not_removed() {
    let (onnx, _) = cifar();
    let server = Server::start(move |_, _| Reply::whole(&onnx));
    let home = home_with(&server);
    home.add("m", &[]).ok();
    let models = home.path("models");
    let config = format!(
        "[models]\ndirs = [{models:?}]\n[mqtt]\nhost = \"h\"\n[[pipeline]]\nname = \"garden\"\nmodel = \"m\"\n[pipeline.source]\ntype = \"synthetic\"\n"
    );
    home.write("leptond.toml", &config);
    let listed = home.run(&["list", "--config", "leptond.toml"]).ok().out;
    assert!(listed.lines().any(|line| line.contains(" m ") && line.contains("garden")), "{listed}");
    home.run(&["remove", "m", "--config", "leptond.toml"]).fails(1, &["garden", "leptond.toml", "--force"]);
    // A configuration that cannot be run still says what it uses, and one that cannot be read leaves it open.
    home.write("leptond.toml", config.replace("synthetic", "sinthetic"));
    home.run(&["remove", "m", "--config", "leptond.toml"]).fails(1, &["garden"]);
    home.write("leptond.toml", "[[");
    home.run(&["remove", "m", "--config", "leptond.toml"]).fails(78, &["leptond.toml"]);
    assert_eq!(home.installed(), ["m"]);
    home.write("leptond.toml", config);
    let removed = home.run(&["remove", "m", "--config", "leptond.toml", "--force"]).ok().out;
    assert!(removed.contains("garden will not start"), "{removed}");
    assert!(home.installed().is_empty());
}

#[test]
fn a_bare_file_is_described_by_what_is_in_it_and_what_is_said() {
    let home = Home::new();
    let (onnx, _) = cifar();
    home.write("net.onnx", &onnx);
    home.write("labels.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n");
    home.write("few.txt", "one\ntwo\n");
    home.run(&["add", "./net.onnx"]).fails(1, &["dimension 2 is open", "--size"]);
    let added = home.run(&["add", "./net.onnx", "--size", "32x32"]).ok().out;
    assert!(added.contains("task raw") && added.contains("licence not known"), "{added}");
    let again = home.run(&["add", "./net.onnx", "--size", "32x32"]).ok().out;
    assert!(again.contains("installed already"), "{again}");
    let args =
        ["add", "./net.onnx", "--labels", "labels.txt", "--mean", "0.49,0.48,0.45", "--std", "0.25", "--replace"];
    let added = home.run(&[&args[..], &["--licence", "MIT", "--size", "32x32"]].concat()).ok().out;
    assert!(added.contains("task classify: as many outputs as labels") && added.contains("MIT"), "{added}");
    let manifest = std::fs::read_to_string(home.path("models/net/model.toml")).unwrap();
    assert!(manifest.contains("mean = [0.49, 0.48, 0.45]") && manifest.contains("labels_file"), "{manifest}");
    let check = |more: &[&str], code, words: &[&str]| {
        home.run(&[&["add", "./net.onnx", "--name", "other", "--size", "32x32"], more].concat()).fails(code, words);
    };
    check(&["--task", "classify", "--labels", "few.txt"], 1, &["10 classes", "2 labels"]);
    check(&["--task", "detect"], 2, &["--head"]);
    check(&["--task", "detect", "--head", "yolov8"], 1, &["cannot be used"]);
    check(&["--colour", "grey"], 1, &["3 channels"]);
    check(&["--labels", "none.txt"], 2, &["none.txt"]);
    check(&["--sha256", &"0".repeat(64)], 1, &[&sha256(&onnx), &"0".repeat(64)]);
    assert_eq!(home.installed(), ["net"]);
}

#[test]
fn a_bundle_is_copied_with_its_golden_inputs() {
    let home = Home::new();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-digits");
    let bundle = bundle.to_str().unwrap();
    let added = home.run(&["add", bundle]).ok().out;
    assert!(added.contains("14 golden inputs as they should be"), "{added}");
    home.run(&["add", bundle, "--name", "meter"]).ok();
    assert_eq!(home.installed(), ["leptonnet-digits", "meter"]);
    let removed = home.run(&["remove", "leptonnet-digits"]).ok().out;
    assert!(removed.contains("part of the program"), "{removed}");
}

#[test]
fn a_full_disk_is_told_before_and_in_the_middle() {
    let (onnx, _) = cifar();
    let server = Server::start(move |_, _| Reply::whole(&onnx));
    let home = home_with(&server);
    std::fs::create_dir(home.path("models")).unwrap();
    let binary = env!("CARGO_BIN_EXE_leptond");
    let script =
        "mount -t tmpfs -o size=512k none models && exec \"$0\" model add m --catalog catalog.toml --dir models";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, binary]).current_dir(home.dir.path());
    let possible = Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|o| o.status.success());
    if !possible {
        return skip("a_full_disk_is_told_before_and_in_the_middle", "a file system of its own needs root and unshare");
    }
    let ran = Ran::of(command.output().unwrap());
    ran.fails(1, &["no room", "bytes are needed", "same command"]);
}
