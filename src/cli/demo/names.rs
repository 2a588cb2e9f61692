//! Names of the demo: its pipelines, and the host at which clients reach it.

use std::net::IpAddr;

/// Name of the node in topics.
pub const NODE: &str = "demo";

/// Name of the pipeline that reads the meter.
pub const METER: &str = "meter";

/// Name of the pipeline that watches this computer.
pub const MACHINE: &str = "machine";

/// Name under which a client reaches a broker that listens on `host`.
pub fn reached(host: IpAddr) -> String {
    // All addresses are none to connect to.
    if !host.is_unspecified() {
        return host.to_string();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    if name.is_empty() { "localhost".into() } else { name }
}
