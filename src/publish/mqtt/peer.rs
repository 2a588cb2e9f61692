//! What speaks at an address, where a connection failed in a way that leaves it open: TLS on a port taken for plain, or plain
//! MQTT on one taken for TLS. For people who set a board up; the daemon itself never asks.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How long the other side may take for each step.
const ANSWER: Duration = Duration::from_secs(2);

/// An MQTT 3.1.1 CONNECT (standard, section 3.1) without a client id, with a clean session.
const CONNECT: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0];
/// First byte of the answer to it.
const CONNACK: u8 = 0x20;
/// First bytes of TLS records with which a server answers (RFC 8446, section 5.1): alert and handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// Whether TLS is spoken there; `false` also where nothing is said within 4 s.
pub fn speaks_tls(host: &str, port: u16) -> bool {
    hello(host).is_some_and(|hello| answer(host, port, &hello).is_some_and(|first| TLS_RECORDS.contains(&first)))
}

/// Whether MQTT without TLS is spoken there; `false` also where nothing is said within 4 s.
pub fn speaks_plain(host: &str, port: u16) -> bool {
    answer(host, port, &CONNECT) == Some(CONNACK)
}

/// Whether a connection is taken there within 4 s.
pub fn listens(host: &str, port: u16) -> bool {
    connect(host, port).is_some()
}

/// A ClientHello.
fn hello(host: &str) -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

fn connect(host: &str, port: u16) -> Option<TcpStream> {
    let (found, addresses) = mpsc::sync_channel(1);
    let name = host.to_owned();
    // A resolver cannot be interrupted: a thread that outlives its answer only finds the channel closed.
    std::thread::spawn(move || {
        let address = (name.as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next());
        let _nobody_waits = found.send(address);
    });
    let address = addresses.recv_timeout(ANSWER).ok()??;
    TcpStream::connect_timeout(&address, ANSWER).ok()
}

/// The first byte that comes back for `bytes`.
fn answer(host: &str, port: u16, bytes: &[u8]) -> Option<u8> {
    let mut stream = connect(host, port)?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(bytes).ok()?;
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    Some(first[0])
}
