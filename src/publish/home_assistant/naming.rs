//! Names for people and ids for Home Assistant, made of the names that a configuration and a model have.

/// A name as a person writes it: `front-door` is "Front door".
pub(super) fn title(name: &str) -> String {
    let words = words(name);
    let mut chars = words.chars();
    match chars.next() {
        // The program's own name, which begins that of a node without one, is written small.
        Some(_) if words.starts_with("leptond") => words,
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => words,
    }
}

/// `front-door` is "front door", for the middle of a name.
pub(super) fn words(name: &str) -> String {
    name.split(|c: char| c == '-' || c == '_' || c.is_whitespace())
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The part of an entity's id that a name gives: small letters, digits and `_`; empty where it has none of them.
pub(super) fn slug(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_like_a_person_s() {
        for (name, expected) in [
            ("front-door", "Front door"),
            ("attic", "Attic"),
            ("cam_2", "Cam 2"),
            ("traffic  light", "Traffic light"),
            ("leptond-00aa11bb", "leptond 00aa11bb"),
            ("äpfel", "Äpfel"),
            ("--", ""),
        ] {
            assert_eq!(title(name), expected);
        }
        assert_eq!(words("traffic light"), "traffic light");
    }

    #[test]
    fn slugs_are_what_entity_ids_take() {
        for (name, expected) in
            [("Front door person", "front_door_person"), ("a--b", "a_b"), ("Füße", "f_e"), ("猫", ""), ("8", "8")]
        {
            assert_eq!(slug(name), expected);
        }
    }
}
