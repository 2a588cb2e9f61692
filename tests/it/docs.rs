//! The pages of the documentation: links that lead somewhere, configurations that load, a map of every file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use leptond::config;
use leptond::publish::requests::{Entry, REGISTRY};

use crate::common::leptond;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Pages of the repository by their paths in it; what is built or fetched is left out.
fn pages() -> Vec<String> {
    fn walk(dir: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && !matches!(&*name, "target" | "runs" | "fuzz" | "__pycache__")
            {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "md") {
                out.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(root(), &mut out);
    out.sort();
    assert!(out.len() > 10 && out.contains(&"README.md".to_string()), "{out:?}");
    out
}

fn text_of(page: &str) -> String {
    let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
    crate::topics::page::without_pending(&text)
}

/// The page without its code: what stands between fences or backticks.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let lines = markdown.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "code" }).collect()
}

/// Targets of links and pictures: `[text](target)`.
fn targets(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_string()).collect()
}

/// Anchors of a page's headings, as GitHub makes them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        fenced ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase();
        let slug: String = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut unique = slug.clone();
        let mut again = 0;
        while !anchors.insert(unique.clone()) {
            again += 1;
            unique = format!("{slug}-{again}");
        }
    }
    anchors
}

/// Links of a page that lead to no file of the repository, or to no heading of it.
fn broken(page: &str, markdown: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for target in targets(markdown) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) =
            target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let file = if path.is_empty() { root().join(page) } else { root().join(page).parent().unwrap().join(path) };
        if !path.is_empty() && !file.exists() {
            wrong.push(format!("{page}: {target}: there is no such file"));
        } else if let Some(anchor) = anchor {
            let text =
                if path.is_empty() { markdown.to_string() } else { std::fs::read_to_string(&file).unwrap_or_default() };
            if !anchors(&text).contains(anchor) {
                wrong.push(format!("{page}: {target}: the page has no such heading"));
            }
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    let wrong: Vec<String> = pages().iter().flat_map(|page| broken(page, &text_of(page))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_link_is_found() {
    let page = "docs/page.md";
    let text = "# The `page` here\n## Twice\n## Twice\n[a](../README.md) ![b](../docs) [c](https://example.org/x#y) [d](#the-page-here) [e](#twice-1)\n\
                [f](../README.md#try-it) `[code](nowhere.md)`\n```\n[code](nowhere.md)\n# no heading\n```\n";
    assert_eq!(broken(page, text), Vec::<String>::new());
    for link in [
        "[x](nowhere.md)",
        "![x](nowhere.svg)",
        "[x](#nowhere)",
        "[x](../README.md#nowhere)",
        "[x](#no-heading)",
        "[x](#twice-2)",
    ] {
        assert_eq!(broken(page, &format!("{text}{link}\n")).len(), 1, "{link}");
    }
}

/// Blocks of a page in one language.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    markdown.split(&fence).skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn configurations_on_the_pages_load() {
    const PIPELINE: &str =
        "[[pipeline]]\nname = \"p\"\nmodel = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"synthetic\"\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.toml");
    let mut loaded = 0;
    for page in pages().iter().filter(|page| *page == "README.md" || page.starts_with("docs/")) {
        for block in blocks(&text_of(page), "toml") {
            // A part of a pipeline stands at the end of a file that has the rest.
            let whole = if block.contains("[[pipeline]]") { block.to_string() } else { format!("{PIPELINE}{block}") };
            std::fs::write(&file, &whole).unwrap();
            let options = config::Options { file: Some(file.clone()), skip_files: true, ..config::Options::default() };
            config::load(&options).unwrap_or_else(|errors| panic!("{page}: {errors}\n{whole}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "only {loaded} blocks were found");
}

/// Commands of a page that start leptond: lines of its blocks of shell, and code in the text. The program and `sudo` are left off.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let joined = markdown.replace("\\\n", " ");
    let lines = blocks(&joined, "sh").into_iter().flat_map(str::lines);
    let unfenced = joined.split("```").step_by(2);
    let inline = unfenced.flat_map(|text| text.split('`').skip(1).step_by(2));
    lines
        .chain(inline)
        .map(|line| line.split(" #").next().unwrap_or_default().replace("\\|", "|"))
        .map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>())
        .map(|words| words.into_iter().skip_while(|word| word == "sudo").collect::<Vec<_>>())
        .filter(|words| words.first().is_some_and(|program| program == "leptond") && words.len() > 1)
        .map(|words| words[1..].to_vec())
        .collect()
}

/// Every subcommand and flag that a page shows is one of the program's.
#[test]
fn commands_on_the_pages_exist() {
    let mut wrong = Vec::new();
    let mut helps: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    let mut seen = 0;
    for page in pages().iter().filter(|page| *page == "README.md" || page.starts_with("docs/")) {
        for command in commands(&text_of(page)) {
            let is_name = |word: &&String| word.starts_with(|c: char| c.is_ascii_lowercase());
            let depth = if command[0] == "model" { 2 } else { 1 };
            let subcommand: Vec<String> = command.iter().take(depth).take_while(is_name).cloned().collect();
            let help = helps.entry(subcommand.clone()).or_insert_with(|| {
                let output = leptond().args(&subcommand).arg("--help").output().unwrap();
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            });
            let Some(help) = help else {
                wrong.push(format!("{page}: leptond {}: there is no such subcommand", command.join(" ")));
                continue;
            };
            for flag in command.iter().filter(|word| word.starts_with('-')) {
                let flag = flag.split('=').next().unwrap_or(flag);
                let known = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == flag);
                if !known {
                    wrong.push(format!("{page}: leptond {}: there is no {flag}", command.join(" ")));
                }
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The recipes of the first page work as they stand, but for the camera and the broker, which are not here.
#[test]
fn recipes_make_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut made = 0;
    for command in commands(&text_of("README.md")) {
        // A model of the catalog is fetched first.
        if command[0] != "setup" || !command.contains(&"--yes".into()) || command.contains(&"fastestdet".into()) {
            continue;
        }
        let config = dir.path().join(format!("{made}.toml"));
        // As the package installs it.
        std::fs::copy(root().join("configs/leptond.toml"), &config).unwrap();
        let output =
            leptond().args(&command).args(["--untested", "--no-download", "--config"]).arg(&config).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "leptond {}: {said}", command.join(" "));
        let options = config::Options { file: Some(config), skip_files: true, ..config::Options::default() };
        config::load(&options).unwrap_or_else(|errors| panic!("leptond {}: {errors}", command.join(" ")));
        made += 1;
    }
    assert!(made >= 2, "only {made} recipes were found");
}

#[test]
fn the_first_page_stays_one_that_is_read_to_its_end() {
    let lines = text_of("README.md").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines; docs/ has room");
}

/// Rust files below `dir` that are compiled without tests, relative to `src/`.
fn sources(dir: &Path, out: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "tests" | "examples" | "benches") {
                sources(&path, out);
            }
        } else if name.ends_with(".rs")
            && !matches!(name.as_str(), "tests.rs" | "testing.rs")
            && !name.ends_with("_tests.rs")
        {
            out.insert(path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned());
        }
    }
}

/// Entries of the code map: the names in the first cells of the tables below a heading with a directory of `src/`.
fn mapped(markdown: &str) -> BTreeSet<String> {
    let mut entries = BTreeSet::new();
    let mut room = None;
    for line in markdown.lines() {
        if line.starts_with('#') {
            room = line.strip_prefix("### `").and_then(|rest| rest.split_once('`')).map(|(dir, _)| dir);
        } else if let (Some(room), Some(row)) = (room, line.strip_prefix("| `")) {
            let cell = row.split(" | ").next().unwrap_or_default();
            let room = if room == "./" { "" } else { room };
            entries
                .extend(cell.split('`').step_by(2).filter(|name| !name.is_empty()).map(|name| format!("{room}{name}")));
        }
    }
    entries
}

/// Files that no entry covers, and entries of nothing. A directory, with its `/`, covers what is below it.
fn off_the_map(entries: &BTreeSet<String>, files: &BTreeSet<String>) -> Vec<String> {
    let covers = |entry: &str, file: &str| if entry.ends_with('/') { file.starts_with(entry) } else { file == entry };
    let unmapped = files.iter().filter(|file| !entries.iter().any(|entry| covers(entry, file)));
    let gone = entries.iter().filter(|entry| !files.iter().any(|file| covers(entry, file)));
    unmapped
        .map(|file| format!("src/{file}: not on the map"))
        .chain(gone.map(|entry| format!("src/{entry}: on the map, and not there")))
        .collect()
}

#[test]
fn the_map_of_the_code_has_every_file() {
    let mut files = BTreeSet::new();
    sources(&root().join("src"), &mut files);
    let wrong = off_the_map(&mapped(&text_of("ARCHITECTURE.md")), &files);
    assert!(wrong.is_empty(), "ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_is_read_as_it_is_written() {
    let text = "### `task/`\n| file | |\n|---|---|\n| `mod.rs`, `raw.rs` | the `Task` |\n| `detect/` | heads |\n### Other\n| `x.rs` | |\n### `./`\n| `lib.rs` | |\n";
    let entries = mapped(text);
    let expected = ["lib.rs", "task/detect/", "task/mod.rs", "task/raw.rs"].map(String::from);
    assert_eq!(entries, BTreeSet::from(expected));
    let files = ["lib.rs", "task/mod.rs", "task/detect/nms.rs", "task/new.rs"].map(String::from);
    assert_eq!(
        off_the_map(&entries, &BTreeSet::from(files)),
        ["src/task/new.rs: not on the map", "src/task/raw.rs: on the map, and not there"]
    );
}

/// Paths that a page names in its code exist: `src/…`, `tests/…`, `cross/…` and the like.
#[test]
fn files_that_the_pages_name_exist() {
    let mut wrong = Vec::new();
    for page in pages().iter().filter(|page| !page.contains('/') || page.starts_with("docs/")) {
        for code in text_of(page).split('`').skip(1).step_by(2) {
            let word = code.split([' ', '#', '\n']).next().unwrap_or_default();
            let ours = ["src/", "tests/", "cross/", "configs/", "models/", "systemd/", "docs/"]
                .iter()
                .any(|dir| word.starts_with(dir));
            if ours && !word.contains(['*', '<', '…', '$', '{']) && !root().join(word).exists() {
                wrong.push(format!("{page}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "named and not there:\n{}", wrong.join("\n"));
}

/// All files of a kind below `dir`, in one text.
fn all_code(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_code(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The table of what can grow names a file and a test for each bound, and both are there.
#[test]
fn the_bounds_of_memory_have_their_files_and_tests() {
    let page = text_of("ARCHITECTURE.md");
    let (_, section) = page.split_once("\n## Memory\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut code = String::new();
    for dir in ["src", "tests/it"] {
        all_code(&root().join(dir), &mut code);
    }
    let mut wrong = Vec::new();
    let rows: Vec<Vec<&str>> =
        section.lines().filter(|l| l.starts_with("| ")).skip(1).map(|l| l.split(" | ").collect()).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let [what, _, files, tests] = row[..] else { panic!("not four cells: {row:?}") };
        for file in files.split('`').skip(1).step_by(2) {
            if !root().join("src").join(file).exists() {
                wrong.push(format!("{what}: src/{file} is not there"));
            }
        }
        for test in tests.split('`').skip(1).step_by(2) {
            let name = test.rsplit("::").next().unwrap_or(test);
            if !code.contains(&format!("fn {name}(")) && !code.contains(&format!("mod {name}")) {
                wrong.push(format!("{what}: there is no test {test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pages a package carries link to each other and to the repository; those under docs/ are all in README's list.
#[test]
fn readme_lists_every_page() {
    let readme = text_of("README.md");
    let listed: BTreeSet<PathBuf> =
        targets(&readme).iter().map(|t| PathBuf::from(t.split('#').next().unwrap_or_default())).collect();
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(listed.contains(Path::new(page)), "{page} is in no list of README.md");
    }
}

/// The page of the commands is the registry of the program.
#[test]
fn the_commands_are_those_of_the_program() {
    let page = text_of("docs/commands.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3).collect();
    let mut expected = Vec::new();
    for Entry { name, effect, about, payload, .. } in &REGISTRY {
        let effect = format!("{effect:?}").to_lowercase();
        // Every payload of the entry stands there as code.
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{name}` |"))).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(row.replace('`', ""), format!("| {name} | {payload} | {effect} | {} |", about.replace('`', "")));
        expected.push(*name);
    }
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
}
