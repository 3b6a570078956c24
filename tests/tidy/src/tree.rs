//! The files of the repository, without what tools leave in it.
#![expect(clippy::disallowed_methods, reason = "a test of the files themselves")]

use std::{fs, io, path::Path};

use crate::File;

/// Folders of generated, fetched or random bytes, wherever they are.
const SKIPPED: [&str; 6] = [".git", "artifacts", "corpus", "coverage", "libs", "target"];

/// Cargo runs tests in the folder of their crate. (A path taken at compile time would be that of
/// another clone, where both build into one folder.)
pub fn root() -> &'static Path {
    Path::new("../..")
}

/// All that are text, in the order of their paths.
pub fn files() -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    collect(root(), "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            // What is not UTF-8 is a fixture.
            files
                .extend(String::from_utf8(fs::read(entry.path())?).map(|text| File { path, text }));
        }
    }
    Ok(())
}
