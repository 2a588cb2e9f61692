//! A terminal as far as the screens of `leptond` use one.

/// Cells, and a cursor that can be put anywhere.
pub struct Screen {
    cells: Vec<Vec<char>>,
    /// Row and column.
    at: (usize, usize),
}

impl Screen {
    /// The screen of `[columns, rows]` after `output` was written to it.
    pub fn after(output: &str, [columns, rows]: [usize; 2]) -> Screen {
        let mut screen = Screen { cells: vec![vec![' '; columns]; rows], at: (0, 0) };
        let mut chars = output.chars();
        while let Some(c) = chars.next() {
            if c == '\u{1b}' {
                // A command: `[`, its numbers, a letter.
                let command: String = chars.by_ref().skip(1).take_while_inclusive(|c| !c.is_ascii_alphabetic());
                if let Some(place) = command.strip_suffix('H') {
                    let mut numbers = place.split(';').map(|number| number.parse().unwrap_or(1));
                    let mut next = || numbers.next().unwrap_or(1_usize) - 1;
                    screen.at = (next(), next());
                }
            } else if let Some(cell) = screen.cells.get_mut(screen.at.0).and_then(|row| row.get_mut(screen.at.1)) {
                *cell = c;
                screen.at.1 += 1;
            }
        }
        screen
    }

    /// Its rows, each with its end.
    pub fn text(&self) -> String {
        self.cells.iter().map(|row| row.iter().collect::<String>() + "\n").collect()
    }
}

/// Characters up to and with the first that is not `wanted`.
trait TakeWhileInclusive: Iterator<Item = char> + Sized {
    fn take_while_inclusive(mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        for c in self.by_ref() {
            taken.push(c);
            if !wanted(c) {
                break;
            }
        }
        taken
    }
}

impl<I: Iterator<Item = char>> TakeWhileInclusive for I {}
