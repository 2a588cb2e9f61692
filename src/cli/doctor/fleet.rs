//! Words about the group of `[fleet]`.

use super::shown::Shown;
use crate::diagnose::fleet::Finding;
use crate::fleet::FleetError;

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let shown = |what, text: String| Shown::new(finding.level(), what, text);
    match finding {
        Finding::NotTried => shown("server", "not tried from another machine".into()),
        Finding::Server { version, recommended: true } => shown("server", format!("nats-server {version} lets us in")),
        Finding::Server { version, .. } => {
            shown("server", format!("nats-server {version} lets us in, and is not up to date"))
                .advice("install 2.12.12, 2.14.3 or later: docs/fleet.md")
        }
        Finding::NoServer(error) => advised(shown("server", error.to_string()), error),
        Finding::SmallPayload { server, configured } => shown(
            "payload",
            format!(
                "the server takes {server} bytes, fleet.max_payload_bytes is {configured}: larger pictures are made smaller for the way"
            ),
        ),
        Finding::Stream { name, waiting: Some(waiting) } => shown("queue", format!("{name}: {waiting} pictures wait")),
        Finding::Stream { name, waiting: None } => {
            shown("queue", format!("{name} is not there yet; the first node that works makes it"))
        }
        Finding::NoStream { name, error } => advised(shown("queue", format!("{name}: {error}")), error),
    }
}

fn advised(shown: Shown, error: &FleetError) -> Shown {
    match error {
        FleetError::Setting { .. } | FleetError::File { .. } => shown.command("leptond check"),
        FleetError::Rights { .. } => shown.advice("give this user the rights that docs/fleet.md lists, at the server"),
        FleetError::Stream { .. } => shown.advice("choose another fleet.group, or remove that stream"),
        _ => shown,
    }
}
