//! Text that others wrote, made fit for a terminal.

use ratatui::text::Span;

/// Text of one line: at most `most` characters, none of which moves a cursor, changes a direction or has no width.
pub fn clean(text: &str, most: usize) -> String {
    let shown = |c: char| if c.is_control() || is_invisible(c) { '\u{b7}' } else { c };
    let mut cleaned: String = text.chars().take(most).map(shown).collect();
    if text.chars().nth(most).is_some() {
        cleaned.pop();
        cleaned.push('…');
    }
    cleaned
}

/// Characters that say how others are shown: joiners, marks of direction, tags, separators of lines.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' | '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}')
}

/// Columns that a text takes.
pub fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// The beginning of a text in at most `width` columns.
pub fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.into();
    }
    let mut fitted = String::new();
    let mut taken = 0;
    let mut buffer = [0; 4];
    for c in text.chars() {
        taken += columns(c.encode_utf8(&mut buffer));
        if taken >= width {
            break;
        }
        fitted.push(c);
    }
    if width > 0 {
        fitted.push('…');
    }
    fitted
}

/// A time span in the largest unit that says it: `4 s`, `12 min`, `3 h 20 min`, `5 d 2 h`.
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text_around() {
        for hostile in
            ["\u{1b}[2J", "a\r\nb", "\u{202e}txt", "a\u{200b}b", "\u{7}", "\u{9b}31m", "z\u{301}\u{301}", "\u{2028}"]
        {
            let cleaned = clean(hostile, 100);
            assert!(
                cleaned.contains('\u{b7}') && !cleaned.chars().any(|c| c.is_control() || is_invisible(c)),
                "{cleaned:?}"
            );
            assert_eq!(cleaned.chars().count(), hostile.chars().count());
        }
        assert_eq!(clean("Küche 3", 100), "Küche 3");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean("abcd", 4), "abcd");
    }

    #[test]
    fn a_text_takes_no_more_columns_than_it_may() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
        for width in 0..8 {
            assert!(columns(&fit("a日b本c語", width)) <= width);
        }
    }

    #[test]
    fn spans_are_told_in_their_largest_units() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (12_000, "3 h 20 min"), (439_200, "5 d 2 h")]
        {
            assert_eq!(span(seconds), words);
        }
    }
}
