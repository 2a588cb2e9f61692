//! Files that are appended to a `.tflite` as an archive: labels (TensorFlow Lite Metadata), or all that the exporter of Ultralytics says.
//!
//! They become metadata of the converted model: a reader of metadata need not know their source.

use tract_onnx::pb::{ModelProto, StringStringEntryProto};

use super::inflate::inflate;

/// Files of an archive that are looked at.
const MOST_FILES: usize = 64;
/// Largest file that is read out of an archive, in bytes; the metadata that is kept is no longer.
const MOST_BYTES: usize = 1 << 20;
/// Furthest from the end of a file that an archive's last record can be: the record and its comment.
const MOST_TAIL: usize = 22 + 0xFFFF;

/// The converted model with the metadata of the files that are appended to `tflite`; as it is where there are none.
pub(super) fn with_metadata(mut onnx: ModelProto, tflite: &[u8]) -> ModelProto {
    let entry = |(key, value)| StringStringEntryProto { key, value };
    onnx.metadata_props.extend(metadata(tflite).into_iter().map(entry));
    onnx
}

/// Key and value of everything that is said of a model, in the form of the exporters that write into ONNX files.
fn metadata(tflite: &[u8]) -> Vec<(String, String)> {
    let files = files(tflite);
    let named = |name: &str| files.iter().find(|file| file.name == name).and_then(|file| file.text(tflite));
    if let Some(text) = named("metadata.json")
        && let Ok(serde_json::Value::Object(all)) = serde_json::from_str(&text)
    {
        let plain = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return all.into_iter().map(|(key, value)| (key, plain(value))).collect();
    }
    let is_labels = |file: &&Entry| file.name.ends_with(".txt") && file.name.contains("label");
    let Some(labels) = files.iter().find(is_labels).and_then(|file| file.text(tflite)) else { return Vec::new() };
    let names: Vec<&str> = labels.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let quoted = names.iter().map(|name| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")));
    vec![("names".into(), format!("[{}]", quoted.collect::<Vec<_>>().join(", ")))]
}

/// A file of an archive.
struct Entry {
    name: String,
    deflated: bool,
    /// Of its own record in the archive.
    start: usize,
    packed: usize,
    length: usize,
}

impl Entry {
    /// Its text; `None` where it is none, or the archive is damaged.
    fn text(&self, archive: &[u8]) -> Option<String> {
        let record = archive.get(self.start..).filter(|record| record.starts_with(b"PK\x03\x04"))?;
        let skipped = 30 + half(record, 26)? + half(record, 28)?;
        let packed = record.get(skipped..skipped.checked_add(self.packed)?)?;
        let bytes = match self.deflated {
            true => inflate(packed, self.length)?,
            false => packed.to_vec(),
        };
        (bytes.len() == self.length).then(|| String::from_utf8(bytes).ok())?
    }
}

/// The files of the archive at the end of these bytes; none where there is no archive (APPNOTE.TXT of PKWARE, 4.3).
fn files(bytes: &[u8]) -> Vec<Entry> {
    read(bytes).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
    let tail = bytes.len().saturating_sub(MOST_TAIL);
    let end = bytes[tail..].windows(4).rposition(|window| window == b"PK\x05\x06")? + tail;
    let record = &bytes[end..];
    let (count, size, start) = (half(record, 10)?, word(record, 12)?, word(record, 16)?);
    // Some archives count from their own first byte instead of the file's.
    let directory = end.checked_sub(size)?;
    let shift = directory.checked_sub(start)?;
    let mut at = directory;
    let mut entries = Vec::new();
    for _ in 0..count.min(MOST_FILES) {
        let record = bytes.get(at..).filter(|record| record.starts_with(b"PK\x01\x02"))?;
        let (name, extra, comment) = (half(record, 28)?, half(record, 30)?, half(record, 32)?);
        let (packed, length, start) = (word(record, 20)?, word(record, 24)?, word(record, 42)?);
        let method = half(record, 10)?;
        if length <= MOST_BYTES && (method == 0 || method == 8) {
            let name = String::from_utf8_lossy(record.get(46..46 + name)?).into_owned();
            entries.push(Entry { name, deflated: method == 8, start: start.checked_add(shift)?, packed, length });
        }
        at = at.checked_add(46 + name + extra + comment)?;
    }
    Some(entries)
}

/// A number of two bytes.
fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

/// A number of four bytes.
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive behind `before` bytes: name, packed contents, their length, method.
    fn archive(before: usize, files: &[(&str, &[u8], usize, u16)]) -> Vec<u8> {
        let mut bytes = vec![7_u8; before];
        let mut directory = Vec::new();
        for (name, packed, length, method) in files {
            let start = bytes.len() as u32;
            let sizes = [(packed.len() as u32).to_le_bytes(), (*length as u32).to_le_bytes()].concat();
            let name_length = (name.len() as u16).to_le_bytes();
            bytes.extend([b"PK\x03\x04\x14\0\0\0".as_slice(), &method.to_le_bytes(), &[0; 8], &sizes].concat());
            bytes.extend([&name_length, &[0, 0], name.as_bytes(), packed].concat());
            directory
                .extend([b"PK\x01\x02\x14\0\x14\0\0\0".as_slice(), &method.to_le_bytes(), &[0; 8], &sizes].concat());
            directory.extend([&name_length[..], &[0; 12], &start.to_le_bytes(), name.as_bytes()].concat());
        }
        let (start, size, count) = (bytes.len() as u32, directory.len() as u32, (files.len() as u16).to_le_bytes());
        bytes.extend(directory);
        bytes.extend(
            [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &size.to_le_bytes(), &start.to_le_bytes()].concat(),
        );
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn labels_and_all_that_an_exporter_says_are_read() {
        let labels = archive(40, &[("labels.txt", b"a cat\nit's\r\n\n", 13, 0)]);
        assert_eq!(metadata(&labels), [("names".to_string(), r"['a cat', 'it\'s']".to_string())]);
        let json = br#"{"task": "pose", "names": {"0": "person"}, "imgsz": [64, 64]}"#;
        let found = metadata(&archive(8, &[("metadata.json", json, json.len(), 0)]));
        assert!(found.contains(&("task".into(), "pose".into())) && found.contains(&("imgsz".into(), "[64,64]".into())));
        // Packed as one block with fixed codes.
        let packed = [0x4b, 0xe4, 0x4a, 0xe2, 0x02, 0x00];
        let deflated = archive(0, &[("label_map.txt", &packed, 4, 8)]);
        assert_eq!(metadata(&deflated)[0].1, "['a', 'b']");
        assert_eq!(metadata(b"TFL3 and no archive"), []);
    }

    #[test]
    fn a_damaged_archive_says_nothing() {
        let good = archive(4, &[("labels.txt", b"a\nb", 3, 0)]);
        for length in 0..good.len() {
            let _ = metadata(&good[..length]);
        }
        for at in 4..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xFF;
            let _ = metadata(&bad);
        }
    }
}
