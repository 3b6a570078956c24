//! Whether the ordinary tests run the corpus of every fuzz target.

use crate::File;

/// `files` are all of the repository, `has_corpus` answers for a target.
pub fn unrun_targets(files: &[File], has_corpus: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let name = file.path.strip_prefix("fuzz/fuzz_targets/");
        let Some(target) = name.and_then(|name| name.strip_suffix(".rs")) else {
            continue;
        };
        let check = format!("fuzz/checks/{target}.rs\"]");
        let tested = |file: &File| file.path.starts_with("crates/") && file.text.contains(&check);
        if !files.iter().any(tested) {
            complaints.push(file.complain(1, "no test of a crate includes its check"));
        }
        if !has_corpus(target) {
            complaints.push(file.complain(1, "it has no corpus"));
        }
    }
    complaints
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_target_needs_a_corpus_and_a_test_that_runs_it() {
        let target = File::new("fuzz/fuzz_targets/request.rs", "//! Feeds.\n");
        let test = File::new("crates/a/tests/b.rs", "#[path = \"../fuzz/checks/request.rs\"]\n");
        let files = [target, test];
        assert_eq!(unrun_targets(&files, &|target| target == "request"), [""; 0]);
        assert_eq!(unrun_targets(&files, &|_| false).len(), 1);
        assert_eq!(unrun_targets(&files[..1], &|_| true).len(), 1);
    }
}
