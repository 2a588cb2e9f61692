//! Detection of the protocol at a port after an ambiguous failure: TLS on a port configured as plain, or plain MQTT on one
//! configured for TLS. For setup and diagnosis; the daemon itself never probes.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Time for each step of the other side.
const ANSWER: Duration = Duration::from_secs(2);

/// An MQTT 3.1.1 CONNECT (standard, section 3.1) without a client id, with a clean session.
const CONNECT: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0];
/// First byte of the answer.
const CONNACK: u8 = 0x20;
/// First bytes of a server's TLS records (RFC 8446, section 5.1): alert and handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// `true` when the port speaks TLS; `false` also without an answer within 4 s.
pub fn speaks_tls(host: &str, port: u16) -> bool {
    hello(host).is_some_and(|hello| answer(host, port, &hello).is_some_and(|first| TLS_RECORDS.contains(&first)))
}

/// `true` when the port speaks MQTT without TLS; `false` also without an answer within 4 s.
pub fn speaks_plain(host: &str, port: u16) -> bool {
    answer(host, port, &CONNECT) == Some(CONNACK)
}

/// `true` when the port accepts a connection within 4 s.
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
    // A resolver cannot be interrupted: a thread that outlives its deadline finds the channel closed.
    std::thread::spawn(move || {
        let address = (name.as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next());
        let _nobody_waits = found.send(address);
    });
    let address = addresses.recv_timeout(ANSWER).ok()??;
    TcpStream::connect_timeout(&address, ANSWER).ok()
}

/// The first byte of the answer to `bytes`.
fn answer(host: &str, port: u16, bytes: &[u8]) -> Option<u8> {
    let mut stream = connect(host, port)?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    stream.write_all(bytes).ok()?;
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    Some(first[0])
}
