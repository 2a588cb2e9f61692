//! Unknown keys and the keys most likely meant.

use super::path::{Path, Step};
use super::problem::{Problem, nearest};
use super::schema::{Node, Shape};

/// The problem of a key that the schema does not have.
pub(super) fn unknown_key(table: Node, path: &Path) -> Problem {
    unknown_key_of(&table.child_names(), path)
}

/// The problem of a key that is not among `names`.
pub(super) fn unknown_key_of(names: &[&'static str], path: &Path) -> Problem {
    let key = path.last_key();
    let problem = Problem::new(path.to_string(), "unknown key").allowed(names.join(", "));
    if let Some(meant) = nearest(key, names.iter().copied()) {
        return problem.help(format!("did you mean {meant:?}?"));
    }
    if path.0.len() == 1
        && let Some(table) =
            Node::root().child("pipeline").and_then(Node::item).and_then(|pipeline| pipeline.child(key))
        && !table.child_names().is_empty()
    {
        return problem.help(format!("write [pipeline.{key}], below the [[pipeline]] that it belongs to"));
    }
    let mut homes = Vec::new();
    find_homes(Node::root(), &Path::default(), key, &mut homes);
    match homes.as_slice() {
        [] => problem,
        homes => problem.help(format!("{key:?} is a key of {}", homes.join(" and of "))),
    }
}

/// Finds the tables that have a key of this name.
fn find_homes(node: Node, path: &Path, key: &str, homes: &mut Vec<String>) {
    // A meter's source and governor have the keys of a pipeline's.
    let is_twin = |steps: &[Step]| {
        matches!(steps, [Step::Key(table), _, Step::Key(key)]
            if table == "meter" && ["source", "governor"].contains(&key.as_str()))
    };
    if is_twin(&path.0) {
        return;
    }
    let mut tables = Vec::new();
    match node.shape() {
        Shape::Table(keys) => tables.push((format!("[{}]", path.to_string().replace("[0]", "")), keys)),
        Shape::Tagged(variants) => {
            for (tag, keys) in variants {
                tables.push((format!("[{}] with type = {tag:?}", path.to_string().replace("[0]", "")), keys));
            }
        }
        Shape::Reference { tagged, key: other, keys, .. } => {
            let title = path.to_string().replace("[0]", "");
            for (tag, keys) in tagged {
                tables.push((format!("[{title}] with type = {tag:?}"), keys));
            }
            tables.push((format!("[{title}] with {other}"), keys));
        }
        // A named source has the keys of a pipeline's own.
        Shape::Array { .. } if path.0 == [Step::Key("source".into())] => {}
        Shape::Array { items, .. } => find_homes(items, &path.index(0), key, homes),
        _ => {}
    }
    for (title, keys) in tables {
        if keys.get(key).is_some() && !path.0.is_empty() && homes.len() < 3 {
            homes.push(title);
        }
        for name in keys.names() {
            if let Some(child) = keys.get(name) {
                find_homes(child, &path.key(name), key, homes);
            }
        }
    }
}
