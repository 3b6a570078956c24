//! Whether docs/promises.md and the tests know each other.
//!
//! A promise is a list item: a sentence, then `Tests:` and names between backticks. A name stands
//! for what `cargo test NAME` finds first of all: the test of that name, or those that begin with
//! it and an underscore (`fault_13` for `fault_13_torn_tail`).

use std::collections::BTreeSet;

use crate::File;

/// The names of all tests in a Rust file.
pub fn tests_of(file: &File) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in file.text.lines().map(str::trim_start) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            names.extend(rest.get(..end).map(str::to_owned));
            is_test = false;
        }
    }
    names
}

pub fn unkept(promises: &File, tests: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut named = BTreeSet::new();
    for (line, item) in items(promises) {
        let references = references(&item);
        if references.is_empty() {
            complaints.push(promises.complain(line, "no test proves this promise"));
        }
        for name in references {
            if !tests.iter().any(|test| proves(test, &name)) {
                complaints.push(promises.complain(line, &format!("there is no test `{name}`")));
            }
            named.extend(number(&name));
        }
    }
    let tested: BTreeSet<String> = tests.iter().filter_map(|test| number(test)).collect();
    for number in tested.difference(&named) {
        complaints.push(format!("{}: {number} is tested but not listed", promises.path));
    }
    complaints
}

/// Every list item with the number of its first line; a heading or an empty line ends it.
fn items(promises: &File) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (line, text) in promises.lines() {
        if let Some(first) = text.strip_prefix("- ") {
            items.push((line, first.to_owned()));
            inside = true;
        } else if !text.starts_with("  ") {
            inside = false;
        } else if let Some((_, item)) = items.last_mut().filter(|_| inside) {
            item.push_str(text);
        }
    }
    items
}

fn references(item: &str) -> Vec<String> {
    let tests = item.split_once("Tests:").map_or("", |(_, tests)| tests);
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    tests.split('`').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect()
}

fn proves(test: &str, name: &str) -> bool {
    test.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// `fault_13` of `fault_13_torn_tail`: the number of a fault or of a hostile input.
fn number(name: &str) -> Option<String> {
    let mut parts = name.split('_');
    let (kind, number) = (parts.next()?, parts.next()?);
    let numbered = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    (["fault", "hostile"].contains(&kind) && numbered).then(|| format!("{kind}_{number}"))
}

#[cfg(test)]
mod test {
    use super::*;

    fn unkept_of(text: &str) -> Vec<String> {
        let code = concat!(
            "#[test]\nfn fault_13_torn_tail() {}\nfn helper() {}\n",
            "    #[test]\n    #[cfg(unix)]\n    fn reads_back(x in 0..3) {}\n",
            "#[tokio::test]\nasync fn pings() {}\n",
        );
        let tests = tests_of(&File::new("a.rs", code));
        assert_eq!(tests, ["fault_13_torn_tail", "reads_back", "pings"]);
        unkept(&File::new("p.md", text), &tests.into_iter().collect())
    }

    #[test]
    fn a_promise_with_its_tests_is_kept() {
        let text = "# Title\n\nWords.\n\n- It reads.\n  Tests: `reads_back`,\n  `fault_13`\n";
        assert_eq!(unkept_of(text), [""; 0]);
    }

    #[test]
    fn a_promise_without_a_test_is_empty() {
        let text =
            "- It reads `reads_back`.\n- It pings.\n\n  Tests: `pings`\n- Torn. Tests: `fault_13`";
        assert_eq!(
            unkept_of(text),
            ["p.md:1: no test proves this promise", "p.md:2: no test proves this promise"]
        );
    }

    #[test]
    fn a_name_that_no_test_bears_is_found() {
        let text = "- Torn. Tests: `fault_13`\n- It reads.\n  Tests: `reads`, `read`, `helper`\n";
        assert_eq!(
            unkept_of(text),
            ["p.md:2: there is no test `read`", "p.md:2: there is no test `helper`"]
        );
    }

    #[test]
    fn a_fault_that_is_tested_is_promised() {
        let text = "- It reads. Tests: `reads_back`";
        assert_eq!(unkept_of(text), ["p.md: fault_13 is tested but not listed"]);
    }
}
