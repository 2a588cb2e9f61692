//! The topics of a node, and client ids.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::frame::names::NameKind;
use crate::frame::{NameError, NodeName};
use crate::sys::file;

/// The topics of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
}

impl Topics {
    /// The topics of `node` under `prefix`.
    ///
    /// # Errors
    /// [`NameError`] when `prefix` cannot begin a topic.
    pub fn new(prefix: &str, node: &NodeName) -> Result<Self, NameError> {
        NameKind::Prefix.check(prefix)?;
        Ok(Topics { root: format!("{prefix}/{node}") })
    }

    /// `{"state":"online"|"offline"}`; the will.
    pub fn state(&self) -> String {
        format!("{}/state", self.root)
    }

    /// Version, board, models.
    pub fn info(&self) -> String {
        format!("{}/info", self.root)
    }

    /// Uptime, memory, temperature, rates.
    pub fn health(&self) -> String {
        format!("{}/health", self.root)
    }

    /// The rung and why.
    pub fn governor(&self) -> String {
        format!("{}/governor", self.root)
    }

    /// One inference of a pipeline.
    pub fn result(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/result", self.root)
    }

    /// Changes that a pipeline saw.
    pub fn event(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/event", self.root)
    }

    /// The latest summary of a pipeline.
    pub fn pipeline_state(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/state", self.root)
    }

    /// The best moment of an event of a pipeline, or the picture that was asked for: JPEG with boxes.
    pub fn snapshot(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/snapshot", self.root)
    }

    /// The same without boxes.
    pub fn clean_snapshot(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/snapshot/clean", self.root)
    }

    /// Turns a pipeline's switch: `ON` or `OFF`.
    pub fn detect_set(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/detect/set", self.root)
    }

    /// `ON` or `OFF`: the position of a pipeline's switch.
    pub fn detect_state(&self, pipeline: &str) -> String {
        format!("{}/{pipeline}/detect/state", self.root)
    }

    /// The switches of every pipeline, as a filter.
    pub fn detect_sets(&self) -> String {
        format!("{}/+/detect/set", self.root)
    }

    /// The pipeline whose switch `topic` turns; `None` for any other topic.
    pub fn switched<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let pipeline = topic.strip_prefix(self.root.as_str())?.strip_prefix('/')?.strip_suffix("/detect/set")?;
        // Topics of requests and answers look alike.
        Some(pipeline).filter(|pipeline| NameKind::Pipeline.check(pipeline).is_ok())
    }

    /// A request with `verb`.
    pub fn request(&self, verb: &str) -> String {
        format!("{}/request/{verb}", self.root)
    }

    /// Every request to this node, as a filter.
    pub fn requests(&self) -> String {
        format!("{}/request/#", self.root)
    }

    /// The verb of a request's topic: `governor/set` of `…/request/governor/set`; `None` for any other topic.
    pub fn verb<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let rest = topic.strip_prefix(self.root.as_str())?.strip_prefix("/request")?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// The answer to a request with `verb`.
    pub fn response(&self, verb: &str) -> String {
        let slash = if verb.is_empty() { "" } else { "/" };
        format!("{}/response{slash}{verb}", self.root)
    }

    /// Everything of this node, as a filter.
    pub fn all(&self) -> String {
        format!("{}/#", self.root)
    }
}

/// The name of the computer below `root` where none is configured: [`NodeName::of_machine`].
pub fn default_node(root: &Path) -> NodeName {
    let read = |path: &str| file::read_text(&root.join(path), 4 << 10).ok();
    NodeName::of_machine(read("etc/machine-id").as_deref(), read("proc/sys/kernel/hostname").as_deref())
}

/// The client id: contains the node's name, so that two nodes with one name are seen to throw each other out.
pub fn client_id(node: &str) -> String {
    if node.starts_with("leptond") { node.into() } else { format!("leptond-{node}") }
}

/// A client id of letters and digits, at most 23: what every broker has to take (MQTT 3.1.1, section 3.1.3.1). The same for
/// the same id; different ids give different ones by a digest of the whole.
pub fn short_client_id(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    let begin = id.chars().filter(char::is_ascii_alphanumeric).take(15);
    digest.iter().take(4).fold(begin.collect(), |mut short: String, byte| {
        let _ = write!(short, "{byte:02x}");
        short
    })
}

/// A client id for a second client beside the one with `id`, told apart by `number`: no longer than that (but for one under
/// nine characters), since some brokers take only so many, and with the same beginning, since some know clients by it.
pub fn guest_id(id: &str, number: u32) -> String {
    let tail = format!("t{:07x}", number & 0x0fff_ffff);
    let keep = id.chars().count().saturating_sub(tail.len()).max(id.chars().count().min(1));
    let guest: String = id.chars().take(keep).chain(tail.chars()).collect();
    if guest == id { guest.replace('t', "u") } else { guest }
}

/// Matches `topic` against `filter` (MQTT 3.1.1, section 4.7).
pub fn matches(topic: &str, filter: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_convention() {
        let topics = Topics::new("home/leptond", &NodeName::new("attic").unwrap()).unwrap();
        let all = [
            topics.state(),
            topics.info(),
            topics.health(),
            topics.governor(),
            topics.result("meter"),
            topics.event("meter"),
            topics.pipeline_state("meter"),
            topics.all(),
        ];
        let expected = ["state", "info", "health", "governor", "meter/result", "meter/event", "meter/state", "#"];
        assert_eq!(all.to_vec(), expected.map(|t| format!("home/leptond/attic/{t}")).to_vec());
        let request = "home/leptond/attic/request/governor/set";
        assert!(matches(request, &topics.requests()));
        assert_eq!(topics.verb(request), Some("governor/set"));
        assert_eq!(topics.response("governor/set"), "home/leptond/attic/response/governor/set");
        assert_eq!(
            (topics.verb("home/leptond/attic/request"), topics.response("").as_str()),
            (Some(""), "home/leptond/attic/response")
        );
        assert!(matches("home/leptond/attic/door/detect/set", &topics.detect_sets()));
        assert_eq!(topics.switched("home/leptond/attic/door/detect/set"), Some("door"));
        assert_eq!(topics.detect_state("door"), "home/leptond/attic/door/detect/state");
        assert_eq!(topics.snapshot("door"), "home/leptond/attic/door/snapshot");
        for other in ["attic/a/b", "attic/request", "attic/response", "attic", "b/door"] {
            let other = format!("home/leptond/{other}/detect/set");
            assert_eq!(topics.switched(&other), None, "{other}");
        }
        for other in ["home/leptond/attic/requests/x", "home/leptond/b/request/x", "home/leptond/attic/response/x"] {
            assert_eq!(topics.verb(other), None, "{other}");
        }
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        let cases = [
            ("a/b", "a/b", true),
            ("a/b", "a/+", true),
            ("a/b/c", "a/+", false),
            ("a", "a/#", true),
            ("a/b/c", "a/#", true),
            ("ab", "a/#", false),
            ("/a", "+/+", true),
            ("/a", "+", false),
            ("ä/ö", "ä/+", true),
            ("$SYS/x", "#", false),
            ("$SYS/x", "+/x", false),
            ("$SYS/x", "$SYS/#", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
            ("", "#", true),
        ];
        for (topic, filter, expected) in cases {
            assert_eq!(matches(topic, filter), expected, "{topic:?} {filter:?}");
            assert_eq!(NameKind::Filter.check(filter), Ok(()));
        }
    }

    #[test]
    fn a_short_client_id_is_what_every_broker_takes() {
        for id in ["leptond-greenhouse-north-camera-two", "leptond-00aa11bb", "ä", &"x".repeat(128)] {
            let short = short_client_id(id);
            assert!((1..=23).contains(&short.len()) && short.bytes().all(|b| b.is_ascii_alphanumeric()), "{short}");
            assert_eq!(short, short_client_id(id));
        }
        let (one, two) = ("leptond-greenhouse-north-camera-one", "leptond-greenhouse-north-camera-two");
        assert_ne!(short_client_id(one), short_client_id(two));
    }

    #[test]
    fn a_guest_has_another_id_that_is_no_longer() {
        for id in ["leptond-00aa11bb", "leptond-greenhouse-north-camera-two", "leptond-a", "exactly9c"] {
            let guest = guest_id(id, 4711);
            assert!(guest != id && guest.len() <= id.len().max(9) && guest[..1] == id[..1], "{guest}");
            assert_ne!(guest, guest_id(id, 4712));
        }
        assert_ne!(guest_id("leptond-t0000001", 1), "leptond-t0000001");
        assert!(guest_id("ab", 1).len() <= 9 && guest_id("", 1).len() == 8);
    }

    #[test]
    fn the_client_id_contains_the_node() {
        assert_eq!(client_id("attic"), "leptond-attic");
        assert_eq!(client_id("leptond-00aa11bb"), "leptond-00aa11bb");
    }
}
