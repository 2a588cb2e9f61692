//! One connection to a broker: bytes to packets and back, acknowledgements, keep-alive.
//!
//! The packets are rumqttc's, the connection is our own: rumqttc's ends at an oversize message, and a retained one would do so at
//! every connection, while here such a message is skipped and reported. It knows nothing of messages that wait, either: a
//! [`Queue`](crate::publish::queue::Queue) decides what is sent again.

mod error;
mod frames;
mod options;
mod packets;
mod session;
mod stream;
mod websocket;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

pub use error::WireError;
pub use frames::Skipped;
use frames::{Frame, Frames, Malformed};
pub(crate) use options::{Options, Version, Way};
pub(crate) use packets::{Granted, Publication, Received};
use packets::{Incoming, Outgoing, connack, connect, decode, encode};
use session::{Happened, Request, Session};
pub(crate) use session::{Origin, Refused};
use stream::Stream;

/// Bytes read from the socket at a time, and held for it before more packets are made.
const CHUNK: usize = 16 << 10;
/// Unprocessed packets, and bytes that the socket has not taken (answers among them), at which reading stops.
const WAITING: usize = 100;
const HELD: usize = 4 * CHUNK;

/// Event of a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// The broker accepted the connection.
    Connected(Granted),
    /// A message was received.
    Message(Received),
    /// The broker has the QoS 1 message with this packet id, or refuses it.
    Acknowledged(u16, Option<Refused>),
    /// The broker answered the subscription to a filter; with its reason where it refuses.
    Subscribed(String, Option<String>),
    /// A PUBLISH with this packet id (0 = QoS 0) was written to the socket.
    Written(u16, Origin),
    /// DISCONNECT was written to the socket.
    Disconnected,
    /// An oversize message was skipped.
    Skipped(Skipped),
}

/// Sends requests to a [`Wire`] without waiting.
pub(crate) struct Client {
    requests: mpsc::Sender<Request>,
}

/// The request queue is full, or the wire is gone.
#[derive(Debug)]
pub(crate) struct RequestQueueFull;

impl Client {
    /// Publishes a message.
    pub(crate) fn publish(&self, publication: Publication, origin: Origin) -> Result<(), RequestQueueFull> {
        self.ask(Request::Publish(publication, origin))
    }

    /// Subscribes with QoS 0.
    pub(crate) fn subscribe(&self, filter: &str) -> Result<(), RequestQueueFull> {
        self.ask(Request::Subscribe(filter.into()))
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, filter: &str) -> Result<(), RequestQueueFull> {
        self.ask(Request::Unsubscribe(filter.into()))
    }

    /// Sends DISCONNECT.
    pub(crate) fn disconnect(&self) -> Result<(), RequestQueueFull> {
        self.ask(Request::Disconnect)
    }

    fn ask(&self, request: Request) -> Result<(), RequestQueueFull> {
        self.requests.try_send(request).map_err(|_| RequestQueueFull)
    }
}

/// One connection, from the attempt to its end.
pub(crate) struct Wire {
    options: Options,
    requests: mpsc::Receiver<Request>,
    session: Session,
    line: Option<Line>,
    incoming: VecDeque<Event>,
    /// Events that happen once the socket has taken as many bytes.
    outgoing: VecDeque<(u64, Event)>,
}

/// The stream and its buffers.
struct Line {
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    websocket: Option<websocket::Frames>,
    frames: Frames,
    chunk: Vec<u8>,
    out: Out,
    keep_alive: Duration,
    ping_at: Instant,
    /// Something was received since the last ping.
    heard: bool,
}

/// Bytes waiting for the socket.
struct Out {
    bytes: Vec<u8>,
    /// Bytes put in, and taken by the socket, since the beginning.
    put: u64,
    taken: u64,
    /// Bytes were written and not flushed yet: TLS keeps some back.
    unflushed: bool,
    /// Time at which the socket last took bytes, or had none to take.
    progress: Instant,
}

impl Wire {
    /// A connection that the first [`Wire::poll`] makes; at most `capacity` requests wait.
    pub(crate) fn new(options: Options, capacity: usize) -> (Client, Self) {
        let (sender, requests) = mpsc::channel(capacity);
        let wire = Wire {
            options,
            requests,
            session: Session::default(),
            line: None,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
        };
        (Client { requests: sender }, wire)
    }

    /// Connects at the first call; afterwards works until the next event. Cancel safe, except for the attempt to connect.
    ///
    /// # Errors
    /// [`WireError`]; the wire is then unusable.
    pub(crate) async fn poll(&mut self) -> Result<Event, WireError> {
        let version = self.options.version;
        let Some(line) = &mut self.line else {
            let connecting = Line::open(&self.options);
            let (line, granted) =
                timeout(self.options.timeout, connecting).await.map_err(|_| WireError::NoAnswer)??;
            self.line = Some(line);
            self.session = Session::new(granted);
            return Ok(Event::Connected(granted));
        };
        loop {
            while self.incoming.len() < WAITING
                && let Some(frame) = line.frames.next().map_err(malformed)?
            {
                if let Some(event) = take(&mut self.session, frame, version, line)? {
                    self.incoming.push_back(event);
                }
            }
            // What was written comes before what the broker says of it, which may be in TLS's buffer still.
            let written = self.outgoing.front().is_some_and(|(end, _)| *end <= line.out.taken);
            if written
                && (!line.out.unflushed || !self.incoming.is_empty())
                && let Some((_, event)) = self.outgoing.pop_front()
            {
                return Ok(event);
            }
            if let Some(event) = self.incoming.pop_front() {
                return Ok(event);
            }
            let free = line.out.bytes.len() < CHUNK && self.session.has_room();
            let stuck_at = line.out.progress + self.options.timeout;
            select! {
                pushed = line.out.push(&mut line.write), if !line.out.is_idle() => pushed.map_err(broken)?,
                () = sleep_until(stuck_at), if !line.out.is_idle() => return Err(WireError::NotTaken),
                read = line.read.read(&mut line.chunk), if self.incoming.len() < WAITING && line.out.bytes.len() < HELD => {
                    let count = read.map_err(broken)?;
                    line.received(count)?;
                }
                request = self.requests.recv(), if free => {
                    let Some(request) = request else { return Err(WireError::Closed) };
                    let origin = if let Request::Publish(_, origin) = &request { Some(*origin) } else { None };
                    let packet = self.session.request(request);
                    let event = match (&packet, origin) {
                        (Outgoing::Publish(_, id), Some(origin)) => Some(Event::Written(*id, origin)),
                        (Outgoing::Disconnect, _) => Some(Event::Disconnected),
                        _ => None,
                    };
                    line.send(encode(version, packet, self.options.packet_bytes)?.as_ref());
                    self.outgoing.extend(event.map(|event| (line.out.put, event)));
                }
                () = sleep_until(line.ping_at) => {
                    line.ping_at = Instant::now() + line.keep_alive;
                    let ping = self.session.ping(std::mem::take(&mut line.heard))?;
                    line.send(encode(version, ping, usize::MAX)?.as_ref());
                }
            }
        }
    }
}

impl Line {
    /// Transport, CONNECT and CONNACK.
    async fn open(options: &Options) -> Result<(Self, Granted), WireError> {
        let (read, write) = tokio::io::split(stream::open(options).await?);
        let now = Instant::now();
        let mut line = Line {
            read,
            write,
            websocket: None,
            frames: Frames::new(options.packet_bytes),
            chunk: vec![0; CHUNK],
            out: Out { bytes: Vec::new(), put: 0, taken: 0, unflushed: false, progress: now },
            keep_alive: options.keep_alive,
            ping_at: now + options.keep_alive,
            heard: false,
        };
        if let Way::WebSocket(path) = &options.way {
            line.upgrade(&options::authority(&options.host, options.port), path).await?;
        }
        line.send(connect(options)?.as_ref());
        line.flush().await?;
        let frame = loop {
            if let Some(frame) = line.frames.next().map_err(malformed)? {
                break frame;
            }
            let count = line.read.read(&mut line.chunk).await.map_err(broken)?;
            line.received(count)?;
        };
        let Frame::Packet(bytes) = frame else { return Err(WireError::Protocol("a message before CONNACK".into())) };
        let granted = connack(options.version, &bytes)?;
        if let Some(seconds) = granted.keep_alive_s {
            line.keep_alive = line.keep_alive.min(Duration::from_secs(u64::from(seconds)));
            line.ping_at = now + line.keep_alive;
        }
        Ok((line, granted))
    }

    /// Makes a WebSocket of the connection.
    async fn upgrade(&mut self, authority: &str, path: &str) -> Result<(), WireError> {
        let (mut handshake, request) = websocket::Handshake::new(authority, path);
        self.send(&request);
        self.flush().await?;
        loop {
            let count = self.read.read(&mut self.chunk).await.map_err(broken)?;
            if count == 0 {
                return Err(WireError::Closed);
            }
            let bytes = self.chunk.get(..count).unwrap_or_default();
            if let Some(rest) = handshake.push(bytes).map_err(|e| WireError::WebSocket(e.to_string()))? {
                self.websocket = Some(websocket::Frames::default());
                return self.unframe(&rest);
            }
        }
    }

    /// Takes the bytes that were read into the chunk.
    fn received(&mut self, count: usize) -> Result<(), WireError> {
        if count == 0 {
            return Err(WireError::Closed);
        }
        self.heard = true;
        if self.websocket.is_none() {
            self.frames.push(self.chunk.get(..count).unwrap_or_default());
            return Ok(());
        }
        let bytes = self.chunk.get(..count).unwrap_or_default().to_vec();
        self.unframe(&bytes)
    }

    fn unframe(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let Some(websocket) = &mut self.websocket else { return Ok(()) };
        let unframed = websocket.push(bytes).map_err(|e| WireError::Protocol(e.to_string()))?;
        self.frames.push(&unframed.data);
        self.out.put(&unframed.answer);
        if unframed.closed && unframed.data.is_empty() { Err(WireError::Closed) } else { Ok(()) }
    }

    /// Puts bytes into the buffer for the socket.
    fn send(&mut self, bytes: &[u8]) {
        match &mut self.websocket {
            None => self.out.put(bytes),
            Some(websocket) => {
                let frame = websocket.binary(bytes);
                self.out.put(&frame);
            }
        }
    }

    async fn flush(&mut self) -> Result<(), WireError> {
        while !self.out.is_idle() {
            self.out.push(&mut self.write).await.map_err(broken)?;
        }
        Ok(())
    }
}

impl Out {
    fn is_idle(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.is_idle() {
            self.progress = Instant::now();
        }
        self.bytes.extend_from_slice(bytes);
        self.put += bytes.len() as u64;
    }

    /// Writes what the socket takes now. Cancel safe: one write or one flush.
    async fn push(&mut self, write: &mut WriteHalf<Box<dyn Stream>>) -> io::Result<()> {
        if self.bytes.is_empty() {
            write.flush().await?;
            self.unflushed = false;
        } else {
            let count = write.write(&self.bytes).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.bytes.drain(..count);
            self.bytes.shrink_to(CHUNK);
            self.taken += count as u64;
            self.unflushed = true;
        }
        self.progress = Instant::now();
        Ok(())
    }
}

/// Processes a received frame. A skipped message is acknowledged like any other, and reported instead of delivered.
fn take(session: &mut Session, frame: Frame, version: Version, line: &mut Line) -> Result<Option<Event>, WireError> {
    let (packet, skipped) = match frame {
        Frame::Packet(bytes) => (decode(version, &bytes)?, None),
        Frame::Skipped(skipped) => {
            let message = Received { topic: skipped.topic.clone(), payload: Vec::new(), retain: false };
            (Incoming::Publish { message, qos: skipped.qos, id: skipped.packet_id }, Some(skipped))
        }
    };
    let (happened, answer) = session.take(packet)?;
    if let Some(answer) = answer {
        line.send(encode(version, answer, usize::MAX)?.as_ref());
    }
    Ok(match (happened, skipped) {
        (Happened::Message(_), Some(skipped)) => Some(Event::Skipped(skipped)),
        (Happened::Message(message), None) => Some(Event::Message(message)),
        (Happened::Acknowledged { id, refused }, _) => Some(Event::Acknowledged(id, refused)),
        (Happened::Subscribed { filter, refused }, _) => Some(Event::Subscribed(filter, refused)),
        (Happened::Nothing, _) => None,
    })
}

fn broken(error: io::Error) -> WireError {
    match error.kind() {
        // A TLS session that ends without a close_notify.
        io::ErrorKind::UnexpectedEof => WireError::Closed,
        _ => WireError::Broken(error),
    }
}

fn malformed(error: Malformed) -> WireError {
    WireError::Protocol(error.to_string())
}

#[cfg(test)]
mod tests;
