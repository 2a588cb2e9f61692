//! What people call models and files, and how sizes are written.

use std::ffi::OsString;
use std::path::Path;

/// Whether it is an address, and not a name or path.
pub fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// A bundle's name out of a file's: its stem, with what a name may not have replaced.
pub fn name_of(file: &str) -> Option<String> {
    let file = file.split(['?', '#']).next().unwrap_or_default();
    let stem = Path::new(file).file_stem()?.to_str()?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = stem.chars().map(plain).take(64).collect();
    let name = name.trim_matches('-').to_string();
    // What exporters call every model says nothing.
    let vague = ["", "model", "saved_model", "download", "raw", "resolve", "main"];
    (!vague.contains(&name.to_ascii_lowercase().as_str())).then_some(name)
}

/// A size as people read it.
pub(in crate::cli) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// This command as somebody who may do it would type it.
pub fn with_sudo() -> String {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words = args.iter().map(|arg| quoted(&arg.to_string_lossy()));
    ["sudo leptond".to_string()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// A word of a command line, in quotes where a shell needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_files() {
        let check = |file: &str, name: Option<&str>| assert_eq!(name_of(file).as_deref(), name, "{file}");
        check("vww_96_int8.tflite", Some("vww_96_int8"));
        check("tf2_mobilenet_v2_1.0_224_ptq.tflite", Some("tf2_mobilenet_v2_1-0_224_ptq"));
        check("yolo.onnx?download=true", Some("yolo"));
        check("model.onnx", None);
        check("…", None);
        check("", None);
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
