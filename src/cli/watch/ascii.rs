//! A screen for terminals that show no more than ASCII.

use ratatui::buffer::Buffer;

/// Shades of one cell, from dark to light.
pub const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// The locale says that the terminal takes UTF-8.
pub fn has_utf8() -> bool {
    // The first that is set counts, as for every program (setlocale(3)).
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    locale.is_some_and(|locale| is_utf8(&locale.to_string_lossy()))
}

/// True for a locale such as `de_DE.UTF-8`.
fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.ends_with(".utf-8") || locale.ends_with(".utf8") || locale.contains(".utf-8@") || locale.contains(".utf8@")
}

/// Replaces what is not ASCII by what is most like it.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let like = cell.symbol().chars().next().map_or(' ', like);
            cell.set_char(like);
        }
    }
}

/// The character of ASCII that looks most like `c`.
fn like(c: char) -> char {
    match c {
        '─' | '–' | '—' => '-',
        '│' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' => '+',
        '█' => '#',
        '▀' => '"',
        '▄' | '▅' | '▆' => 'o',
        '▇' => '0',
        '▁' => '_',
        '▂' => '.',
        '▃' => ':',
        '▓' => '%',
        '▒' => '+',
        '░' => '.',
        '…' => '~',
        '°' => ' ',
        '³' => '3',
        '²' => '2',
        '·' => '.',
        '↑' => '^',
        '↓' => 'v',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_locale_says_what_the_terminal_takes() {
        for (locale, expected) in [
            ("de_DE.UTF-8", true),
            ("C.utf8", true),
            ("ca_ES.UTF-8@valencia", true),
            ("C", false),
            ("POSIX", false),
            ("de_DE@euro", false),
            ("ru_RU.KOI8-R", false),
        ] {
            assert_eq!(is_utf8(locale), expected, "{locale}");
        }
    }

    #[test]
    fn nothing_but_ascii_is_left() {
        let text = "── 21.5 °C ▁▂▃▄▅▆▇█ m³ …日";
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 1));
        buffer.set_string(0, 0, text, Style::new());
        to_ascii(&mut buffer);
        let shown: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(shown.trim_end(), "-- 21.5  C _.:oo".to_owned() + "o0# m3 ~?");
    }
}
