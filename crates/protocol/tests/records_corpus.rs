//! The fuzzers' corpora of record bytes as ordinary tests, so that nothing they found comes back.
#![allow(clippy::indexing_slicing, reason = "the checks are shared with the fuzz targets")]

#[path = "../../../fuzz/checks/compressed_batch.rs"]
mod compressed_batch;
#[path = "../../../fuzz/checks/legacy.rs"]
mod legacy;
#[path = "../../../fuzz/checks/record_batch.rs"]
mod record_batch;

#[expect(clippy::disallowed_methods, reason = "the corpus lies beside the test")]
fn run(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).expect("the corpus is committed");
    let mut count = 0;
    for file in files {
        let path = file.expect("a file of the corpus").path();
        check(&std::fs::read(path).expect("a file of the corpus"));
        count += 1;
    }
    assert!(count > 10, "only {count} files for {target}");
}

#[test]
fn record_batches_of_the_corpus() {
    run("record_batch", record_batch::check);
}

#[test]
fn compressed_batches_of_the_corpus() {
    run("compressed_batch", compressed_batch::check);
}

#[test]
fn legacy_message_sets_of_the_corpus() {
    run("legacy", legacy::check);
}
