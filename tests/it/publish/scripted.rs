//! A broker of a few lines that does what a test tells it, in MQTT 3.1.1 or 5, and clients that speak MQTT 3.1.1 byte by byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A packet out of its first byte and body (of less than 2 MiB).
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let byte = (left % 128) as u8;
        left /= 128;
        out.push(if left > 0 { byte | 0x80 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text].concat()
}

/// A CONNECT with these flags and client id; `rest` follows, each part with its length.
pub fn connect(flags: u8, id: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    let mut body = [string(b"MQTT"), vec![4, flags, 0, 60], string(id)].concat();
    rest.iter().for_each(|part| body.extend(string(part)));
    packet(0x10, &body)
}

/// The next packet: its first byte and body; `None` at the end.
pub fn read(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first[0], body))
}

/// Topic, packet id (0 with QoS 0) and payload of a PUBLISH of MQTT 5 with at most 127 bytes of properties.
fn published_5(first: u8, body: &[u8]) -> (String, u16, Vec<u8>) {
    let (topic, id, rest) = published(first, body);
    (topic, id, rest[1 + usize::from(rest[0])..].to_vec())
}

/// Topic, packet id (0 with QoS 0) and payload of a PUBLISH.
pub fn published(first: u8, body: &[u8]) -> (String, u16, Vec<u8>) {
    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8_lossy(&body[2..end]).into_owned();
    if first & 6 == 0 {
        return (topic, 0, body[end..].to_vec());
    }
    (topic, u16::from_be_bytes([body[end], body[end + 1]]), body[end + 2..].to_vec())
}

/// A client that was let in, or the bytes that it was told instead.
pub fn client(port: u16, connect: &[u8]) -> Result<TcpStream, Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(connect).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while answer.len() < 4 {
        match stream.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            _ => return Err(answer),
        }
    }
    if answer == [0x20, 2, 0, 0] { Ok(stream) } else { Err(answer) }
}

/// What a client wants, as CONNECT says it.
#[derive(Clone, Debug)]
pub struct Hello {
    pub client_id: String,
    /// 4 = MQTT 3.1.1, 5 = MQTT 5.
    pub level: u8,
}

/// Topic and payload.
type Published = (String, Vec<u8>);

/// How the broker goes on after it has let a client in.
pub enum Serve {
    /// Answers everything as a broker does, and notes what is published.
    Well,
    /// Breaks the connection at the first QoS 1 message; with what was not read yet, so that it is reset, or without.
    Break { reset: bool },
    /// As well, with this CONNACK.
    Grant(Vec<u8>),
    /// As well, with these bytes behind the CONNACK.
    Say(Vec<u8>),
    /// These bytes instead of a CONNACK, and the end after the client's.
    Answer(Vec<u8>),
    /// Takes everything and never answers a subscription.
    Ignore,
}

/// A broker on a free port; `greet` decides for each CONNECT by its number.
pub struct Scripted {
    pub port: u16,
    /// Everyone who came.
    pub hellos: Arc<Mutex<Vec<Hello>>>,
    /// What was published to it on connections that it served well.
    pub messages: Arc<Mutex<Vec<Published>>>,
}

impl Scripted {
    /// A broker that speaks MQTT 3.1.1 only; a client of MQTT 5 is told so and not counted.
    pub fn start(greet: impl Fn(usize, &Hello) -> Result<Serve, u8> + Send + 'static) -> Self {
        Self::of_levels(&[4], greet)
    }

    /// A broker that speaks these protocol levels.
    pub fn of_levels(
        levels: &'static [u8],
        greet: impl Fn(usize, &Hello) -> Result<Serve, u8> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hellos, messages) = (Arc::<Mutex<Vec<Hello>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let broker = Scripted { port, hellos: hellos.clone(), messages: messages.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, levels, &greet, &hellos, &messages);
            }
        });
        broker
    }

    pub fn count(&self) -> usize {
        self.hellos.lock().unwrap().len()
    }

    /// Payloads on `topic`.
    pub fn on(&self, topic: &str) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        let of_topic = messages.iter().filter(|(t, _)| t == topic);
        of_topic.map(|(_, payload)| String::from_utf8_lossy(payload).into_owned()).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    levels: &[u8],
    greet: &impl Fn(usize, &Hello) -> Result<Serve, u8>,
    hellos: &Mutex<Vec<Hello>>,
    messages: &Mutex<Vec<Published>>,
) {
    let Some((_, body)) = read(&mut stream) else { return };
    let level = body[6];
    if !levels.contains(&level) {
        let _ = stream.write_all(&[0x20, 2, 0, 1]);
        return;
    }
    let is_5 = level == 5;
    let at = if is_5 { 11 + usize::from(body[10]) } else { 10 };
    let end = at + 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let hello = Hello { client_id: String::from_utf8_lossy(&body[at + 2..end]).into_owned(), level };
    hellos.lock().unwrap().push(hello.clone());
    let number = hellos.lock().unwrap().len();
    let welcome = |code: u8| if is_5 { vec![0x20, 3, 0, code, 0] } else { vec![0x20, 2, 0, code] };
    let how = match greet(number, &hello) {
        Ok(how) => how,
        Err(code) => {
            let _ = stream.write_all(&welcome(code));
            return;
        }
    };
    let first = match &how {
        Serve::Grant(connack) => connack.clone(),
        Serve::Say(rest) => [welcome(0), rest.clone()].concat(),
        Serve::Answer(bytes) => bytes.clone(),
        _ => welcome(0),
    };
    if stream.write_all(&first).is_err() {
        return;
    }
    if let Serve::Answer(_) = how {
        // The client ends it, or nothing comes that it could complain of.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
        while read(&mut stream).is_some() {}
        return;
    }
    if let Serve::Break { reset: true } = how {
        // The first byte is read; the rest stays unread, by which closing the socket resets it.
        let _ = stream.read_exact(&mut [0]);
        return;
    }
    while let Some((first, body)) = read(&mut stream) {
        let answer = match first >> 4 {
            3 => {
                let (topic, id, payload) = if is_5 { published_5(first, &body) } else { published(first, &body) };
                if id > 0 && matches!(how, Serve::Break { .. }) {
                    return;
                }
                messages.lock().unwrap().push((topic, payload));
                if id == 0 { Vec::new() } else { [&[0x40, 2], id.to_be_bytes().as_slice()].concat() }
            }
            8 if matches!(how, Serve::Ignore) => Vec::new(),
            8 if is_5 => [&[0x90, 4], &body[..2], &[0, 0]].concat(),
            8 => [&[0x90, 3], &body[..2], &[0]].concat(),
            12 => vec![0xd0, 0],
            _ => Vec::new(),
        };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}
