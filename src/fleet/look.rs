//! A look at the group, for `doctor`.

use super::config::Config;
use super::connect::Connection;
use super::error::FleetError;
use super::names::Lane;
use super::streams;
use super::version::Version;
use super::wire::HEADER_BYTES;

/// Findings about a group.
#[derive(Debug)]
pub struct Looked {
    /// Version of the server.
    pub version: Version,
    /// Largest picture that it lets through, in bytes.
    pub payload_bytes: usize,
    /// The streams, each with the work that waits in it (`None` = it is not there yet), or why it cannot be seen.
    pub streams: Vec<(String, Result<Option<u64>, FleetError>)>,
}

/// Connects as `name`, and looks at the group's streams; makes none.
///
/// # Errors
/// [`FleetError`] when no server can be used.
pub fn look(config: &Config, name: &str) -> Result<Looked, FleetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| FleetError::System(format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let connection = Connection::open(config, name).await?;
        let mut found = Vec::new();
        for lane in Lane::ALL {
            found.push((config.group.stream(lane), streams::waiting(&connection, config, lane).await));
        }
        let payload_bytes = connection.client.max_payload().saturating_sub(HEADER_BYTES);
        Ok(Looked { version: connection.version, payload_bytes, streams: found })
    })
}
