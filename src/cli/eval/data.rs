//! Kinds of data to measure on, told by looking.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dataset::{Data, Input, Truth};
use super::{coco, list};
use crate::cli::Failure;
use crate::pipeline::tensors;
use crate::source::{SensorKind, names_pictures};

/// Looks what `path` is.
///
/// # Errors
/// Reason: what is wrong with it, or what it could have been.
pub(super) fn look(path: &Path, images: Option<&Path>) -> Result<Data, Failure> {
    let wrong = |reason: &str| Failure::Usage(format!("{}: {reason}", path.display()));
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
    if !path.exists() {
        return Err(wrong("there is no such file or directory"));
    }
    if path.is_dir() {
        return folder(path, images);
    }
    match ending.to_str() {
        Some("json") => coco::read(path, images),
        Some("csv" | "tsv") => list::read(path, images),
        Some("gz" | "tgz" | "tar" | "zip" | "xz" | "zst" | "bz2") => {
            Err(wrong("unpack this archive, and give the folder"))
        }
        _ if is_input(path) => Ok(unlabelled(vec![path.into()])),
        _ => Err(wrong("neither a folder, nor a list (.csv, .tsv), COCO annotations (.json) or an input")),
    }
}

/// Names of lists of labels in a folder.
const LISTS: [&str; 2] = ["labels.csv", "labels.tsv"];

fn folder(path: &Path, images: Option<&Path>) -> Result<Data, Failure> {
    let wrong = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let (files, folders) = entries(path).map_err(|e| wrong(e.to_string()))?;
    if let Some(list) = LISTS.iter().map(|name| path.join(name)).find(|list| list.is_file()) {
        return list::read(&list, images.or(Some(path)));
    }
    if let Some(found) = coco::find(path, &files) {
        return coco::read(&found, images);
    }
    let inputs: Vec<PathBuf> = files.into_iter().filter(|file| is_input(file)).collect();
    let mut classes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in folders {
        let (files, _) = entries(&folder).map_err(|e| wrong(e.to_string()))?;
        let files: Vec<_> = files.into_iter().filter(|file| is_input(file)).collect();
        if let (Some(name), false) = (folder.file_name(), files.is_empty()) {
            classes.insert(name.to_string_lossy().into_owned(), files);
        }
    }
    match (inputs.is_empty(), classes.is_empty()) {
        (true, true) => Err(wrong(
            "no inputs in it: neither pictures (.jpg, .png, .bmp), tables (.csv, .jsonl) nor bare values (.npy, .bin, .f32), in it or \
             in folders one below"
                .into(),
        )),
        (_, false) if classes.len() > 1 || inputs.is_empty() => {
            let named = |(name, files): (String, Vec<PathBuf>)| {
                files.into_iter().map(move |path| Input { path, truth: Some(Truth::Name(name.clone())) })
            };
            let inputs = classes.into_iter().flat_map(named).collect();
            Ok(Data { inputs, labels: Some("folders"), categories: Vec::new(), names: BTreeMap::new() })
        }
        _ => Ok(by_names(inputs)),
    }
}

/// Files and folders in a folder, in the order of their names; hidden ones are left out.
fn entries(path: &Path) -> std::io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")) {
            all.push(path);
        }
    }
    all.sort();
    Ok(all.into_iter().partition(|path| !path.is_dir()))
}

fn is_input(path: &Path) -> bool {
    names_pictures(path) || tensors::is_tensor(path) || SensorKind::of_file(path).is_some()
}

fn unlabelled(files: Vec<PathBuf>) -> Data {
    let inputs = files.into_iter().map(|path| Input { path, truth: None }).collect();
    Data { inputs, labels: None, categories: Vec::new(), names: BTreeMap::new() }
}

/// Files with the class in their names, where that is so of all of them: `Stop_7` at the end, always of the same name and number.
fn by_names(files: Vec<PathBuf>) -> Data {
    let pairs: Option<Vec<(String, usize)>> = files.iter().map(|file| numbered(file)).collect();
    let Some(pairs) = pairs else { return unlabelled(files) };
    let (mut number_of, mut name_of) = (BTreeMap::new(), BTreeMap::new());
    let consistent = pairs.iter().all(|(name, number)| {
        *number_of.entry(name.clone()).or_insert(*number) == *number
            && name_of.entry(*number).or_insert(name.clone()) == name
    });
    if !consistent || number_of.len() < 2 {
        return unlabelled(files);
    }
    let inputs = files.into_iter().zip(pairs);
    let inputs =
        inputs.map(|(path, (_, number))| Input { path, truth: Some(Truth::Name(number.to_string())) }).collect();
    Data { inputs, labels: Some("numbers of classes in file names"), categories: Vec::new(), names: name_of }
}

/// The last two words of `tst_000000_Stop_7.bin`, where the last is a number and the one before is none.
fn numbered(file: &Path) -> Option<(String, usize)> {
    let stem = file.file_stem()?.to_str()?;
    let mut words = stem.rsplit(['_', '-', ' ']);
    let number = words.next()?.parse().ok()?;
    let name = words.next()?;
    (!name.is_empty() && name.parse::<u64>().is_err()).then(|| (name.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_classes_only_where_they_go_with_a_name() {
        let labels = |names: &[&str]| {
            let data = by_names(names.iter().map(PathBuf::from).collect());
            data.inputs.into_iter().map(|input| input.truth).collect::<Vec<_>>()
        };
        let name = |name: &str| Some(Truth::Name(name.into()));
        assert_eq!(labels(&["tst_000000_Stop_7.bin", "tst_000002_Right_6.bin"]), [name("7"), name("6")]);
        for photos in
            [["IMG_0007.jpg", "IMG_0008.jpg"], ["a_7.bin", "a_7.npy"], ["x_1.bin", "plain.bin"], ["a_1.bin", "b_1.bin"]]
        {
            assert_eq!(labels(&photos), [None, None], "{photos:?}");
        }
    }
}
