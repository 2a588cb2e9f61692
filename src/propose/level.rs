//! Smaller and smaller copies of a picture, and parts of them cut out straight.

/// Longest side of the largest copy in pixels: a digit of a meter that fills a fifth of a picture still has twenty.
const LARGEST: usize = 1280;
/// Longest side of the smallest copy.
const SMALLEST: usize = 110;

/// Four corners in pixels of the picture: top left, top right, bottom right, bottom left of what is upright.
pub type Corners = [[f32; 2]; 4];

/// One copy.
pub(super) struct Level {
    pub width: usize,
    pub height: usize,
    /// Its pixels for one of the picture.
    pub factor: f32,
    /// `[H, W, 3]`.
    pub rgb: Vec<u8>,
    /// `[H, W]`.
    pub grey: Vec<u8>,
}

/// The copies of one picture, each with half the pixels of the one before.
pub(super) struct Levels(pub Vec<Level>);

impl Levels {
    /// Copies of packed RGB pixels.
    pub fn new(rgb: &[u8], [width, height]: [usize; 2]) -> Levels {
        let longest = width.max(height).max(1);
        let mut levels: Vec<Level> = Vec::new();
        let mut side = longest.min(LARGEST) as f32;
        while side >= SMALLEST as f32 || levels.is_empty() {
            let scaled = |size: usize| ((size as f32 * side / longest as f32).round() as usize).max(1);
            let size = [scaled(width), scaled(height)];
            let pixels = match levels.last() {
                None => shrink(rgb, [width, height], size),
                Some(last) => shrink(&last.rgb, [last.width, last.height], size),
            };
            levels.push(Level::new(pixels, size, size[0] as f32 / width.max(1) as f32));
            side /= std::f32::consts::SQRT_2;
        }
        Levels(levels)
    }

    /// The smallest copy in which a picture's pixel has at least `factor` pixels, else the largest one.
    pub fn with(&self, factor: f32) -> Option<&Level> {
        self.0.iter().rev().find(|level| level.factor >= factor).or(self.0.first())
    }

    /// Cuts a quadrilateral out as `[height, width]` pixels: RGB, or luminance.
    pub fn cut(&self, corners: &Corners, [height, width]: [usize; 2], colour: bool) -> Vec<u8> {
        let channels = if colour { 3 } else { 1 };
        let mut out = Vec::with_capacity(height * width * channels);
        let side = |a: usize, b: usize| (corners[a][0] - corners[b][0]).hypot(corners[a][1] - corners[b][1]);
        let dense = (width as f32 / side(0, 1).max(1e-3)).max(height as f32 / side(0, 3).max(1e-3));
        let Some(level) = self.with(dense) else { return vec![0; height * width * channels] };
        let [a, b, c, d] = corners.map(|p| p.map(|v| v * level.factor));
        for row in 0..height {
            let v = (row as f32 + 0.5) / height as f32;
            for column in 0..width {
                let u = (column as f32 + 0.5) / width as f32;
                let at = [0, 1].map(|i| {
                    let (top, bottom) = (a[i] + (b[i] - a[i]) * u, d[i] + (c[i] - d[i]) * u);
                    top + (bottom - top) * v
                });
                let pixel = level.at(at, colour);
                out.extend(pixel.iter().take(channels).map(|value| (value + 0.5) as u8));
            }
        }
        out
    }
}

impl Level {
    fn new(rgb: Vec<u8>, [width, height]: [usize; 2], factor: f32) -> Level {
        let (pixels, _) = rgb.as_chunks::<3>();
        let grey = pixels
            .iter()
            .map(|[r, g, b]| ((u32::from(*r) * 77 + u32::from(*g) * 150 + u32::from(*b) * 29 + 128) >> 8) as u8)
            .collect();
        Level { width, height, factor, rgb, grey }
    }

    /// Luminance at a place in pixels of this copy.
    pub fn light(&self, at: [f32; 2]) -> f32 {
        self.at(at, false)[0]
    }

    /// The pixel at a place, which is inside or takes the nearest edge; luminance is in its first channel.
    fn at(&self, [x, y]: [f32; 2], colour: bool) -> [f32; 3] {
        let between = |v: f32, size: usize| {
            let v = (v - 0.5).clamp(0.0, size as f32 - 1.0);
            let first = v as usize;
            (first, (first + 1).min(size - 1), v - first as f32)
        };
        let ((left, right, across), (top, bottom, down)) = (between(x, self.width), between(y, self.height));
        let one = |data: &[u8], step: usize, channel: usize| {
            let at =
                |x: usize, y: usize| f32::from(data.get((y * self.width + x) * step + channel).copied().unwrap_or(0));
            let upper = at(left, top) + across * (at(right, top) - at(left, top));
            let lower = at(left, bottom) + across * (at(right, bottom) - at(left, bottom));
            upper + down * (lower - upper)
        };
        if colour {
            std::array::from_fn(|channel| one(&self.rgb, 3, channel))
        } else {
            [one(&self.grey, 1, 0), 0.0, 0.0]
        }
    }
}

/// Means of packed RGB pixels over rectangles, so that `to` of them are left; `to` is not larger than `from`.
fn shrink(rgb: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    if from == to {
        return rgb.to_vec();
    }
    let spans = |axis: usize| -> Vec<Vec<(usize, f32)>> {
        let step = from[axis] as f64 / to[axis] as f64;
        let span = |i: usize| {
            let (first, last) = (i as f64 * step, (i + 1) as f64 * step);
            let covered = |p: usize| (((p + 1) as f64).min(last) - (p as f64).max(first)) / step;
            let end = (last.ceil() as usize).min(from[axis]);
            (first as usize..end).map(|p| (p, covered(p) as f32)).filter(|(_, part)| *part > 1e-4).collect()
        };
        (0..to[axis]).map(span).collect()
    };
    let (columns, rows) = (spans(0), spans(1));
    let (pixels, _) = rgb.as_chunks::<3>();
    let mut out = Vec::with_capacity(to[0] * to[1] * 3);
    let mut sums = vec![[0.0_f32; 3]; to[0]];
    for row in &rows {
        sums.fill([0.0; 3]);
        for (y, part) in row {
            let line = pixels.get(y * from[0]..(y + 1) * from[0]).unwrap_or_default();
            for (sum, column) in sums.iter_mut().zip(&columns) {
                for (x, share) in column {
                    let [r, g, b] = line.get(*x).copied().unwrap_or_default();
                    let weight = part * share;
                    sum[0] += weight * f32::from(r);
                    sum[1] += weight * f32::from(g);
                    sum[2] += weight * f32::from(b);
                }
            }
        }
        out.extend(sums.iter().flatten().map(|sum| (sum + 0.5) as u8));
    }
    out
}
