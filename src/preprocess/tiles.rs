//! Tiles: a picture cut into a grid of parts that overlap, and the picture as a whole beside them.
//!
//! As in SAHI (Akyon et al., "Slicing Aided Hyper Inference", 2022): a detector sees small objects in parts of a picture that are
//! scaled down less, and those larger than a part in the whole of it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::frame::Tile;

/// Columns at most, and rows: each tile is a run of the model.
const MOST: u32 = 4;

/// Share of a tile's width and height that it has in common with the next one, when the configuration does not say.
pub(super) const OVERLAP: f32 = 0.2;

/// The largest share that neighbours have in common.
const MOST_OVERLAP: f32 = 0.5;

/// Columns and rows of tiles, 1 to 4 each, written `3x2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grid {
    columns: u32,
    rows: u32,
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Grid, String> {
        let wrong =
            || format!("{text:?} is no grid: columns x rows are wanted, such as \"3x2\", {MOST} of each at most");
        let count = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|count| digits && (1..=MOST).contains(count)).ok_or_else(wrong)
        };
        let (columns, rows) = text.split_once('x').ok_or_else(wrong)?;
        let grid = Grid { columns: count(columns)?, rows: count(rows)? };
        if grid.count() == 1 {
            return Err(format!("{text:?}: one tile is the whole picture; leave it out"));
        }
        Ok(grid)
    }
}

impl TryFrom<String> for Grid {
    type Error = String;

    fn try_from(text: String) -> Result<Grid, String> {
        text.parse()
    }
}

impl From<Grid> for String {
    fn from(grid: Grid) -> String {
        grid.to_string()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

impl JsonSchema for Grid {
    fn schema_name() -> Cow<'static, str> {
        "Grid".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all = (1..=MOST).flat_map(|columns| (1..=MOST).map(move |rows| Grid { columns, rows }));
        let words = all.filter(|grid| grid.count() > 1);
        let words: Vec<_> = words.map(|grid| json!({ "type": "string", "const": grid.to_string() })).collect();
        json_schema!({ "oneOf": words })
    }
}

impl Grid {
    /// Number of its tiles.
    pub fn count(self) -> u32 {
        self.columns * self.rows
    }
}

/// Way in which pictures of any size are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiles {
    grid: Grid,
    /// 0 to [`MOST_OVERLAP`].
    overlap: f32,
}

impl Tiles {
    /// A grid whose neighbours have `overlap` of their width and height in common, 0 to 0.5.
    pub fn new(grid: Grid, overlap: f32) -> Tiles {
        let overlap = if overlap.is_nan() { OVERLAP } else { overlap.clamp(0.0, MOST_OVERLAP) };
        Tiles { grid, overlap }
    }

    /// The grid.
    pub fn grid(self) -> Grid {
        self.grid
    }

    /// Runs of the model for a frame at most: one for each tile, and one for the whole.
    pub fn most_runs(self) -> u32 {
        self.grid.count() + 1
    }

    /// Parts of a `[width, height]` picture for a model whose input is `[height, width]` pixels: first the whole picture, then the tiles
    /// row by row, all of one size. Together they cover it, each within it.
    ///
    /// A tile is no smaller than the model's input where the picture is as large, since scaling it up shows nothing more. Larger tiles
    /// overlap more, and those of which fewer do are left out: a picture that is no larger than the input has none.
    pub fn of(self, picture: [u32; 2], input: [usize; 2]) -> Vec<Tile> {
        let [columns, rows] = [self.grid.columns, self.grid.rows];
        let least = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let (width, lefts) = spread(picture[0], columns, self.overlap, least(input[1]));
        let (height, tops) = spread(picture[1], rows, self.overlap, least(input[0]));
        let mut all = vec![Tile::whole(picture)];
        if lefts.len() * tops.len() > 1 {
            all.extend(tops.iter().flat_map(|y| lefts.iter().map(|x| Tile { x: *x, y: *y, width, height })));
        }
        all
    }

    /// `[width, height]` of the smallest picture whose tiles have the pixels that the model's input, `[height, width]`, takes.
    pub fn least_picture(self, input: [usize; 2]) -> [u32; 2] {
        let along = |side: usize, count: u32| up(side as f64 * parts(count, self.overlap));
        [along(input[1], self.grid.columns), along(input[0], self.grid.rows)]
    }
}

/// A length in whole pixels, rounded up but for what an overlap in single precision adds.
fn up(length: f64) -> u32 {
    (length - 1e-3).ceil() as u32
}

/// Length of so many tiles side by side in tiles' lengths, which is less by what neighbours have in common.
fn parts(count: u32, overlap: f32) -> f64 {
    f64::from(count) - f64::from(count.saturating_sub(1)) * f64::from(overlap)
}

/// Length of each tile along an axis of `side` pixels, and where each begins: as many as are needed to cover it, `count` at most.
fn spread(side: u32, count: u32, overlap: f32, least: u32) -> (u32, Vec<u32>) {
    let own = up(f64::from(side) / parts(count, overlap));
    let length = own.max(least).clamp(1, side.max(1));
    let rest = side.saturating_sub(length);
    if rest == 0 {
        return (length, vec![0]);
    }
    // So many tiles beside the first one that each is no further from the one before than the overlap allows.
    let step = f64::from(length) * (1.0 - f64::from(overlap));
    let more = up(f64::from(rest) / step).clamp(1, count.saturating_sub(1).max(1));
    let start = |i: u32| (u64::from(rest) * u64::from(i) + u64::from(more) / 2) / u64::from(more);
    (length, (0..=more).map(|i| start(i) as u32).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiles(grid: &str, overlap: f32) -> Tiles {
        Tiles::new(grid.parse().unwrap(), overlap)
    }

    fn rects(tiles: Tiles, picture: [u32; 2], input: [usize; 2]) -> Vec<[u32; 4]> {
        tiles.of(picture, input).iter().map(|t| [t.x, t.y, t.width, t.height]).collect()
    }

    #[test]
    fn the_whole_comes_first_then_tiles_row_by_row() {
        assert_eq!(
            rects(tiles("3x2", 0.0), [1200, 800], [352, 352]),
            [
                [0, 0, 1200, 800],
                [0, 0, 400, 400],
                [400, 0, 400, 400],
                [800, 0, 400, 400],
                [0, 400, 400, 400],
                [400, 400, 400, 400],
                [800, 400, 400, 400],
            ]
        );
        assert_eq!(
            rects(tiles("2x1", 0.2), [1800, 700], [352, 352]),
            [[0, 0, 1800, 700], [0, 0, 1000, 700], [800, 0, 1000, 700]]
        );
    }

    #[test]
    fn tiles_are_no_smaller_than_the_model_and_no_more_than_are_needed() {
        // 250 pixels would be scaled up to 352.
        let all = rects(tiles("3x2", 0.2), [640, 480], [352, 352]);
        assert_eq!(all.len(), 7);
        assert!(all[1..].iter().all(|[_, _, width, height]| (*width, *height) == (352, 352)), "{all:?}");
        // Two columns are enough, and one row.
        assert_eq!(rects(tiles("4x2", 0.2), [600, 352], [352, 352]).len(), 3);
        for small in [[352, 352], [100, 90], [1, 1]] {
            assert_eq!(rects(tiles("4x4", 0.2), small, [352, 352]), [[0, 0, small[0], small[1]]]);
        }
        let least = tiles("3x2", 0.2).least_picture([320, 416]);
        assert_eq!(least, [1082, 576]);
        assert!(rects(tiles("3x2", 0.2), least, [320, 416])[1..].iter().all(|t| t[2] >= 416 && t[3] >= 320));
    }

    #[test]
    fn grids_are_read_as_they_are_written() {
        for text in ["3x2", "1x2", "4x1", "4x4"] {
            assert_eq!(text.parse::<Grid>().unwrap().to_string(), text);
        }
        for text in ["", "3", "3x", "x2", "0x2", "1x1", "5x4", "9x1", "+3x2", "3x2x1", "3X2", "-1x2", "9999999999x1"] {
            assert!(text.parse::<Grid>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn tiles_cover_the_picture_and_stay_within_it(
            (width, height) in (1_u32..5000, 1_u32..5000),
            (columns, rows) in (1_u32..=4, 1_u32..=4),
            overlap in 0.0_f32..=0.5,
            input in (1_usize..800, 1_usize..800),
        ) {
            prop_assume!(columns * rows > 1);
            let all = tiles(&format!("{columns}x{rows}"), overlap).of([width, height], [input.1, input.0]);
            prop_assert_eq!(all[0], Tile::whole([width, height]));
            prop_assert!(all.len() as u32 <= columns * rows + 1);
            let tiles = &all[1..];
            let order: Vec<_> = tiles.iter().map(|t| (t.y, t.x)).collect();
            prop_assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", tiles);
            for axis in [0, 1] {
                let side = [width, height][axis];
                let mut spans: Vec<(u32, u32)> = tiles.iter().map(|t| (t.start(axis), t.side(axis))).collect();
                spans.sort_unstable();
                spans.dedup();
                for (start, length) in &spans {
                    prop_assert!(start + length <= side);
                    prop_assert!(*length as usize >= [input.0, input.1][axis].min(side as usize));
                }
                if let (Some(first), Some(last)) = (spans.first(), spans.last()) {
                    prop_assert_eq!((first.0, last.0 + last.1), (0, side));
                }
                for pair in spans.windows(2) {
                    let common = f64::from(pair[0].0 + pair[0].1) - f64::from(pair[1].0);
                    // To the pixel.
                    prop_assert!(common + 1.0 >= f64::from(overlap) * f64::from(pair[0].1), "{:?}", pair);
                }
            }
        }
    }
}
