//! TCP proxy on 127.0.0.1 with faults that can be switched while it runs: cuts, also in the middle of a packet, freezes, slowness,
//! delay, random loss of connections.
//!
//! All that is random follows from the seed, the number of the connection and the direction, and is counted in bytes: it depends on
//! no timing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::faults::Direction::{self, ToClient, ToServer};
use super::faults::{Action, Faults, Step, exponential};

/// Bytes read at a time, and such pieces held between the two sockets of a connection.
const PIECE: usize = 4 << 10;
const HELD: usize = 4;

/// Forwards connections to a port of 127.0.0.1. Dropping it cuts everything.
pub struct FaultProxy {
    /// Port for the clients.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    refusing: bool,
    stopped: bool,
    faults: [Faults; 2],
    /// Counts the changes of the faults, so that each draws its own losses.
    epoch: u64,
    connections: Vec<Connection>,
    accepted: usize,
    cuts: usize,
    passed: [u64; 2],
}

struct Connection {
    number: usize,
    client: TcpStream,
    server: TcpStream,
    /// Bytes of each direction until the connection is cut.
    left: [Option<u64>; 2],
    /// Time of the next byte of each direction where it is slow.
    next_at: [Option<Instant>; 2],
    /// Directions that have not ended.
    lanes: usize,
}

impl FaultProxy {
    /// Starts forwarding to `target` without faults.
    pub fn start(target: u16) -> Self {
        Self::seeded(target, 1)
    }

    /// As [`FaultProxy::start`], with the seed of its random faults.
    pub fn seeded(target: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { seed, state: Mutex::default(), changed: Condvar::new() });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().stopped {
                    break;
                }
                accepting.accept(client, target);
            }
        });
        FaultProxy { port, shared }
    }

    /// Sets the faults of one direction, for the connections that exist and for those to come.
    pub fn set(&self, direction: Direction, faults: Faults) {
        self.shared.set(&[direction], faults);
    }

    /// Sets the faults of both directions.
    pub fn set_both(&self, faults: Faults) {
        self.shared.set(&[ToServer, ToClient], faults);
    }

    /// Ends all faults and accepts connections.
    pub fn heal(&self) {
        self.set_both(Faults::default());
        self.open();
    }

    /// Stops all bytes of both directions without closing anything, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        self.set_both(Faults { frozen, ..Faults::default() });
    }

    /// Cuts every connection; new ones are accepted.
    pub fn cut(&self) {
        self.shared.cut_all();
    }

    /// Cuts every connection and closes new ones at once, until [`FaultProxy::open`].
    pub fn close(&self) {
        self.shared.lock().refusing = true;
        self.cut();
    }

    /// Accepts connections again.
    pub fn open(&self) {
        self.shared.lock().refusing = false;
    }

    /// Performs the steps in their time; the thread ends after the last, or when the proxy is dropped.
    pub fn play(&self, steps: Vec<Step>) -> std::thread::JoinHandle<()> {
        let shared = self.shared.clone();
        std::thread::spawn(move || {
            for step in steps {
                if !shared.sleep(step.after) {
                    return;
                }
                match step.action {
                    Action::Faults(to_server, to_client) => {
                        shared.set(&[ToServer], to_server);
                        shared.set(&[ToClient], to_client);
                    }
                    Action::Cut => shared.cut_all(),
                    Action::Close => {
                        shared.lock().refusing = true;
                        shared.cut_all();
                    }
                    Action::Open => shared.lock().refusing = false,
                }
            }
        })
    }

    /// Connections forwarded so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Connections cut so far, by a fault or a call.
    pub fn cuts(&self) -> usize {
        self.shared.lock().cuts
    }

    /// Bytes passed on so far.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.lock().passed[direction as usize]
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.cut_all();
        // The thread that accepts wakes up only for a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn set(&self, directions: &[Direction], faults: Faults) {
        let mut state = self.lock();
        state.epoch += 1;
        let epoch = state.epoch;
        for &direction in directions {
            state.faults[direction as usize] = faults;
            for connection in &mut state.connections {
                connection.left[direction as usize] = self.draw(faults, connection.number, direction, epoch);
                connection.next_at[direction as usize] = None;
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Bytes until a connection is cut.
    fn draw(&self, faults: Faults, number: usize, direction: Direction, epoch: u64) -> Option<u64> {
        let lost = faults.mean_bytes_to_loss.map(|mean| {
            let seed = self.seed ^ (number as u64) << 32 ^ epoch << 8 ^ direction as u64;
            exponential(seed, mean)
        });
        lost.into_iter().chain(faults.cut_after).min()
    }

    fn accept(self: &Arc<Self>, client: TcpStream, target: u16) {
        if self.lock().refusing {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut state = self.lock();
        state.accepted += 1;
        let (number, faults) = (state.accepted, state.faults);
        // A connection's losses do not depend on when the faults were set before it.
        let left = [ToServer, ToClient].map(|lane| self.draw(faults[lane as usize], number, lane, 0));
        let copy = |stream: &TcpStream| stream.try_clone().unwrap();
        state.connections.push(Connection {
            number,
            client: copy(&client),
            server: copy(&server),
            left,
            next_at: [None; 2],
            lanes: 2,
        });
        drop(state);
        for (direction, from, to) in [(ToServer, copy(&client), copy(&server)), (ToClient, server, client)] {
            let (sender, receiver) = sync_channel(HELD);
            std::thread::spawn(move || receive(from, &sender));
            let shared = self.clone();
            std::thread::spawn(move || shared.deliver(number, direction, to, &receiver));
        }
    }

    fn cut_all(&self) {
        let mut state = self.lock();
        while let Some(connection) = state.connections.first() {
            let number = connection.number;
            state.cut(number);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Passes on what was received, with the faults of the moment.
    fn deliver(&self, number: usize, direction: Direction, mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
        while let Ok((arrived, bytes)) = pieces.recv() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let Some(count) = self.permit(number, direction, arrived, rest.len()) else { return };
                let sent = to.write_all(&rest[..count]).is_ok();
                let mut state = self.lock();
                state.passed[direction as usize] += if sent { count as u64 } else { 0 };
                let used_up = state.connection(number).is_some_and(|c| c.left[direction as usize] == Some(0));
                if used_up || !sent {
                    state.cut(number);
                    drop(state);
                    self.changed.notify_all();
                    return;
                }
                rest = &rest[count..];
            }
        }
        // The end of the stream passes as its bytes do.
        if self.permit(number, direction, Instant::now(), 0).is_some() {
            let _ = to.shutdown(Shutdown::Write);
            let mut state = self.lock();
            if let Some(connection) = state.connection(number) {
                connection.lanes -= 1;
            }
            state.connections.retain(|connection| connection.lanes > 0);
        }
    }

    /// Number of bytes of `most` that may pass now, after waiting until some may; `None` when the connection was cut.
    fn permit(&self, number: usize, direction: Direction, arrived: Instant, most: usize) -> Option<usize> {
        let lane = direction as usize;
        let mut state = self.lock();
        loop {
            let faults = state.faults[lane];
            let now = Instant::now();
            let connection = state.connection(number)?;
            let due = connection.next_at[lane].unwrap_or(now).max(arrived + faults.delay);
            if !faults.frozen && due <= now {
                let mut count = most.min(connection.left[lane].map_or(usize::MAX, |left| left as usize));
                if let Some(rate) = faults.bytes_per_s {
                    count = count.min((rate / 20).max(1) as usize);
                    let next =
                        due.max(now - Duration::from_millis(100)) + Duration::from_secs(1) * count as u32 / rate as u32;
                    connection.next_at[lane] = Some(next);
                }
                connection.left[lane] = connection.left[lane].map(|left| left - count as u64);
                return Some(count);
            }
            let wait = if faults.frozen { Duration::from_secs(60) } else { due - now };
            state = self.changed.wait_timeout(state, wait).unwrap().0;
        }
    }

    /// Waits; `false` when the proxy was dropped meanwhile.
    fn sleep(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        while !state.stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        false
    }
}

impl State {
    fn connection(&mut self, number: usize) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.number == number)
    }

    fn cut(&mut self, number: usize) {
        let Some(at) = self.connections.iter().position(|connection| connection.number == number) else { return };
        let connection = self.connections.remove(at);
        let _ = (connection.client.shutdown(Shutdown::Both), connection.server.shutdown(Shutdown::Both));
        self.cuts += 1;
    }
}

fn receive(mut from: TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}
