//! Nodes that compute for others, runs of `leptond map`, and the pictures for them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::server::Nats;
use crate::common;
use crate::daemon::Daemon;
use crate::mosquitto::{free_port, wait_until};
use crate::page::client::get;

/// The model that all of them have.
pub const MODEL: &str = "leptonnet-digits";

/// Configuration of a pure worker called `name`; `more` are further keys of `[fleet]`.
pub fn worker_config(server: &Nats, name: &str, more: &str) -> String {
    format!(
        "[node]\nname = \"{name}\"\n[mqtt]\nport = {}\n[governor]\ntick_ms = 200\n\
         [page]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
         [fleet]\nservers = [\"{}\"]\nassist = true\nmodels = [\"{MODEL}\"]\nuse = \"any\"\nthreads = 1\nlease_s = 2\n{more}\n",
        free_port(),
        server.url()
    )
}

/// Starts a pure worker.
pub fn worker(server: &Nats, name: &str) -> Daemon {
    Daemon::start(&worker_config(server, name, ""))
}

/// Waits until it is connected and its model computes.
pub fn wait_ready(worker: &Daemon) {
    worker.wait_log("computes for other nodes");
    worker.wait_log("connected to the group");
}

/// Figures that a worker tells of its work for others.
pub fn fleet(worker: &Daemon) -> Value {
    worker.wait_log("page: http://");
    let log = worker.log();
    let address = log.split("page: http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let address: SocketAddr = address.parse().unwrap();
    get(address, "/api/status").json()["health"]["fleet"].clone()
}

/// Writes `count` JPEG pictures of `[width, height]`, no two alike.
pub fn pictures(dir: &Path, count: usize, [width, height]: [u16; 2]) -> PathBuf {
    let folder = dir.join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        let value = |x: u16, y: u16| -> u8 {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let wave =
                ((x * (3.0 + number as f64 * 0.37)).sin() * (y * (5.0 + number as f64 * 0.21)).cos() + 1.0) / 2.0;
            (wave * 255.0) as u8
        };
        let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect();
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Luma).unwrap();
        std::fs::write(folder.join(format!("{number:04}.jpg")), bytes).unwrap();
    }
    folder
}

/// A `map` of `folder`.
pub fn map_command(server: &Nats, folder: &Path, output: &Path) -> Command {
    let mut command = common::leptond();
    command.args(["map", MODEL]).arg(folder).arg("-o").arg(output).args(["--servers", &server.url(), "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a `map` to its end.
pub fn map(server: &Nats, folder: &Path, output: &Path) -> Output {
    map_command(server, folder, output).output().unwrap()
}

/// A `map` that goes on.
pub struct Running(pub Child);

impl Running {
    pub fn start(mut command: Command) -> Running {
        Running(command.spawn().unwrap())
    }

    /// Waits for its end.
    pub fn end(self) -> Output {
        let mut this = std::mem::ManuallyDrop::new(self);
        wait_until("map ends", || this.0.try_wait().unwrap().is_some());
        let read = |pipe: &mut dyn std::io::Read| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let status = this.0.wait().unwrap();
        let stdout = read(this.0.stdout.as_mut().unwrap());
        Output { status, stdout, stderr: read(this.0.stderr.as_mut().unwrap()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whole lines of a file of results so far.
pub fn lines(output: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(output).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// Results by input; panics where one has two lines.
pub fn by_input(output: &Path) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for line in lines(output) {
        let input = line["input"].as_str().unwrap().to_owned();
        assert!(all.insert(input.clone(), line).is_none(), "{input} has two lines");
    }
    all
}

/// Text of a run for messages.
pub fn words(output: &Output) -> String {
    format!(
        "{:?}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The JSON object that a run of `map` prints.
pub fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", words(output)))
}
