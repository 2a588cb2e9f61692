//! `--draw DIR`: pictures with their results, under the names of the pictures that they were made of.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Failure;
use crate::draw::{self, Canvas, Corners, Format};
use crate::frame::{Image, Outcome, PixelFormat};
use crate::preprocess::{self, Region};
use crate::sys::atomic;

/// A directory that drawn pictures are written into.
pub struct Gallery {
    dir: PathBuf,
    /// The same without links.
    real: Option<PathBuf>,
    /// Names that this run has written.
    written: BTreeSet<PathBuf>,
    rgb: Vec<u8>,
}

impl Gallery {
    /// Makes the directory where it is not there.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be made or written, or holds an input, which a drawn picture could be written over.
    pub fn open(dir: &Path, inputs: &[PathBuf]) -> Result<Gallery, Failure> {
        let shown = || format!("--draw {}", dir.display());
        fs::create_dir_all(dir).with_context(shown)?;
        rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).map_err(std::io::Error::from).with_context(shown)?;
        let gallery =
            Gallery { dir: dir.into(), real: dir.canonicalize().ok(), written: BTreeSet::new(), rgb: Vec::new() };
        for input in inputs {
            if input.canonicalize().ok() == gallery.real || gallery.holds(input) {
                return Err(Failure::Usage(format!("{}: {}", shown(), holds_input(input))));
            }
        }
        Ok(gallery)
    }

    /// Writes the picture with its outcome; returns the file.
    ///
    /// # Errors
    /// An error when the picture cannot be decoded or encoded, lies in the directory itself, or cannot be written.
    pub fn add(
        &mut self,
        origin: &str,
        image: &Image,
        outcome: &Outcome,
        regions: &[Region],
    ) -> Result<PathBuf, anyhow::Error> {
        let format = if image.format == PixelFormat::Jpeg { Format::Jpeg } else { Format::Png };
        let path = self.free(origin, format);
        if self.holds(Path::new(origin)) {
            anyhow::bail!("{}", holds_input(Path::new(origin)));
        }
        let size = preprocess::to_rgb(image, &mut self.rgb)?;
        let corners: Vec<Corners> = regions.iter().map(Region::corners).collect();
        let canvas = draw::annotated(Canvas::new(size, std::mem::take(&mut self.rgb)), outcome, &corners);
        let bytes = draw::encode(&canvas, format)?;
        atomic::replace(&path, &bytes).with_context(|| path.display().to_string())?;
        self.written.insert(path.clone());
        Ok(path)
    }

    /// Reports a file (or a pattern of files) of the directory itself.
    fn holds(&self, path: &Path) -> bool {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.canonicalize().is_ok_and(|parent| Some(parent) == self.real)
    }

    /// The path for a picture: its own name, with a number where this run has written that already.
    fn free(&self, origin: &str, format: Format) -> PathBuf {
        let (stem, extension) = name_of(origin, format);
        let numbered = (2_u64..).map(|number| format!("{stem}-{number}.{extension}"));
        let names = std::iter::once(format!("{stem}.{extension}")).chain(numbered);
        let mut paths = names.map(|name| self.dir.join(name));
        paths.find(|path| !self.written.contains(path)).unwrap_or_else(|| self.dir.join(&stem))
    }
}

fn holds_input(input: &Path) -> String {
    format!("the input {} is in there, and inputs are not written over; give another directory", input.display())
}

/// Stem and extension for a picture that came from `origin`: a file, or a stream with `#` and the number of the picture in it.
fn name_of(origin: &str, format: Format) -> (String, String) {
    let (file, number) = match origin.rsplit_once('#') {
        Some((file, number)) if number.parse::<u64>().is_ok() && !Path::new(origin).exists() => (file, Some(number)),
        _ => (origin, None),
    };
    let path = Path::new(file);
    let stem = path.file_stem().unwrap_or(OsStr::new("picture")).to_string_lossy();
    let extension = path.extension().map(|extension| extension.to_string_lossy()).unwrap_or_default();
    let suits = match format {
        Format::Jpeg => ["jpg", "jpeg"].contains(&extension.to_lowercase().as_str()),
        Format::Png => extension.eq_ignore_ascii_case("png"),
    };
    let stem = number.map_or_else(|| stem.to_string(), |number| format!("{stem}-{number:0>6}"));
    (stem, if suits { extension.into_owned() } else { format.extension().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_suit_the_format() {
        for (origin, format, expected) in [
            ("a/photo.jpg", Format::Jpeg, ("photo", "jpg")),
            ("a/Photo.JPEG", Format::Jpeg, ("Photo", "JPEG")),
            ("photo.bmp", Format::Png, ("photo", "png")),
            ("wrong.png", Format::Jpeg, ("wrong", "jpg")),
            ("clip.mjpeg#12", Format::Jpeg, ("clip-000012", "jpg")),
            ("a#b.png", Format::Png, ("a#b", "png")),
            ("none", Format::Png, ("none", "png")),
        ] {
            assert_eq!(name_of(origin, format), (expected.0.to_owned(), expected.1.to_owned()), "{origin}");
        }
    }
}
