//! Findings of `leptond doctor`, from a process of its own: what it loads to try models is gone with it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sys::Mask;
use crate::sys::child::{Child, Read, Spec};

/// Time that it may take.
const WITHIN: Duration = Duration::from_secs(90);
/// Bytes that it may say.
const MOST_BYTES: usize = 1 << 20;

/// Runs it on the configuration `file` and waits for its end.
///
/// # Errors
/// The reason for which there are no findings.
pub(super) fn findings(file: Option<&Path>) -> Result<Value, String> {
    let file = file.ok_or("this run has no configuration file that doctor could look at")?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let spec = Spec {
        name: "doctor".into(),
        program: program.to_string_lossy().into_owned(),
        args: ["doctor", "--json", "--config"]
            .map(String::from)
            .into_iter()
            .chain([file.display().to_string()])
            .collect(),
        stdin: Vec::new(),
        package: "leptond",
        mask: Mask::default(),
    };
    let mut child = Child::spawn(&spec).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + WITHIN;
    let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match child.read(&mut chunk, deadline.saturating_duration_since(Instant::now())) {
            Ok(Read::Data(count)) if said.len() < MOST_BYTES => said.extend_from_slice(&chunk[..count]),
            Ok(Read::Data(_)) => return Err("doctor says too much".into()),
            Ok(Read::Closed) => break,
            Ok(Read::Quiet) => return Err(format!("doctor takes more than {} s", WITHIN.as_secs())),
            Err(error) => return Err(error.to_string()),
        }
    }
    let exit = child.finish();
    // Trouble that it found is an exit status of its own.
    serde_json::from_slice(&said).map_err(|_| exit.words)
}
