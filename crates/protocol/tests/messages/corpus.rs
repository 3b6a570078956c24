//! The fuzzer's corpus as an ordinary test, so that nothing that it found comes back.

#[path = "../../../../fuzz/checks/request.rs"]
mod request;

#[test]
#[expect(clippy::disallowed_methods, reason = "the corpus lies beside the test")]
fn every_request_of_the_corpus_holds_what_the_fuzzer_asks() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/request");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        request::check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 100, "only {count} files");
}
