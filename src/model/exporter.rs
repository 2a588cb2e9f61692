//! Metadata that exporting programs write into a file about its model: the labels of a detector, the kind of its task, whether it suppresses
//! overlapping boxes itself.

use super::characters::characters;

/// Metadata as far as it is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Class names, index = class.
    pub labels: Vec<String>,
    /// True if there are names that are not of the form that exporters give them.
    pub strange_labels: bool,
    /// Kind of task in the exporter's word: `detect`, `classify`, `segment`, `pose`, `obb`, `semantic`.
    pub task: Option<String>,
    /// `[height, width]` in pixels that the network was exported for.
    pub size: Option<[usize; 2]>,
    /// True if the network suppresses overlapping boxes itself; `None` where the file does not say.
    pub end2end: Option<bool>,
    /// Key points of an object and values of each.
    pub keypoints: Option<[usize; 2]>,
    /// Characters of a model that reads text, in the order of its classes; the blank is not among them.
    pub characters: Vec<String>,
    /// Name of the network's last layer, such as `Detect` or `RTDETRDecoder`.
    pub head: Option<String>,
}

impl Said {
    /// True if the `ultralytics` package wrote the file: it names the task, which YOLOv5's own exporter does not, and none of its
    /// detectors has the head of YOLOv5.
    pub fn by_ultralytics(&self) -> bool {
        self.task.is_some()
    }

    /// True if the boxes are shares of the input, as those of its RT-DETR are.
    pub fn has_shares(&self) -> bool {
        self.by_ultralytics() && self.head.as_deref() == Some("RTDETRDecoder")
    }
}

/// Reads the metadata that the exporters of Ultralytics write (YOLOv5; the package with YOLOv8, YOLO11, YOLO26, RT-DETR): values in
/// Python's notation under `names`, `task`, `imgsz`, `end2end` and `args`; and the dictionary of PP-OCR's recognisers, one character a line
/// under `character`.
pub fn said(metadata: &[(String, String)]) -> Said {
    let value = |key: &str| metadata.iter().find(|(k, _)| k == key).map(|(_, value)| value.trim());
    let size = value("imgsz").and_then(|text| {
        let numbers: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        <[usize; 2]>::try_from(numbers).ok()
    });
    let keypoints = value("kpt_shape").and_then(|text| {
        let numbers: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        <[usize; 2]>::try_from(numbers).ok().filter(|[count, values]| *count > 0 && (2..=3).contains(values))
    });
    let word = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase());
    let suppressed = value("args").and_then(|args| flag(args, "nms")).or(value("nms").and_then(truth));
    let end2end = match (value("end2end").and_then(truth), suppressed) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (said, _) => said,
    };
    let labels = value("names").map(names);
    Said {
        strange_labels: labels == Some(None),
        labels: labels.flatten().unwrap_or_default(),
        task: value("task").filter(|text| word(text)).map(str::to_owned),
        size,
        end2end,
        keypoints,
        characters: dictionary(metadata),
        head: value("head").map(str::to_owned),
    }
}

/// The characters under `character`; none where a line is empty.
fn dictionary(metadata: &[(String, String)]) -> Vec<String> {
    let text = metadata.iter().find(|(key, _)| key == "character").map_or("", |(_, text)| text);
    characters(text).unwrap_or_default().into_iter().map(str::to_owned).collect()
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "True" | "true" => Some(true),
        "False" | "false" => Some(false),
        _ => None,
    }
}

/// The value of `'key': True` in a dictionary of simple values.
fn flag(dictionary: &str, key: &str) -> Option<bool> {
    let entries = dictionary.trim_matches(['{', '}', ' ']).split(',');
    let pairs = entries.filter_map(|entry| entry.split_once(':'));
    let found = pairs.filter(|(k, _)| k.trim().trim_matches(['\'', '"']) == key).map(|(_, v)| v.trim());
    found.filter_map(truth).next()
}

/// The values of `{0: 'person', 1: "traffic light", …}` in the order of their keys, which have to be 0, 1, 2, …, or those of
/// `['person', "traffic light", …]`.
fn names(text: &str) -> Option<Vec<String>> {
    let dictionary = text.starts_with('{');
    let (open, close) = if dictionary { ('{', '}') } else { ('[', ']') };
    let mut rest = text.strip_prefix(open)?.strip_suffix(close)?.trim();
    let mut values = Vec::new();
    while !rest.is_empty() {
        if dictionary {
            let (key, after) = rest.split_once(':')?;
            if key.trim().trim_matches(['\'', '"']).parse() != Ok(values.len()) {
                return None;
            }
            rest = after.trim_start();
        }
        let (value, after) = quoted(rest)?;
        values.push(value);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(values)
}

/// A text in single or double quotes with backslashes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            c if c == quote => return Some((value, &text[at + 1..])),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Said {
        said(&pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_read() {
        let check = |names: &str, wanted: &[&str]| {
            let found = of(&[("names", names), ("task", "detect")]);
            assert_eq!(found.labels, wanted, "{names}");
            assert_eq!(found.strange_labels, wanted.is_empty() && names != "{}" && names != "[]", "{names}");
        };
        check("{0: 'person', 1: \"traffic light\", 2: 'tv'}", &["person", "traffic light", "tv"]);
        check("{0: 'a, b: c'}", &["a, b: c"]);
        check(r#"{0: 'it\'s "x"', 1: 'back\\slash'}"#, &["it's \"x\"", "back\\slash"]);
        check("{\"0\": \"a\", \"1\": \"b\"}", &["a", "b"]);
        check("['person', \"tv\"]", &["person", "tv"]);
        check("{}", &[]);
        check("[]", &[]);
        check("{1: 'person'}", &[]);
        check("{0: person}", &[]);
        check("{0: 'a' 1: 'b'}", &[]);
        check("{0: 'per", &[]);
    }

    #[test]
    fn a_dictionary_is_read_line_by_line() {
        assert_eq!(of(&[("character", "'\n\u{3000}\na\n")]).characters, ["'", "\u{3000}", "a"]);
        assert!(of(&[("character", "a\n\nb")]).characters.is_empty());
    }

    #[test]
    fn sizes_tasks_and_suppression_are_read() {
        assert_eq!(of(&[("imgsz", "[640, 480]")]).size, Some([640, 480]));
        assert_eq!(of(&[("imgsz", "640")]).size, None);
        assert_eq!(of(&[("task", "segment")]).task.as_deref(), Some("segment"));
        assert_eq!(of(&[("task", "x y")]).task, None);
        assert_eq!(of(&[("kpt_shape", "[17, 3]")]).keypoints, Some([17, 3]));
        assert_eq!(of(&[("kpt_shape", "[0, 3]")]).keypoints, None);
        assert!(of(&[("task", "detect"), ("head", "RTDETRDecoder")]).has_shares());
        let end2end = |pairs: &[(&str, &str)]| of(pairs).end2end;
        assert_eq!(end2end(&[("end2end", "True"), ("args", "{'batch': 1, 'half': False, 'nms': False}")]), Some(true));
        assert_eq!(end2end(&[("end2end", "False"), ("args", "{'batch': 1, 'nms': True}")]), Some(true));
        assert_eq!(end2end(&[("args", "{'nms': True}")]), Some(true));
        assert_eq!(end2end(&[("args", "{'nms': False}")]), None, "a network may suppress without that");
        assert_eq!(end2end(&[("end2end", "False")]), Some(false));
        assert_eq!(end2end(&[("end2end", "maybe")]), None);
        assert_eq!(end2end(&[]), None);
    }
}
