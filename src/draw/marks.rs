//! Zones and lines on a picture.

use super::canvas::{BLACK, Canvas, Colour, Rect, text_size};

/// Colour of zones, of lines, and of their names.
const ZONE: Colour = [120, 200, 255];
const LINE: Colour = [255, 170, 220];
/// Shorter side of a picture, in pixels, for each pixel of the font's.
const SIDE_PER_SCALE: i64 = 300;

/// A named part of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Its corners in order, each `[x, y]` in shares of the picture's width and height; two of them are a line, more a zone.
    pub points: Vec<[f32; 2]>,
}

/// The picture with the outlines and names of `marks` on it.
pub fn marked(mut canvas: Canvas, marks: &[Mark]) -> Canvas {
    let [width, height] = canvas.size();
    let scale = (width.min(height) / SIDE_PER_SCALE).max(1);
    for mark in marks {
        let points: Vec<[f32; 2]> = mark.points.iter().map(|[x, y]| [x * width as f32, y * height as f32]).collect();
        let colour = if points.len() > 2 { ZONE } else { LINE };
        canvas.outline(&points, scale + 1, colour);
        let Some([x, y]) = points.first().copied() else { continue };
        let size = text_size(&mark.name, scale).map(|side| side + 2 * scale);
        let at = |value: f32, most: i64| (value.clamp(-1e6, 1e6) as i64).min(most).max(0);
        let place = Rect::at([at(x, width - size[0]), at(y, height - size[1])], size);
        canvas.fill(place, colour);
        canvas.text([place.left + scale, place.top + scale], scale, &mark.name, BLACK);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_lines_are_drawn_with_their_names() {
        let canvas = Canvas::new([200, 100], vec![50; 200 * 100 * 3]);
        let zone = Mark { name: "door".into(), points: vec![[0.1, 0.1], [0.6, 0.1], [0.6, 0.9], [0.1, 0.9]] };
        let line = Mark { name: "way".into(), points: vec![[0.9, 0.0], [0.9, 2.0]] };
        let drawn = marked(canvas.clone(), &[zone, line, Mark { name: "x".into(), points: Vec::new() }]);
        assert_eq!((drawn.pixel(118, 60), drawn.pixel(120, 60)), (Some(BLACK), Some(ZONE)));
        assert_eq!(drawn.pixel(180, 60), Some(LINE));
        assert_eq!(drawn.pixel(60, 50), canvas.pixel(60, 50));
    }
}
