//! A broker that misbehaves.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Different events that arrived in the present run.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    None,
    /// Each connection is cut at its 100th message without an acknowledgement, and the session is forgotten.
    Wiped,
    /// The same, and the session is said to be kept.
    Kept,
    /// The first six connections are cut at their first message; sessions are forgotten.
    CutAtFirst,
    /// A message of 3 MiB after each CONNACK, as a retained one comes to whoever subscribes anew.
    Oversize,
    /// An acknowledgement that nothing waits for, after each CONNACK.
    Unsolicited,
}

impl Fault {
    pub const ALL: [Fault; 6] =
        [Fault::None, Fault::Wiped, Fault::Kept, Fault::CutAtFirst, Fault::Oversize, Fault::Unsolicited];
}

pub struct Broker {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

/// `true` when all of the present run have arrived.
pub fn enough(events: usize) -> bool {
    ARRIVED.load(Ordering::Relaxed) >= events
}

impl Broker {
    pub fn start(fault: Fault) -> Self {
        ARRIVED.store(0, Ordering::Relaxed);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, seen) = (connections.clone(), Arc::new(Mutex::new(HashSet::new())));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, fault, number, &seen));
            }
        });
        Broker { port, connections }
    }

    pub fn arrived(&self) -> usize {
        ARRIVED.load(Ordering::Relaxed)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, fault: Fault, number: usize, seen: &Mutex<HashSet<Vec<u8>>>) -> Option<()> {
    let (_, hello) = read(&mut stream)?;
    let is_5 = hello[6] == 5;
    let present = u8::from(fault == Fault::Kept && number > 1);
    let welcome = if is_5 { vec![0x20, 3, present, 0, 0] } else { vec![0x20, 2, present, 0] };
    stream.write_all(&welcome).ok()?;
    if fault == Fault::Unsolicited {
        stream.write_all(&[0x40, 2, 0, 99]).ok()?;
    }
    if fault == Fault::Oversize {
        let mut message = vec![0x31, 0x80, 0x80, 0xc0, 0x01, 0, 8];
        message.extend(b"retained");
        message.resize(5 + (3 << 20), 0);
        stream.write_all(&message).ok()?;
    }
    let mut messages = 0;
    loop {
        let (first, body) = read(&mut stream)?;
        match first >> 4 {
            3 => {
                messages += 1;
                let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let cut = match fault {
                    Fault::Wiped | Fault::Kept => messages == 100,
                    Fault::CutAtFirst => number <= 6,
                    _ => false,
                };
                if cut {
                    return None;
                }
                let payload = body[end + 2 + usize::from(is_5)..].to_vec();
                let mut seen = seen.lock().unwrap();
                if seen.insert(payload) {
                    ARRIVED.fetch_add(1, Ordering::Relaxed);
                }
                drop(seen);
                stream.write_all(&[0x40, 2, body[end], body[end + 1]]).ok()?;
            }
            8 => {
                let answer: &[u8] =
                    if is_5 { &[0x90, 4, body[0], body[1], 0, 0] } else { &[0x90, 3, body[0], body[1], 0] };
                stream.write_all(answer).ok()?;
            }
            12 => stream.write_all(&[0xd0, 0]).ok()?,
            _ => {}
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let (mut length, mut shift) = (0usize, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}
