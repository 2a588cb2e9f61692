//! A small HTTP server that can do what servers do to downloads.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub path: String,
    /// First byte of the `Range`.
    pub range: Option<usize>,
    pub if_range: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// Say nothing more after so many bytes of the body, and keep the connection.
    pub stall: Option<usize>,
}

impl Reply {
    /// The whole file.
    pub fn whole(body: &[u8]) -> Reply {
        Reply { status: 200, body: body.to_vec(), ..Reply::default() }
    }

    pub fn status(status: u16) -> Reply {
        Reply { status, body: b"no".to_vec(), ..Reply::default() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// What was asked for of `body`, whose version is `etag`.
    pub fn ranged(asked: &Asked, body: &[u8], etag: &str) -> Reply {
        match asked.range {
            Some(first) if asked.if_range.as_ref().is_none_or(|condition| condition == etag) => {
                if first >= body.len() {
                    return Reply::status(416).header("content-range", &format!("bytes */{}", body.len()));
                }
                let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
                Reply { status: 206, body: body[first..].to_vec(), ..Reply::default() }
                    .header("content-range", &range)
                    .header("etag", etag)
            }
            _ => Reply::whole(body).header("etag", etag),
        }
    }

    pub fn cut(self, after: usize) -> Reply {
        Reply { cut: Some(after), ..self }
    }

    pub fn stall(self, after: usize) -> Reply {
        Reply { stall: Some(after), ..self }
    }
}

/// A server on a port of its own; it ends with the tests.
pub struct Server {
    address: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers every request by `answer`, which is told how many came before.
    pub fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, answer) = (log.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, answer.as_ref()));
            }
        });
        Server { address, log }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked, usize) -> Reply) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else {
        // Not text: a greeting in TLS, which a server answers in its own way.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        return;
    };
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_string();
    let mut asked = Asked { path, ..Asked::default() };
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "range" => {
                asked.range = value.trim().strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse().ok())
            }
            "if-range" => asked.if_range = Some(value.trim().into()),
            _ => {}
        }
    }
    let before = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    let reply = answer(&asked, before);
    let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| *name == "transfer-encoding") {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len()).min(reply.body.len());
    let sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&reply.body[..end]))
        .and_then(|()| stream.flush());
    if sent.is_ok() && reply.stall.is_some() {
        // Until the other side goes: its end is read here.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let _ = lines.next();
    }
}
