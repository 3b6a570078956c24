//! Whether what a page points to is there: links to files, and paths between backticks.

use crate::File;

/// Paths between backticks that begin so are meant from the root of the repository.
const ROOTS: [&str; 5] = ["crates/", "docs/", "fuzz/", "tests/", ".ci/"];

/// `exists` answers for a path relative to the root.
pub fn dead_links(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut complaints = Vec::new();
    for (line, text) in prose(file) {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            let there = join(folder, target).is_some_and(|path| exists(&path));
            if !target.is_empty() && !elsewhere && !there {
                complaints.push(file.complain(line, &format!("the link to {target} is dead")));
            }
        }
    }
    complaints
}

/// Pages about the past (the changelog, decisions) may name what is gone: they are not asked.
pub fn dead_paths(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    if file.path == "CHANGELOG.md" || file.path.starts_with("docs/decisions/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (line, text) in prose(file) {
        for code in text.split('`').skip(1).step_by(2) {
            let path = code.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
            let one_file = !path.contains(['*', '{', '<', '$', ':']);
            if ROOTS.iter().any(|root| path.starts_with(root)) && one_file && !exists(path) {
                complaints.push(file.complain(line, &format!("there is no {path}")));
            }
        }
    }
    complaints
}

/// The lines outside of fenced code.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, text)| {
        let fence = text.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Nothing where the target leaves the repository.
fn join(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod test {
    use super::*;

    fn exists(path: &str) -> bool {
        ["README.md", "docs/a.md", "crates/env"].contains(&path)
    }

    #[test]
    fn a_link_is_followed_from_its_page() {
        let page = "[a](a.md#part) [up](../README.md) [web](https://example.org/x) [here](#part)";
        assert_eq!(dead_links(&File::new("docs/b.md", page), &exists), [""; 0]);
        let page = "fine\n[a](a.md), [out](../../README.md)\n```\n[code](none)\n```\n";
        let found = dead_links(&File::new("b.md", page), &exists);
        assert_eq!(
            found,
            ["b.md:2: the link to a.md is dead", "b.md:2: the link to ../../README.md is dead"]
        );
    }

    #[test]
    fn a_path_between_backticks_is_looked_for() {
        let page = "`crates/env/`, `docs/a.md`, `crates/*`, `src/none.rs` crates/none";
        assert_eq!(dead_paths(&File::new("b.md", page), &exists), [""; 0]);
        let page = "now `tests/none.sh DIR` runs";
        assert_eq!(
            dead_paths(&File::new("b.md", page), &exists),
            ["b.md:1: there is no tests/none.sh"]
        );
        assert_eq!(dead_paths(&File::new("docs/decisions/b.md", page), &exists), [""; 0]);
    }
}
