//! Masking of credentials in everything shown: the log, messages, errors, printed and published text.
//!
//! [`redact`] recognises credentials by their position: the user part of a URL, the value of a key with a secret's name (`pwd=`,
//! in the query or in the path), a header such as `Authorization`. [`Mask`] additionally knows the credentials of one camera and
//! finds them anywhere. A secret that is a plain level of a path (`/live/SECRET/1`) cannot be recognised.

/// Replacement of a secret.
pub const MASK: &str = "***";

/// Secrets shorter than this are masked only at positions that [`redact`] recognises: elsewhere they would blot out half the
/// text.
const SHORTEST: usize = 4;

/// Headers of HTTP and RTSP whose value is a secret.
const HEADERS: [&str; 6] = ["authorization", "cookie", "x-api-key", "api-key", "x-auth-token", "x-access-token"];

/// Substrings of a secret's name.
const STEMS: [&str; 15] = [
    "passw",
    "passphrase",
    "passcode",
    "passkey",
    "pwd",
    "pswd",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "authkey",
    "credential",
    "loginpas",
    "loginuse",
    "username",
];
/// Words of a secret's name.
const WORDS: [&str; 17] = [
    "pass",
    "pas",
    "psw",
    "pw",
    "key",
    "auth",
    "authorization",
    "user",
    "usr",
    "login",
    "account",
    "sid",
    "sig",
    "signature",
    "pin",
    "jwt",
    "userpass",
];
/// Word endings of a secret's name in a URL, since no camera has a `compass=`.
const ENDS: [&str; 6] = ["pass", "user", "usr", "auth", "login", "pw"];

/// `text` with its credentials replaced by `***`.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in ranges(text) {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(MASK);
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Arguments of a program, each as [`redact`] shows it, with the values of secret flags masked.
pub fn redact_args(args: &[String]) -> Vec<String> {
    let mut flagged = false;
    let show = |arg: &String| {
        let shown = if flagged && !arg.is_empty() && !arg.contains(':') { MASK.to_owned() } else { redact(arg) };
        let shown = if flagged && shown == *arg && !arg.is_empty() { MASK.to_owned() } else { shown };
        flagged = arg.strip_prefix('-').is_some_and(|name| !name.contains('=') && is_secret_name(name, true));
        shown
    };
    args.iter().map(show).collect()
}

/// Credentials of one camera, masked in its program's messages.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    secrets: Vec<String>,
    /// A word of the program and its replacement.
    alias: Option<(&'static str, String)>,
}

impl Mask {
    /// Credentials of `url`. The user part extends to the last `@`, since passwords with an unescaped `@` or `/` exist.
    pub fn of_url(url: &str) -> Self {
        Self::of(url, &[])
    }

    /// Credentials of `url` and of the `args` of the program that opens it.
    pub fn of(url: &str, args: &[String]) -> Self {
        let mut mask = Mask::default();
        mask.learn(url);
        for (arg, shown) in args.iter().zip(redact_args(args)) {
            if shown == MASK {
                mask.add(arg);
            } else if shown != *arg {
                mask.learn(arg);
            }
        }
        mask.secrets.retain(|secret| secret.len() >= SHORTEST);
        mask.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        mask.secrets.dedup();
        mask
    }

    /// Replaces `word` with `meant` in messages.
    pub fn with_alias(mut self, word: &'static str, meant: &str) -> Self {
        self.alias = Some((word, meant.to_owned()));
        self
    }

    /// `text` with every known secret, and everything that [`redact`] finds, replaced by `***`.
    pub fn apply(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            out = out.replace(secret.as_str(), MASK);
        }
        let out = redact(&out);
        match &self.alias {
            Some((word, meant)) => out.replace(word, meant),
            None => out,
        }
    }

    fn learn(&mut self, text: &str) {
        for (start, end) in ranges(text) {
            let Some(secret) = text.get(start..end) else { continue };
            self.add(secret);
            // A user part.
            if text.get(..start).is_some_and(|before| before.ends_with("://"))
                && let Some((_, password)) = secret.split_once(':')
            {
                self.add(password);
            }
            // XMEye joins its keys with underscores: user=admin_password=word_channel=1.
            for part in secret.split('=').skip(1) {
                self.add(part);
                if let Some((word, _)) = part.rsplit_once('_') {
                    self.add(word);
                }
            }
            if let Some((word, _)) = secret.split_once('_').filter(|(_, rest)| rest.contains('=')) {
                self.add(word);
            }
            // A header's value: scheme and credentials.
            if let Some((_, credentials)) = secret.split_once(' ') {
                self.add(credentials);
            }
        }
    }

    /// Adds a secret as written and as a program shows it after decoding.
    fn add(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
        let decoded = decode(secret);
        if decoded != secret {
            self.secrets.push(decoded);
        }
    }
}

/// Byte ranges of the credentials in `text`, ordered and disjoint.
fn ranges(text: &str) -> Vec<(usize, usize)> {
    // ASCII lower case keeps every byte offset.
    let lower = text.to_ascii_lowercase();
    let mut found = headers(&lower);
    let urls = urls(text, &lower);
    found.extend(urls.iter().filter_map(|url| url.user));
    found.extend(values(text, &lower, &urls));
    found.retain(|(start, end)| start < end);
    found.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match apart.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => apart.push((start, end)),
        }
    }
    apart
}

/// Values of secret headers, up to the end of their lines.
fn headers(lower: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for name in HEADERS {
        for (at, _) in lower.match_indices(name) {
            let after = at + name.len();
            let Some(value) = lower.get(after..).and_then(|rest| rest.trim_start_matches(' ').strip_prefix(':')) else {
                continue;
            };
            let value = value.trim_start_matches(' ');
            let end = value.find(['\r', '\n']).unwrap_or(value.len());
            let start = lower.len() - value.len();
            found.push((start, start + end));
        }
    }
    found
}

struct Url {
    /// From behind `://` to its end.
    whole: (usize, usize),
    user: Option<(usize, usize)>,
    /// Start of its query.
    query: usize,
}

/// URLs in a text, including percent-encoded ones inside another (`?url=rtsp%3A%2F%2F…`).
fn urls(text: &str, lower: &str) -> Vec<Url> {
    let mut found = Vec::new();
    let starts = lower.match_indices("://").chain(lower.match_indices("%3a%2f%2f"));
    for (at, mark) in starts {
        let start = at + mark.len();
        let rest = text.get(start..).unwrap_or_default();
        // A text that is a single URL ends with it: passwords hold all kinds of characters.
        let scheme = text.get(..at).unwrap_or_default();
        let alone = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-');
        let stop = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let length = if alone { rest.len() } else { rest.find(stop).unwrap_or(rest.len()) };
        let word = rest.get(..length).unwrap_or_default();
        let (at_sign, question) = if mark == "://" { ("@", "?") } else { ("%40", "%3f") };
        let folded = word.to_ascii_lowercase();
        // Up to the last '@', also behind a '?': both may be part of a password.
        let user = folded.rfind(at_sign).map(|end| (start, start + end));
        let host = user.map_or(0, |(_, end)| end - start);
        let query = folded.get(host..).and_then(|rest| rest.find(question)).map_or(length, |at| host + at);
        found.push(Url { whole: (start, start + length), user, query: start + query });
    }
    found
}

/// Values of keys with a secret's name; one may contain the next.
fn values(text: &str, lower: &str, urls: &[Url]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, mark) in lower.match_indices('=').chain(lower.match_indices("%3d")) {
        let before = lower.get(..at).unwrap_or_default();
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | '[' | ']');
        let from =
            before.rfind(|c| !is_name(c)).map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
        let start = at + mark.len();
        let url = urls.iter().find(|url| (url.whole.0..url.whole.1).contains(&at));
        // Keys in a path are joined by underscores; the last part before '=' is the key.
        let name = decode(before.get(from..).unwrap_or_default());
        let short = url.is_some_and(|url| short_pair(lower.get(url.query..url.whole.1).unwrap_or_default(), &name));
        if !short && !is_secret_name(&name, url.is_some()) {
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let in_query = url.is_some_and(|url| at > url.query);
        let stop = |c: char| {
            c.is_whitespace()
                || matches!(c, '&' | '"' | '\'' | '<' | '>')
                || (!in_query && matches!(c, '/' | '?' | ';' | ','))
        };
        let end = rest.find(stop).unwrap_or(rest.len());
        found.push((start, start + end));
    }
    found
}

/// `u` and `p` together, as some cameras use them.
fn short_pair(query: &str, name: &str) -> bool {
    let has = |key: &str| query.split(['?', '&']).any(|pair| pair.starts_with(key));
    matches!(name, "u" | "p") && has("u=") && has("p=")
}

/// `true` when a key of this name has a secret value.
fn is_secret_name(name: &str, in_url: bool) -> bool {
    let name = name.to_ascii_lowercase();
    let joined: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_word = |part: &str| WORDS.contains(&part) || in_url && ENDS.iter().any(|end| part.ends_with(end));
    STEMS.iter().any(|stem| joined.contains(stem)) || name.split(|c: char| !c.is_alphanumeric()).any(is_word)
}

/// `text` with percent-encoding decoded; malformed sequences stay.
pub fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = digits.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match decoded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
