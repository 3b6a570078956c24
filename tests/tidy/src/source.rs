//! Rules for one file by itself: Rust source, and what no text file may mention.

use crate::File;

const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;

/// What is left for later has no place on the main branch. (In two parts, so that this file
/// passes.)
const UNFINISHED: [&str; 6] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!("),
    concat!("#[", "ignore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Places on the machine of whoever wrote the line.
const FOREIGN_PATHS: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
    concat!("../sha", "red"),
    concat!("/Us", "ers/"),
];

pub fn rust(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let count = file.text.lines().count();
    if count > LINES_MAX {
        complaints.push(file.complain(count, &format!("longer than {LINES_MAX} lines")));
    }
    if !file.text.starts_with("//!") {
        complaints.push(file.complain(1, "does not begin with `//!`: what it owns"));
    }
    for (line, text) in file.lines() {
        if text.chars().count() > COLUMNS_MAX {
            complaints.push(file.complain(line, &format!("wider than {COLUMNS_MAX} columns")));
        }
        for word in UNFINISHED.iter().filter(|word| text.contains(**word)) {
            complaints.push(file.complain(line, &format!("`{word}` is unfinished work")));
        }
    }
    complaints
}

pub fn foreign_paths(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, text) in file.lines() {
        for path in FOREIGN_PATHS.iter().filter(|path| text.contains(**path)) {
            complaints.push(file.complain(line, &format!("`{path}` is outside the repository")));
        }
    }
    complaints
}

/// Crates come from crates.io or from this repository, never from a mirror or a branch.
pub fn lock_file(file: &File) -> Vec<String> {
    let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    file.lines()
        .filter(|(_, text)| text.starts_with("source = ") && *text != usual)
        .map(|(line, _)| file.complain(line, "a crate that is not from crates.io"))
        .collect()
}

#[cfg(test)]
mod test {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        rust(&File::new("a.rs", text))
    }

    #[test]
    fn a_plain_module_is_fine() {
        assert_eq!(complaints("//! Owns nothing.\nfn main() {}\n"), [""; 0]);
    }

    #[test]
    fn each_unfinished_word_is_found_with_its_line() {
        for word in UNFINISHED {
            let found = complaints(&format!("//! Owns.\n\n    {word}\n"));
            assert_eq!(found, [format!("a.rs:3: `{word}` is unfinished work")]);
        }
    }

    #[test]
    fn a_module_says_what_it_owns() {
        assert_eq!(complaints("// no\n"), ["a.rs:1: does not begin with `//!`: what it owns"]);
        assert_eq!(complaints("").len(), 1);
    }

    #[test]
    fn length_and_width_end_where_they_say() {
        let lines = |count: usize| format!("//!{}", "\n//".repeat(count - 1));
        assert_eq!(complaints(&lines(LINES_MAX)), [""; 0]);
        assert_eq!(complaints(&lines(LINES_MAX + 1)), ["a.rs:501: longer than 500 lines"]);
        let wide = |columns: usize| format!("//!{}", "ä".repeat(columns - 3));
        assert_eq!(complaints(&wide(COLUMNS_MAX)), [""; 0]);
        assert_eq!(complaints(&wide(COLUMNS_MAX + 1)), ["a.rs:1: wider than 100 columns"]);
    }

    #[test]
    fn a_place_on_somebodys_machine_is_found() {
        for path in FOREIGN_PATHS {
            assert_eq!(
                foreign_paths(&File::new("run", format!("\ncd {path}x"))).len(),
                1,
                "{path}"
            );
        }
        assert_eq!(foreign_paths(&File::new("run", "cd $work/data ./crates /dev/null")), [""; 0]);
    }

    #[test]
    fn a_crate_from_elsewhere_is_found() {
        let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(lock_file(&File::new("Cargo.lock", usual)), [""; 0]);
        let mirror = "source = \"registry+http://localhost/index\"\n";
        assert_eq!(lock_file(&File::new("Cargo.lock", mirror)).len(), 1);
    }
}
