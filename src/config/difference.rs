//! Texts of a configuration compared line by line.

/// The lines that differ, each with `-` or `+`, and their place.
pub fn difference(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Longest common subsequence of the rests, from the end.
    let mut longest = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] =
                if a[i] == b[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = String::new();
    let mut apart = true;
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j, apart) = (i + 1, j + 1, true);
            continue;
        }
        if apart {
            out += &format!("@@ line {}\n", j + 1);
            apart = false;
        }
        if j >= b.len() || (i < a.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            out += &format!("-{}\n", a[i]);
            i += 1;
        } else {
            out += &format!("+{}\n", b[j]);
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_differs() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n"), "@@ line 2\n-b\n+x\n@@ line 4\n+d\n");
        assert_eq!(difference("a\n", "a\n"), "");
    }
}
