//! Messages that are not as they should be, clients without rights, servers that are too old: refused, counted, named.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, HeaderMap, Message};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::nodes::{
    self, MODEL, by_input, fleet, lines, map_command, pictures, summary, wait_ready, words, worker, worker_config,
};
use super::server::Nats;
use crate::common;
use crate::daemon::Daemon;
use crate::mosquitto::wait_until;

const SUBJECT: &str = "leptond.home.map.";

/// The digest of the model that the workers have, as a result names its begin.
pub fn digest() -> String {
    let bundle = leptond::pipeline::open_bundle(MODEL, &[]).unwrap();
    bundle.digest().to_owned()
}

fn word(digit: char) -> String {
    digit.to_string().repeat(32)
}

/// Headers of good work.
fn headers(id: &str, token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Leptond-Schema", "1"),
        ("Leptond-Id", id),
        ("Leptond-Answer", token),
        ("Leptond-From", "tester"),
        ("Leptond-Model", &digest()),
        ("Content-Type", "image/jpeg"),
    ] {
        headers.insert(name, value);
    }
    headers
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub async fn connect(server: &Nats) -> Client {
    async_nats::connect(server.url()).await.unwrap()
}

pub fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers.as_ref().and_then(|headers| headers.get(name)).map_or("", |value| value.as_str())
}

async fn answer(answers: &mut async_nats::Subscriber) -> Message {
    let limit = common::patiently(Duration::from_secs(20));
    tokio::time::timeout(limit, answers.next()).await.expect("an answer").expect("the subscription goes on")
}

#[test]
fn wrong_work_is_refused_by_name_and_counted() {
    let Some(server) = Nats::start("wrong_work_is_refused_by_name_and_counted") else { return };
    let node = Daemon::start(&worker_config(&server, "one", "max_payload_bytes = 20000"));
    wait_ready(&node);
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 1, [64, 48]);
    let picture = std::fs::read(folder.join("0000.jpg")).unwrap();
    let subject = format!("{SUBJECT}{}", &digest()[..12]);
    block_on(async {
        let client = connect(&server).await;
        let context = jetstream::new(client.clone());
        // A stream as somebody else might have made it, which takes what the worker's own would not.
        let mut stream = context.get_stream("leptond_home_map").await.unwrap();
        let mut config = stream.info().await.unwrap().config.clone();
        config.max_message_size = -1;
        context.update_stream(config).await.unwrap();
        let token = word('b');
        let mut answers = client.subscribe(format!("leptond.home.answer.{token}")).await.unwrap();
        let good = headers(&word('a'), &token);
        let with = |name: &str, value: &str| {
            let mut headers = good.clone();
            headers.insert(name, value);
            headers
        };
        let other = "0".repeat(64);
        let large = vec![0_u8; 30_000];
        let cut = picture[..picture.len() / 2].to_vec();
        for (headers, payload, kind, words) in [
            (with("Leptond-Model", &other), picture.clone(), "wrong_model", "this queue is of"),
            (with("Leptond-Schema", "99"), picture.clone(), "schema", "\"99\""),
            (with("Content-Type", "text/html"), picture.clone(), "malformed", "Content-Type"),
            (with("Content-Type", "image/png"), picture.clone(), "picture", "another format"),
            (with("Leptond-Task", "settings"), picture.clone(), "malformed", "settings of the task"),
            (
                with("Leptond-Task", "{\"task\":{\"type\":\"detect\"}}"),
                picture.clone(),
                "malformed",
                "for a model of classify",
            ),
            (with("Leptond-Task", &"x".repeat(2000)), picture.clone(), "malformed", "more than 1024 bytes"),
            (with("Leptond-Task", "{\"task\":{\"min_score\":1.0}}"), picture.clone(), "", "\"label\":\"\""),
            (good.clone(), large, "too_large", "30000 bytes"),
            (good.clone(), cut, "picture", "truncated"),
            (good.clone(), b"MZ not a picture".to_vec(), "picture", "neither JPEG"),
            (good.clone(), picture.clone(), "", "\"task\""),
        ] {
            context.publish_with_headers(subject.clone(), headers, payload.into()).await.unwrap().await.unwrap();
            let message = answer(&mut answers).await;
            let text = String::from_utf8_lossy(&message.payload);
            assert_eq!(header(&message, "Leptond-Refused"), kind, "{text}");
            assert!(text.contains(words), "{kind}: {text}");
            assert_eq!(
                (header(&message, "Leptond-Node"), header(&message, "Leptond-Model")),
                ("one", digest().as_str())
            );
        }
        // One that cannot be answered leaves the queue as well; so does one whose answer should go to somebody else's subject.
        let nobody = with("Leptond-Answer", "$JS.API.STREAM.PURGE.leptond_home_map");
        context.publish_with_headers(subject.clone(), nobody, picture.clone().into()).await.unwrap().await.unwrap();
        context.publish(subject.clone(), picture.clone().into()).await.unwrap().await.unwrap();
        // Its time was over before the worker saw it: a first message sets the clock.
        node.signal("STOP");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", node.id())).unwrap();
        wait_until("it stands still", || state().rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")));
        let late = with("Leptond-Deadline-Ms", "1");
        context.publish_with_headers(subject.clone(), late, picture.clone().into()).await.unwrap().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        node.signal("CONT");
        let message = answer(&mut answers).await;
        assert_eq!(header(&message, "Leptond-Refused"), "expired");
        let counts = serde_json::json!({
            "wrong_model": 1, "schema": 1, "malformed": 6, "picture": 3, "too_large": 1, "expired": 1
        });
        wait_until("the counts", || fleet(&node)["refused"] == counts);
        assert_eq!(fleet(&node)["for"], serde_json::json!({ "tester": 2 }));
        let mut stream = context.get_stream("leptond_home_map").await.unwrap();
        assert_eq!(stream.info().await.unwrap().state.messages, 0);
    });
}

#[test]
fn work_that_nobody_finishes_is_given_up_with_an_answer() {
    let Some(server) = Nats::start("work_that_nobody_finishes_is_given_up_with_an_answer") else { return };
    let first = worker(&server, "first");
    wait_ready(&first);
    let subject = format!("{SUBJECT}{}", &digest()[..12]);
    block_on(async {
        let client = connect(&server).await;
        let context = jetstream::new(client.clone());
        let token = word('b');
        let mut answers = client.subscribe(format!("leptond.home.answer.{token}")).await.unwrap();
        let name = format!("model_{}", &digest()[..12]);
        let made = async {
            loop {
                if let Ok(stream) = context.get_stream("leptond_home_map").await
                    && let Ok(consumer) = stream.get_consumer::<pull::Config>(&name).await
                {
                    break (stream, consumer);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = common::patiently(Duration::from_secs(20));
        let (stream, consumer) = tokio::time::timeout(limit, made).await.expect("the worker's consumer");
        drop(first);
        // The server would give it to the pull of a node that has just ended, which counts as one that took it.
        let forgotten = async {
            while consumer.get_info().await.unwrap().num_waiting > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, forgotten).await.expect("the end of the first worker's pull");
        let work = headers(&word('a'), &token);
        context.publish_with_headers(subject, work, "poison".into()).await.unwrap().await.unwrap();
        // Five nodes that took it and gave it back, or ended over it.
        for _ in 0..5 {
            let mut batch = consumer.batch().max_messages(1).expires(Duration::from_secs(20)).messages().await.unwrap();
            let message = batch.next().await.unwrap().unwrap();
            message.ack_with(AckKind::Nak(None)).await.unwrap();
        }
        let second = worker(&server, "second");
        let message = answer(&mut answers).await;
        assert_eq!(header(&message, "Leptond-Refused"), "given_up");
        assert!(String::from_utf8_lossy(&message.payload).contains("delivered 5 times"));
        wait_until("it is counted", || fleet(&second)["refused"]["given_up"] == 1);
        assert_eq!(stream.get_info().await.unwrap().state.messages, 0);
    });
}

/// A node of the tests that answers work as `how` says, until `count` pieces are answered.
fn lying_worker(
    server: &Nats,
    count: usize,
    how: impl Fn(usize, &Message) -> Vec<(HeaderMap, Vec<u8>)> + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let url = server.url();
    std::thread::spawn(move || {
        block_on(async {
            let client = async_nats::connect(url).await.unwrap();
            let context = jetstream::new(client.clone());
            let stream = context.get_stream("leptond_home_map").await.unwrap();
            let subject = format!("{SUBJECT}{}", &digest()[..12]);
            let settings =
                pull::Config { durable_name: Some("liar".into()), filter_subject: subject, ..Default::default() };
            let consumer = stream.create_consumer(settings).await.unwrap();
            let mut messages = consumer.messages().await.unwrap();
            for number in 0..count {
                let message = messages.next().await.unwrap().unwrap();
                let subject = format!("leptond.home.answer.{}", header(&message.message, "Leptond-Answer"));
                for (headers, payload) in how(number, &message.message) {
                    client.publish_with_headers(subject.clone(), headers, payload.into()).await.unwrap();
                }
                // Only an acknowledged acknowledgement is there before the consumer is gone.
                message.double_ack().await.unwrap();
            }
            client.flush().await.unwrap();
            stream.delete_consumer("liar").await.unwrap();
        });
    })
}

/// Headers of an answer to `work`.
fn answer_headers(work: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Leptond-Schema", "1"),
        ("Leptond-Id", header(work, "Leptond-Id")),
        ("Leptond-Node", "liar"),
        ("Leptond-Model", header(work, "Leptond-Model")),
        ("Leptond-Queue-Us", "1"),
        ("Leptond-Infer-Us", "1"),
        ("Leptond-Rung", "0"),
    ] {
        headers.insert(name, value);
    }
    headers
}

#[test]
fn answers_that_cannot_be_believed_are_not() {
    let Some(server) = Nats::start("answers_that_cannot_be_believed_are_not") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 8, [64, 48]);
    let output = dir.path().join("results.jsonl");
    let running = nodes::Running::start(map_command(&server, &folder, &output));
    block_on(async {
        let context = jetstream::new(connect(&server).await);
        let limit = common::patiently(Duration::from_secs(20));
        let there = async {
            loop {
                if let Ok(mut stream) = context.get_stream("leptond_home_map").await
                    && stream.info().await.is_ok_and(|info| info.state.messages == 8)
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, there).await.expect("eight pieces of work");
    });
    let good = br#"{"task":"raw","outputs":[]}"#.to_vec();
    let liar = lying_worker(&server, 8, move |number, work| {
        let honest = answer_headers(work);
        let with = |name: &str, value: &str| {
            let mut headers = honest.clone();
            headers.insert(name, value);
            headers
        };
        match number {
            0 => vec![(honest, b"\x00\xff garbage".to_vec())],
            1 => vec![(honest, br#"{"task":"raw","computed_by":"one"}"#.to_vec())],
            2 => vec![(with("Leptond-Id", &word('f')), good.clone())],
            3 => vec![(with("Leptond-Model", &"0".repeat(64)), good.clone())],
            4 => vec![(with("Leptond-Node", "no such/name"), good.clone())],
            5 => vec![(with("Leptond-Refused", "wrong_model"), b"not mine".to_vec())],
            // The truth, and it again.
            6 => vec![(honest.clone(), good.clone()), (honest, good.clone())],
            // It takes it and says nothing.
            _ => Vec::new(),
        }
    });
    liar.join().unwrap();
    let node = worker(&server, "one");
    wait_ready(&node);
    let ended = running.end();
    assert!(ended.status.success(), "{}", words(&ended));
    let results = by_input(&output);
    assert_eq!(results.len(), 8);
    let by = |name: &str| results.values().filter(|line| line["computed_by"] == name).count();
    assert_eq!((by("one"), by("liar")), (7, 1), "{results:?}");
    let trouble = summary(&ended)["trouble"].clone();
    let count = |key: &str| trouble[key].as_u64().unwrap();
    assert_eq!((count("garbage"), count("forged"), count("refused"), count("repeated")), (4, 1, 1, 1), "{trouble}");
    assert_eq!(count("attempts"), 7, "{trouble}");
    assert!(words(&ended).contains("not believed: 4 messages"), "{}", words(&ended));
}

#[test]
fn clients_without_rights_are_told_which() {
    let rights = r#"
        authorization { users: [
            { user: "all", password: "secret-all" }
            { user: "none", password: "secret-none", permissions: { publish: "nothing", subscribe: ["_INBOX.>"] } }
            { user: "deaf", password: "secret-deaf", permissions: { publish: ">", subscribe: ["_INBOX.>"] } }
        ] }"#;
    let Some(server) = Nats::with("clients_without_rights_are_told_which", rights) else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 3, [64, 48]);
    let login = |name: &str| format!("user = \"{name}\"\npassword = \"secret-{name}\"");
    let node = Daemon::start(&worker_config(&server, "one", &login("all")));
    wait_ready(&node);
    let run = |name: &str, password: &str| {
        let file = dir.path().join(format!("{name}-{password}"));
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let output = file.with_extension("jsonl");
        let mut command = map_command(&server, &folder, &output);
        command.args(["--user", name, "--password-file"]).arg(&file);
        (command.output().unwrap(), output)
    };
    let (ran, output) = run("all", "secret-all");
    assert!(ran.status.success() && by_input(&output).len() == 3, "{}", words(&ran));
    for (name, password, said) in [
        ("none", "secret-none", "gives no right to see or make the stream leptond_home_map"),
        ("deaf", "secret-deaf", "Permissions Violation for Subscription to \"leptond.home.answer."),
        ("all", "wrong", "refuses user, key or credentials"),
    ] {
        let (ran, output) = run(name, password);
        assert_eq!(ran.status.code(), Some(1), "{}", words(&ran));
        assert!(words(&ran).contains(said) && !words(&ran).contains(password), "{}", words(&ran));
        assert!(name == "all" || lines(&output).is_empty());
    }
    let refused = Daemon::start(&worker_config(&server, "two", &login("none")));
    refused.wait_log("the server gives no right");
    wait_until("its status says so", || fleet(&refused)["fault"].as_str().is_some_and(|f| f.contains("no right")));
    assert!(!refused.log().contains("secret-none"));
}

#[test]
fn a_server_that_is_too_old_is_refused_with_the_reason() {
    for (info, said) in [
        (
            r#"{"server_id":"x","version":"2.9.10","headers":true,"jetstream":true,"max_payload":1048576}"#,
            "2.9.10 is older than 2.10.27",
        ),
        (r#"{"server_id":"x","version":"2.12.12","headers":true,"max_payload":1048576}"#, "JetStream turned off"),
        (
            r#"{"server_id":"x","version":"new","headers":true,"jetstream":true,"max_payload":1048576}"#,
            "\"new\", which is none",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = write!(stream, "INFO {info}\r\n");
                let mut bytes = [0; 1024];
                while std::io::Read::read(&mut stream, &mut bytes).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"PONG\r\n");
                }
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let folder = pictures(dir.path(), 1, [8, 8]);
        let output = dir.path().join("results.jsonl");
        let mut command = common::leptond();
        command.args(["map", MODEL]).arg(folder).arg("-o").arg(output).args(["--servers", &url]);
        let ran = command.output().unwrap();
        assert_eq!(ran.status.code(), Some(1), "{}", words(&ran));
        assert!(words(&ran).contains(said), "{}", words(&ran));
    }
}

#[test]
fn results_of_another_model_are_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 1, [8, 8]);
    let output = dir.path().join("results.jsonl");
    let line = serde_json::json!({ "input": "a.jpg", "model": "0123456789ab" });
    std::fs::write(&output, format!("{line}\n")).unwrap();
    let mut command = common::leptond();
    command.args(["map", MODEL]).arg(folder).arg("-o").arg(&output).args(["--servers", "nats://127.0.0.1:1"]);
    let ran = command.output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "{}", words(&ran));
    assert!(words(&ran).contains("of the model 0123456789ab"), "{}", words(&ran));
    assert_eq!(lines(&output), [Value::clone(&line)]);
}
