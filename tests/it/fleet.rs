//! Work for other nodes, with real servers, nodes and givers.

#[path = "fleet/hostile.rs"]
mod hostile;
#[path = "fleet/live.rs"]
mod live;
#[path = "fleet/nodes.rs"]
mod nodes;
#[path = "fleet/server.rs"]
mod server;
#[path = "fleet/trouble.rs"]
mod trouble;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common;
use crate::daemon::{Daemon, meter};
use crate::mosquitto::{free_port, wait_until};
use nodes::{MODEL, by_input, fleet, map, map_command, pictures, summary, wait_ready, words, worker};
use server::Nats;

/// Results of `infer` for the files, by input; without what is of the run.
fn inferred(folder: &Path) -> BTreeMap<String, Value> {
    let output = common::leptond().args(["infer", "--json", MODEL]).arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let one = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let input = value["input"].as_str().unwrap().to_owned();
        for key in ["seq", "infer_ms"] {
            value.as_object_mut().unwrap().remove(key);
        }
        (input, value)
    };
    text.lines().map(one).collect()
}

#[test]
fn map_gives_one_line_for_each_file_as_infer_would() {
    let Some(server) = Nats::start("map_gives_one_line_for_each_file_as_infer_would") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 60, [64, 48]);
    let whole = std::fs::read(folder.join("0000.jpg")).unwrap();
    std::fs::write(folder.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(folder.join("text.png"), "no picture").unwrap();
    std::fs::write(folder.join("film.mjpeg"), &whole).unwrap();
    let workers = [worker(&server, "one"), worker(&server, "two")];
    workers.iter().for_each(wait_ready);
    let output = dir.path().join("results.jsonl");
    let ran = map(&server, &folder, &output);
    assert_eq!(ran.status.code(), Some(1), "three files have no result: {}", words(&ran));
    let results = by_input(&output);
    assert_eq!(results.len(), 63);
    let mut nodes: BTreeMap<String, u64> = BTreeMap::new();
    for (input, expected) in inferred(&folder).into_iter().filter(|(input, _)| !input.contains("film")) {
        let mut found = results[&input].clone();
        let object = found.as_object_mut().unwrap();
        *nodes.entry(object["computed_by"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!((object["model"].as_str().unwrap().len(), object["rung"].as_u64()), (12, Some(0)));
        assert!(object["infer_ms"].as_f64().unwrap() <= object["total_ms"].as_f64().unwrap(), "{object:?}");
        for key in ["infer_ms", "queue_ms", "total_ms", "computed_by", "model", "rung"] {
            object.remove(key);
        }
        assert_eq!(found, expected, "{input}");
    }
    for (name, reason) in [("cut.jpg", "truncated"), ("text.png", "neither JPEG"), ("film.mjpeg", "many pictures")] {
        let (_, line) = results.iter().find(|(input, _)| input.ends_with(name)).unwrap();
        assert!(line["error"].as_str().unwrap().contains(reason), "{line}");
    }
    let told = summary(&ran);
    assert_eq!((&told["done"], &told["failed"]), (&60.into(), &3.into()), "{told}");
    for (worker, name) in workers.iter().zip(["one", "two"]) {
        let done = nodes.get(name).copied().unwrap_or_default();
        assert!(done > 0, "{nodes:?}: both have the model and the time");
        assert_eq!(told["nodes"][name]["done"], done);
        wait_until("the worker's own count", || fleet(worker)["done"] == done);
    }
}

#[test]
fn a_run_goes_on_where_it_was_stopped() {
    let Some(server) = Nats::start("a_run_goes_on_where_it_was_stopped") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 300, [640, 480]);
    let output = dir.path().join("results.jsonl");
    let node = worker(&server, "one");
    wait_ready(&node);
    let running = nodes::Running::start(map_command(&server, &folder, &output));
    wait_until("some lines", || nodes::lines(&output).len() >= 10);
    let pid = running.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let asked = Instant::now();
    let ended = running.end();
    assert!(asked.elapsed() < common::patiently(Duration::from_secs(4)), "{:?}", asked.elapsed());
    let before = nodes::lines(&output);
    assert!(before.len() < 300, "it was faster than the stop");
    assert!(words(&ended).contains("the same command goes on there"), "{}", words(&ended));
    // A run that was killed in the middle of a line.
    let mut file = std::fs::File::options().append(true).open(&output).unwrap();
    std::io::Write::write_all(&mut file, b"{\"input\":\"half").unwrap();
    drop(file);
    let ran = map(&server, &folder, &output);
    assert!(ran.status.success(), "{}", words(&ran));
    assert_eq!(by_input(&output).len(), 300);
    assert_eq!(nodes::lines(&output)[..before.len()], before[..], "lines that are there stay");
    assert_eq!(summary(&ran)["kept"], before.len());
    let again = map(&server, &folder, &output);
    assert!(again.status.success() && summary(&again)["done"] == 0, "{}", words(&again));
}

#[test]
fn a_run_without_workers_says_so_and_waits() {
    let Some(server) = Nats::start("a_run_without_workers_says_so_and_waits") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 5, [64, 48]);
    let output = dir.path().join("results.jsonl");
    let mut command = map_command(&server, &folder, &output);
    let log = dir.path().join("log");
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut running = nodes::Running::start(command);
    let said = || std::fs::read_to_string(&log).unwrap();
    wait_until("it says so", || said().contains("no node of the group home works with the model"));
    assert!(running.0.try_wait().unwrap().is_none());
    let _node = worker(&server, "late");
    wait_until("all lines", || nodes::lines(&output).len() == 5);
    wait_until("its end", || running.0.try_wait().unwrap().is_some_and(|status| status.success()));
    // The giver alone is enough where it computes as well.
    let (own, mut command) = (dir.path().join("own.jsonl"), common::leptond());
    command
        .args(["map", MODEL, "--local", "--group", "alone", "--servers", &server.url(), "-o"])
        .arg(&own)
        .arg(&folder);
    let ran = command.output().unwrap();
    assert!(ran.status.success() && by_input(&own).len() == 5, "{}", words(&ran));
}

#[test]
fn pictures_that_are_too_large_for_the_way_are_made_smaller() {
    let Some(server) = Nats::start("pictures_that_are_too_large_for_the_way_are_made_smaller") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 2, [1600, 1200]);
    let size = std::fs::metadata(folder.join("0000.jpg")).unwrap().len();
    let limit = 16_384;
    assert!(size > limit, "{size}");
    let node = Daemon::start(&nodes::worker_config(&server, "one", &format!("max_payload_bytes = {limit}")));
    wait_ready(&node);
    let config = dir.path().join("giver.toml");
    std::fs::write(&config, nodes::worker_config(&server, "giver", &format!("max_payload_bytes = {limit}"))).unwrap();
    let output = dir.path().join("results.jsonl");
    let mut command = common::leptond();
    command.args(["map", MODEL]).arg(&folder).arg("-o").arg(&output).arg("--config").arg(&config);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", words(&ran));
    let expected = inferred(&folder);
    for (input, line) in by_input(&output) {
        let near = (line["score"].as_f64().unwrap() - expected[&input]["score"].as_f64().unwrap()).abs();
        assert!(line["label"] == expected[&input]["label"] && near < 0.1, "{line} {}", expected[&input]);
    }
}

/// The server's configuration on the page of the fleet gives each user the rights that it needs.
#[test]
fn the_users_of_the_page_can_do_their_work() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet.md")).unwrap();
    let block = page.split("```nats\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let users = &block[block.find("authorization").unwrap()..];
    let Some(server) = Nats::with("the_users_of_the_page_can_do_their_work", users) else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 300, [320, 240]);
    let login = "user = \"worker\"\npassword = \"change-me-1\"";
    let node = Daemon::start(&nodes::worker_config(&server, "one", login));
    wait_ready(&node);
    let password = dir.path().join("password");
    std::fs::write(&password, "change-me-2").unwrap();
    let output = dir.path().join("results.jsonl");
    let command = || {
        let mut command = map_command(&server, &folder, &output);
        command.args(["--user", "giver", "--password-file"]).arg(&password);
        command
    };
    // Stopped, so that what is unfinished is taken back as well.
    let running = nodes::Running::start(command());
    wait_until("some lines", || nodes::lines(&output).len() >= 5);
    assert!(std::process::Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap().success());
    let _ = running.end();
    let ran = command().output().unwrap();
    assert!(ran.status.success() && by_input(&output).len() == 300, "{}", words(&ran));
    assert!(!node.log().to_lowercase().contains("violation"), "{}", node.log());
    assert!(fleet(&node)["refused"].as_object().is_some_and(|refused| refused.is_empty()));
}

#[test]
fn a_node_without_it_starts_nothing_of_it() {
    let plain = Daemon::start(&meter(free_port(), ""));
    wait_until("its pipeline runs", || plain.has_thread("infer meter"));
    let has = |daemon: &Daemon, name: &str| daemon.has_thread(name);
    assert!(!has(&plain, "fleet") && !has(&plain, "fleet-compute"));
    let Some(server) = Nats::start("a_node_without_it_starts_nothing_of_it") else { return };
    let pipeline = format!("[fleet]\nservers = [\"{}\"]\n", server.url());
    let silent = Daemon::start(&meter(free_port(), &pipeline));
    wait_until("its pipeline runs", || silent.has_thread("infer meter"));
    assert!(!has(&silent, "fleet"), "a group alone is no role in it");
    let helper = Daemon::start(&meter(free_port(), &format!("{pipeline}assist = true\n")));
    wait_ready(&helper);
    assert!(has(&helper, "fleet") && has(&helper, "fleet-compute"), "the model of its pipeline");
}

#[test]
fn a_batch_gives_what_single_pictures_do() {
    let Some(server) = Nats::start("a_batch_gives_what_single_pictures_do") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 21, [64, 48]);
    // Whole by its structure, and no picture that can be decoded.
    std::fs::write(folder.join("0010a.jpg"), b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\xff\xd9").unwrap();
    let node = Daemon::start(&nodes::worker_config(&server, "one", "batch = 4"));
    wait_ready(&node);
    let output = dir.path().join("results.jsonl");
    let ran = map(&server, &folder, &output);
    assert_eq!(ran.status.code(), Some(1), "{}", words(&ran));
    let results = by_input(&output);
    assert_eq!(results.len(), 22);
    let expected = inferred(&folder);
    assert_eq!(expected.len(), 21);
    for (input, expected) in expected {
        assert_eq!(
            (&results[&input]["label"], &results[&input]["top"]),
            (&expected["label"], &expected["top"]),
            "{input}"
        );
    }
    let broken = results.iter().find(|(input, _)| input.ends_with("0010a.jpg")).unwrap().1;
    assert!(broken["error"].as_str().unwrap().starts_with("picture: "), "{broken}");
}

#[test]
fn a_node_takes_nothing_while_its_own_pipeline_has_less_than_full_work() {
    let test = "a_node_takes_nothing_while_its_own_pipeline_has_less_than_full_work";
    let Some(server) = Nats::start(test) else { return };
    let port = free_port();
    let config = |rung: usize| {
        let more = format!(
            "rung = {rung}\n[page]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
             [fleet]\nservers = [\"{}\"]\nassist = true\nuse = \"any\"\nlease_s = 2\n",
            server.url()
        );
        meter(port, &more)
    };
    let node = Daemon::start(&config(1));
    wait_ready(&node);
    let held = || fleet(&node)["held"].as_str().map(str::to_owned);
    wait_until("it holds back", || held().is_some_and(|reason| reason.contains("less than full work")));
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 10, [64, 48]);
    let (output, log) = (dir.path().join("results.jsonl"), dir.path().join("log"));
    let mut command = map_command(&server, &folder, &output);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut running = nodes::Running::start(command);
    // It has no pull at the server either.
    wait_until("nobody is at it", || std::fs::read_to_string(&log).unwrap().contains("no node of the group"));
    assert!(nodes::lines(&output).is_empty());
    node.replace_config(&config(0));
    node.signal("HUP");
    wait_until("its end", || running.0.try_wait().unwrap().is_some_and(|status| status.success()));
    assert_eq!(by_input(&output).len(), 10);
    assert_eq!(held(), None);
}

#[test]
fn doctor_and_check_look_at_the_group() {
    let Some(server) = Nats::start("doctor_and_check_look_at_the_group") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let doctor = |config: &str| {
        std::fs::write(&file, config).unwrap();
        let output = common::leptond().args(["doctor", "--json", "--config"]).arg(&file).output().unwrap();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let groups = all["groups"].as_array().unwrap();
        groups.iter().find(|group| group["name"] == "fleet").map(|group| group["findings"].clone())
    };
    let config = nodes::worker_config(&server, "one", "max_payload_bytes = 2000000");
    let found = doctor(&config).unwrap();
    let levels: Vec<&str> = found.as_array().unwrap().iter().map(|one| one["level"].as_str().unwrap()).collect();
    let text = found.to_string();
    assert!(levels == ["ok", "note", "ok", "ok"] || levels == ["warning", "note", "ok", "ok"], "{text}");
    assert!(text.contains("lets us in") && text.contains("leptond_home_map is not there yet"), "{text}");
    let away = config.replace(&server.url(), "nats://127.0.0.1:1");
    let found = doctor(&away).unwrap();
    assert!(found[0]["level"] == "trouble" && found[0]["text"].as_str().unwrap().contains("can be reached"), "{found}");
    assert_eq!(doctor(&meter(free_port(), "")), None, "nothing is said where there is no group");
    std::fs::write(&file, config.clone() + "user = \"u\"\npassword = \"s3cret\"\nservers_ = 1\n").unwrap();
    let checked = common::leptond().args(["check", "--config"]).arg(&file).output().unwrap();
    let said = words(&checked);
    assert!(checked.status.code() == Some(78) && said.contains("servers_") && !said.contains("s3cret"), "{said}");
    std::fs::write(&file, config.replace(MODEL, "no-such-model") + "user = \"u\"\npassword = \"s3cret\"\n").unwrap();
    let checked = common::leptond().args(["check", "--print", "--config"]).arg(&file).output().unwrap();
    let said = words(&checked);
    assert!(said.contains("fleet.models[0]: there is no such model") && !said.contains("s3cret"), "{said}");
}
