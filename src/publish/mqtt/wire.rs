//! One connection to a broker: bytes to packets and back, acknowledgements, keep-alive.
//!
//! Packets and protocol rules are rumqttc's (`MqttState`). The stream is our own, because rumqttc ends the connection at an
//! oversize message, and a retained one would do so at every connection: here such a message is skipped and reported.

mod frames;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{ConnAck, Connect, Disconnect, LastWill, Login, Packet, Publish, Subscribe, Unsubscribe};
use rumqttc::mqttbytes::{self, QoS};
use rumqttc::tokio_rustls::TlsConnector;
use rumqttc::{ConnectReturnCode, MqttState, Outgoing, Request, StateError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

pub use frames::Skipped;
use frames::{Frame, Frames, Malformed};

/// QoS 1 messages in flight: more than a [`Queue`](crate::publish::queue::Queue) has, so that packet ids do not collide.
const INFLIGHT: u16 = 256;
/// Bytes read from the socket at a time.
const CHUNK: usize = 16 << 10;
/// Unprocessed packets at which reading stops.
const WAITING: usize = 100;

/// Options of a connection.
#[derive(Clone)]
pub(crate) struct Options {
    /// Name or address of the broker.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Client id.
    pub(crate) client_id: String,
    /// User name and password.
    pub(crate) login: Option<(String, String)>,
    /// Topic and payload of the will: QoS 1, retained.
    pub(crate) will: Option<(String, Vec<u8>)>,
    /// Interval of pings.
    pub(crate) keep_alive: Duration,
    /// Largest packet in bytes, in and out.
    pub(crate) packet_bytes: usize,
    /// Encryption.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Timeout of the connection attempt, and of the socket taking a packet.
    pub(crate) timeout: Duration,
}

/// A connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The broker's name has no address.
    #[error("no address: {0}")]
    Name(#[source] io::Error),
    /// No TCP connection.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// No TLS session.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// No answer in time.
    #[error("no answer")]
    NoAnswer,
    /// No answer to a ping in time, nor anything else.
    #[error("no answer to a ping")]
    Silent,
    /// The socket took nothing in time.
    #[error("nothing is taken")]
    NotTaken,
    /// The broker refused the connection.
    #[error("refused: {0:?}")]
    Refused(ConnectReturnCode),
    /// The broker closed the connection.
    #[error("closed")]
    Closed,
    /// The connection broke.
    #[error("{0}")]
    Broken(#[source] io::Error),
    /// A packet that is not MQTT 3.1.1, or unexpected.
    #[error("{0}")]
    Protocol(String),
}

/// Event of a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// The broker accepted the connection.
    Connected,
    /// A packet was received.
    Incoming(Packet),
    /// A PUBLISH with this packet id (0 = QoS 0) was written to the socket.
    Written(u16),
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
    pub(crate) fn publish(
        &self,
        topic: String,
        qos: QoS,
        retain: bool,
        payload: Vec<u8>,
    ) -> Result<(), RequestQueueFull> {
        let mut publish = Publish::new(topic, qos, payload);
        publish.retain = retain;
        self.ask(Request::Publish(publish))
    }

    /// Subscribes with QoS 0.
    pub(crate) fn subscribe(&self, filter: &str) -> Result<(), RequestQueueFull> {
        self.ask(Request::Subscribe(Subscribe::new(filter, QoS::AtMostOnce)))
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, filter: &str) -> Result<(), RequestQueueFull> {
        self.ask(Request::Unsubscribe(Unsubscribe::new(filter)))
    }

    /// Sends DISCONNECT.
    pub(crate) fn disconnect(&self) -> Result<(), RequestQueueFull> {
        self.ask(Request::Disconnect(Disconnect))
    }

    fn ask(&self, request: Request) -> Result<(), RequestQueueFull> {
        self.requests.try_send(request).map_err(|_| RequestQueueFull)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection, from the attempt to its end.
pub(crate) struct Wire {
    options: Options,
    requests: mpsc::Receiver<Request>,
    state: MqttState,
    line: Option<Line>,
    incoming: VecDeque<Event>,
    /// Events that happen once `out` is written.
    outgoing: VecDeque<Event>,
}

/// The stream and its buffers.
struct Line {
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    frames: Frames,
    chunk: Vec<u8>,
    out: Out,
    ping_at: Instant,
    /// Something was received since the last ping.
    heard: bool,
}

/// Bytes waiting for the socket.
struct Out {
    bytes: Vec<u8>,
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
            state: MqttState::new(INFLIGHT, false),
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
        let Some(line) = &mut self.line else {
            let connecting = connect(&self.options);
            self.line = Some(timeout(self.options.timeout, connecting).await.map_err(|_| WireError::NoAnswer)??);
            return Ok(Event::Connected);
        };
        loop {
            while self.incoming.len() < WAITING
                && let Some(frame) = line.frames.next().map_err(malformed)?
            {
                if let Some(skipped) = take(&mut self.state, frame, &mut line.out)? {
                    self.incoming.push_back(Event::Skipped(skipped));
                }
                sort(&mut self.state, &mut self.incoming, &mut self.outgoing);
            }
            if line.out.is_idle()
                && let Some(event) = self.outgoing.pop_front()
            {
                return Ok(event);
            }
            if let Some(event) = self.incoming.pop_front() {
                return Ok(event);
            }
            let free = line.out.is_idle() && self.state.inflight() < INFLIGHT && self.state.collision.is_none();
            let stuck_at = line.out.progress + self.options.timeout;
            select! {
                pushed = line.out.push(&mut line.write), if !line.out.is_idle() => pushed.map_err(broken)?,
                () = sleep_until(stuck_at), if !line.out.is_idle() => return Err(WireError::NotTaken),
                read = line.read.read(&mut line.chunk), if self.incoming.len() < WAITING => {
                    let count = read.map_err(broken)?;
                    if count == 0 {
                        return Err(WireError::Closed);
                    }
                    line.heard = true;
                    line.frames.push(line.chunk.get(..count).unwrap_or_default());
                }
                request = self.requests.recv(), if free => {
                    let Some(request) = request else { return Err(WireError::Closed) };
                    let packet = self.state.handle_outgoing_packet(request).map_err(protocol)?;
                    line.out.put(packet, self.options.packet_bytes)?;
                    sort(&mut self.state, &mut self.incoming, &mut self.outgoing);
                }
                () = sleep_until(line.ping_at) => {
                    line.ping_at = Instant::now() + self.options.keep_alive;
                    // A large message may delay the answer to the last ping: any received data proves that the broker is alive.
                    if std::mem::take(&mut line.heard) {
                        self.state.await_pingresp = false;
                    }
                    let ping = Request::PingReq(mqttbytes::v4::PingReq);
                    let packet = self.state.handle_outgoing_packet(ping).map_err(|error| match error {
                        StateError::AwaitPingResp | StateError::CollisionTimeout => WireError::Silent,
                        other => protocol(other),
                    })?;
                    line.out.put(packet, self.options.packet_bytes)?;
                    sort(&mut self.state, &mut self.incoming, &mut self.outgoing);
                }
            }
        }
    }
}

impl Out {
    fn is_idle(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    fn put(&mut self, packet: Option<Packet>, most: usize) -> Result<(), WireError> {
        let Some(packet) = packet else { return Ok(()) };
        if self.is_idle() {
            self.progress = Instant::now();
        }
        let mut encoded = Default::default();
        packet.write(&mut encoded, most).map_err(|e| WireError::Protocol(e.to_string()))?;
        self.bytes.extend_from_slice(&encoded);
        Ok(())
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
            self.unflushed = true;
        }
        self.progress = Instant::now();
        Ok(())
    }
}

/// Processes a received frame. A skipped message is acknowledged like any other, and reported instead of delivered.
fn take(state: &mut MqttState, frame: Frame, out: &mut Out) -> Result<Option<Skipped>, WireError> {
    let (packet, skipped) = match frame {
        Frame::Packet(bytes) => (decode(&bytes)?, None),
        Frame::Skipped(skipped) => {
            let qos = match skipped.qos {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            };
            let mut publish = Publish::new(skipped.topic.as_str(), qos, Vec::new());
            publish.pkid = skipped.packet_id;
            (Packet::Publish(publish), Some(skipped))
        }
    };
    let before = state.events.len();
    let answer = state.handle_incoming_packet(packet).map_err(protocol)?;
    if skipped.is_some() {
        state.events.remove(before);
    }
    out.put(answer, usize::MAX)?;
    Ok(skipped)
}

/// Separates events that have happened from those that happen when they are written.
fn sort(state: &mut MqttState, incoming: &mut VecDeque<Event>, outgoing: &mut VecDeque<Event>) {
    for event in state.events.drain(..) {
        match event {
            rumqttc::Event::Incoming(packet) => incoming.push_back(Event::Incoming(packet)),
            rumqttc::Event::Outgoing(Outgoing::Publish(packet_id)) => outgoing.push_back(Event::Written(packet_id)),
            rumqttc::Event::Outgoing(Outgoing::Disconnect) => outgoing.push_back(Event::Disconnected),
            rumqttc::Event::Outgoing(_) => {}
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Packet, WireError> {
    let mut stream = bytes.into();
    Packet::read(&mut stream, usize::MAX).map_err(|e| WireError::Protocol(e.to_string()))
}

/// TCP, TLS, CONNECT and CONNACK.
async fn connect(options: &Options) -> Result<Line, WireError> {
    let addresses = tokio::net::lookup_host((options.host.as_str(), options.port)).await.map_err(WireError::Name)?;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    let mut tcp = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                tcp = Some(stream);
                break;
            }
            Err(error) => failed = error,
        }
    }
    let tcp = tcp.ok_or(WireError::Connect(failed))?;
    tcp.set_nodelay(true).map_err(WireError::Connect)?;
    let stream: Box<dyn Stream> = match &options.tls {
        None => Box::new(tcp),
        Some(config) => {
            let name = ServerName::try_from(options.host.clone()).map_err(|e| WireError::Tls(io::Error::other(e)))?;
            Box::new(TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(WireError::Tls)?)
        }
    };
    let (read, write) = tokio::io::split(stream);
    let now = Instant::now();
    let mut line = Line {
        read,
        write,
        frames: Frames::new(options.packet_bytes),
        chunk: vec![0; CHUNK],
        out: Out { bytes: Vec::new(), unflushed: false, progress: now },
        ping_at: now + options.keep_alive,
        heard: false,
    };
    let mut hello = Connect::new(&options.client_id);
    hello.keep_alive = u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX);
    hello.login = options.login.as_ref().map(|(user, password)| Login::new(user, password));
    let will = |(topic, payload): &(String, Vec<u8>)| LastWill::new(topic, payload.clone(), QoS::AtLeastOnce, true);
    hello.last_will = options.will.as_ref().map(will);
    line.out.put(Some(Packet::Connect(hello)), usize::MAX)?;
    while !line.out.is_idle() {
        line.out.push(&mut line.write).await.map_err(broken)?;
    }
    let frame = loop {
        if let Some(frame) = line.frames.next().map_err(malformed)? {
            break frame;
        }
        let count = line.read.read(&mut line.chunk).await.map_err(broken)?;
        if count == 0 {
            return Err(WireError::Closed);
        }
        line.frames.push(line.chunk.get(..count).unwrap_or_default());
    };
    let Frame::Packet(bytes) = frame else { return Err(WireError::Protocol("a message before CONNACK".into())) };
    match decode(&bytes)? {
        Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. }) => Ok(line),
        Packet::ConnAck(ConnAck { code, .. }) => Err(WireError::Refused(code)),
        _ => Err(WireError::Protocol("the answer to CONNECT is not CONNACK".into())),
    }
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

fn protocol(error: StateError) -> WireError {
    WireError::Protocol(error.to_string())
}

#[cfg(test)]
mod tests;
