//! JPEG files changed in a thousand ways, with libjpeg's `djpeg` as the judge of each: none is accepted that it calls
//! premature or corrupt, those that it calls clean are, and the pixels are the same.

mod mutate;

use std::path::Path;
use std::process::{Command, Stdio};

use leptond::frame::{Image, PixelFormat};
use leptond::preprocess::to_rgb;

use crate::common;

/// What `djpeg` says of a file.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Decoded without a word.
    Clean(Vec<u8>),
    /// Decoded; only bytes between segments or behind a scan belonged to nothing.
    Strays(Vec<u8>),
    /// Decoded with a warning that the picture is not what was encoded.
    Corrupt(String),
    /// Not decoded.
    Refused(String),
}

fn judge(file: &Path) -> Verdict {
    let output = Command::new("djpeg").args(["-rgb", "-pnm"]).arg(file).stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // Three lines of text, then the pixels.
    let pixels = output.stdout.splitn(4, |b| *b == b'\n').nth(3).map(<[u8]>::to_vec).unwrap_or_default();
    // Of a sequential picture the band of a scan header has no meaning.
    let harmless =
        |line: &str| line.contains("extraneous bytes before marker") || line.contains("Invalid SOS parameters");
    match output.status.code() {
        Some(0) if words.is_empty() => Verdict::Clean(pixels),
        Some(0 | 2) if words.lines().all(harmless) => Verdict::Strays(pixels),
        Some(0 | 2) => Verdict::Corrupt(words),
        _ => Verdict::Refused(words),
    }
}

#[test]
fn nothing_is_accepted_that_djpeg_calls_premature() {
    const NAME: &str = "nothing_is_accepted_that_djpeg_calls_premature";
    if Command::new("djpeg").arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        return common::skip(NAME, "no djpeg (Debian package libjpeg-turbo-progs)");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.jpg");
    let mut found = Vec::new();
    let (mut wrong, mut strict) = (Vec::new(), Vec::new());
    let mut counts = [[0; 2]; 4];
    let mut worst = (0.0, String::new());
    for (what, data) in mutate::all(1200) {
        std::fs::write(&file, &data).unwrap();
        let image = Image { format: PixelFormat::Jpeg, data, ..Image::default() };
        let ours = to_rgb(&image, &mut found).map_err(|error| error.to_string());
        let verdict = judge(&file);
        let kind = match &verdict {
            Verdict::Clean(_) => 0,
            Verdict::Strays(_) => 1,
            Verdict::Corrupt(_) => 2,
            Verdict::Refused(_) => 3,
        };
        counts[kind][usize::from(ours.is_err())] += 1;
        match (&ours, &verdict) {
            (Ok(_), Verdict::Clean(pixels) | Verdict::Strays(pixels)) => {
                let sum: f64 = found.iter().zip(pixels).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
                let mean = if found.len() == pixels.len() { sum / found.len().max(1) as f64 } else { f64::INFINITY };
                if mean > worst.0 {
                    worst = (mean, what.clone());
                }
            }
            (Ok(_), Verdict::Corrupt(words) | Verdict::Refused(words)) => wrong.push(format!("{what}: {words}")),
            (Err(words), Verdict::Clean(_)) => strict.push(format!("{what}: {words}")),
            (Err(_), _) => {}
        }
    }
    let total: usize = counts.iter().flatten().sum();
    println!(
        "{total} files; accepted and refused of those that djpeg calls clean {:?}, with strays {:?}, corrupt {:?}, broken {:?}; \
        mean difference at most {:.2} ({})",
        counts[0], counts[1], counts[2], counts[3], worst.0, worst.1
    );
    println!("stricter than djpeg:\n{}", strict.join("\n"));
    assert!(total >= 1200);
    assert!(wrong.is_empty(), "{} of {total} are accepted:\n{}", wrong.len(), wrong.join("\n"));
    assert!(worst.0 < 2.0, "{worst:?}");
    // Refused although libjpeg has no word for what is wrong with them: named one by one.
    let unknown: Vec<_> =
        strict.iter().filter(|line| !KNOWN_STRICTER.iter().any(|known| line.contains(known))).collect();
    assert!(unknown.is_empty(), "refused without need:\n{unknown:#?}");
}

/// In whose words a picture is refused that `djpeg` passes: it does not count the coefficients of a block, nor whether all
/// scans came.
const KNOWN_STRICTER: [&str; 5] = [
    "a block of more than 64 coefficients",
    "do not follow each other",
    "no scan with all of coefficient",
    "a value that cannot be there",
    "bytes more than its blocks need",
];
