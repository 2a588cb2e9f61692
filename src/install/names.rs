//! Names of models and files.

use std::path::Path;

/// Reports an address, and no name or path.
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
}
