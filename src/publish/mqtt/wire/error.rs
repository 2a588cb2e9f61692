//! Ends of a connection, as the wire sees them.

use std::io;

/// A connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The broker's name has no address.
    #[error("no address: {0}")]
    Name(#[source] io::Error),
    /// No connection of the transport.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// No TLS session.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// The other side made no WebSocket of the connection.
    #[error("no WebSocket: {0}")]
    WebSocket(String),
    /// No answer in time.
    #[error("no answer")]
    NoAnswer,
    /// No answer to a ping in time, nor anything else.
    #[error("no answer to a ping")]
    Silent,
    /// The socket took nothing in time.
    #[error("nothing is taken")]
    NotTaken,
    /// The broker refused the connection: return code 1 to 5 of MQTT 3.1.1, or a reason code of MQTT 5 from 128.
    #[error("refused: {code}")]
    Refused {
        /// Code of CONNACK.
        code: u8,
        /// The broker's words.
        reason: Option<String>,
    },
    /// The broker said DISCONNECT (MQTT 5).
    #[error("disconnected: {code}")]
    Disconnected {
        /// Reason code (MQTT 5, section 3.14.2.1).
        code: u8,
        /// The broker's words.
        reason: Option<String>,
    },
    /// The broker closed the connection.
    #[error("closed")]
    Closed,
    /// The connection broke.
    #[error("{0}")]
    Broken(#[source] io::Error),
    /// A packet that is not MQTT, or unexpected.
    #[error("{0}")]
    Protocol(String),
}
