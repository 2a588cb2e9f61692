//! `--size HxW`: the resolution of a picture input that a model's file leaves open.

use super::Failure;
use crate::model::{LoadedModel, PlanKey};

/// Reads `HEIGHTxWIDTH`.
pub(super) fn parse(text: &str) -> Result<[usize; 2], String> {
    let parse = |s: &str| s.parse::<usize>().ok().filter(|v| (1..=8192).contains(v));
    match text.split_once(['x', 'X']).map(|(h, w)| (parse(h), parse(w))) {
        Some((Some(h), Some(w))) => Ok([h, w]),
        _ => Err("expected HEIGHTxWIDTH in pixels, 1 to 8192 each, for example 224x224".into()),
    }
}

/// Refuses `--size` where the model has no picture whose size it could be, and asks for it where only that is missing.
pub(super) fn check(model: &LoadedModel, key: PlanKey) -> Result<(), Failure> {
    let shapes = |size| model.shapes(PlanKey { size, ..key }).map_err(|error| error.to_string());
    let Some(given) = key.size else {
        // The size is any that a file may leave open: what counts is that with one there is nothing left to ask.
        return match (shapes(None), shapes(Some([64, 64]))) {
            (Err(error), Ok(_)) => Err(Failure::Usage(format!("{error}: give --size HxW"))),
            _ => Ok(()),
        };
    };
    // A picture takes another size or says why not; to anything else the size means nothing, and it answers the same.
    if shapes(Some(given)) == shapes(Some(given.map(|pixels| pixels + 1))) {
        let input = model.info().inputs.first().map_or("", |port| port.name.as_str());
        let reason =
            format!("--size is for models with a picture as input, and input {input:?} of {} is none", model.name());
        return Err(Failure::Usage(reason));
    }
    Ok(())
}
