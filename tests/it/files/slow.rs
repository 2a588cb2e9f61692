//! Servers that never come to an end: a byte now and then, in the body or in the header, and one address after another.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common;
use crate::model_add::home::Home;

/// How often a byte comes.
const DROP: Duration = Duration::from_millis(10);

/// Serves every request by `answer`, which is given the path.
fn serve(answer: impl Fn(&mut TcpStream, &str) -> std::io::Result<()> + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let path = lines.next().and_then(|l| Some(l.split(' ').nth(1)?.to_owned())).unwrap_or_default();
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                // The other side goes when it has had enough.
                let _ = answer(&mut stream, &path);
            });
        }
    });
    address
}

fn drip(stream: &mut TcpStream, byte: u8) -> std::io::Result<()> {
    loop {
        stream.write_all(&[byte])?;
        stream.flush()?;
        std::thread::sleep(DROP);
    }
}

#[test]
fn a_drip_is_given_up_and_goes_on_from_there_later() {
    let address = serve(|stream, path| match path {
        "/body.onnx" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\netag: \"1\"\r\n\r\n")?;
            drip(stream, 8)
        }
        "/chunks.onnx" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(b"1\r\n\x08\r\n")?;
                std::thread::sleep(DROP);
            }
        }
        "/header.onnx" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
            drip(stream, b'x')
        }
        "/status.onnx" => {
            stream.write_all(b"HTTP/1.1 200 ")?;
            drip(stream, b'O')
        }
        "/catalog.toml" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            drip(stream, b'#')
        }
        path => {
            let next = path.trim_start_matches('/').parse::<u64>().unwrap_or(0) + 1;
            stream.write_all(
                format!("HTTP/1.1 302 x\r\nlocation: /{next}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .as_bytes(),
            )
        }
    });
    let home = Home::new();
    let check = |args: &[&str], words: &[&str]| {
        let begun = Instant::now();
        let args = [args, &["--timeout", "500ms"]].concat();
        home.run(&args).fails(1, words);
        // Two attempts and the second between them.
        assert!(begun.elapsed() < common::patiently(Duration::from_secs(20)), "{args:?} took {:?}", begun.elapsed());
        assert!(home.installed().is_empty());
    };
    let url = |path: &str| format!("http://{address}/{path}");
    let add = |path: &str, words: &[&str]| check(&["add", &url(path), "--name", "m", "--retries", "1"], words);
    add("body.onnx", &["bytes came in", "the least accepted rate", "bytes are kept", "same command"]);
    assert!(home.partial_bytes() > 10, "what came is kept: {}", home.partial_bytes());
    add("chunks.onnx", &["bytes came in", "the least accepted rate"]);
    add("header.onnx", &["nothing came for 0.5 s"]);
    add("status.onnx", &["nothing came for 0.5 s"]);
    add("0", &["redirected"]);
    check(&["list", "--catalog", &url("catalog.toml")], &["bytes came in", "the least accepted rate"]);
}
