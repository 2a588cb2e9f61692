//! A small painter: shapes given as signed distances, seen through a projection, with soft edges.

/// A plane seen by a camera: from the meter's own coordinates to pixels and back.
///
/// A 3×3 homography, row-major (Hartley, Zisserman: Multiple View Geometry, 2nd ed., section 2.3).
#[derive(Clone, Debug)]
pub struct Projection {
    forward: [f32; 9],
    back: [f32; 9],
    /// Pixels per unit of the meter, near the middle.
    pub scale: f32,
}

impl Projection {
    /// Scales by `scale`, turns by `angle` radians, shifts the origin to `at` pixels, and lets the plane recede by `recede`
    /// per unit in x and y.
    pub fn new(scale: f32, angle: f32, at: [f32; 2], recede: [f32; 2]) -> Self {
        let (sin, cos) = angle.sin_cos();
        let [g, h] = recede;
        let forward = [
            scale * cos + at[0] * g,
            -scale * sin + at[0] * h,
            at[0],
            scale * sin + at[1] * g,
            scale * cos + at[1] * h,
            at[1],
            g,
            h,
            1.0,
        ];
        Projection { forward, back: adjugate(&forward), scale }
    }

    /// The same seen by a camera that was turned by `angle` radians around `middle` and shifted, in pixels.
    pub fn moved(&self, angle: f32, middle: [f32; 2], shift: [f32; 2]) -> Self {
        let (sin, cos) = angle.sin_cos();
        let turn = [
            cos,
            -sin,
            middle[0] - cos * middle[0] + sin * middle[1] + shift[0],
            sin,
            cos,
            middle[1] - sin * middle[0] - cos * middle[1] + shift[1],
            0.0,
            0.0,
            1.0,
        ];
        let forward = std::array::from_fn(|i| {
            let (row, column) = (i / 3, i % 3);
            (0..3).map(|k| turn[row * 3 + k] * self.forward[k * 3 + column]).sum()
        });
        Projection { forward, back: adjugate(&forward), scale: self.scale }
    }

    /// From a point of the meter to the picture.
    pub fn to_pixels(&self, x: f32, y: f32) -> [f32; 2] {
        apply(&self.forward, x, y)
    }

    /// From a pixel to the point of the meter that it shows.
    pub fn to_meter(&self, x: f32, y: f32) -> [f32; 2] {
        apply(&self.back, x, y)
    }

    /// Columns and rows of a `width`×`height` picture that may show the meter's `[left, top, right, bottom]`.
    pub fn pixels_of(&self, [x0, y0, x1, y1]: [f32; 4], width: usize, height: usize) -> [std::ops::Range<usize>; 2] {
        let corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].map(|[x, y]| self.to_pixels(x, y));
        let range = |axis: usize, limit: usize| {
            let low = corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
            let high = corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
            ((low - 2.0).max(0.0) as usize).min(limit)..((high + 3.0).max(0.0) as usize).min(limit)
        };
        [range(0, width), range(1, height)]
    }
}

fn apply(m: &[f32; 9], x: f32, y: f32) -> [f32; 2] {
    let w = m[6] * x + m[7] * y + m[8];
    [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w]
}

/// The inverse up to a factor, which a projection does not mind.
fn adjugate(m: &[f32; 9]) -> [f32; 9] {
    let [a, b, c, d, e, f, g, h, i] = *m;
    [
        e * i - f * h,
        c * h - b * i,
        b * f - c * e,
        f * g - d * i,
        a * i - c * g,
        c * d - a * f,
        d * h - e * g,
        b * g - a * h,
        a * e - b * d,
    ]
}

/// A colour as JPEG keeps it: luminance and two colour differences, 0 to 255 (BT.601, full range).
pub type Colour = [f32; 3];

/// Red, green and blue, 0 to 255, as a [`Colour`].
pub fn rgb(r: f32, g: f32, b: f32) -> Colour {
    [
        0.299 * r + 0.587 * g + 0.114 * b,
        128.0 - 0.168_736 * r - 0.331_264 * g + 0.5 * b,
        128.0 + 0.5 * r - 0.418_688 * g - 0.081_312 * b,
    ]
}

/// `a` where `t` is 0, `b` where it is 1.
pub fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

/// A picture being painted.
#[derive(Debug)]
pub struct Canvas<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[H, W]` colours.
    pub pixels: Vec<Colour>,
    /// The camera's view of the meter.
    pub projection: &'a Projection,
}

impl<'a> Canvas<'a> {
    /// A canvas of one colour.
    pub fn new(width: usize, height: usize, projection: &'a Projection, colour: Colour) -> Self {
        Canvas { width, height, pixels: vec![colour; width * height], projection }
    }

    /// Paints what lies inside `shape` (signed distance in meter units, below 0 inside) within `bounds`
    /// `[left, top, right, bottom]`.
    pub fn fill(&mut self, bounds: [f32; 4], colour: Colour, opacity: f32, shape: impl Fn(f32, f32) -> f32) {
        let [columns, rows] = self.projection.pixels_of(bounds, self.width, self.height);
        for y in rows {
            for x in columns.clone() {
                let [mx, my] = self.projection.to_meter(x as f32 + 0.5, y as f32 + 0.5);
                let cover = (0.5 - shape(mx, my) * self.projection.scale).clamp(0.0, 1.0) * opacity;
                if cover > 0.0
                    && let Some(pixel) = self.pixels.get_mut(y * self.width + x)
                {
                    *pixel = mix(*pixel, colour, cover);
                }
            }
        }
    }

    /// A rectangle with round corners: centre, half size, corner radius.
    pub fn plate(&mut self, [cx, cy]: [f32; 2], [hw, hh]: [f32; 2], radius: f32, colour: Colour, opacity: f32) {
        self.fill([cx - hw, cy - hh, cx + hw, cy + hh], colour, opacity, |x, y| {
            let (dx, dy) = ((x - cx).abs() - hw + radius, (y - cy).abs() - hh + radius);
            dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
        });
    }

    /// A disc.
    pub fn disc(&mut self, [cx, cy]: [f32; 2], radius: f32, colour: Colour, opacity: f32) {
        let bounds = [cx - radius, cy - radius, cx + radius, cy + radius];
        self.fill(bounds, colour, opacity, |x, y| (x - cx).hypot(y - cy) - radius);
    }

    /// A ring around a circle.
    pub fn ring(&mut self, [cx, cy]: [f32; 2], radius: f32, thickness: f32, colour: Colour, opacity: f32) {
        let outer = radius + thickness / 2.0;
        let bounds = [cx - outer, cy - outer, cx + outer, cy + outer];
        self.fill(bounds, colour, opacity, |x, y| ((x - cx).hypot(y - cy) - radius).abs() - thickness / 2.0);
    }

    /// A line with round ends.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], thickness: f32, colour: Colour, opacity: f32) {
        let half = thickness / 2.0;
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let square = (dx * dx + dy * dy).max(1e-6);
        let bounds = [
            from[0].min(to[0]) - half,
            from[1].min(to[1]) - half,
            from[0].max(to[0]) + half,
            from[1].max(to[1]) + half,
        ];
        self.fill(bounds, colour, opacity, |x, y| {
            let t = (((x - from[0]) * dx + (y - from[1]) * dy) / square).clamp(0.0, 1.0);
            (x - from[0] - t * dx).hypot(y - from[1] - t * dy) - half
        });
    }
}

/// Blurs `[rows, columns]` in place with a Gaussian of `sigma` cells.
pub fn blur<const N: usize>(cells: &mut [[f32; N]], columns: usize, rows: usize, sigma: f32) {
    if sigma < 0.15 || cells.len() != columns * rows {
        return;
    }
    let reach = (sigma * 2.5).ceil() as usize;
    let weights: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
    let mut line = vec![[0.0f32; N]; columns.max(rows)];
    let mut pass = |start: usize, step: usize, count: usize| {
        for (i, cell) in line.iter_mut().enumerate().take(count) {
            let mut total = [0.0f32; N];
            for (k, weight) in weights.iter().enumerate() {
                let near = cells[start + i.saturating_sub(k) * step];
                let far = cells[start + (i + k).min(count - 1) * step];
                let share = if k == 0 { weight / 2.0 } else { *weight } / sum;
                for c in 0..N {
                    total[c] += (near[c] + far[c]) * share;
                }
            }
            *cell = total;
        }
        for (i, cell) in line.iter().enumerate().take(count) {
            cells[start + i * step] = *cell;
        }
    };
    (0..rows).for_each(|y| pass(y * columns, 1, columns));
    (0..columns).for_each(|x| pass(x, columns, rows));
}
