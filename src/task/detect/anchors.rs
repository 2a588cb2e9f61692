//! Anchors of an SSD head: listed by the bundle, or generated as the TensorFlow Object Detection API does.

use serde::Deserialize;

use crate::task::contract::SetupError;

/// More anchors than any network has.
const MAX_ANCHORS: usize = 1 << 20;

/// The bundle's anchors file.
///
/// ```toml
/// variances = [0.1, 0.1, 0.2, 0.2]   # of centre x, centre y, width, height (default)
/// order = "yxhw"                     # of the four box codes: "yxhw" (TensorFlow, default) or "xywh"
/// background = true                  # class 0 of the scores is "no object" (default)
/// sigmoid = false                    # logits are scored each by itself, not by softmax beside "no object" (default)
/// anchors = [[0.5, 0.5, 0.1, 0.1]]   # centre x, centre y, width, height as shares of the input; or:
/// [generate]
/// maps = [[19, 19], [10, 10]]        # [rows, columns] of each feature map
/// min_scale = 0.2
/// max_scale = 0.95
/// aspect_ratios = [1.0, 2.0, 0.5]
/// reduce_lowest = true               # three boxes only per cell of the first map
/// interpolated_aspect_ratio = 1.0    # one more box per cell between this scale and the next; 0 = none
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "default_variances")]
    variances: [f32; 4],
    #[serde(default)]
    order: Order,
    #[serde(default = "yes")]
    background: bool,
    #[serde(default)]
    sigmoid: bool,
    #[serde(default)]
    anchors: Vec<[f32; 4]>,
    generate: Option<Generate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    maps: Vec<[usize; 2]>,
    min_scale: f32,
    max_scale: f32,
    aspect_ratios: Vec<f32>,
    #[serde(default = "yes")]
    reduce_lowest: bool,
    #[serde(default = "one")]
    interpolated_aspect_ratio: f32,
}

/// Order of the four numbers that code a box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Yxhw,
    Xywh,
}

fn default_variances() -> [f32; 4] {
    [0.1, 0.1, 0.2, 0.2]
}

fn yes() -> bool {
    true
}

fn one() -> f32 {
    1.0
}

/// Anchors and how boxes are coded relative to them.
#[derive(Clone, Debug)]
pub(super) struct Anchors {
    /// Centre x, centre y, width, height as shares of the input.
    pub boxes: Vec<[f32; 4]>,
    /// Class 0 of the scores is "no object".
    pub background: bool,
    /// Logits are scored by softmax.
    pub softmax: bool,
    variances: [f32; 4],
    order: Order,
}

impl Anchors {
    /// Reads the text of an anchors file.
    ///
    /// # Errors
    /// The fault in it.
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        let bad = |reason: String| SetupError { key: "anchors", reason };
        let file: File = toml_edit::de::from_str(text).map_err(|e| bad(e.to_string()))?;
        let boxes = match (&file.generate, file.anchors) {
            (Some(_), listed) if !listed.is_empty() => return Err(bad("either `anchors` or `[generate]`".into())),
            (Some(generate), _) => generate.boxes().map_err(bad)?,
            (None, listed) => listed,
        };
        if boxes.is_empty() {
            return Err(bad("no anchors: `anchors` or `[generate]` is needed".into()));
        }
        if let Some(odd) = boxes.iter().position(|b| !b.iter().all(|v| v.is_finite()) || b[2] <= 0.0 || b[3] <= 0.0) {
            return Err(bad(format!("anchor {odd} is {:?}; width and height must be above 0", boxes[odd])));
        }
        let softmax = file.background && !file.sigmoid;
        Ok(Anchors { boxes, background: file.background, softmax, variances: file.variances, order: file.order })
    }

    /// The box `[centre x, centre y, width, height]` that `code` means relative to `anchor` (W. Liu et al., "SSD", 2016,
    /// section 2.2).
    pub fn decode(&self, anchor: &[f32; 4], code: &[f32]) -> [f32; 4] {
        let &[a, b, c, d] = code else { return [f32::NAN; 4] };
        let [x, y, w, h] = match self.order {
            Order::Yxhw => [b, a, d, c],
            Order::Xywh => [a, b, c, d],
        };
        let [vx, vy, vw, vh] = self.variances;
        [
            anchor[0] + x * vx * anchor[2],
            anchor[1] + y * vy * anchor[3],
            anchor[2] * (w * vw).exp(),
            anchor[3] * (h * vh).exp(),
        ]
    }
}

impl Generate {
    /// Row by row, column by column, map by map (`multiple_grid_anchor_generator.create_ssd_anchors` for square inputs).
    fn boxes(&self) -> Result<Vec<[f32; 4]>, String> {
        let scales = self.min_scale > 0.0 && self.max_scale >= self.min_scale && self.max_scale.is_finite();
        if !scales || !self.aspect_ratios.iter().all(|r| *r > 0.0 && r.is_finite()) || self.aspect_ratios.is_empty() {
            return Err("scales and aspect ratios must be above 0".into());
        }
        let cells = self.maps.iter().map(|m| m[0].saturating_mul(m[1])).fold(0_usize, usize::saturating_add);
        if cells.saturating_mul(self.aspect_ratios.len() + 1) > MAX_ANCHORS {
            return Err(format!("more than {MAX_ANCHORS} anchors"));
        }
        let last = self.maps.len().saturating_sub(1);
        let scale = |map: usize| match map {
            m if m > last => 1.0,
            _ if last == 0 => self.min_scale,
            m => self.min_scale + (self.max_scale - self.min_scale) * m as f32 / last as f32,
        };
        let shape = |scale: f32, ratio: f32| [scale * ratio.sqrt(), scale / ratio.sqrt()];
        let mut boxes = Vec::new();
        for (m, &[rows, columns]) in self.maps.iter().enumerate() {
            let shapes: Vec<[f32; 2]> = if m == 0 && self.reduce_lowest {
                vec![shape(0.1, 1.0), shape(scale(0), 2.0), shape(scale(0), 0.5)]
            } else {
                let between = (scale(m) * scale(m + 1)).sqrt();
                let extra =
                    (self.interpolated_aspect_ratio > 0.0).then(|| shape(between, self.interpolated_aspect_ratio));
                self.aspect_ratios.iter().map(|&r| shape(scale(m), r)).chain(extra).collect()
            };
            for row in 0..rows {
                for column in 0..columns {
                    let centre = [(column as f32 + 0.5) / columns as f32, (row as f32 + 0.5) / rows as f32];
                    boxes.extend(shapes.iter().map(|s| [centre[0], centre[1], s[0], s[1]]));
                }
            }
        }
        Ok(boxes)
    }
}
