//! `--confusion FILE`: the confusion matrix as a picture.

use std::fmt::Write as _;
use std::path::Path;

use super::names::Names;
use crate::cli::Failure;
use crate::cli::words::escaped;
use crate::draw::{Canvas, Format, Rect, advance, encode, text_size};
use crate::evaluate::Classes;
use crate::sys::atomic;

/// Most classes of a matrix that can be looked at.
const MOST: usize = 200;

/// Kind of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A drawing.
    Svg,
    /// Pixels.
    Png,
}

impl Kind {
    /// By the ending of the file.
    ///
    /// # Errors
    /// Any other ending.
    pub fn of(file: &Path) -> Result<Kind, Failure> {
        match file.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default().to_str() {
            Some("svg") => Ok(Kind::Svg),
            Some("png") => Ok(Kind::Png),
            _ => Err(Failure::Usage(format!("--confusion {}: the file ends in .svg or .png", file.display()))),
        }
    }
}

/// Cells with their part of the row.
struct Matrix {
    labels: Vec<String>,
    /// Rows of the right classes; the last column is for no class.
    counts: Vec<Vec<u64>>,
}

/// Writes the matrix whole or not at all.
///
/// # Errors
/// Too many classes, or a file that cannot be written.
pub(super) fn write(file: &Path, kind: Kind, classes: &Classes, names: &Names) -> Result<(), Failure> {
    let all = classes.classes();
    if all.len() > MOST {
        return Err(anyhow::anyhow!(
            "--confusion: {} classes, a picture shows {MOST} at most; --json has them all",
            all.len()
        )
        .into());
    }
    let columns = || all.iter().copied().map(Some).chain([None]);
    let matrix = Matrix {
        labels: all.iter().map(|class| names.label(*class)).collect(),
        counts: all.iter().map(|truth| columns().map(|said| classes.count(*truth, said)).collect()).collect(),
    };
    let bytes = match kind {
        Kind::Svg => matrix.svg().into_bytes(),
        Kind::Png => matrix.png().map_err(anyhow::Error::from)?,
    };
    atomic::replace(file, &bytes).map_err(|e| anyhow::anyhow!("--confusion {}: {e}", file.display()).into())
}

/// Side of a cell in pixels, and room above and around the matrix.
const CELL: usize = 44;
const ROOM: usize = 24;

impl Matrix {
    /// Columns that are not empty: the one for no class often is.
    fn columns(&self) -> usize {
        let last = self.labels.len();
        last + usize::from(self.counts.iter().any(|row| row[last] > 0))
    }

    fn column(&self, index: usize) -> &str {
        self.labels.get(index).map_or("(none)", String::as_str)
    }

    /// The part of a row that a cell has, 0 to 1.
    fn part(&self, row: usize, column: usize) -> f64 {
        let all: u64 = self.counts[row].iter().sum();
        if all == 0 { 0.0 } else { self.counts[row][column] as f64 / all as f64 }
    }

    fn longest(&self) -> usize {
        self.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).clamp(6, 24)
    }

    fn svg(&self) -> String {
        let (columns, rows) = (self.columns(), self.labels.len());
        let left = ROOM + self.longest() * 8;
        let (width, height) = (left + columns * CELL + ROOM, left + rows * CELL + ROOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"4\" y=\"16\" fill=\"#666\">right class (rows), said (columns)</text>\n"
        );
        for column in 0..columns {
            let x = left + column * CELL + CELL / 2 + 4;
            let label = escaped(self.column(column));
            let _ = writeln!(svg, "<text transform=\"translate({x} {}) rotate(-60)\">{label}</text>", left - 6);
        }
        for row in 0..rows {
            let y = left + row * CELL;
            let label = escaped(&self.labels[row]);
            let _ =
                writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>", left - 6, y + CELL / 2 + 5);
            for column in 0..columns {
                let (x, part, count) = (left + column * CELL, self.part(row, column), self.counts[row][column]);
                let [r, g, b] = colour(part, row == column);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"rgb({r},{g},{b})\" stroke=\"#ddd\"/>"
                );
                if count > 0 {
                    let ink = if part > 0.55 { "#fff" } else { "#222" };
                    let _ = writeln!(
                        svg,
                        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{ink}\">{count}</text>",
                        x + CELL / 2,
                        y + CELL / 2 + 5
                    );
                }
            }
        }
        svg + "</svg>\n"
    }

    fn png(&self) -> Result<Vec<u8>, crate::draw::EncodeError> {
        let (columns, rows) = (self.columns(), self.labels.len());
        let short = |label: &str| label.chars().take(24).collect::<String>();
        let left = ROOM as i64 + self.longest() as i64 * advance(1);
        let cell = CELL as i64;
        // Names of columns stand in two lines by turns, so that they have room.
        let top = ROOM as i64 * 3;
        let size = [left + columns as i64 * cell + ROOM as i64 * 2, top + rows as i64 * cell + ROOM as i64];
        let [width, height] = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let mut canvas = Canvas::new([width, height], vec![255; width as usize * height as usize * 3]);
        let black = [34, 34, 34];
        canvas.text([4, 4], 1, "right class (rows), said (columns)", black);
        for column in 0..columns {
            let label = short(self.column(column));
            let y = top - 18 - if column % 2 == 0 { 0 } else { 16 };
            canvas.text([left + column as i64 * cell + (cell - text_size(&label, 1)[0]) / 2, y], 1, &label, black);
        }
        for row in 0..rows {
            let y = top + row as i64 * cell;
            let label = short(&self.labels[row]);
            canvas.text([left - 6 - text_size(&label, 1)[0], y + cell / 2 - 6], 1, &label, black);
            for column in 0..columns {
                let (x, part, count) = (left + column as i64 * cell, self.part(row, column), self.counts[row][column]);
                canvas.fill(Rect::at([x, y], [cell - 1, cell - 1]), colour(part, row == column));
                if count > 0 {
                    let text = count.to_string();
                    let ink = if part > 0.55 { [255; 3] } else { black };
                    canvas.text([x + (cell - text_size(&text, 1)[0]) / 2, y + cell / 2 - 6], 1, &text, ink);
                }
            }
        }
        encode(&canvas, Format::Png)
    }
}

/// From white to blue for what is right, to red for what is wrong.
fn colour(part: f64, right: bool) -> [u8; 3] {
    let end = if right { [28.0, 92.0, 160.0] } else { [190.0, 50.0, 40.0] };
    // Few mistakes are still to be seen.
    let part = part.sqrt();
    end.map(|end| (255.0 + (end - 255.0) * part).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Label;

    #[test]
    fn every_count_and_label_is_drawn() {
        let mut classes = Classes::default();
        for (truth, said) in [(0, 0), (0, 1), (1, 1)] {
            classes.add(truth, &[said]);
        }
        classes.add(1, &[]);
        let names = Names::new(&["a<b", "dog"].map(Label::from));
        let dir = tempfile::tempdir().unwrap();
        for (file, kind) in [("m.svg", Kind::Svg), ("m.png", Kind::Png)] {
            let file = dir.path().join(file);
            assert_eq!(Kind::of(&file).unwrap(), kind);
            write(&file, kind, &classes, &names).unwrap();
        }
        let svg = std::fs::read_to_string(dir.path().join("m.svg")).unwrap();
        for part in ["a&lt;b", "dog", "(none)", ">1</text>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(std::fs::read(dir.path().join("m.png")).unwrap().starts_with(b"\x89PNG"));
        assert!(Kind::of(Path::new("m.pdf")).is_err());
    }
}
