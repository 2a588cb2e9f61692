//! Dictionaries of models that read text: one character a line.

/// The characters of a dictionary. A space is a character like any other, so that nothing is cut off a line.
///
/// # Errors
/// The number of an empty line, from 1: all characters after it would be the wrong ones.
pub fn characters(text: &str) -> Result<Vec<&str>, usize> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    match lines.iter().position(|line| line.is_empty()) {
        Some(_) if lines == [""] => Ok(Vec::new()),
        Some(empty) => Err(empty + 1),
        None => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_counts() {
        assert_eq!(characters("a\r\n \n\u{3000}\nb\n"), Ok(vec!["a", " ", "\u{3000}", "b"]));
        assert_eq!(characters("a\nb"), Ok(vec!["a", "b"]));
        assert_eq!(characters("a\n\nb\n"), Err(2));
        assert_eq!(characters("a\n\n"), Err(2));
        assert_eq!(characters(""), Ok(vec![]));
    }
}
