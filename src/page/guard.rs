//! The rules by which a request is let in. Pure: headers and time in, a verdict out.
//!
//! The name in `Host` keeps out pages whose own name was pointed at this computer (DNS rebinding); `Sec-Fetch-Site` and `Origin` keep out
//! requests that other pages make in a browser that is logged in here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Wrong passwords of one address within [`FORGET_AFTER`]; then it has to wait.
const MOST_WRONG: u32 = 10;
/// Wrong passwords are forgotten after this time without another.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Addresses with wrong passwords that are remembered; the one silent longest goes.
const MOST_ADDRESSES: usize = 256;

/// Reason for which a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name in `Host` is none of this computer's.
    Host,
    /// Another site's page made the request.
    Site,
    /// Without the password, or with a wrong one.
    Password,
    /// Too many wrong passwords came from this address.
    Wait,
}

/// The parts of a request that the rules look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `Host`, or the authority of the address.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// It asks to read: GET or HEAD.
    pub reads: bool,
}

/// The rules, with what is remembered of wrong passwords.
pub struct Guard {
    /// Hash of the password; `None` where none is asked for.
    key: Option<[u8; 32]>,
    names: Vec<String>,
    wrong: HashMap<IpAddr, Wrong>,
}

struct Wrong {
    times: u32,
    last: Instant,
}

impl Guard {
    /// With `password`, for a computer of these `names`.
    pub fn new(password: Option<&str>, names: impl IntoIterator<Item = String>) -> Guard {
        let names = names.into_iter().filter(|name| !name.is_empty()).map(|name| name.to_ascii_lowercase());
        Guard { key: password.map(|text| hash(text.as_bytes())), names: names.collect(), wrong: HashMap::new() }
    }

    /// Decides on a request from `peer`.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn admit(&mut self, asked: &Asked<'_>, peer: IpAddr, now: Instant) -> Result<(), Refusal> {
        let host = asked.host.filter(|host| self.knows(host)).ok_or(Refusal::Host)?;
        if !is_same_site(asked, host) {
            return Err(Refusal::Site);
        }
        let Some(key) = &self.key else { return Ok(()) };
        let peer = subscriber(peer);
        let is_fresh = |wrong: &Wrong| now.saturating_duration_since(wrong.last) < FORGET_AFTER;
        if self.wrong.get(&peer).is_some_and(|wrong| wrong.times >= MOST_WRONG && is_fresh(wrong)) {
            return Err(Refusal::Wait);
        }
        // A browser asks without a password first, which is no wrong one.
        let given = asked.authorization.ok_or(Refusal::Password)?;
        if password_of(given).is_some_and(|given| same(&hash(&given), key)) {
            self.wrong.remove(&peer);
            return Ok(());
        }
        self.wrong.retain(|_, wrong| is_fresh(wrong));
        if self.wrong.len() >= MOST_ADDRESSES
            && !self.wrong.contains_key(&peer)
            && let Some(oldest) = self.wrong.iter().min_by_key(|(_, wrong)| wrong.last).map(|(peer, _)| *peer)
        {
            self.wrong.remove(&oldest);
        }
        let wrong = self.wrong.entry(peer).or_insert(Wrong { times: 0, last: now });
        (wrong.times, wrong.last) = (wrong.times + 1, now);
        Err(Refusal::Password)
    }

    fn knows(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        name == "localhost"
            || name.parse::<Ipv4Addr>().is_ok()
            || name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).is_some_and(|n| n.parse::<Ipv6Addr>().is_ok())
            || name.strip_suffix(".local").is_some_and(|name| !name.is_empty())
            || self.names.iter().any(|known| known == name)
    }
}

/// The host of `host:port`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// False for what another site's page asks for; a person may still follow its link.
fn is_same_site(asked: &Asked<'_>, host: &str) -> bool {
    let follows_link = asked.reads && asked.mode == Some("navigate");
    let site = match asked.site {
        None | Some("same-origin" | "none") => true,
        Some(_) => follows_link,
    };
    let origin = match asked.origin {
        None => true,
        Some(origin) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
    };
    site && origin
}

/// The password of HTTP's basic scheme (RFC 7617); any user name goes with it.
fn password_of(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| base64(credentials.trim()))??;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// The bytes of base64 (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares in a time that depends on the lengths only.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// The part of an address that one subscriber has: of IPv6, the first 64 bits.
fn subscriber(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn get(host: &str) -> Asked<'_> {
        Asked { host: Some(host), reads: true, ..Asked::default() }
    }

    #[test]
    fn only_this_computer_s_names_are_answered() {
        let mut guard = Guard::new(None, ["Board".to_owned(), "cam.example.org".to_owned(), String::new()]);
        let now = Instant::now();
        for host in [
            "127.0.0.1:8099",
            "192.168.1.7",
            "[::1]:8099",
            "[fe80::1]",
            "localhost:1",
            "LOCALHOST.",
            "board.local:80",
            "board",
            "BOARD:8099",
            "cam.example.org",
        ] {
            assert_eq!(guard.admit(&get(host), PEER, now), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "board.evil.example",
            "localhost.evil.example",
            ".local",
            "1.2.3",
            "[::1",
            "board:x",
            "a@b",
        ] {
            assert_eq!(guard.admit(&get(host), PEER, now), Err(Refusal::Host), "{host}");
        }
        assert_eq!(guard.admit(&Asked::default(), PEER, now), Err(Refusal::Host));
    }

    #[test]
    fn other_sites_get_nothing_but_a_link_may_be_followed() {
        let mut guard = Guard::new(None, []);
        let mut check = |asked: Asked<'_>| guard.admit(&asked, PEER, Instant::now());
        let here = get("board.local:8099");
        assert_eq!(check(Asked { site: Some("same-origin"), origin: Some("http://board.local:8099"), ..here }), Ok(()));
        assert_eq!(check(Asked { site: Some("none"), ..here }), Ok(()));
        assert_eq!(check(Asked { site: Some("cross-site"), mode: Some("navigate"), ..here }), Ok(()));
        for asked in [
            Asked { site: Some("cross-site"), mode: Some("no-cors"), ..here },
            Asked { site: Some("same-site"), ..here },
            Asked { site: Some("cross-site"), mode: Some("navigate"), reads: false, ..here },
            Asked { origin: Some("http://evil.example"), ..here },
            Asked { origin: Some("null"), ..here },
            Asked { origin: Some("http://board.local:9000"), ..here },
        ] {
            assert_eq!(check(asked), Err(Refusal::Site), "{asked:?}");
        }
    }

    #[test]
    fn the_password_is_asked_for_and_wrong_ones_have_to_wait() {
        let mut guard = Guard::new(Some("s3cret: ü"), []);
        let (mut now, here) = (Instant::now(), get("localhost"));
        assert_eq!(guard.admit(&here, PEER, now), Err(Refusal::Password));
        // "me:s3cret: ü" and "me:wrong".
        let right = Asked { authorization: Some("Basic bWU6czNjcmV0OiDDvA=="), ..here };
        let wrong = Asked { authorization: Some("basic bWU6d3Jvbmc="), ..here };
        assert_eq!(guard.admit(&right, PEER, now), Ok(()));
        for bad in ["", "Basic", "Basic !!", "Bearer bWU6czNjcmV0OiDDvA==", "Basic bWU="] {
            assert_eq!(
                guard.admit(&Asked { authorization: Some(bad), ..here }, PEER, now),
                Err(Refusal::Password),
                "{bad}"
            );
        }
        for _ in 5..MOST_WRONG {
            assert_eq!(guard.admit(&wrong, PEER, now), Err(Refusal::Password));
        }
        assert_eq!(guard.admit(&wrong, PEER, now), Err(Refusal::Wait));
        assert_eq!(guard.admit(&right, PEER, now), Err(Refusal::Wait), "else the answer would tell that it is right");
        assert_eq!(guard.admit(&right, [192, 0, 2, 8].into(), now), Ok(()), "others do not wait");
        now += FORGET_AFTER;
        assert_eq!(guard.admit(&right, PEER, now), Ok(()));
    }

    #[test]
    fn what_is_remembered_of_wrong_passwords_is_bounded() {
        let mut guard = Guard::new(Some("x"), []);
        let wrong = Asked { authorization: Some("Basic bWU6d3Jvbmc="), ..get("localhost") };
        let now = Instant::now();
        for n in 0..4 * MOST_ADDRESSES as u128 {
            let peer = IpAddr::V6(((0x2001_0db8 << 96) + (n << 64) + n).into());
            assert_eq!(guard.admit(&wrong, peer, now), Err(Refusal::Password));
        }
        assert_eq!(guard.wrong.len(), MOST_ADDRESSES);
        assert_eq!(subscriber("2001:db8::1:2:3:4".parse().unwrap()), "2001:db8::".parse::<IpAddr>().unwrap());
        assert_eq!(subscriber("::ffff:192.0.2.7".parse().unwrap()), PEER);
    }
}
