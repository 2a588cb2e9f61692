//! A list of files with what is right for each: CSV or TSV.

use std::collections::BTreeMap;
use std::path::Path;

use super::dataset::{Data, Input, Truth};
use crate::cli::Failure;
use crate::sys::file;

/// Longer lists are none.
const MOST_BYTES: u64 = 256 << 20;

/// Names of the column of files, and of that of labels.
const FILES: [&str; 6] = ["file", "filename", "path", "image", "picture", "name"];
const LABELS: [&str; 7] = ["label", "class", "value", "reading", "text", "truth", "target"];

/// Reads a list; files are looked for in `images`, else beside it.
///
/// # Errors
/// The line that cannot be read.
pub(super) fn read(path: &Path, images: Option<&Path>) -> Result<Data, Failure> {
    let wrong = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let text = file::read_text(path, MOST_BYTES).map_err(|e| wrong(e.to_string()))?;
    let dir = images.or(path.parent()).unwrap_or(Path::new("."));
    let separator = separator(&text);
    let mut lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')).peekable();
    let (mut file_at, mut label_at) = (0, 1);
    if let Some((_, first)) = lines.peek() {
        let head: Vec<String> = fields(first, separator).iter().map(|field| field.trim().to_lowercase()).collect();
        let at = |names: &[&str]| head.iter().position(|field| names.contains(&field.as_str()));
        if let (Some(file), Some(label)) = (at(&FILES), at(&LABELS)) {
            (file_at, label_at) = (file, label);
            lines.next();
        }
    }
    let mut inputs = Vec::new();
    for (number, line) in lines {
        let fields = fields(line, separator);
        let (Some(file), Some(label)) = (fields.get(file_at), fields.get(label_at)) else {
            return Err(wrong(format!("line {}: it needs a file and a label, with {separator:?} between", number + 1)));
        };
        let (file, label) = (file.trim(), label.trim());
        if file.is_empty() || label.is_empty() {
            return Err(wrong(format!(
                "line {}: the {} is empty",
                number + 1,
                if file.is_empty() { "file" } else { "label" }
            )));
        }
        inputs.push(Input { path: dir.join(file), truth: Some(Truth::Name(label.into())) });
    }
    if inputs.is_empty() {
        return Err(wrong("no line of it has a file and a label".into()));
    }
    if !inputs.iter().any(|input| input.path.exists()) {
        let first = inputs[0].path.display();
        return Err(wrong(format!("none of its files is there, such as {first}; --images DIR says where they are")));
    }
    Ok(Data { inputs, labels: Some("list"), categories: Vec::new(), names: BTreeMap::new() })
}

/// The separator that the first line has.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    ['\t', ',', ';'].into_iter().find(|separator| first.contains(*separator)).unwrap_or(',')
}

/// Fields of a line; one in quotes may hold the separator, and quotes twice.
fn fields(line: &str, separator: char) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut chars = line.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                fields[last].push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(fields("\u{feff}\"a, b.jpg\",\"say \"\"7\"\"\",x", ','), ["a, b.jpg", "say \"7\"", "x"]);
        assert_eq!(fields("a b.jpg\t00412", '\t'), ["a b.jpg", "00412"]);
    }

    #[test]
    fn columns_go_by_their_names_else_by_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list.csv");
        std::fs::write(dir.path().join("a.jpg"), b"").unwrap();
        for (text, wanted) in [
            ("id,value,file\n1,00412,a.jpg\n", Ok("00412")),
            ("a.jpg;7\n", Ok("7")),
            ("# by hand\n\na.jpg\tcat\n", Ok("cat")),
            ("file,label\na.jpg\n", Err("line 2")),
            ("a.jpg,\n", Err("label is empty")),
            ("b.jpg,1\n", Err("b.jpg")),
            ("", Err("no line")),
        ] {
            std::fs::write(&list, text).unwrap();
            match (read(&list, None), wanted) {
                (Ok(data), Ok(label)) => assert_eq!(data.inputs[0].truth, Some(Truth::Name(label.into()))),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, _) => panic!("{text:?}: {:?}", found.map(|data| data.inputs.len())),
            }
        }
    }
}
