//! Names of classes in the data, and the model's labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::frame::Label;

/// Labels of a model by the names that people write.
#[derive(Clone, Debug)]
pub(super) struct Names {
    labels: Vec<Label>,
    /// Names that the data has for classes of a model without labels.
    said: BTreeMap<usize, String>,
}

impl Names {
    /// Of the model's labels, which may be none.
    pub fn new(labels: &[Label]) -> Names {
        Names { labels: labels.to_vec(), said: BTreeMap::new() }
    }

    /// With names that the data has for classes, for a model without labels.
    pub fn said(self, said: &BTreeMap<usize, String>) -> Names {
        Names { said: said.clone(), ..self }
    }

    /// Index of the class: by its label, else by the label in other letters or with other signs between words, else by its number.
    pub fn class(&self, name: &str) -> Option<usize> {
        let by = |same: &dyn Fn(&str) -> bool| self.labels.iter().position(|label| same(label));
        by(&|label| label == name).or_else(|| by(&|label| plain(label) == plain(name))).or_else(|| {
            let number: usize = name.parse().ok()?;
            (self.labels.is_empty() || number < self.labels.len()).then_some(number)
        })
    }

    /// The label of a class, or its number.
    pub fn label(&self, class: usize) -> String {
        let label = self.labels.get(class).map(|label| label.to_string());
        label.or_else(|| self.said.get(&class).cloned()).unwrap_or_else(|| class.to_string())
    }

    /// A sentence about names that are no class, with the labels that there are; `None` where all are.
    pub fn unknown<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<String> {
        let unknown: BTreeSet<&str> = names.filter(|name| self.class(name).is_none()).collect();
        if unknown.is_empty() {
            return None;
        }
        let quoted = |all: Vec<String>| {
            let more = all.len().saturating_sub(MOST);
            let mut text = all.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
            if more > 0 {
                text += &format!(" and {more} more");
            }
            text
        };
        let unknown = quoted(unknown.into_iter().map(|name| format!("{name:?}")).collect());
        Some(match self.labels.len() {
            0 => format!("{unknown} is no class: the model has no labels, so that classes are numbers from 0"),
            count => {
                let known = quoted(self.labels.iter().map(|label| format!("{label:?}")).collect());
                format!("{unknown} is none of the model's {count} labels ({known}), and no number of one")
            }
        })
    }
}

/// Names that an error lists.
const MOST: usize = 12;

/// A name without case and signs.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_people_write_them() {
        let names = Names::new(&["traffic light", "Cat", "3", "dog"].map(Label::from));
        let check = |name: &str, class| assert_eq!(names.class(name), class, "{name}");
        check("traffic_light", Some(0));
        check("CAT", Some(1));
        // A label that is a number goes before the number of a class.
        check("3", Some(2));
        check("2", Some(2));
        check("bird", None);
        check("4", None);
        let said = names.unknown(["Cat", "bird", "4"].into_iter()).unwrap();
        assert!(said.contains("\"bird\"") && said.contains("\"4\"") && said.contains("traffic light"), "{said}");
        assert_eq!(Names::new(&[]).class("17"), Some(17));
        assert!(Names::new(&[]).unknown(["cat"].into_iter()).unwrap().contains("numbers from 0"));
    }
}
