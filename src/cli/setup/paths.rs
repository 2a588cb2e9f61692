//! Sources by a path: photos, folders of them, films, tables of readings.

use std::path::Path;

use crate::source::{SensorKind, names_pictures};

/// Extensions of films, which `ffmpeg` reads.
const FILMS: [&str; 8] = ["mp4", "mkv", "avi", "mov", "webm", "ts", "h264", "m4v"];

/// `words` with a path in front as pairs of a source; `None` where it is no path.
///
/// # Errors
/// A sentence where it is a path, and nothing that a source can read is there.
pub fn pairs(words: &[String]) -> Option<Result<Vec<String>, String>> {
    let (first, rest) = words.split_first()?;
    let path = Path::new(first);
    let elsewhere = first.contains("://") || first.starts_with("type=") || first.starts_with("/dev/");
    let is_film = path.extension().is_some_and(|found| FILMS.iter().any(|film| found.eq_ignore_ascii_case(film)));
    let table = SensorKind::of_file(path);
    let names_file = names_pictures(path) || is_film || table.is_some();
    let glob = first.contains(['*', '?', '[']);
    if elsewhere || !(path.exists() || first.contains('/') || names_file) {
        return None;
    }
    let absolute = match std::path::absolute(path) {
        Ok(absolute) => absolute.display().to_string(),
        Err(error) => return Some(Err(format!("{first}: {error}"))),
    };
    if !path.exists() && !glob {
        return Some(Err(format!("{first}: there is no such file or directory")));
    }
    let read: Vec<String> = if let Some(kind) = table {
        let kind = format!("{kind:?}").to_lowercase();
        vec!["type=sensor".into(), format!("kind={kind}"), format!("path={absolute}")]
    } else if is_film {
        vec!["type=rtsp".into(), format!("url={absolute}")]
    } else if path.is_dir() || glob || names_pictures(path) {
        // A source that ends with its last picture would leave nothing to see.
        vec!["type=files".into(), format!("path={absolute}"), "loop=true".into()]
    } else {
        return Some(Err(format!(
            "{first}: not a file that a source reads: pictures (jpg, png, bmp, mjpeg, y4m), films ({}), tables (csv, jsonl)",
            FILMS.join(", ")
        )));
    };
    let given = |pair: &&String| !rest.iter().any(|other| other.split('=').next() == pair.split('=').next());
    Some(Ok(read.iter().filter(given).chain(rest).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_sources_of_their_kind() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.JPG", "log.csv", "film.mp4", "notes.txt", "more.ndjson"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            pairs(&words).map(|found| found.map(|pairs| pairs.join(" ")))
        };
        for (words, expected) in [
            (vec![at("a.JPG")], format!("type=files path={} loop=true", at("a.JPG"))),
            (vec![at(""), "fps=2".into()], format!("type=files path={} loop=true fps=2", at(""))),
            (vec![at("*.jpg"), "loop=false".into()], format!("type=files path={} loop=false", at("*.jpg"))),
            (vec![at("log.csv")], format!("type=sensor kind=csv path={}", at("log.csv"))),
            (vec![at("more.ndjson")], format!("type=sensor kind=jsonl path={}", at("more.ndjson"))),
            (vec![at("film.mp4")], format!("type=rtsp url={}", at("film.mp4"))),
        ] {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(read(&words), Some(Ok(expected)), "{words:?}");
        }
        for none in ["machine", "rpicam", "/dev/video0", "rtsp://cam/1", "http://cam/a.jpg", "type=files"] {
            assert_eq!(read(&[none]), None, "{none}");
        }
        for (path, word) in [("nowhere.csv", "no such file"), ("./nowhere", "no such file")] {
            assert!(read(&[path]).unwrap().unwrap_err().contains(word), "{path}");
        }
        assert!(read(&[&at("notes.txt")]).unwrap().unwrap_err().contains("not a file that a source reads"));
    }
}
