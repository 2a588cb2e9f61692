//! Completions and man pages: every subcommand, every flag.

use crate::common::leptond;

/// The subcommands and long flags that `--help` names.
fn help(args: &[&str]) -> String {
    let output = leptond().args(args).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn subcommands() -> Vec<String> {
    let text = help(&[]);
    let list = text.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<String> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert!(names.iter().any(|n| n == "run") && names.iter().any(|n| n == "watch"), "{names:?}");
    names
}

fn long_flags(text: &str) -> Vec<String> {
    let word = |w: &str| w.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).to_owned();
    let lines = text.split("Options:").nth(1).unwrap_or("").lines();
    lines
        .filter(|line| line.trim_start().starts_with('-'))
        .flat_map(|line| line.split_whitespace().map(word).collect::<Vec<_>>())
        .filter(|w| w.starts_with("--") && w.len() > 2)
        .collect()
}

#[test]
fn completions_know_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = leptond().args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for name in subcommands() {
            assert!(script.contains(&name), "{shell}: {name} is missing");
        }
        assert!(script.contains("skip-files"), "{shell}: flags are missing");
    }
}

#[test]
fn man_pages_know_every_subcommand_and_flag() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man/man1");
    let output = leptond().arg("man").arg(&pages).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap().replace("\\-", "-");
    let main = read("leptond.1");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "FILES", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
        assert!(main.contains(&format!(".SH {section}")), "leptond.1: no section {section}");
    }
    let names = subcommands();
    for name in &names {
        assert!(main.contains(&format!("leptond-{name}")), "leptond.1 does not name {name}");
        let page = read(&format!("leptond-{name}.1"));
        assert!(page.contains(".SH \"EXIT STATUS\""), "{name}");
        for flag in long_flags(&help(&[name])) {
            assert!(page.contains(&flag), "leptond-{name}.1 does not name {flag}");
        }
    }
    let count = std::fs::read_dir(&pages).unwrap().count();
    assert_eq!(count, names.len() + 1, "one page for each subcommand and one for the whole");
    assert!(read("leptond-check.1").contains("LEPTOND__SECTION__KEY"));
}
