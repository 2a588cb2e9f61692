//! Keeps credentials out of logs and messages.

/// What must not be shown: the user part of a URL, and its words wherever else they turn up.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    secrets: Vec<String>,
}

/// What stands in a secret's place.
const STARS: &str = "***";
/// Secrets shorter than this are masked only in their URL: elsewhere they would blot out half the text.
const SHORTEST: usize = 4;
/// `key=value` in a URL's path or query whose value is a secret, as many cameras want it.
const KEYS: [&str; 11] =
    ["password", "passwd", "passcode", "pass", "pwd", "token", "secret", "auth", "username", "user", "key"];

impl Mask {
    /// The secrets of `url`. The user part is taken up to the last `@`, since passwords with an unescaped `@` or `/` exist.
    pub fn of_url(url: &str) -> Self {
        let mut secrets = Vec::new();
        if let Some((_, rest)) = url.split_once("://")
            && let Some((user_part, _)) = rest.rsplit_once('@')
        {
            secrets.push(user_part.to_owned());
            if let Some((_, password)) = user_part.split_once(':') {
                secrets.push(password.to_owned());
            }
        }
        for (start, end) in values(url) {
            secrets.push(url[start..end].to_owned());
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Mask { secrets }
    }

    /// `text` with every secret, the user part of any URL and the value of any password-like `key=value` replaced by `***`.
    pub fn apply(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            out = out.replace(secret.as_str(), STARS);
        }
        let mut outermost = values(&out);
        outermost.dedup_by_key(|&mut (_, end)| end);
        for (start, end) in outermost.into_iter().rev() {
            out.replace_range(start..end, STARS);
        }
        mask_users(&out)
    }
}

/// Byte ranges of the values of password-like keys, in order; one may hold the next, and then they end alike.
fn values(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(equals) = text[from..].find('=').map(|i| from + i) {
        let before = &text[..equals];
        let start = equals + 1;
        from = start;
        // get(): a multi-byte character may stand where the key would begin.
        let is_key = KEYS.iter().any(|key| {
            equals
                .checked_sub(key.len())
                .and_then(|at| Some((before.get(..at)?, before.get(at..)?)))
                .is_some_and(|(ahead, word)| word.eq_ignore_ascii_case(key) && !ahead.ends_with(char::is_alphanumeric))
        });
        if is_key {
            let end = text[start..]
                .find(|c: char| c.is_whitespace() || matches!(c, '&' | '\'' | '"' | '/' | '#' | ';'))
                .map_or(text.len(), |i| start + i);
            if end > start {
                found.push((start, end));
            }
        }
    }
    found
}

/// Replaces `user:password` in every `scheme://user:password@…` of `text`.
fn mask_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let word = tail.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(tail.len());
        rest = match tail[..word].rfind('@') {
            Some(user) => {
                out.push_str(STARS);
                &tail[user..]
            }
            None => tail,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_wherever_they_stand() {
        let cases = [
            ("rtsp://admin:hunter2@10.0.0.5:554/s0", "opening rtsp://admin:hunter2@10.0.0.5:554/s0", "hunter2"),
            ("rtsp://admin:hunter2@10.0.0.5/s0", "401 for user admin:hunter2", "hunter2"),
            ("rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "bad port in rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "w0rd"),
            ("rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "said p@ss/w0rd", "w0rd"),
            ("http://cam/video?user=bob&password=s3cr3t!", "GET /video?user=bob&password=s3cr3t! failed", "s3cr3t"),
            ("rtsp://cam/user=admin_password=tlJwpbo6_channel=1", "x tlJwpbo6_channel=1", "tlJwpbo6"),
            ("rtsp://cam/s0", "redirected to rtsp://other:word@host/", "word@"),
            ("rtsp://a:b@cam/s0", "'rtsp://a:b@cam/s0': no route", "a:b"),
        ];
        for (url, text, secret) in cases {
            let masked = Mask::of_url(url).apply(text);
            assert!(!masked.contains(secret), "{masked}");
            assert!(masked.contains(STARS), "{masked}");
            assert!(!Mask::of_url(url).apply(url).contains(secret));
        }
    }

    #[test]
    fn harmless_text_stays() {
        for text in ["rtsp://cam/stream", "frame=12 fps=5", "keyframe=1 monkey=2", "ü=1", "a@b.example", ""] {
            assert_eq!(Mask::of_url("rtsp://u:pass@h/").apply(text), text);
        }
        assert_eq!(Mask::of_url("rtsp://u:word@h/x").apply("rtsp://u:word@h/x"), "rtsp://***@h/x");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(url: String, text: String) {
            Mask::of_url(&url).apply(&text);
        }
    }
}
