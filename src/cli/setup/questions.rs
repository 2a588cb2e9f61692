//! Questions to a person. A small trait, so that tests answer from a list.

use std::io::{self, IsTerminal};

use dialoguer::{Input, Password};

use crate::cli::{Failure, tell};

/// Longest time that the end of the process takes after a signal; without one, the questions' end is a failure like any other.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// A person who answers, or a list of answers.
pub trait Ask {
    /// A line of text; an empty answer is the default, where there is one.
    ///
    /// # Errors
    /// [`Failure`] when the terminal is gone.
    fn text(&mut self, prompt: &str, default: Option<&str>) -> Result<String, Failure>;

    /// A line of text that is not shown; may be empty.
    ///
    /// # Errors
    /// As [`Ask::text`].
    fn secret(&mut self, prompt: &str) -> Result<String, Failure>;

    /// Something for the person to read.
    fn tell(&mut self, text: &str);

    /// One of `items`, by its number from 1; gives the index. What is no number of the list is asked again.
    ///
    /// # Errors
    /// As [`Ask::text`].
    fn choose(&mut self, prompt: &str, items: &[String], default: usize) -> Result<usize, Failure> {
        for (i, item) in items.iter().enumerate() {
            self.tell(&format!("  {}  {item}", i + 1));
        }
        loop {
            let answer = self.text(prompt, Some(&(default + 1).to_string()))?;
            match answer.trim().parse::<usize>() {
                Ok(number) if (1..=items.len()).contains(&number) => return Ok(number - 1),
                _ => self.tell(&format!("{answer:?} is not a number from 1 to {}", items.len())),
            }
        }
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Ask::text`].
    fn confirm(&mut self, prompt: &str, default: bool) -> Result<bool, Failure> {
        loop {
            let answer = self.text(&format!("{prompt} (yes/no)"), Some(if default { "yes" } else { "no" }))?;
            match answer.trim().to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.tell("please answer yes or no"),
            }
        }
    }
}

/// The person at the terminal.
pub struct Terminal;

impl Terminal {
    /// The terminal, where there is one to ask at.
    pub fn here() -> Option<Terminal> {
        (io::stdin().is_terminal() && io::stderr().is_terminal()).then_some(Terminal)
    }
}

impl Ask for Terminal {
    fn text(&mut self, prompt: &str, default: Option<&str>) -> Result<String, Failure> {
        let mut input = Input::<String>::new().with_prompt(prompt);
        input = match default {
            Some("") => input.allow_empty(true),
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        input.interact_text().map_err(gone)
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Failure> {
        Password::new().with_prompt(prompt).allow_empty_password(true).interact().map_err(gone)
    }

    fn tell(&mut self, text: &str) {
        // Where the terminal is gone, the next question finds that out.
        tell(text);
    }
}

fn gone(error: dialoguer::Error) -> Failure {
    let error = io::Error::from(error);
    // After Ctrl-C, or with the terminal gone, whoever watches for signals is about to end the process with the closing words.
    std::thread::park_timeout(LAST_WORDS);
    Failure::Failed(anyhow::anyhow!("the questions were not answered to the end ({error})"))
}
