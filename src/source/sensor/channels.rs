//! Channels of a stream of readings: which value of each reading is which channel, by name and never by guess.

use std::collections::HashMap;
use std::sync::Arc;

use super::number::{Field, FieldKind, complaint, is_time_name, kind};
use super::values::{Key, Naming, Values};

/// Most channels of one reading.
const MOST_CHANNELS: usize = 4096;

/// Integers beyond this are not all held exactly in single precision.
const EXACT_INTEGERS: f64 = 16_777_216.0;

/// Reason why a reading gives no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This reading cannot be used; the next may be.
    Reading(String),
    /// No reading below this CSV header can be used.
    Header(String),
}

impl Fault {
    /// The message.
    pub fn into_reason(self) -> String {
        match self {
            Fault::Reading(reason) | Fault::Header(reason) => reason,
        }
    }
}

/// One channel that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// Its name in the window.
    name: String,
    /// The path that it is looked for by.
    path: String,
}

/// Matches the channels that a model names to those that a source is configured to give: by the same name, else by the last
/// key of the one path that ends in it (`Power` is `ENERGY.Power` where no other path ends in `Power`). Gives the place of each
/// of the model's channels among `given`.
///
/// # Errors
/// The channels of the model that none or several of `given` could be.
pub fn match_names(model: &[String], given: &[String]) -> Result<Vec<usize>, Vec<String>> {
    let place = |name: &String| {
        given.iter().position(|g| g == name).or_else(|| {
            let mut ends = given.iter().enumerate().filter(|(_, path)| last_key(path) == *name);
            ends.next().map(|(place, _)| place).filter(|_| ends.next().is_none())
        })
    };
    let places: Vec<Option<usize>> = model.iter().map(place).collect();
    let missing: Vec<String> =
        model.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(name, _)| name.clone()).collect();
    if missing.is_empty() { Ok(places.into_iter().flatten().collect()) } else { Err(missing) }
}

/// The last key of a configured path, without escapes.
fn last_key(path: &str) -> String {
    let mut key = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.extend(chars.next()),
            '.' => key.clear(),
            c => key.push(c),
        }
    }
    key
}

/// `a[0].b` as `a.0.b`.
fn without_brackets(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('[') {
        let index = behind.split_once(']').filter(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let Some((index, after)) = index else { break };
        plain += before;
        if !plain.is_empty() {
            plain.push('.');
        }
        plain += index;
        rest = after;
    }
    plain + rest
}

/// A value whose place among the channels is not decided yet.
#[derive(Clone, Debug)]
struct Learnt {
    key: Key,
    /// A number, or what begins like one, was seen.
    number: bool,
    /// A time or a word was seen.
    text: bool,
}

/// Chooses the channels out of each reading: those asked for, else the numbers of the first reading that has one.
///
/// A value is taken for a channel by its whole path. Once found, it stays with that path: another that would fit as well
/// is an error, and its absence a missing value.
#[derive(Debug)]
pub struct Chooser {
    wanted: Vec<Wanted>,
    /// `wanted` are the model's channels, which may be the last key of a path.
    by_model: bool,
    /// Names given out; empty until they are known.
    channels: Arc<[String]>,
    /// The channels are the places of a list.
    listed: bool,
    /// Path of each channel, once it was seen.
    paths: Vec<Option<Vec<String>>>,
    /// Values that were text when the channels were found.
    texts: Vec<Vec<String>>,
    learnt: Vec<Learnt>,
    /// Keys of the last reading; place of each channel, and of each text, among them.
    keys: Arc<[Key]>,
    places: Vec<Option<usize>>,
    text_places: Vec<usize>,
    row: Vec<f32>,
    told_imprecise: bool,
}

impl Chooser {
    /// Chooses `configured` (in this order), else those that the model names, else those that are found. A channel that is
    /// configured by a path takes the name that the model has for it ([`match_names`]).
    pub fn new(configured: &[String], model: &[String]) -> Self {
        let by_model = configured.is_empty();
        let mut wanted: Vec<Wanted> = if by_model { model } else { configured }
            .iter()
            .map(|name| Wanted { name: name.clone(), path: name.clone() })
            .collect();
        if !by_model && let Ok(places) = match_names(model, configured) {
            for (name, place) in model.iter().zip(places) {
                if let Some(wanted) = wanted.get_mut(place) {
                    wanted.name.clone_from(name);
                }
            }
        }
        Chooser {
            channels: wanted.iter().map(|w| w.name.clone()).collect(),
            paths: vec![None; wanted.len()],
            wanted,
            by_model,
            listed: false,
            texts: Vec::new(),
            learnt: Vec::new(),
            keys: Arc::default(),
            places: Vec::new(),
            text_places: Vec::new(),
            row: Vec::new(),
            told_imprecise: false,
        }
    }

    /// The channels; empty before the first reading when none were asked for.
    pub fn channels(&self) -> &Arc<[String]> {
        &self.channels
    }

    /// Looks at a reading ahead of time, so that a column whose first lines say nothing is judged by later ones.
    pub fn learn(&mut self, values: &Values<'_>) {
        let Values::Named { keys, fields, .. } = values else { return };
        let is_number = |field: &Field<'_>| match field {
            Field::Number(_) => true,
            Field::Other(text) => matches!(kind(text), FieldKind::AlmostNumber | FieldKind::Number),
            Field::Missing | Field::Nested(_) => false,
        };
        if self.learnt.is_empty() {
            if !keys.iter().zip(fields).any(|(key, field)| is_number(field) && !is_time_name(key.leaf())) {
                return;
            }
            let fresh = keys.iter().filter(|key| !key.nested);
            self.learnt = fresh.map(|key| Learnt { key: key.clone(), number: false, text: false }).collect();
        }
        let same = self.learnt.len() == keys.len();
        for (i, (key, field)) in keys.iter().zip(fields).enumerate() {
            let learnt = if same { self.learnt.get_mut(i) } else { self.learnt.iter_mut().find(|l| l.key == *key) };
            if let Some(learnt) = learnt.filter(|l| l.key == *key) {
                learnt.number |= is_number(field);
                learnt.text |= matches!(field, Field::Other(_)) && !is_number(field);
            }
        }
    }

    /// One value per channel, NaN where the reading has none.
    ///
    /// # Errors
    /// [`Fault`]: no number in it, none of the channels, a list of another length, a value of a channel that is no number, two
    /// values that one channel could be; columns without the names that are wanted.
    pub fn choose(&mut self, values: &Values<'_>) -> Result<&[f32], Fault> {
        self.row.clear();
        match values {
            Values::Listed(fields) => self.choose_listed(fields)?,
            Values::Named { keys, fields, naming } => self.choose_named(keys, fields, *naming, values)?,
        }
        Ok(&self.row)
    }

    fn choose_listed(&mut self, fields: &[Field<'_>]) -> Result<(), Fault> {
        let fault = |reason: String| Err(Fault::Reading(reason));
        if self.channels.is_empty() {
            self.channels = match fields.len() {
                0 => return fault("no number in it".into()),
                1 => ["value".to_owned()].into(),
                n if n > MOST_CHANNELS => return fault(format!("{n} values, and at most {MOST_CHANNELS} are read")),
                n => (0..n).map(|i| i.to_string()).collect(),
            };
            self.listed = true;
        }
        let named = self.wanted.is_empty() || self.by_model || self.paths.iter().any(Option::is_some);
        if !self.listed && named {
            let names = self.channels.join(", ");
            return fault(format!("values without names, where {names} are wanted; `channels` says which they are"));
        }
        if fields.len() != self.channels.len() {
            let (found, wanted) = (fields.len(), self.channels.len());
            return fault(format!("{found} values, where {wanted} are wanted: {}", self.channels.join(", ")));
        }
        for i in 0..fields.len() {
            self.push(i, fields.get(i))?;
        }
        Ok(())
    }

    fn choose_named(
        &mut self,
        keys: &Arc<[Key]>,
        fields: &[Field<'_>],
        naming: Naming,
        values: &Values<'_>,
    ) -> Result<(), Fault> {
        let fresh = !Arc::ptr_eq(keys, &self.keys) && **keys != *self.keys;
        if self.listed {
            let reason = format!("values with names, where a list of {} was read before", self.channels.len());
            return Err(Fault::Reading(reason));
        }
        if self.channels.is_empty() {
            if fresh && naming == Naming::Object {
                self.learnt.clear();
            }
            self.learn(values);
            self.find(naming)?;
        }
        if let Naming::Columns { in_order } = naming {
            self.take_columns(in_order, values)?;
        }
        if fresh || self.places.is_empty() {
            // Not remembered before it has succeeded.
            self.keys = Arc::default();
            self.resolve(keys, naming)?;
            self.keys = Arc::clone(keys);
        }
        if let Some(key) = self.text_places.iter().find(|&&i| matches!(fields.get(i), Some(Field::Number(_)))) {
            let name = keys.get(*key).map(Key::describe).unwrap_or_default();
            let reason = format!("{name} was no number before and is one now; `channels` says whether it is wanted");
            return Err(Fault::Reading(reason));
        }
        for i in 0..self.places.len() {
            let field = self.places.get(i).copied().flatten().and_then(|place| fields.get(place));
            self.push(i, field)?;
        }
        Ok(())
    }

    /// Appends the value of channel `i`.
    fn push(&mut self, i: usize, field: Option<&Field<'_>>) -> Result<(), Fault> {
        let name = self.channels.get(i).map_or("", String::as_str);
        let bad = |what: String| Fault::Reading(format!("channel {name:?}: {what}"));
        let value = match field {
            None | Some(Field::Missing) => f32::NAN,
            Some(Field::Nested(what)) => return Err(bad(format!("{what:?} is not a number"))),
            Some(Field::Other(text)) => return Err(bad(complaint(text))),
            Some(Field::Number(number)) => {
                let held = *number as f32;
                if !self.told_imprecise && number.abs() > EXACT_INTEGERS && f64::from(held) != *number {
                    self.told_imprecise = true;
                    tracing::warn!(
                        channel = name,
                        value = number,
                        held,
                        "numbers are held in single precision (24 bits): steps this small are lost; the difference of a counter \
                         is better made by its writer"
                    );
                }
                held
            }
        };
        self.row.push(value);
        Ok(())
    }

    /// Decides what the channels are where none were asked for: what holds numbers, or nothing yet. A time is none, nor is
    /// text.
    fn find(&mut self, naming: Naming) -> Result<(), Fault> {
        let fault = |reason: String| match naming {
            Naming::Object => Fault::Reading(reason),
            Naming::Header | Naming::Columns { .. } => Fault::Header(reason),
        };
        let is_time = |l: &Learnt| is_time_name(l.key.leaf());
        let chosen = self.learnt.iter().filter(|l| !is_time(l) && (l.number || !l.text));
        let (named, unnamed): (Vec<&Learnt>, Vec<&Learnt>) = chosen.partition(|l| !l.key.leaf().is_empty());
        if let Some(unnamed) = unnamed.iter().find(|l| l.number) {
            let reason =
                format!("{} has numbers and no name; `channels` says which are wanted", unnamed.key.describe());
            return Err(fault(reason));
        }
        if named.is_empty() {
            return Err(Fault::Reading("no number in it".into()));
        }
        if named.len() > MOST_CHANNELS {
            return Err(fault(format!("{} values, and at most {MOST_CHANNELS} are read", named.len())));
        }
        let mut seen: HashMap<String, &Key> = HashMap::new();
        for learnt in &named {
            if let Some(first) = seen.insert(learnt.key.plain(), &learnt.key) {
                let (first, second) = (first.describe(), learnt.key.describe());
                return Err(fault(format!("two values of one name: {first} and {second}")));
            }
        }
        let texts = self.learnt.iter().filter(|l| !is_time(l) && ((l.text && !l.number) || l.key.leaf().is_empty()));
        let texts = texts.map(|l| l.key.path.clone()).collect();
        let paths = named.iter().map(|l| Some(l.key.path.clone())).collect();
        let wanted = named.iter().map(|l| Wanted { name: l.key.plain(), path: l.key.escaped() });
        let wanted: Vec<Wanted> = wanted.collect();
        self.channels = wanted.iter().map(|w| w.name.clone()).collect();
        (self.paths, self.texts) = (paths, texts);
        Ok(())
    }

    /// Takes the channels for the columns in their order, where there is no header.
    fn take_columns(&mut self, in_order: bool, values: &Values<'_>) -> Result<(), Fault> {
        let by_number = |w: &Wanted| w.path.strip_prefix('#').is_some_and(|n| n.parse::<usize>().is_ok());
        if self.wanted.is_empty() || self.paths.iter().all(Option::is_some) || self.wanted.iter().all(by_number) {
            return Ok(());
        }
        let names = self.channels.join(", ");
        if self.by_model {
            return Err(Fault::Header(format!("the columns have no names, and the model takes {names} by name")));
        }
        if !in_order {
            let reason = format!(
                "the first line has no names, and {names} are wanted; header = \"absent\" if these are the columns in their order"
            );
            return Err(Fault::Header(reason));
        }
        self.learn(values);
        let columns: Vec<&Learnt> = self.learnt.iter().filter(|l| l.number || !l.text).collect();
        if columns.len() != self.wanted.len() {
            let found: Vec<String> = columns.iter().map(|l| l.key.plain()).collect();
            let reason = format!(
                "{} columns of numbers ({}), where {} are wanted: {names}",
                found.len(),
                found.join(", "),
                self.wanted.len()
            );
            return Err(Fault::Header(reason));
        }
        self.paths = columns.iter().map(|l| Some(l.key.path.clone())).collect();
        self.places.clear();
        Ok(())
    }

    /// Finds the place of every channel among `keys`.
    fn resolve(&mut self, keys: &Arc<[Key]>, naming: Naming) -> Result<(), Fault> {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_leaf: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, key) in keys.iter().enumerate() {
            let (plain, escaped) = (key.plain(), key.escaped());
            if plain != escaped {
                by_name.entry(escaped).or_default().push(i);
            }
            by_name.entry(plain).or_default().push(i);
            if key.path.len() > 1 && !key.nested {
                by_leaf.entry(key.leaf()).or_default().push(i);
            }
        }
        let found_by_itself = self.wanted.is_empty();
        let mut places = Vec::with_capacity(self.channels.len());
        for (i, name) in self.channels.iter().enumerate() {
            let known = self.paths.get(i).and_then(Option::as_ref);
            let path = self.wanted.get(i).map_or(name, |w| &w.path);
            let mut candidates = by_name.get(path).or_else(|| by_name.get(&without_brackets(path))).cloned();
            if candidates.is_none()
                && let Some(column) = path.strip_prefix('#').and_then(|n| n.parse::<usize>().ok())
            {
                candidates = keys.iter().position(|key| key.column == Some(column)).map(|place| vec![place]);
            }
            if self.by_model
                && !found_by_itself
                && candidates.as_ref().is_none_or(|c| c.iter().all(|&i| is_nested(keys, i)))
            {
                candidates = by_leaf.get(path.as_str()).cloned().or(candidates);
            }
            let candidates = candidates.unwrap_or_default();
            let place = match known {
                None => candidates.first().copied(),
                Some(known) => keys.iter().position(|key| key.path == *known),
            };
            let rival = candidates.iter().copied().find(|c| Some(*c) != place);
            if let (Some(place), Some(rival)) = (place, rival) {
                let [first, second] = [place, rival].map(|i| keys.get(i).map(Key::describe).unwrap_or_default());
                let reason = format!("channel {name:?} could be {first} or {second}");
                return Err(match naming {
                    Naming::Object => Fault::Reading(reason),
                    Naming::Header | Naming::Columns { .. } => Fault::Header(reason),
                });
            }
            places.push(place);
        }
        let absent = |only: bool| places.iter().any(Option::is_none) && (only || places.iter().all(Option::is_none));
        let list = || {
            let names = keys.iter().filter(|key| !key.nested).take(20);
            names
                .map(|key| if key.leaf().is_empty() { "(no name)".to_owned() } else { key.escaped() })
                .collect::<Vec<_>>()
        };
        if naming != Naming::Object && absent(true) {
            let lost = self.channels.iter().zip(&places).filter(|(_, place)| place.is_none());
            let lost: Vec<&str> = lost.map(|(name, _)| name.as_str()).collect();
            let what = match (lost.len() == self.channels.len(), self.by_model && !found_by_itself) {
                (true, _) => format!("none of {}", lost.join(", ")),
                (false, true) => format!("no {} of the model's {}", lost.join(", "), self.channels.join(", ")),
                (false, false) => format!("no {}", lost.join(", ")),
            };
            return Err(Fault::Header(format!("{what} among its values: {}", list().join(", "))));
        }
        if naming == Naming::Object && absent(false) {
            let reason = format!("none of {} among its values: {}", self.channels.join(", "), list().join(", "));
            return Err(Fault::Reading(reason));
        }
        for (path, place) in self.paths.iter_mut().zip(&places) {
            if let (None, Some(key)) = (&path, place.and_then(|i| keys.get(i))) {
                *path = Some(key.path.clone());
            }
        }
        let texts = &self.texts;
        self.text_places =
            (0..keys.len()).filter(|&i| keys.get(i).is_some_and(|key| texts.contains(&key.path))).collect();
        self.places = places;
        Ok(())
    }
}

fn is_nested(keys: &[Key], i: usize) -> bool {
    keys.get(i).is_some_and(|key| key.nested)
}

#[cfg(test)]
mod tests;
