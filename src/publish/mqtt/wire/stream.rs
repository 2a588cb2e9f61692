//! Streams to a broker: TCP, TLS, Unix sockets.

use std::io;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::error::WireError;
use super::options::{Options, Way};

/// A stream of bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects as `options` say, below MQTT and WebSocket.
///
/// # Errors
/// [`WireError::Name`], [`WireError::Connect`] or [`WireError::Tls`].
pub(super) async fn open(options: &Options) -> Result<Box<dyn Stream>, WireError> {
    if let Way::Unix(path) = &options.way {
        return Ok(Box::new(UnixStream::connect(path).await.map_err(WireError::Connect)?));
    }
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
    let Some(config) = &options.tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(options.host.clone()).map_err(|e| WireError::Tls(io::Error::other(e)))?;
    Ok(Box::new(TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(WireError::Tls)?))
}
