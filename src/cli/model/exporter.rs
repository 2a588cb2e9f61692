//! What exporting programs write into a file about its model: the labels of a detector, the kind of its task.

/// What is said, as far as it is understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Class names, index = class.
    pub labels: Vec<String>,
    /// `detect` or `classify`.
    pub task: Option<&'static str>,
    /// `[height, width]` in pixels that the network was exported for.
    pub size: Option<[usize; 2]>,
}

/// Reads the metadata that Ultralytics' exporter (YOLOv5, YOLOv8, YOLO11) writes: `names` as a Python dictionary, `task`, `imgsz`.
pub fn said(metadata: &[(String, String)]) -> Said {
    let value = |key: &str| metadata.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let task = match value("task") {
        Some("detect") => Some("detect"),
        Some("classify") => Some("classify"),
        _ => None,
    };
    let size = value("imgsz").and_then(|text| {
        let numbers: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        <[usize; 2]>::try_from(numbers).ok()
    });
    Said { labels: value("names").and_then(dictionary).unwrap_or_default(), task, size }
}

/// The values of `{0: 'person', 1: "traffic light", …}` in the order of their keys, which have to be 0, 1, 2, ….
fn dictionary(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        if key.trim().trim_matches(['\'', '"']).parse() != Ok(values.len()) {
            return None;
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (value, after) = after[1..].split_once(quote)?;
        values.push(value.into());
        rest = after.trim_start().strip_prefix(',').unwrap_or(after).trim();
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let check = |names: &str, wanted: &[&str]| {
            let found = said(&[("names".into(), names.into()), ("task".into(), "detect".into())]);
            assert_eq!(found.labels, wanted, "{names}");
            assert_eq!(found.task, Some("detect"));
        };
        check("{0: 'person', 1: \"traffic light\", 2: 'tv'}", &["person", "traffic light", "tv"]);
        check("{0: 'a, b: c'}", &["a, b: c"]);
        check("{}", &[]);
        check("{1: 'person'}", &[]);
        check("{0: person}", &[]);
        check("['a']", &[]);
        check("{0: 'per", &[]);
        let size = |text: &str| said(&[("imgsz".into(), text.into())]).size;
        assert_eq!(size("[640, 480]"), Some([640, 480]));
        assert_eq!(size("640"), None);
    }
}
