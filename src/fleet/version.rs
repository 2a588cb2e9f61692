//! Versions of the server: which are refused, and which are recommended.

use std::fmt;

/// Version of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `2` of `2.10.27`.
    pub major: u32,
    /// `10` of `2.10.27`.
    pub minor: u32,
    /// `27` of `2.10.27`.
    pub patch: u32,
}

const fn version(major: u32, minor: u32, patch: u32) -> Version {
    Version { major, minor, patch }
}

/// Older ones let any client with JetStream rights change what it may not (CVE-2025-30215).
pub(super) const OLDEST: Version = version(2, 10, 27);

impl Version {
    /// Reads `2.10.27` or `v2.10.27-RC.1`; `None` where it is none.
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts = text.split(['-', '+', '~']).next()?.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        Some(version(major, minor, patch))
    }

    /// True where it is too old to be used.
    pub fn is_refused(self) -> bool {
        self < OLDEST
    }

    /// True where it has the corrections of 2026: 2.12.12, 2.14.3 and later ones of these lines.
    pub fn is_recommended(self) -> bool {
        match (self.major, self.minor) {
            (2, 12) => self.patch >= 12,
            (2, 14) => self.patch >= 3,
            _ => self > version(2, 14, 3),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_12_is_refused_and_13_is_not() {
        let of = |text| Version::parse(text).unwrap();
        for (text, refused, recommended) in [
            ("2.9.10", true, false),
            ("2.10.26", true, false),
            ("2.10.27", false, false),
            ("2.11.8", false, false),
            ("2.12.11", false, false),
            ("2.12.12", false, true),
            ("2.13.9", false, false),
            ("2.14.2", false, false),
            ("v2.14.3-RC.1", false, true),
            ("2.15.1", false, true),
            ("3.0.0", false, true),
        ] {
            assert_eq!((of(text).is_refused(), of(text).is_recommended()), (refused, recommended), "{text}");
        }
        for text in ["", "2", "2.10", "2.x.1", "two", "2..1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
