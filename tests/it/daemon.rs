//! The real binary against a real broker: what a person at the board, and a subscriber, would see.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common;
use crate::mosquitto::{Mosquitto, Received, free_port, wait_until};

/// A running daemon with its configuration file and its log; killed when dropped.
pub struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts `leptond run` on `config`, whose `{dir}` stands for a directory of its own.
    pub fn start(config: &str) -> Daemon {
        Self::start_with(config, |_| {}, |_| {})
    }

    pub fn start_with(
        config: &str,
        fill: impl FnOnce(&Path),
        adjust: impl FnOnce(&mut std::process::Command),
    ) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        write_config(dir.path(), config);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = common::leptond();
        command.arg("run").arg("--config").arg(dir.path().join("leptond.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // One process for each directory.
        command.env("LEPTOND__MQTT__OUTBOX__DIR", dir.path().join("outbox"));
        adjust(&mut command);
        Daemon { child: command.spawn().unwrap(), dir }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// The directory of its configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Puts another configuration in the place of the one that runs, by renaming, as editors do.
    pub fn replace_config(&self, config: &str) {
        let new = self.dir.path().join("new");
        std::fs::create_dir_all(&new).unwrap();
        let text = config.replace("{dir}", &self.dir.path().display().to_string());
        std::fs::write(new.join("leptond.toml"), text).unwrap();
        std::fs::rename(new.join("leptond.toml"), self.dir.path().join("leptond.toml")).unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits for the end; how it ended and how long that took.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let mut status = None;
        wait_until("the daemon to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), start.elapsed())
    }

    pub fn wait_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || self.log().contains(text));
    }

    /// Whether it has a thread of this name.
    pub fn has_thread(&self, name: &str) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).any(|comm| comm.trim() == name)
    }

    /// CPU time used so far, in ticks of 1/100 s.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

fn write_config(dir: &Path, config: &str) {
    std::fs::write(dir.join("leptond.toml"), config.replace("{dir}", &dir.display().to_string())).unwrap();
}

/// A configuration: the synthetic meter, looked at ten times a second, on a fixed rung.
pub fn meter(port: u16, extra: &str) -> String {
    format!(
        r#"
        [node]
        name = "test"
        [mqtt]
        host = "127.0.0.1"
        port = {port}
        [governor]
        mode = "manual"
        {extra}
        [[pipeline]]
        name = "meter"
        model = "leptonnet-digits"
        [pipeline.source]
        type = "synthetic"
        fps = 10.0
        [pipeline.preprocess]
        regions = [
            {{ rect = [140.0, 192.0, 72.0, 96.0] }}, {{ rect = [212.0, 192.0, 72.0, 96.0] }},
            {{ rect = [284.0, 192.0, 72.0, 96.0] }}, {{ rect = [356.0, 192.0, 72.0, 96.0] }},
            {{ rect = [428.0, 192.0, 72.0, 96.0] }},
        ]
        "#
    )
}

/// The messages on one topic.
pub fn on<'a>(messages: &'a [Received], topic: &str) -> Vec<&'a Received> {
    messages.iter().filter(|m| m.topic == topic).collect()
}

#[test]
fn says_everything_that_the_topics_promise() {
    let Some(broker) = Mosquitto::start("says_everything_that_the_topics_promise") else { return };
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(&meter(broker.port, ""));
    let seen = listener.wait_for("five results", |m| on(m, "leptond/test/meter/result").len() >= 5);

    let results: Vec<_> = on(&seen, "leptond/test/meter/result").iter().map(|m| m.json()).collect();
    for (before, after) in results.iter().zip(&results[1..]) {
        assert!(before["seq"].as_u64() < after["seq"].as_u64(), "{before} then {after}");
    }
    for result in &results {
        assert_eq!(result["task"], "classify", "{result}");
        assert_eq!(result["regions"].as_array().unwrap().len(), 5, "{result}");
        // Of the last good reading, which the very first pictures need not have.
        assert!(
            result["label"].as_str().is_none_or(|label| label.len() == 5),
            "five regions give five digits: {result}"
        );
        assert_eq!(result["truth"].as_str().unwrap().len(), 5, "{result}");
        assert!(result["frame_age_ms"].as_f64().unwrap() >= result["infer_ms"].as_f64().unwrap(), "{result}");
        assert_eq!(result["rung"], 0, "{result}");
        let time = result["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000Z".len(), "{time}");
    }
    assert!(on(&seen, "leptond/test/meter/result").iter().all(|m| m.qos == 0 && !m.retain));
    let info = on(&seen, "leptond/test/info")[0].json();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["models"][0]["name"], "leptonnet-digits");
    assert_eq!(info["models"][0]["sha256"].as_str().unwrap().len(), 64);
    let bytes = on(&seen, "leptond/test/info")[0].payload.len();
    assert!(bytes < 2048, "a retained message that every subscriber is sent: {bytes} bytes");
    let governor = on(&seen, "leptond/test/governor")[0].json();
    assert_eq!((governor["rung"].as_u64(), governor["pipeline"].as_str()), (Some(0), Some("meter")));
    let health = on(&seen, "leptond/test/health")[0].json();
    assert!(health["rss_bytes"].as_u64().unwrap() > 1_000_000, "{health}");

    // A late subscriber finds the retained ones.
    let late = broker.listen("leptond/test/#");
    let kept = late.wait_for("the retained topics", |m| m.iter().filter(|m| m.retain).count() >= 5);
    for topic in ["state", "info", "health", "governor", "meter/state"] {
        assert!(on(&kept, &format!("leptond/test/{topic}")).iter().any(|m| m.retain), "{topic} is not retained");
    }

    daemon.signal("TERM");
    let (status, took) = daemon.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < common::patiently(Duration::from_secs(2)), "the stop took {took:?}");
    let end = listener.wait_for("offline", |m| on(m, "leptond/test/state").len() >= 2);
    assert_eq!(on(&end, "leptond/test/state").last().unwrap().json()["state"], "offline");
}

#[test]
fn the_will_speaks_for_a_killed_daemon_and_a_restart_takes_it_back() {
    let Some(broker) = Mosquitto::start("the_will_speaks_for_a_killed_daemon") else { return };
    let listener = broker.listen("leptond/test/state");
    let states = |m: &[Received]| m.iter().map(|m| m.json()["state"].clone()).collect::<Vec<_>>();
    let mut daemon = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("online", |m| states(m) == ["online"]);
    daemon.child.kill().unwrap();
    daemon.wait();
    listener.wait_for("the will", |m| states(m) == ["online", "offline"]);
    let _again = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("online again", |m| states(m) == ["online", "offline", "online"]);
}

#[test]
fn a_broker_that_dies_and_returns_finds_everything_said_again() {
    let Some(mut broker) = Mosquitto::start("a_broker_that_dies_and_returns") else { return };
    let first = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(&meter(broker.port, ""));
    first.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());
    broker.kill();
    broker.restart();
    let second = broker.listen("leptond/test/#");
    let seen = second.wait_within(Duration::from_secs(30), "results after the restart", |m| {
        on(m, "leptond/test/meter/result").len() >= 3 && !on(m, "leptond/test/info").is_empty()
    });
    assert_eq!(on(&seen, "leptond/test/state")[0].json()["state"], "online", "birth after every connection");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn without_a_broker_it_neither_spins_nor_hangs() {
    // Nobody listens there.
    let port = free_port();
    let mut daemon = Daemon::start(&meter(port, "").replace("fps = 10.0", "fps = 0.2"));
    daemon.wait_log("capturing");
    let before = daemon.cpu_ticks();
    std::thread::sleep(Duration::from_secs(3)); // what is measured is the CPU time over a span of time
    let used = daemon.cpu_ticks() - before;
    assert!(used < 60 || common::emulated(), "{used} ticks of 10 ms in 3 s without a broker");
    daemon.signal("TERM");
    let (status, took) = daemon.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < common::patiently(Duration::from_secs(2)), "the stop took {took:?}");
}

#[test]
fn hangup_applies_a_good_configuration_and_refuses_a_bad_one_whole() {
    let Some(broker) = Mosquitto::start("hangup_applies_a_good_configuration") else { return };
    let listener = broker.listen("leptond/test/#");
    let config = meter(broker.port, "");
    let daemon = Daemon::start(&config);
    listener.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());

    write_config(daemon.dir.path(), &config.replace("fps = 10.0", "fsp = 10.0"));
    daemon.signal("HUP");
    daemon.wait_log("stays as it was");
    let log = daemon.log();
    assert!(log.contains("fsp") && log.contains("fps"), "names the key and the nearest known one:\n{log}");
    let before = on(&listener.messages(), "leptond/test/meter/result").len();
    listener.wait_for("more results", |m| on(m, "leptond/test/meter/result").len() > before + 2);

    write_config(daemon.dir.path(), &config.replace(r#"name = "meter""#, r#"name = "water""#));
    daemon.signal("HUP");
    let seen = listener.wait_for("the renamed pipeline", |m| {
        on(m, "leptond/test/water/result").len() >= 2
            && on(m, "leptond/test/meter/state").last().is_some_and(|m| m.payload.is_empty())
    });
    let info = on(&seen, "leptond/test/info").last().unwrap().json();
    assert_eq!(info["models"][0]["pipeline"], "water");
    assert_eq!(on(&seen, "leptond/test/state").len(), 1, "the connection was not made anew");

    let elsewhere = broker.listen("attic/#");
    write_config(daemon.dir.path(), &config.replace("[mqtt]", "[mqtt]\nprefix = \"attic\""));
    daemon.signal("HUP");
    elsewhere.wait_for("results below the new prefix", |m| on(m, "attic/test/meter/result").len() >= 2);
    let ended = listener.wait_for("the end of the old connection", |m| on(m, "leptond/test/state").len() >= 2);
    assert_eq!(on(&ended, "leptond/test/state")[1].json()["state"], "offline");
}

#[test]
fn five_hundred_bad_frames_are_counted_and_the_pipeline_goes_on() {
    let Some(broker) = Mosquitto::start("five_hundred_bad_frames_are_counted") else { return };
    let listener = broker.listen("leptond/test/#");
    let config =
        meter(broker.port, "").replace("type = \"synthetic\"\n", "type = \"files\"\npath = \"{dir}/frames\"\n");
    let config = config.replace("fps = 10.0", "fps = 0.0").replace("[node]", "[node]\nhealth_interval_s = 1");
    let mut daemon = Daemon::start_with(&config, |dir| bad_frames(&dir.join("frames")), |_| {});
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(0), "the end of the files is no failure:\n{}", daemon.log());
    let log = daemon.log();
    let (errors, inferences) = (counted(&log, "errors"), counted(&log, "inferences"));
    assert_eq!(errors, 500, "{log}");
    assert_eq!(inferences, 5, "each of the good frames between them gave a result: {log}");
    let complaints = log.lines().filter(|l| l.contains("WARN")).count();
    assert!(complaints < 30, "{complaints} warnings for 500 frames");
    listener.wait_for("a result of a good frame", |m| !on(m, "leptond/test/meter/result").is_empty());
}

/// `key=123` out of the last line of a log.
fn counted(log: &str, key: &str) -> u64 {
    let line = log.lines().rev().find(|l| l.contains("stopped")).unwrap_or_else(|| panic!("no summary in\n{log}"));
    let value = line.split(&format!("{key}=")).nth(1).unwrap_or_else(|| panic!("no {key} in {line}"));
    value.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// 500 files that are no pictures (or not whole ones), with a good one after every hundred.
fn bad_frames(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let mut good = Vec::new();
    let pixels: Vec<u8> = (0..640 * 480).map(|i| (i % 251) as u8).collect();
    jpeg_encoder::Encoder::new(&mut good, 80).encode(&pixels, 640, 480, jpeg_encoder::ColorType::Luma).unwrap();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for i in 0..500_usize {
        let bytes = match i % 5 {
            0 => good[..good.len() * (i + 1) / 502].to_vec(),
            1 => (0..4096)
                .map(|_| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random as u8
                })
                .collect(),
            2 => b"this is a text, whatever its name says".repeat(i),
            // A header that promises 65500 x 65500 pixels.
            3 => {
                let mut huge = good.clone();
                let sof = huge.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
                huge[sof + 5..sof + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
                huge
            }
            _ => Vec::new(),
        };
        std::fs::write(dir.join(format!("{i:04}.jpg")), bytes).unwrap();
        if i % 100 == 99 {
            std::fs::write(dir.join(format!("{i:04}-good.jpg")), &good).unwrap();
        }
    }
}

#[test]
fn a_configuration_that_cannot_work_is_exit_code_78() {
    let cases: [(&str, &str, &str); 2] =
        [("name = \"meter\"", "nmae = \"meter\"", "nmae"), ("leptonnet-digits", "no-such-model", "no-such-model")];
    for (from, to, named) in cases {
        let config = meter(1, "").replace(from, to).replace("fps = 10.0", "");
        let mut daemon = Daemon::start(&config);
        let (status, _) = daemon.wait();
        assert_eq!(status.code(), Some(78), "{to}:\n{}", daemon.log());
        assert!(daemon.log().contains(named), "{to}: the message names it:\n{}", daemon.log());
    }
}

#[test]
fn the_service_manager_is_told_and_the_watchdog_is_fed_while_idle() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(common::patiently(Duration::from_secs(20)))).unwrap();
    let next = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("a message to the service manager");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // A FIFO that nobody writes to: nothing to do, and that is no hang.
    let config = format!(
        "[node]\nname = \"test\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n\
         [[pipeline]]\nname = \"quiet\"\nmodel = \"machine-anomaly\"\n\
         [pipeline.source]\ntype = \"sensor\"\nkind = \"jsonl\"\npath = \"{{dir}}/fifo\"\nwindow = 8\n",
        free_port()
    );
    let mut daemon = Daemon::start_with(
        &config,
        |dir| {
            let made = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status().unwrap();
            assert!(made.success());
        },
        |command| {
            command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1500000");
        },
    );
    assert!(next().contains("READY=1"));
    for _ in 0..4 {
        let message = next();
        assert!(message.contains("WATCHDOG=1"), "{message}");
    }
    daemon.signal("HUP");
    let mut told = String::new();
    while !told.contains("READY=1") {
        told += &next();
    }
    assert!(told.contains("RELOADING=1") && told.contains("MONOTONIC_USEC="), "{told}");
    daemon.signal("TERM");
    while !told.contains("STOPPING=1") {
        told += &next();
    }
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn the_demo_gives_its_figures() {
    let output = common::leptond().args(["demo", "--for", "4s", "--json", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object on stdout");
    for key in [
        "frames",
        "inferences",
        "dropped",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "published",
        "acknowledged",
        "accuracy",
        "held",
    ] {
        assert!(report[key].is_number(), "{key} in {report}");
    }
    assert!(report["frames"].as_u64().unwrap() >= 30, "{report}");
    assert!(report["acknowledged"].as_u64().unwrap() >= 5, "{report}");
    let written = std::io::stderr().write(&output.stderr);
    assert!(written.is_ok());
}

#[test]
fn a_demo_whose_reader_went_away_ends_as_asked() {
    let mut command = common::leptond();
    command.args(["demo", "--listen", "127.0.0.1:0", "--for", "1s"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_bench_whose_reader_went_away_does_not_panic() {
    for form in ["--profile", "--json"] {
        let mut command = common::leptond();
        command.args(["bench", "leptonnet-digits", "--iters", "1", form]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
