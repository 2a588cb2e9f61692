//! The files of the page, part of the program. A path is looked up in a table and never on a disk.

/// Path, type and bytes of each file.
const FILES: [(&str, &str, &[u8]); 11] = [
    ("/", "text/html; charset=utf-8", include_bytes!("assets/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_bytes!("assets/page.css")),
    ("/page.js", SCRIPT, include_bytes!("assets/page.js")),
    ("/dom.js", SCRIPT, include_bytes!("assets/dom.js")),
    ("/live.js", SCRIPT, include_bytes!("assets/live.js")),
    ("/editor.js", SCRIPT, include_bytes!("assets/editor.js")),
    ("/shapes.js", SCRIPT, include_bytes!("assets/shapes.js")),
    ("/charts.js", SCRIPT, include_bytes!("assets/charts.js")),
    ("/plot.js", SCRIPT, include_bytes!("assets/plot.js")),
    ("/views.js", SCRIPT, include_bytes!("assets/views.js")),
    ("/icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Type and bytes of the file at `path`.
pub fn find(path: &str) -> Option<(&'static str, &'static [u8])> {
    FILES.iter().find(|(known, ..)| *known == path).map(|(_, kind, bytes)| (*kind, *bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_the_table_are_there() {
        assert!(find("/").is_some_and(|(kind, bytes)| kind.starts_with("text/html") && !bytes.is_empty()));
        for path in ["", "//", "/index.html", "/../page.js", "/page.js/", "/etc/passwd", "/%70age.js"] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    #[test]
    fn they_are_small_and_name_no_other_host() {
        assert!(FILES.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>() < 300 << 10);
        for (path, _, bytes) in FILES {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{path}");
            assert!(!text.contains("style=\"") && !text.contains("onclick"), "{path}: forbidden by the policy");
        }
    }
}
