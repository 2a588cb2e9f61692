//! Files of other kinds that people give where a model is wanted, told by their first bytes.

/// Bytes that are looked at to tell a text.
const LOOKED_AT: usize = 512;

/// First bytes of kinds of files, with what they are.
const KINDS: [(&[u8], &str); 17] = [
    (b"\xff\xd8\xff", "it is a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "it is a PNG picture"),
    (b"GIF8", "it is a GIF picture"),
    (b"RIFF", "it is a RIFF file, such as a WebP picture or WAV sound"),
    (b"%PDF", "it is a PDF document"),
    (
        b"PK\x03\x04",
        "it is a ZIP archive, as PyTorch's .pt and .pth and Keras' .keras are: export the model to ONNX or TensorFlow Lite",
    ),
    (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras' .h5: export the model to ONNX or TensorFlow Lite"),
    (b"\x80\x02", "it is a Python pickle, as of PyTorch or scikit-learn: export the model to ONNX"),
    (b"\x80\x04", "it is a Python pickle, as of PyTorch or scikit-learn: export the model to ONNX"),
    (b"\x80\x05", "it is a Python pickle, as of PyTorch or scikit-learn: export the model to ONNX"),
    (b"GGUF", "it is a GGUF file: export the model to ONNX"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
    (b"\xfd7zXZ", "it is compressed by xz: unpack it first"),
    (b"\x7fELF", "it is a program"),
    (b"version https://git-lfs", "it is a pointer of Git LFS and not the file: git lfs pull fetches that"),
    (b"<?xml", "it is an XML file, as of OpenVINO: export the model to ONNX"),
    (b"BM", "it is a BMP picture"),
];

/// The kind of a file that is no model, in words; `None` where it may be one.
pub fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("the file is empty");
    }
    if let Some((_, words)) = KINDS.iter().find(|(first, _)| bytes.starts_with(first)) {
        return Some(words);
    }
    let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    // A character may be cut at the end.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let start = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).to_ascii_lowercase();
    Some(if start.starts_with("<!doctype html") || start.starts_with("<html") {
        "it is a web page: the address leads to a page about the file, and not to the file"
    } else {
        "it is a text"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named_and_models_are_not() {
        for (bytes, words) in [
            (&b"\xff\xd8\xff\xe0JFIF"[..], "JPEG"),
            (b"PK\x03\x04archive/data.pkl", "PyTorch"),
            (b"\x89HDF\r\n\x1a\nx", "Keras"),
            (b"\n<!DOCTYPE HTML>\n<html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"hello\n", "a text"),
            ("grün\n".as_bytes(), "a text"),
            (b"", "empty"),
        ] {
            assert!(kind_of(bytes).is_some_and(|kind| kind.contains(words)), "{words}: {:?}", kind_of(bytes));
        }
        let long = format!("{}ü", "a".repeat(LOOKED_AT - 1));
        assert_eq!(kind_of(long.as_bytes()), Some("it is a text"), "a character that is cut");
        // The version and the producer, as ONNX files begin.
        for bytes in [&b"\x08\x08\x12\x07pytorch\x1a\x032.3"[..], b"\x0a\x05hello\x00", b"\xff\xfe\x00"] {
            assert_eq!(kind_of(bytes), None);
        }
    }
}
