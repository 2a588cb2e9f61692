//! Tiles of a pipeline: keys that do not go together, and pictures that have no room for them.

use super::super::PipelineConfig;
use super::super::findings::Findings;
use super::super::problem::Problem;
use crate::frame::Fit;
use crate::model::Bundle;
use crate::pipeline::tiles_misfit;
use crate::preprocess;
use crate::source::Frames;

/// Checks the keys by themselves and against the frames of the source.
pub(super) fn check_tiles(
    pipeline: &PipelineConfig,
    frames: Frames<'_>,
    at: &dyn Fn(&str) -> String,
    f: &mut Findings,
) {
    let preprocess = &pipeline.preprocess;
    if preprocess.tiles.is_none() {
        if preprocess.tile_overlap.is_some() {
            f.warn(Problem::new(at("preprocess.tile_overlap"), "has no effect without preprocess.tiles"));
        }
        return;
    }
    if frames.are_windows() {
        f.problem(Problem::new(at("preprocess.tiles"), "tiles are parts of pictures, but this source gives numbers"));
        return;
    }
    if let Some(misfit) = tiles_misfit(preprocess, pipeline.task.kind(), preprocess.fit) {
        f.problem(Problem::new(at(misfit.key), misfit.reason));
    }
}

/// Checks what only the model's bundle says: its task, its fit, and whether pictures of a known size have room for tiles of its input.
pub(in super::super) fn check_tiles_of(
    pipeline: &PipelineConfig,
    frames: Option<Frames<'_>>,
    bundle: &Bundle,
    at: &dyn Fn(&str) -> String,
    f: &mut Findings,
) {
    let (preprocess, manifest) = (&pipeline.preprocess, bundle.manifest());
    let Some(tiles) = preprocess.tiles() else { return };
    // What a bare model is shows when it is loaded.
    let kind = (pipeline.task.kind().is_none() && !bundle.is_bare()).then_some(manifest.task);
    let fit: Option<Fit> = preprocess.fit.is_none().then_some(manifest.input.fit);
    // What the configuration says by itself has been checked.
    let alone = preprocess::Config { regions: Vec::new(), ..preprocess.clone() };
    if let Some(misfit) = tiles_misfit(&alone, kind, fit) {
        f.problem(Problem::new(at(misfit.key), misfit.reason));
        return;
    }
    if let (Some(Frames::Pictures { size: Some([width, height]), .. }), Some(input)) = (frames, manifest.input.size) {
        let (there, wanted) = (tiles.of([width, height], input).len() - 1, tiles.grid());
        if there < wanted.count() as usize {
            let message = format!(
                "pictures of {width}x{height} pixels have room for {} of the {} tiles: smaller ones than the model's {}x{} would be enlarged",
                if there == 0 { "none".to_owned() } else { there.to_string() },
                wanted.count(),
                input[1],
                input[0],
            );
            let [width, height] = tiles.least_picture(input);
            f.warn(
                Problem::new(at("preprocess.tiles"), message)
                    .found(wanted.to_string())
                    .help(format!("larger pictures ({width}x{height} have room for all of them), or a smaller grid")),
            );
        }
    }
}
