//! Tips for subcommands that are none.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error};

/// Words that people type for what has another name here.
const OTHER_WORDS: [(&str, &[&str]); 7] = [
    ("generate", &["completions", "man"]),
    ("gen", &["completions", "man"]),
    ("completion", &["completions"]),
    ("manpages", &["man"]),
    ("config", &["check", "setup"]),
    ("start", &["run"]),
    ("test", &["try", "check", "doctor"]),
];

/// The error with tips that name only what is meant for people.
pub(super) fn mended(mut error: Error, command: &Command) -> Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand).cloned() else { return error };
    let visible = |name: &str| command.get_subcommands().any(|sub| sub.get_name() == name && !sub.is_hide_set());
    let found = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => names,
        Some(ContextValue::String(name)) => vec![name],
        _ => Vec::new(),
    };
    let other = OTHER_WORDS.iter().find(|(typed, _)| *typed == word).map(|(_, names)| *names);
    let tips: Vec<String> = match other {
        Some(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        None => found,
    };
    let tips: Vec<String> = tips.into_iter().filter(|name| visible(name)).collect();
    if !tips.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(tips));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn said(word: &str) -> String {
        let command = Cli::command();
        let error = command.clone().try_get_matches_from(["leptond", word]).unwrap_err();
        mended(error, &command).to_string()
    }

    #[test]
    fn tips_name_what_people_may_use() {
        for (word, tips) in [
            ("generate", &["'completions'", "'man'"][..]),
            ("completion", &["'completions'"]),
            ("chekc", &["'check'"]),
            ("wacth", &["'watch'"]),
        ] {
            let said = said(word);
            assert!(tips.iter().all(|tip| said.contains(tip)), "{word}: {said}");
        }
        for word in ["generat", "rendr", "trial-laod"] {
            let said = said(word);
            assert!(!said.contains("'render'") && !said.contains("'trial-load'"), "{word}: {said}");
        }
    }
}
