//! `<pipeline>/detect/set`: the pause of a pipeline as a switch, for those who know it from Frigate.

use super::fields::{pipeline, shown};
use super::pause::Pause;

/// A longer payload is no position of a switch.
const MOST_BYTES: usize = 16;

/// Reads the payload of a switch of the pipeline called `name`; `pipelines` are the names that there are.
pub(super) fn read(name: &str, payload: &[u8], pipelines: &[&str]) -> Result<Pause, String> {
    let pipeline = Some(pipeline(name, pipelines)?);
    let text = payload.get(..MOST_BYTES.min(payload.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let on = match text.trim().to_ascii_lowercase().as_str() {
        _ if payload.len() > MOST_BYTES => None,
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    };
    match on {
        Some(on) => Ok(Pause { pipeline, paused: !on }),
        None => Err(format!("detect/set: found {}, allowed are ON and OFF", shown(&text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_has_two_positions_in_several_spellings() {
        for (payload, paused) in [
            ("ON", Some(false)),
            ("on", Some(false)),
            (" true\n", Some(false)),
            ("1", Some(false)),
            ("OFF", Some(true)),
            ("Off", Some(true)),
            ("false", Some(true)),
            ("0", Some(true)),
            ("", None),
            ("2", None),
            ("OFFICE", None),
            ("{\"state\":\"ON\"}", None),
            ("ON              ON", None),
        ] {
            let read = read("door", payload.as_bytes(), &["door", "meter"]);
            assert_eq!(read.as_ref().ok().map(|pause| pause.paused), paused, "{payload:?}: {read:?}");
        }
        assert_eq!(read("attic", b"ON", &["door"]), Err("pipeline: found \"attic\", there are door".into()));
        let error = read("door", &[0xff; 4000], &["door"]).unwrap_err();
        assert!(error.len() < 200, "{error}");
    }
}
