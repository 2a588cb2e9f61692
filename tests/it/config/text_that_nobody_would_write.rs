//! Mutated configuration text: explained or loaded, never a panic.

use proptest::prelude::*;

use super::*;

/// Loads `text` in memory's stead from a file; only a panic is a failure here, and an error must say something.
fn survives(text: &[u8]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    std::fs::write(&file, text).unwrap();
    let options = Options { file: Some(file.clone()), ..Options::default() };
    match config::load(&options) {
        Ok(loaded) => {
            prop_assert!(!config::effective(&loaded).is_empty());
            prop_assert!(!loaded.config.pipelines.is_empty());
        }
        Err(errors) => {
            prop_assert!(!errors.problems.is_empty());
            for problem in &errors.problems {
                let text = problem.to_string();
                prop_assert!(text.starts_with(&file.display().to_string()), "{text}");
            }
        }
    }
    Ok(())
}

fn corpus() -> Vec<Vec<u8>> {
    let mut texts: Vec<_> = examples().into_iter().map(|f| std::fs::read(f).unwrap()).collect();
    texts.push(switched_on(&std::fs::read_to_string(root().join("configs/leptond.toml")).unwrap()).into_bytes());
    for entry in std::fs::read_dir(data("config-bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            texts.push(std::fs::read(path).unwrap());
        }
    }
    texts
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            "\"",
            "'''",
            "\n",
            ".",
            ",",
            "#",
            "-1",
            "1e400",
            "nan",
            "0x",
            "true",
            "\u{0}",
            "é",
            "2026-11-23",
            "18446744073709551615",
            "-9223372036854775808",
            "1e39",
            "type = \"sensor\"",
            "[pipeline.source]",
            "[[pipeline]]",
            "[[pipeline.source]]",
            "pipeline = 1",
            "source = []",
            "regions = [{rect=[1e38,1e38,1e38,1e38]}]",
            "\"a.b[0]\" = 1",
            "[mqtt.tls]",
            "\r\n",
            "\u{feff}",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::common::cases(1500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, token()), 1..5),
    ) {
        let texts = corpus();
        let mut text = which.get(&texts).clone();
        for (at, cut, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert);
        }
        survives(&text)?;
    }

    #[test]
    fn mutated_variables_never_panic(
        name in "LEPTOND__(MQTT|PIPELINE|NODE|MODELS|[A-Z_0-9]{0,6})(__(0|1|99999999999|PORT|SOURCE|TYPE|TLS|DIRS|[A-Z_]{0,5})){0,4}",
        value in prop_oneof!["[\\[\\]{}=\"'a-z0-9., \\-]{0,20}", any::<String>()],
    ) {
        let (_dir, file) = write(PIPELINE);
        if let Err(errors) = config::load(&options(&file, &[(&name, &value)], &[&format!("{name}={value}")])) {
            prop_assert!(!errors.problems.is_empty());
            prop_assert!(errors.problems.iter().all(|p| p.to_string().len() > 10));
        }
    }
}
