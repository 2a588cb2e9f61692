//! COCO annotations: pictures with boxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::dataset::{Data, Input, TrueBox, Truth};
use crate::cli::Failure;
use crate::sys::file;

/// Larger files are none: those of COCO's training pictures have 450 MB.
const MOST_BYTES: u64 = 1 << 30;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Annotations in a folder: a file of its own or of a folder `annotations`.
pub(super) fn find(folder: &Path, files: &[PathBuf]) -> Option<PathBuf> {
    let is_annotations = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.ends_with(".json") && (name.contains("instances") || name.contains("coco") || name == "annotations.json")
    };
    let below = std::fs::read_dir(folder.join("annotations")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = files.iter().cloned().chain(below).filter(is_annotations).collect();
    // Those to measure on, where there are several.
    found.sort_by_key(|path| (!path.to_string_lossy().contains("val"), path.clone()));
    found.into_iter().next()
}

/// Reads annotations; pictures are looked for in `images`, else around the file.
///
/// # Errors
/// Reason: what is wrong with the file, or that no picture is there.
pub(super) fn read(path: &Path, images: Option<&Path>) -> Result<Data, Failure> {
    let wrong = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let bytes = file::read_regular(path, MOST_BYTES).map_err(|e| wrong(e.to_string()))?;
    let mut file: File = serde_json::from_slice(&bytes)
        .map_err(|e| wrong(format!("no COCO annotations (images, annotations, categories): {e}")))?;
    drop(bytes);
    file.categories.sort_by_key(|category| category.id);
    file.images.sort_by_key(|image| image.id);
    let category: BTreeMap<u64, usize> = file.categories.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
    let mut boxes: BTreeMap<u64, Vec<TrueBox>> = BTreeMap::new();
    for (number, one) in file.annotations.iter().enumerate() {
        let Some(&category) = category.get(&one.category_id) else {
            return Err(wrong(format!(
                "annotations[{number}].category_id: {} is none of the categories",
                one.category_id
            )));
        };
        if one.bbox.iter().any(|v| !v.is_finite()) || one.bbox[2] < 0.0 || one.bbox[3] < 0.0 {
            return Err(wrong(format!("annotations[{number}].bbox: {:?} is no x, y, width and height", one.bbox)));
        }
        let area = one.area.unwrap_or(one.bbox[2] * one.bbox[3]);
        boxes.entry(one.image_id).or_default().push(TrueBox {
            category,
            bbox: one.bbox,
            area,
            crowd: one.iscrowd != 0,
        });
    }
    let dir = folder_of(path, images, &file.images).ok_or_else(|| {
        let first = file.images.first().map_or("", |image| image.file_name.as_str());
        wrong(format!("none of its pictures is beside it, such as {first:?}; --images DIR says where they are"))
    })?;
    let input = |image: Image| Input {
        path: dir.join(&image.file_name),
        truth: Some(Truth::Objects {
            size: image.width.zip(image.height).map(|(width, height)| [width, height]),
            boxes: boxes.remove(&image.id).unwrap_or_default(),
        }),
    };
    let inputs = file.images.into_iter().map(input).collect();
    let categories = file.categories.into_iter().map(|category| category.name).collect();
    Ok(Data { inputs, labels: Some("COCO annotations"), categories, names: BTreeMap::new() })
}

/// The folder with the pictures: that which is given, else the first around the annotations that has one of them.
fn folder_of(path: &Path, images: Option<&Path>, all: &[Image]) -> Option<PathBuf> {
    let beside = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let above = beside.join("..");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let part = stem.rsplit('_').next().unwrap_or_default().to_owned();
    let names = ["", "images", &stem, &part, "val2017", "train2017", "val", "train"];
    let around = [beside, &above].into_iter().flat_map(|dir| names.iter().map(move |name| dir.join(name)));
    let mut candidates: Box<dyn Iterator<Item = PathBuf>> = match images {
        Some(dir) => Box::new(std::iter::once(dir.to_path_buf())),
        None => Box::new(around),
    };
    candidates.find(|dir| all.iter().any(|image| dir.join(&image.file_name).is_file()))
}
