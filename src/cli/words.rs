//! Sizes, tasks and commands as people read and type them.

use std::ffi::OsString;

/// A size as people read it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A number of things: `1 model`, `2 models`.
pub(super) fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Text as it stands in an SVG picture.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whole MiB.
pub(super) fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// Words with commas between them; `none` where there are none.
pub(super) fn listed<S: AsRef<str>>(words: &[S], none: &str) -> String {
    if words.is_empty() {
        return none.into();
    }
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// This command with `sudo` before it.
pub(super) fn with_sudo() -> String {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words = args.iter().map(|arg| quoted(&arg.to_string_lossy()));
    ["sudo leptond".to_string()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// A word of a command line, in quotes where a shell needs them.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "model")), ["0 models", "1 model", "2 models"]);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        let check = |word: &str, text: &str| assert_eq!(quoted(word), text);
        check("--labels=/a/b.txt", "--labels=/a/b.txt");
        check("my file", "'my file'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }
}
