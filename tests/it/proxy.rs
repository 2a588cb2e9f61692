//! A TCP proxy that can cut what goes through it: faults for tests of network clients.

#![allow(dead_code, reason = "each test module uses what it needs")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Forwards connections to a port of 127.0.0.1.
pub struct Proxy {
    /// Where to connect to.
    pub port: u16,
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    open: bool,
    streams: Vec<TcpStream>,
    accepted: usize,
}

impl Proxy {
    /// Starts forwarding to `target`.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(State { open: true, ..State::default() }));
        let copy = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = copy.lock().unwrap();
                if !state.open {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                state.accepted += 1;
                state.streams.push(client.try_clone().unwrap());
                state.streams.push(server.try_clone().unwrap());
                pump(client.try_clone().unwrap(), server.try_clone().unwrap());
                pump(server, client);
            }
        });
        Proxy { port, shared }
    }

    /// Cuts every connection; new ones are made.
    pub fn cut(&self) {
        for stream in self.shared.lock().unwrap().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cuts every connection and makes no new ones until [`Proxy::open`].
    pub fn close(&self) {
        self.shared.lock().unwrap().open = false;
        self.cut();
    }

    /// Makes connections again.
    pub fn open(&self) {
        self.shared.lock().unwrap().open = true;
    }

    /// Connections made so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().unwrap().accepted
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
