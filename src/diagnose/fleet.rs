//! The group of `[fleet]`, tried as the daemon would use it.

use std::path::Path;

use super::Level;
use super::machine::Machine;
use crate::config::Config;
use crate::fleet::{FleetError, Looked, Version, look};

/// A finding about the group.
#[derive(Debug)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// Of another machine.
    NotTried,
    /// A server that can be used; `recommended`: its version has every correction.
    Server { version: Version, recommended: bool },
    /// No server can be used.
    NoServer(FleetError),
    /// The server takes less than the configuration allows, in bytes.
    SmallPayload { server: usize, configured: usize },
    /// A stream, with the pieces of work that wait in it; `None` where it is not there yet.
    Stream { name: String, waiting: Option<u64> },
    /// A stream that cannot be seen.
    NoStream { name: String, error: FleetError },
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::NotTried => Level::Unknown,
            Finding::Server { recommended: true, .. } | Finding::Stream { .. } => Level::Ok,
            Finding::Server { recommended: false, .. } => Level::Warning,
            Finding::SmallPayload { .. } => Level::Note,
            Finding::NoServer(_) | Finding::NoStream { .. } => Level::Trouble,
        }
    }
}

/// Tries the group, where there is one. Makes no stream.
pub fn examine(machine: &Machine, config: &Config) -> Option<Vec<Finding>> {
    let fleet = config.fleet.as_ref()?;
    if !machine.is_here() {
        return Some(vec![Finding::NotTried]);
    }
    let node = config.node.name_or_default(machine.root().unwrap_or(Path::new("/")));
    Some(judge(look(fleet, &format!("{node} doctor")), fleet.max_payload_bytes))
}

/// The findings that a look gives; `configured` is the largest payload of the configuration, in bytes.
fn judge(looked: Result<Looked, FleetError>, configured: usize) -> Vec<Finding> {
    let Looked { version, payload_bytes, streams } = match looked {
        Ok(looked) => looked,
        Err(error) => return vec![Finding::NoServer(error)],
    };
    let small = (payload_bytes < configured).then_some(Finding::SmallPayload { server: payload_bytes, configured });
    let stream = |(name, seen): (String, Result<Option<u64>, FleetError>)| match seen {
        Ok(waiting) => Finding::Stream { name, waiting },
        Err(error) => Finding::NoStream { name, error },
    };
    let server = Finding::Server { version, recommended: version.is_recommended() };
    [server].into_iter().chain(small).chain(streams.into_iter().map(stream)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_has_its_levels() {
        let levels = |looked, configured| judge(looked, configured).iter().map(Finding::level).collect::<Vec<_>>();
        let refused = || FleetError::Rights { what: "see it".into(), reason: "no".into() };
        let looked = |version: &str, stream| {
            let version = Version::parse(version).unwrap();
            Ok(Looked { version, payload_bytes: 100, streams: vec![("s".into(), stream)] })
        };
        assert_eq!(levels(Err(refused()), 100), [Level::Trouble]);
        assert_eq!(levels(looked("2.12.12", Ok(None)), 100), [Level::Ok, Level::Ok]);
        assert_eq!(levels(looked("2.11.0", Ok(Some(3))), 101), [Level::Warning, Level::Note, Level::Ok]);
        assert_eq!(levels(looked("2.14.3", Err(refused())), 100), [Level::Ok, Level::Trouble]);
    }
}
