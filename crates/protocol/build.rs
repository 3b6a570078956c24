//! Generates Kafka's messages from `schema/`, as `docs/formats/schema.md` tells.
//!
//! The result is plain Rust in the build's output folder, one module per schema file, for people
//! to read too.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a mistake in the schema must stop the build, and a build reads files"
)]

#[path = "build/codec.rs"]
mod codec;
#[path = "build/family.rs"]
mod family;
#[path = "build/json.rs"]
mod json;
#[path = "build/message.rs"]
mod message;
#[path = "build/parse.rs"]
mod parse;
#[path = "build/schema.rs"]
mod schema;

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use schema::File;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=schema");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let with_json = env::var_os("CARGO_FEATURE_JSON").is_some();
    let mut root = String::new();
    let mut all = Vec::new();
    for folder in sorted(Path::new("schema"))? {
        let files = sorted(&folder)?
            .iter()
            .map(|path| parse::file(path))
            .collect::<Result<Vec<File>, _>>()?;
        root += &write_folder(&out, &folder, &files, with_json)?;
        all.extend(files);
    }
    if with_json {
        root += &json::table(&all);
    }
    fs::write(out.join("messages.rs"), root)?;
    Ok(())
}

/// Writes the modules of one folder of the schema, and says how the crate includes them.
fn write_folder(
    out: &Path,
    folder: &Path,
    files: &[File],
    with_json: bool,
) -> Result<String, Box<dyn Error>> {
    let name = stem(folder);
    let target = out.join(&name);
    fs::create_dir_all(&target)?;
    let mut text = fs::read_to_string(folder.join("README"))
        .unwrap_or_default()
        .lines()
        .fold(String::new(), |text, line| text + "//! " + line + "\n");
    text.push('\n');
    for file in files {
        let path = target.join(format!("{}.rs", file.module));
        fs::write(&path, message::file(file, with_json))?;
        writeln!(text, "#[path = {path:?}]\npub mod {};", file.module)?;
    }
    for file in files {
        for body in &file.bodies {
            writeln!(text, "pub use {}::{}::{};", file.module, body.side, body.name())?;
        }
    }
    text += &family::families(files);
    let path = target.join("mod.rs");
    fs::write(&path, text)?;
    Ok(format!("#[path = {path:?}]\npub mod {name};\n"))
}

/// The schema files or folders in a folder, in the order of their names.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|end| end == "schema"));
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
