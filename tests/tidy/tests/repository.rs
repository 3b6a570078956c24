//! The checks, run over all files of the repository.

use std::collections::BTreeSet;

use milena_tidy::{File, fuzzing, markdown, promises, source, tree};

fn all() -> Vec<File> {
    let files = tree::files().expect("the repository can be read");
    assert!(files.iter().any(|file| file.path == "crates/env/src/lib.rs"), "not the root");
    files
}

fn of_kind<'a>(files: &'a [File], suffix: &str) -> Vec<&'a File> {
    let found: Vec<&File> = files.iter().filter(|file| file.path.ends_with(suffix)).collect();
    assert!(!found.is_empty(), "no {suffix} to check");
    found
}

fn exists(path: &str) -> bool {
    tree::root().join(path).exists()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "untidy:\n{}", complaints.join("\n"));
}

#[test]
fn rust_files_are_short_documented_and_finished() {
    let files = all();
    none(&of_kind(&files, ".rs").into_iter().flat_map(source::rust).collect::<Vec<_>>());
}

#[test]
fn nothing_names_a_place_on_somebodys_machine() {
    none(&all().iter().flat_map(source::foreign_paths).collect::<Vec<_>>());
}

#[test]
fn crates_come_from_where_everybody_gets_them() {
    let files = all();
    none(
        &of_kind(&files, "Cargo.lock").into_iter().flat_map(source::lock_file).collect::<Vec<_>>(),
    );
}

#[test]
fn what_a_page_points_to_is_there() {
    let files = all();
    let dead =
        |file| [markdown::dead_links(file, &exists), markdown::dead_paths(file, &exists)].concat();
    none(&of_kind(&files, ".md").into_iter().flat_map(dead).collect::<Vec<_>>());
}

#[test]
fn every_promise_has_its_tests_and_every_fault_its_promise() {
    let files = all();
    let tests: BTreeSet<String> =
        of_kind(&files, ".rs").into_iter().flat_map(promises::tests_of).collect();
    for page in of_kind(&files, "docs/promises.md") {
        none(&promises::unkept(page, &tests));
    }
}

#[test]
fn the_corpus_of_every_fuzz_target_is_run() {
    let has_corpus = |target: &str| {
        let folder = tree::root().join("fuzz/corpus").join(target);
        folder.read_dir().is_ok_and(|mut files| files.next().is_some())
    };
    none(&fuzzing::unrun_targets(&all(), &has_corpus));
}
