//! The file of results: one line for each input, written as soon as it is known, gone on with by the next run.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::fleet::{Answer, Computed, ModelDigest};

/// The file of results.
pub(super) struct Results {
    file: File,
    path: PathBuf,
    model: ModelDigest,
    done: HashSet<String>,
}

impl Results {
    /// Opens the file, keeps its whole lines and takes off half a line at its end, which an earlier run was stopped in.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written, another run writes it, or its lines are of another model or none of ours.
    pub(super) fn open(path: &Path, model: &ModelDigest) -> Result<Results, Failure> {
        let failed = |e: io::Error| anyhow::Error::from(e).context(path.display().to_string());
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Failure::Usage(format!("{}: not a file that lines could be added to", path.display())));
        }
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Failure::Usage(format!("{}: another run writes it", path.display())));
        }
        let mut done = HashSet::new();
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        let mut whole = 0_u64;
        for number in 1_usize.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let input = input_of(&line, model);
            let input = input.map_err(|reason| Failure::Usage(format!("{}:{number}: {reason}", path.display())))?;
            done.insert(input);
            whole += read as u64;
        }
        file.set_len(whole).map_err(failed)?;
        (&file).seek(io::SeekFrom::End(0)).map_err(failed)?;
        Ok(Results { file, path: path.to_owned(), model: model.clone(), done })
    }

    /// True for an input that has a line.
    pub(super) fn has(&self, input: &Path) -> bool {
        self.done.contains(&*input.to_string_lossy())
    }

    /// Adds the line of an answer; `true` where it is a result.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub(super) fn answer(&mut self, input: &Path, answer: &Answer, total: Duration) -> Result<bool, Failure> {
        let Answer { node, queue, result, .. } = answer;
        let Computed { outcome, infer, rung } = match result {
            Ok(computed) => computed,
            Err(refusal) => return self.error(input, &refusal.to_string(), Some(node)).map(|()| false),
        };
        let ms = |span: Duration| span.as_micros() as f64 / 1e3;
        // The outcome as the node wrote it: read and written again, its numbers could be others.
        let line = format!(
            "{{\"input\":{},\"infer_ms\":{},\"queue_ms\":{},\"total_ms\":{},\"computed_by\":{},\"model\":\"{}\",\"rung\":{rung},{}\n",
            json!(input.to_string_lossy()),
            ms(*infer),
            ms(*queue),
            ms(total),
            json!(**node),
            self.model.short(),
            outcome.strip_prefix('{').unwrap_or(outcome)
        );
        self.add(input, line).map(|()| true)
    }

    /// Adds the line of an input that has no result.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub(super) fn error(&mut self, input: &Path, reason: &str, node: Option<&str>) -> Result<(), Failure> {
        let mut line = json!({ "input": input.to_string_lossy(), "error": reason, "model": self.model.short() });
        if let Some(node) = node {
            line["computed_by"] = node.into();
        }
        self.add(input, format!("{line}\n"))
    }

    fn add(&mut self, input: &Path, line: String) -> Result<(), Failure> {
        if !self.done.insert(input.to_string_lossy().into_owned()) {
            return Ok(());
        }
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| anyhow::Error::from(e).context(self.path.display().to_string()).into())
    }
}

/// The input that a line is of.
fn input_of(line: &[u8], model: &ModelDigest) -> Result<String, String> {
    let value: Value = serde_json::from_slice(line).map_err(|_| "not a line of results; give another --output")?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match (text("input"), text("model")) {
        (Some(input), Some(of)) if of == model.short() => Ok(input.to_owned()),
        (Some(_), Some(of)) => Err(format!("of the model {of}, and this one is {model}; give another --output")),
        _ => Err("not a line of results; give another --output".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(digit: char) -> ModelDigest {
        ModelDigest::new(&digit.to_string().repeat(64)).unwrap()
    }

    #[test]
    fn whole_lines_are_kept_and_half_a_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let mut results = Results::open(&path, &model('1')).unwrap();
        results.error(Path::new("a.jpg"), "picture: damaged", Some("node")).unwrap();
        results.error(Path::new("a.jpg"), "a second line", None).unwrap();
        assert!(Results::open(&path, &model('1')).is_err_and(|e| e.to_string().contains("another run")));
        drop(results);
        let first = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{first}{{\"input\":\"b.jpg\",\"mod")).unwrap();
        let mut results = Results::open(&path, &model('1')).unwrap();
        assert!(results.has(Path::new("a.jpg")) && !results.has(Path::new("b.jpg")));
        results.error(Path::new("b.jpg"), "x", None).unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(lines.starts_with(&first) && lines.ends_with("\"model\":\"111111111111\"}\n"), "{lines}");
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        for text in ["my notes\n", "{\"input\":\"a.jpg\",\"model\":\"222222222222\"}\n", "{\"input\":\"a.jpg\"}\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Results::open(&path, &model('1')).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(":1: ") && error.contains("another --output"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
