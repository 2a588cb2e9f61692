//! Figures as a table and as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::measured::{Change, Measured};
use super::subject::Subject;
use super::tally::{Figure, Tally, Unit};
use crate::cli::words::counted;
use crate::evaluate::Interval;

/// Files without a result, and classes, that a table lists.
const MOST: usize = 10;

/// Subject of a table.
pub(super) struct Told<'a> {
    pub data: &'a Path,
    /// Origin of the labels.
    pub labels: Option<&'static str>,
    pub categories: &'a [String],
    pub first: &'a Subject,
    pub second: Option<&'a Subject>,
}

impl Told<'_> {
    /// Sentences about what was left out.
    pub fn doubts(&self, measured: &Measured) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (path, reason) in measured.unread.iter().take(MOST) {
            lines.push(format!("error: {}: {reason}", path.display()));
        }
        if measured.unread.len() > MOST {
            lines.push(format!("and {} more; --json has them all", measured.unread.len() - MOST));
        }
        let unknown = self.unknown_categories(&measured.first);
        if !unknown.is_empty() {
            lines.push(format!(
                "warning: {} has no label for {}: their objects are left out",
                self.first.name,
                unknown.join(", ")
            ));
        }
        lines
    }

    fn unknown_categories(&self, tally: &Tally) -> Vec<&str> {
        let all = self.categories.iter().zip(&tally.categories);
        all.filter(|(_, class)| class.is_none()).map(|(name, _)| name.as_str()).collect()
    }

    /// The table, at most 80 columns wide.
    pub fn table(&self, measured: &Measured) -> String {
        let mut lines = Vec::new();
        let inputs = counted(measured.inputs, "input");
        let left_out = match measured.unread.len() {
            0 => String::new(),
            count => format!(", {} left out", counted(count, "file")),
        };
        let labels = self.labels.map_or_else(|| "no labels".to_owned(), |labels| format!("labels: {labels}"));
        lines.push(format!("{} ({inputs}{left_out}, {labels})", self.data.display()));
        let shown = |subject: &Subject| format!("{} ({})", subject.name, subject.engine);
        match self.second {
            Some(second) => lines.push(format!("A = {}, B = {}", shown(self.first), shown(second))),
            None => lines.push(shown(self.first)),
        }
        lines.push(String::new());
        let figures = measured.first.figures();
        let others = measured.second.as_ref().map(Tally::figures).unwrap_or_default();
        if self.second.is_some() && !figures.is_empty() {
            lines.push(format!("{:<29} {:>8} {:>8} {:>10}  {}", "", "A", "B", "A - B", "95 % of A - B"));
        }
        for figure in &figures {
            match others.iter().find(|other| other.key == figure.key) {
                Some(other) => {
                    let change = measured.change(figure, other);
                    let range = change.interval.map(|i| range(figure.unit, i, true)).unwrap_or_default();
                    let (a, b) = (value(figure.unit, figure.value), value(figure.unit, other.value));
                    let difference = signed(figure.unit, change.value);
                    lines.push(
                        format!("{:<29} {a:>8} {b:>8} {difference:>10}  {range}", figure.name).trim_end().to_owned(),
                    );
                    if let Some(p) = change.p_value {
                        let all = &measured.paired;
                        lines.push(format!(
                            "  right by A alone {}, by B alone {}; McNemar p {}",
                            all.first,
                            all.second,
                            chance(p)
                        ));
                    }
                }
                None => {
                    let range = figure.interval.map(|i| range(figure.unit, i, false)).unwrap_or_default();
                    lines.push(
                        format!("{:<29} {:>8}  {range}", figure.name, value(figure.unit, figure.value))
                            .trim_end()
                            .to_owned(),
                    );
                }
            }
        }
        if let (Some(_), Some(measure)) = (self.second, measured.agreements.measure()) {
            if !figures.is_empty() {
                lines.push(String::new());
            }
            lines.push(format!("Agreement of A with B: {}", percent(measure.share)));
            lines.push(format!("  {}, of {}", measure.name, measure.of));
            let (matched, lost, added) = measured.agreements.boxes();
            if matched + lost + added > 0 {
                lines.push(format!("  {matched} boxes in both, {lost} in B alone, {added} in A alone"));
            }
            for (name, figure) in measured.agreements.details() {
                lines.push(format!("  {name}: {figure:.4}"));
            }
            if measured.agreements.incomparable() > 0 {
                lines.push(format!(
                    "  {} inputs with results of other kinds or shapes",
                    measured.agreements.incomparable()
                ));
            }
        }
        lines.extend(self.classes(&measured.first));
        lines.join("\n")
    }

    /// Lines about single classes.
    fn classes(&self, tally: &Tally) -> Vec<String> {
        let mut lines = Vec::new();
        let each = tally.classes.each();
        if (2..=2 * MOST).contains(&each.len()) {
            lines.push(String::new());
            lines.push(format!("{:<29} {:>8} {:>10} {:>10}", "class", "inputs", "precision", "recall"));
            for one in &each {
                let part = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), percent);
                let (name, inputs) = (clipped(&tally.names.label(one.class)), one.inputs);
                lines.push(format!("{name:<29} {inputs:>8} {:>10} {:>10}", part(one.precision), part(one.recall)));
            }
        }
        let mistakes = tally.classes.mistakes();
        if !mistakes.is_empty() {
            let said =
                |said: Option<usize>| said.map_or_else(|| "nothing".to_owned(), |class| tally.names.label(class));
            let most: Vec<String> = mistakes
                .iter()
                .take(3)
                .map(|(truth, class, count)| format!("{} for {} ({count})", said(*class), tally.names.label(*truth)))
                .collect();
            lines.push(String::new());
            lines.push(format!("Taken most often:\n  {}", most.join("\n  ")));
        }
        let objects = tally.objects_by_class();
        if (2..=2 * MOST).contains(&objects.len()) {
            lines.push(String::new());
            lines.push(format!("{:<29} {:>8} {:>10}", "class", "objects", "AP"));
            let one =
                |(name, objects, ap): (String, u64, f64)| format!("{:<29} {objects:>8} {ap:>10.3}", clipped(&name));
            lines.extend(objects.into_iter().map(one));
        }
        lines
    }

    /// Everything as one object.
    pub fn json(&self, measured: &Measured) -> Value {
        let about = |subject: &Subject, tally: &Tally| {
            let figures = tally.figures();
            let mut object = json!({ "model": subject.name, "engine": subject.engine, "task": subject.kind.word() });
            object["figures"] = figures
                .iter()
                .map(|figure| (figure.key.to_owned(), with_interval(figure)))
                .collect::<Map<_, _>>()
                .into();
            let classes = tally.classes.each();
            if !classes.is_empty() {
                let confusion = classes.iter().flat_map(|truth| {
                    let said = classes.iter().map(|said| Some(said.class)).chain([None]);
                    said.map(move |said| (truth.class, said, tally.classes.count(truth.class, said)))
                });
                let confusion = confusion.filter(|(_, _, count)| *count > 0);
                object["classes"] = classes
                    .iter()
                    .map(|one| {
                        let mut object = json!(one);
                        object["label"] = tally.names.label(one.class).into();
                        object
                    })
                    .collect();
                object["confusion"] = confusion
                    .map(|(truth, said, count)| json!({ "class": truth, "said": said, "inputs": count }))
                    .collect();
            }
            let objects = tally.objects_by_class();
            if !objects.is_empty() {
                let one =
                    |(label, objects, ap): (String, u64, f64)| json!({ "label": label, "objects": objects, "ap": ap });
                object["classes"] = objects.into_iter().map(one).collect();
            }
            object
        };
        let mut object = about(self.first, &measured.first);
        object["data"] = self.data.display().to_string().into();
        object["labels"] = self.labels.into();
        object["inputs"] = measured.inputs.into();
        object["unread"] =
            measured.unread.iter().map(|(path, reason)| json!({ "file": path, "reason": reason })).collect();
        let unknown = self.unknown_categories(&measured.first);
        if !unknown.is_empty() {
            object["categories_left_out"] = unknown.into();
        }
        if let (Some(second), Some(tally)) = (self.second, &measured.second) {
            object["against"] = about(second, tally);
            let others = tally.figures();
            let changes = measured.first.figures().into_iter().filter_map(|figure| {
                let other = others.iter().find(|other| other.key == figure.key)?;
                let Change { value, interval, p_value } = measured.change(&figure, other);
                let mut change = json!({ "value": value });
                if let Some(interval) = interval {
                    (change["low"], change["high"]) = (interval.low.into(), interval.high.into());
                }
                if let Some(p_value) = p_value {
                    change["p_value"] = p_value.into();
                    change["pairs"] = json!(measured.paired);
                }
                Some((figure.key.to_owned(), change))
            });
            object["difference"] = changes.collect::<Map<_, _>>().into();
            let agreements = &measured.agreements;
            let (matched, lost, added) = agreements.boxes();
            let details = agreements.details().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
            object["agreement"] = json!({
                "measure": agreements.measure(),
                "incomparable": agreements.incomparable(),
                "details": details.collect::<Map<String, Value>>(),
            });
            if matched + lost + added > 0 {
                object["agreement"]["boxes"] = json!({ "matched": matched, "lost": lost, "added": added });
            }
        }
        object
    }
}

fn with_interval(figure: &Figure) -> Value {
    let mut object = json!({ "value": figure.value });
    if let Some(interval) = figure.interval {
        (object["low"], object["high"]) = (interval.low.into(), interval.high.into());
    }
    object
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => percent(value),
        Unit::Number => format!("{value:.4}"),
        Unit::Count => format!("{value:.0}"),
    }
}

fn signed(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{:+.2} pt", value * 100.0),
        Unit::Number => format!("{value:+.4}"),
        Unit::Count => format!("{value:+.0}"),
    }
}

fn range(unit: Unit, Interval { low, high, .. }: Interval, difference: bool) -> String {
    match (unit, difference) {
        (Unit::Share, true) => format!("{:+.2} to {:+.2} pt", low * 100.0, high * 100.0),
        (Unit::Share, false) => format!("{:.2} to {:.2} % (95 %)", low * 100.0, high * 100.0),
        (_, true) => format!("{low:+.4} to {high:+.4}"),
        (_, false) => format!("{low:.4} to {high:.4} (95 %)"),
    }
}

fn chance(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}

fn clipped(name: &str) -> String {
    if name.chars().count() <= 29 { name.to_owned() } else { name.chars().take(28).chain(['…']).collect() }
}
