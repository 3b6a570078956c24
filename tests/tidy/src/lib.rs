//! What the files of this repository must keep to, beyond what rustfmt and clippy see.
//!
//! Every check is a function from text to complaints, each of which names file and line;
//! `tests/repository.rs` runs them over all files. Nothing here knows an exception.
#![forbid(unsafe_code)]

pub mod fuzzing;
pub mod markdown;
pub mod promises;
pub mod source;
pub mod tree;

/// A text file of the repository; the path is relative to its root.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Every line with its number, as an editor counts.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn complain(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}
