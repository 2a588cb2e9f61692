//! Keeping secrets out of logs, messages and everything published.

/// What stands where a secret was.
pub const MASK: &str = "***";

/// `text` with the user and password of every URL in it masked: `rtsp://user:pass@camera/1` → `rtsp://***@camera/1`, and the
/// values of query parameters that look like credentials.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        out.push_str(&redact_url(url));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// What follows `://`. A password may hold `/`, `?` or `#` unescaped, so the last `@` before the path's query decides.
fn redact_url(url: &str) -> String {
    let (main, query) = match url.split_once('?') {
        // An '@' after the '?' with none before it: the '?' is part of a password.
        Some((main, query)) if main.contains('@') || !query.contains('@') => (main, Some(query)),
        _ => (url, None),
    };
    let mut out = match main.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => main.to_owned(),
    };
    if let Some(query) = query {
        out.push('?');
        for (i, pair) in query.split('&').enumerate() {
            if i > 0 {
                out.push('&');
            }
            match pair.split_once('=') {
                Some((name, _)) if is_secret_name(name) => {
                    out.push_str(name);
                    out.push('=');
                    out.push_str(MASK);
                }
                _ => out.push_str(pair),
            }
        }
    }
    out
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["pass", "pwd", "token", "secret", "key", "auth", "user", "login"].iter().any(|word| name.contains(word))
}
