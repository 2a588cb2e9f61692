//! Templates (Jinja) that take a value out of a JSON payload. None of them fails where a field, or the payload, is missing: Home
//! Assistant then shows `unknown`, for which it takes the text `None`.

/// Characters that a state of Home Assistant holds.
const MOST_STATE: usize = 255;

/// The value at `path`; undefined where a part of it is missing.
pub(super) fn at(path: &[&str]) -> String {
    path.iter().fold("value_json".to_owned(), |outer, key| format!("({outer} | default({{}}, true))[{}]", literal(key)))
}

/// The value at `path` as it is.
pub(super) fn text(path: &[&str]) -> String {
    format!("{{{{ {} | default('None', true) }}}}", at(path))
}

/// The number at `path`, divided by 10 to the `shift`th and written with so many `decimals`.
pub(super) fn number(path: &[&str], shift: u8, decimals: u8) -> String {
    let divisor = 10_u64.pow(shift.into());
    format!("{{% set v = {} %}}{{{{ '%.{decimals}f' | format(v / {divisor}) if v is number else none }}}}", at(path))
}

/// The integer at `path`.
pub(super) fn integer(path: &[&str]) -> String {
    format!("{{% set v = {} %}}{{{{ v | int if v is number else none }}}}", at(path))
}

/// `ON` or `OFF` by the boolean at `path`.
pub(super) fn flag(path: &[&str]) -> String {
    format!("{{% set v = {} %}}{{{{ ('ON' if v else 'OFF') if v is boolean else none }}}}", at(path))
}

/// The count at `path`; 0 where it is left out.
pub(super) fn count(path: &[&str]) -> String {
    format!("{{{{ {} | default(0, true) }}}}", at(path))
}

/// `ON` where the count at `path` is above 0.
pub(super) fn present(path: &[&str]) -> String {
    format!("{{{{ 'ON' if ({} | default(0, true)) > 0 else 'OFF' }}}}", at(path))
}

/// The sum of the counts in the object at `path`.
pub(super) fn total(path: &[&str]) -> String {
    format!("{{{{ ({} | default({{}}, true)).values() | select('number') | sum }}}}", at(path))
}

/// `ON` where a count of the object at `path` is above 0.
pub(super) fn any(path: &[&str]) -> String {
    format!("{{{{ 'ON' if (({} | default({{}}, true)).values() | select('number') | sum) > 0 else 'OFF' }}}}", at(path))
}

/// The sum of the counts `key` in the objects of the object at `path`.
pub(super) fn total_of(path: &[&str], key: &str) -> String {
    format!(
        "{{{{ ({} | default({{}}, true)).values() | map(attribute={}) | select('number') | sum }}}}",
        at(path),
        literal(key)
    )
}

/// The text at `path`, cut to what a state holds.
pub(super) fn short_text(path: &[&str]) -> String {
    format!("{{{{ ({} | default('None', true))[:{MOST_STATE}] }}}}", at(path))
}

/// `key` of the first object in the list `list`.
pub(super) fn first_of(list: &str, key: &str) -> String {
    let (list, key) = (at(&[list]), literal(key));
    format!("{{{{ (({list} | default([], true) | first | default({{}}, true))[{key}]) | default('None', true) }}}}")
}

/// The list at `key` as an attribute of that name.
pub(super) fn list(key: &str) -> String {
    format!("{{{{ {{{}: {} | default([], true)}} | tojson }}}}", literal(key), at(&[key]))
}

/// The first object of the list at `key` as attributes: `channel`, `fault`, `distance`, `value`, `usual`; and the whole list.
pub(super) fn channels(key: &str) -> String {
    let (list, name) = (at(&[key]), literal(key));
    format!(
        "{{% set l = {list} | default([], true) %}}{{{{ dict(l | first | default({{}}, true), **{{{name}: l}}) | tojson }}}}"
    )
}

/// `value` of the object in the list `list` whose label is `label`, as a percentage; 0 where it is left out.
pub(super) fn percent_of(list: &str, label: &str, value: &str) -> String {
    let (list, label, value) = (at(&[list]), literal(label), literal(value));
    format!(
        "{{% set c = {list} %}}{{% set o = c | default([], true) | selectattr('label', 'eq', {label}) | first | default({{}}, true) %}}\
         {{{{ ((o[{value}] | default(0, true)) * 100) | round(1) if c is defined and c is not none else none }}}}"
    )
}

/// The object at `path` as attributes.
pub(super) fn object(path: &[&str]) -> String {
    format!("{{{{ {} | default({{}}, true) | tojson }}}}", at(path))
}

/// `text` as a literal of a template. Inside of one nothing ends the expression, so that a model's labels cannot be more than text.
pub(super) fn literal(text: &str) -> String {
    // A JSON string is a Jinja string: the escapes of the one are escapes of the other.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_step_by_step() {
        assert_eq!(
            at(&["counts", "traffic light"]),
            r#"((value_json | default({}, true))["counts"] | default({}, true))["traffic light"]"#
        );
        assert_eq!(literal(r#"a" }} {{ x"#), r#""a\" }} {{ x""#);
    }
}
