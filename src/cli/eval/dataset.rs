//! Data to measure on: the files, and what is right for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::frame::{Label, Spec};
use crate::pipeline::tensors;
use crate::source::{SensorKind, names_pictures};

/// Inputs with what is right for them.
pub(super) struct Data {
    /// In a settled order.
    pub inputs: Vec<Input>,
    /// Words for where labels came from; `None` without labels.
    pub labels: Option<&'static str>,
    /// Names of the categories of COCO annotations.
    pub categories: Vec<String>,
    /// Names of classes that the data numbers.
    pub names: BTreeMap<usize, String>,
}

/// One file.
pub(super) struct Input {
    /// The file.
    pub path: PathBuf,
    /// The right answer.
    pub truth: Option<Truth>,
}

/// Right answer for one file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    /// A class, or a reading.
    Name(String),
    /// Objects.
    Objects {
        /// Width and height of the picture that the boxes are of, in pixels, where they are said.
        size: Option<[u32; 2]>,
        /// The boxes.
        boxes: Vec<TrueBox>,
    },
}

/// Right box of one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrueBox {
    /// Index among the data's categories.
    pub category: usize,
    /// `[x, y, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// In square pixels.
    pub area: f64,
    /// Many objects in one box.
    pub crowd: bool,
}

impl Data {
    /// True where every input has a class or a reading, and not objects.
    pub fn has_classes(&self) -> bool {
        self.categories.is_empty() && self.labels.is_some()
    }

    /// Takes classes from names of files that have one of `labels` as a word, where all have just one and it is not labelled already.
    pub fn name_by(&mut self, labels: &[Label]) {
        if self.labels.is_some() || labels.len() < 2 {
            return;
        }
        let named: Option<Vec<String>> = self.inputs.iter().map(|input| word_of(&input.path, labels)).collect();
        let Some(named) = named.filter(|named| named.iter().collect::<BTreeSet<_>>().len() > 1) else { return };
        for (input, name) in self.inputs.iter_mut().zip(named) {
            input.truth = Some(Truth::Name(name));
        }
        self.labels = Some("names of classes in file names");
    }

    /// Leaves `limit` inputs, taken evenly.
    pub fn limit(&mut self, limit: Option<u32>) {
        let (all, limit) = (self.inputs.len(), limit.map_or(usize::MAX, |limit| limit as usize));
        if all <= limit {
            return;
        }
        let keep: BTreeSet<usize> = (0..limit).map(|i| i * all / limit).collect();
        let mut index = 0;
        self.inputs.retain(|_| {
            index += 1;
            keep.contains(&(index - 1))
        });
    }

    /// Inputs that are not of the kind that a model of `spec` takes.
    pub fn misfits(&self, spec: &Spec) -> usize {
        let takes = |path: &Path| {
            tensors::is_tensor(path)
                || match spec {
                    Spec::Image(_) => names_pictures(path),
                    Spec::Window(_) | Spec::Readings => SensorKind::of_file(path).is_some(),
                }
        };
        self.inputs.iter().filter(|input| !takes(&input.path)).count()
    }
}

/// The only label that is a word of the file's name; digits alone are numbers of files more often than classes.
fn word_of(file: &Path, labels: &[Label]) -> Option<String> {
    let stem = file.file_stem()?.to_str()?.to_lowercase();
    let words: BTreeSet<&str> =
        stem.split(|c: char| !c.is_alphanumeric()).filter(|word| word.parse::<u64>().is_err()).collect();
    let mut found = labels.iter().filter(|label| words.contains(label.to_lowercase().as_str()));
    match (found.next(), found.next()) {
        (Some(label), None) => Some(label.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_whole_words_of_names() {
        let labels: Vec<Label> = ["cat", "dog", "7"].map(Into::into).to_vec();
        let name = |file: &str| word_of(Path::new(file), &labels);
        assert_eq!(name("a/Cat-001.jpg").as_deref(), Some("cat"));
        for file in ["category_1.jpg", "cat_dog.jpg", "img_7.jpg"] {
            assert_eq!(name(file), None, "{file}");
        }
    }
}
