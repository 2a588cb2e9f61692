//! Smaller pictures that a source can be asked for, as far as a model loses nothing by them, with a frame of each to time it.

use super::sample::Sample;
use crate::frame::{Frame, Spec};
use crate::preprocess::{self, Region, Tiles};

/// The smaller pictures of one source.
pub(crate) struct Captures {
    /// `[width, height]` as configured.
    full: [u32; 2],
    regions: Vec<Region>,
    tiles: Option<Tiles>,
    /// `[width, height]` and a frame of that size, largest first.
    frames: Vec<([u32; 2], Frame)>,
}

impl Captures {
    /// Frames of the `offered` sizes, where configured ones are like `sample`; a size of which none can be made is left out.
    pub(crate) fn new(
        offered: &[[u32; 2]],
        sample: Sample,
        regions: &[Region],
        tiles: Option<Tiles>,
        spec: &Spec,
    ) -> Captures {
        let Sample::Picture(format, full) = sample else {
            return Captures { full: [0; 2], regions: Vec::new(), tiles, frames: Vec::new() };
        };
        let frame = |size: &[u32; 2]| {
            let mut frame = Sample::Picture(format, *size).frame(spec, 0).ok()?;
            frame.image_mut().full = Some(full);
            Some((*size, frame))
        };
        Captures { full, regions: regions.to_vec(), tiles, frames: offered.iter().filter_map(frame).collect() }
    }

    /// Those that have enough pixels for a model whose input is `spec`: the longer side in pixels, as a setpoint names it, and the
    /// frame.
    pub(crate) fn enough_for(&self, spec: &Spec) -> impl Iterator<Item = (u32, &Frame)> {
        let enough = |size: [u32; 2]| match spec {
            Spec::Image(spec) => !preprocess::enlarges(spec, &self.regions, self.tiles, self.full, size),
            Spec::Window(_) | Spec::Readings => false,
        };
        self.frames.iter().filter(move |(size, _)| enough(*size)).map(|(size, frame)| (size[0].max(size[1]), frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, DType, Fit, InputSpec, Layout};
    use crate::source::{Config, FilesConfig, SyntheticConfig};

    fn image(height: usize, width: usize, fit: Fit) -> Spec {
        let (layout, colour, dtype) = (Layout::Nchw, Colour::Rgb, DType::F32);
        let (mean, std, quant) = ([0.0; 3], [1.0; 3], None);
        Spec::Image(InputSpec { batch: 1, height, width, layout, colour, fit, mean, std, dtype, quant })
    }

    #[test]
    fn no_picture_is_captured_smaller_than_the_model_needs() {
        let digits: Vec<Region> = crate::scene::regions(640, 480).into_iter().map(Region::Rect).collect();
        let quad = Region::Quad([10.0, 10.0, 110.0, 20.0, 100.0, 120.0, 0.0, 110.0]);
        let cases: [(&[Region], Spec, &[u32]); 7] = [
            (&[], image(224, 224, Fit::Stretch), &[480, 320]),
            (&[], image(320, 320, Fit::Letterbox), &[480, 320]),
            (&[], image(240, 240, Fit::Crop), &[480, 320]),
            (&[], image(480, 640, Fit::Stretch), &[]),
            // A digit of 72x96 pixels for a model of 24x32.
            (&digits, image(32, 24, Fit::Stretch), &[480, 320, 240]),
            (&[quad], image(50, 50, Fit::Stretch), &[480, 320]),
            (&[Region::Rect([600.0, 0.0, 100.0, 100.0])], image(8, 8, Fit::Stretch), &[]),
        ];
        let source = Config::Synthetic(SyntheticConfig::default());
        for (regions, spec, expected) in cases {
            let captures = Captures::new(
                &source.kind().capture_sizes(!regions.is_empty()),
                Sample::of(&source, &[], [0; 2]),
                regions,
                None,
                &spec,
            );
            let sides: Vec<u32> = captures.enough_for(&spec).map(|(side, _)| side).collect();
            assert_eq!(sides, expected, "{regions:?} {spec:?}");
        }
        let tiles = |grid: &str| Some(Tiles::new(grid.parse().unwrap(), 0.2));
        for (grid, side, expected) in
            [("2x1", 224, &[480][..]), ("2x2", 130, &[480, 320]), ("2x2", 352, &[]), ("4x1", 224, &[])]
        {
            let (spec, sample) = (image(side.min(176), side, Fit::Stretch), Sample::of(&source, &[], [0; 2]));
            let captures = Captures::new(&source.kind().capture_sizes(false), sample, &[], tiles(grid), &spec);
            let sides: Vec<u32> = captures.enough_for(&spec).map(|(side, _)| side).collect();
            assert_eq!(sides, expected, "tiles {grid} of {side} pixels");
        }
        let files = Config::Files(FilesConfig { path: "x.jpg".into(), repeat: false, fps: 1.0 });
        assert!(files.kind().capture_sizes(false).is_empty());
    }
}
