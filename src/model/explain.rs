//! Failures inside tract as errors that name the ONNX node.

use std::path::Path;

use tract_onnx::prelude::*;

use super::ModelError;
use super::bounded::Refused;
use super::budget::Exhausted;
use super::graph::{GraphInfo, NodeInfo};

/// The outcome of guarded work, with a panic's message or tract's error as one that names the ONNX node.
pub(super) fn explained<T>(
    outcome: Result<TractResult<T>, String>,
    info: &GraphInfo,
    path: &Path,
) -> Result<T, ModelError> {
    match outcome {
        Ok(result) => result.map_err(|error| refusal(&error, info, path)),
        Err(panic) => Err(explain(&panic, info, path)),
    }
}

/// tract's error as one that names the ONNX node: our own refusals name it, others are searched for it.
pub(super) fn refusal(error: &TractError, info: &GraphInfo, path: &Path) -> ModelError {
    match error.chain().find_map(|cause| cause.downcast_ref::<Refused>()) {
        Some(Refused { node, operator, reason }) => ModelError::Unsupported {
            path: path.into(),
            node: node.clone(),
            operator: operator.clone(),
            reason: shorten(reason),
        },
        None => match error.chain().find_map(|cause| cause.downcast_ref::<Exhausted>()) {
            Some(exhausted) => ModelError::Compile { path: path.into(), reason: exhausted.to_string() },
            None => explain(&format!("{error:#}"), info, path),
        },
    }
}

/// Name of the node that tract fails on; `None` for an error of the budget, which holds for the whole model, and for a node that is
/// refused for what it is, which no other way of computing it makes right.
pub(super) fn blamed(error: &TractError, info: &GraphInfo) -> Option<String> {
    if error.chain().any(|cause| cause.is::<Exhausted>() || cause.is::<Refused>()) {
        return None;
    }
    node_in(&format!("{error:#}"), info).map(|node| node.name.clone())
}

/// The node whose name a message holds.
fn node_in<'i>(message: &str, info: &'i GraphInfo) -> Option<&'i NodeInfo> {
    let words: std::collections::HashSet<&str> =
        message.split(|c: char| c.is_whitespace() || "\"`'(),:#[]{}<>".contains(c)).collect();
    let quoted = |name: &str| ['"', '`'].iter().any(|q| message.contains(&format!("{q}{name}{q}")));
    let named = info.nodes.iter().filter(|n| quoted(&n.name) || words.contains(n.name.as_str()));
    // tract names what it makes of a node after it, behind a dot.
    let made_of = |name: &str| message.contains(&format!("\"{name}.")) || words.iter().any(|w| is_part(w, name));
    let found = named.max_by_key(|n| (quoted(&n.name), n.name.len()));
    found.or_else(|| info.nodes.iter().filter(|n| !n.name.is_empty() && made_of(&n.name)).max_by_key(|n| n.name.len()))
}

fn is_part(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

/// tract's words as an error that names the ONNX node they are about.
pub(super) fn explain(message: &str, info: &GraphInfo, path: &Path) -> ModelError {
    let reason = shorten(message);
    match node_in(message, info) {
        Some(node) => ModelError::Unsupported {
            path: path.into(),
            node: node.name.clone(),
            operator: node.operator.clone(),
            reason,
        },
        None => ModelError::Compile { path: path.into(), reason },
    }
}

/// tract shows what it knows of shapes and types in Rust's notation: `Some(3)` is 3, `None` is not known.
fn without_options(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // For each parenthesis that is open, whether it is one of `Some(`.
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let inside = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let ends = |after: &str| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if let (false, Some(after)) = (inside, rest.strip_prefix("Some(")) {
            open.push(true);
            rest = after;
            continue;
        }
        if let (false, Some(after)) = (inside, rest.strip_prefix("None").filter(|after| ends(after))) {
            out.push('?');
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '(' => open.push(false),
            ')' if open.pop() == Some(true) => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

/// One line of bounded length, the root cause kept: it stands last in tract's chain.
fn shorten(message: &str) -> String {
    const KEEP: usize = 400;
    let line = without_options(&message.split_whitespace().collect::<Vec<_>>().join(" "));
    if line.chars().count() <= KEEP {
        return line;
    }
    let head: String = line.chars().take(KEEP / 4).collect();
    let tail: Vec<char> = line.chars().rev().take(KEEP * 3 / 4).collect();
    format!("{head} … {}", tail.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_absent_is_told_in_words() {
        let check = |text: &str, wanted: &str| assert_eq!(without_options(text), wanted);
        check("[Some(1), None, Some(Val(6))]", "[1, ?, Val(6)]");
        check(
            "dims (Some(\"a\")) and Some((1, 2)) of Something(x) NoneSuch awesome(None)",
            "dims (\"a\") and (1, 2) of Something(x) NoneSuch awesome(?)",
        );
        check("unbalanced Some(3 and ) too )", "unbalanced 3 and  too )");
        check("", "");
    }
}
