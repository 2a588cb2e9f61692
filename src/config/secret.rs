//! Keeping secrets out of logs, messages and everything published.

/// What stands where a secret was.
pub const MASK: &str = "***";

/// `text` with the user and password of every URL in it masked: `rtsp://user:pass@camera/1` → `rtsp://***@camera/1`, and the
/// values of query parameters that look like credentials; and what follows `Authorization:`.
pub fn redact(text: &str) -> String {
    const HEADER: &str = "authorization:";
    // ASCII lower case keeps every byte's place.
    if let Some(at) = text.to_ascii_lowercase().find(HEADER) {
        let (before, rest) = text.split_at(at);
        let (header, value) = rest.split_at(HEADER.len());
        let end = value.find(['\r', '\n']).unwrap_or(value.len());
        return format!("{}{header} {MASK}{}", redact(before), redact(value.get(end..).unwrap_or_default()));
    }
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

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn what_is_secret_is_masked_and_nothing_else() {
        for (text, shown) in [
            ("", ""),
            ("plain text, a@b.c", "plain text, a@b.c"),
            ("rtsp://camera/1", "rtsp://camera/1"),
            ("rtsp://user:pass@camera:554/1", "rtsp://***@camera:554/1"),
            ("rtsp://user:p/a?s#s@camera/1", "rtsp://***@camera/1"),
            ("rtsp://user:p@ss@camera/1", "rtsp://***@camera/1"),
            ("http://camera/v?user=me&res=hd&pwd=x#t", "http://camera/v?user=***&res=hd&pwd=***"),
            ("from rtsp://a:b@c to rtsp://d:e@f ok", "from rtsp://***@c to rtsp://***@f ok"),
            ("Authorization: Basic YTpi\r\nX: http://a:b@c", "Authorization: ***\r\nX: http://***@c"),
            ("é AUTHORIZATION:Bearer x", "é AUTHORIZATION: ***"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }
}
