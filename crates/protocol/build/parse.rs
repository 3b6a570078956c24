//! Reads a schema file. Whatever it does not understand stops the build, with file and line.

use std::fs;
use std::path::Path;

use super::schema::{Body, FIXED, Field, File, Kind, Struct, Type, Versions};

type Result<T> = std::result::Result<T, String>;

pub(crate) fn file(path: &Path) -> Result<File> {
    let source = path.to_string_lossy().into_owned();
    let text = fs::read_to_string(path).map_err(|error| format!("{source}: {error}"))?;
    parse(&source, &text)
}

/// `source` is the file's path, by whose name the module is called.
pub(crate) fn parse(source: &str, text: &str) -> Result<File> {
    let name = source.rsplit('/').next().unwrap_or(source).trim_end_matches(".schema");
    let module = name.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '_');
    let mut file = File {
        module: module.to_owned(),
        source: source.to_owned(),
        doc: String::new(),
        kind: Kind::Message,
        name: String::new(),
        listeners: Vec::new(),
        bodies: Vec::new(),
    };
    let mut open = Vec::new();
    for (number, line) in text.lines().enumerate() {
        read_line(&mut file, &mut open, line)
            .map_err(|error| format!("{}:{}: {error}", file.source, number + 1))?;
    }
    name_bodies(&mut file);
    for body in &file.bodies {
        check(body).map_err(|error| format!("{}: {error}", file.source))?;
    }
    Ok(file)
}

/// `open` holds the structs that the line may stand in, the innermost last.
fn read_line(file: &mut File, open: &mut Vec<usize>, line: &str) -> Result<()> {
    if line.trim().is_empty() {
        return Ok(());
    }
    if line.starts_with(' ') {
        let body = file.bodies.last_mut().ok_or("a field outside of a body")?;
        return read_field(body, open, line);
    }
    let (word, rest) = line.split_once(' ').ok_or("a lonely word")?;
    match word {
        "#" => {
            file.doc = format!("{} {rest}", file.doc).trim().to_owned();
        }
        "api" | "record" => {
            let (id, name) = rest.split_once(' ').ok_or("no name")?;
            let id = number(id)?;
            file.kind = if word == "api" { Kind::Api(id) } else { Kind::Record(id) };
            file.name = name.to_owned();
        }
        "message" => file.name = rest.to_owned(),
        "on" => file.listeners = rest.split(' ').map(str::to_owned).collect(),
        "request" | "response" | "key" | "value" | "body" => {
            file.bodies.push(read_body(word, rest)?);
            *open = vec![0];
        }
        _ => return Err(format!("what is '{word}'?")),
    }
    Ok(())
}

fn read_body(side: &str, rest: &str) -> Result<Body> {
    let mut parts = rest.split(", ");
    let versions = versions(parts.next().unwrap_or_default(), i16::MAX)?;
    let mut body = Body {
        side: side.to_owned(),
        versions,
        flexible_from: None,
        stable_max: versions.max,
        header: None,
        structs: vec![Struct { name: String::new(), fields: Vec::new() }],
    };
    for part in parts {
        let (word, value) = part.rsplit_once(' ').ok_or("a lonely word")?;
        match word {
            "flexible" => body.flexible_from = Some(number(value.trim_end_matches('+'))?),
            "stable to" => body.stable_max = number(value)?,
            "header" => body.header = Some(number(value)?),
            _ => return Err(format!("what is '{word}'?")),
        }
    }
    Ok(body)
}

fn read_field(body: &mut Body, open: &mut Vec<usize>, line: &str) -> Result<()> {
    let (line, doc) = match line.split_once(" # ") {
        Some((line, doc)) => (line, Some(doc.to_owned())),
        None => (line, None),
    };
    let indent = line.len() - line.trim_start().len();
    if indent % 2 != 0 || indent / 2 > open.len() {
        return Err("wrong indentation".to_owned());
    }
    open.truncate(indent / 2);
    let mut words = line.split_whitespace().peekable();
    let name = words.next().unwrap_or_default().to_owned();
    let written = words.next().ok_or("no type")?;
    let (ty, array, nullable) = read_type(written, body.versions)?;
    let mut field = Field {
        name,
        ty,
        array,
        nullable,
        versions: body.versions,
        plain: false,
        tag: None,
        default: None,
        doc,
    };
    while let Some(word) = words.next() {
        match word {
            "plain" => field.plain = true,
            "tag" => field.tag = Some(number(words.next().unwrap_or_default())?),
            "=" => field.default = Some(words.next().ok_or("no default")?.to_owned()),
            range => field.versions = versions(range, body.versions.max)?,
        }
    }
    let inner = match &field.ty {
        Type::Struct(name) => Some(name.clone()),
        _ => None,
    };
    let parent = *open.last().ok_or("a field outside of a struct")?;
    body.structs[parent].fields.push(field);
    // What is indented further belongs to the field's struct. A struct that is mentioned again
    // has nothing below it.
    if let Some(name) = inner {
        let at = body.structs.iter().position(|one| one.name == name).unwrap_or_else(|| {
            body.structs.push(Struct { name, fields: Vec::new() });
            body.structs.len() - 1
        });
        open.push(at);
    }
    Ok(())
}

/// `int32`, `string?`, `[Topic]`, `[Topic]?1+`.
fn read_type(written: &str, all: Versions) -> Result<(Type, bool, Option<Versions>)> {
    let (base, nullable) = match written.split_once('?') {
        Some((base, "")) => (base, Some(all)),
        Some((base, range)) => (base, Some(versions(range, all.max)?)),
        None => (written, None),
    };
    let element = base.strip_prefix('[').and_then(|base| base.strip_suffix(']'));
    let name = element.unwrap_or(base);
    let fixed = FIXED.into_iter().find(|ty| matches!(ty, Type::Fixed(known, ..) if *known == name));
    let ty = match name {
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        _ => match fixed {
            Some(ty) => ty,
            None if name.starts_with(|letter: char| letter.is_ascii_uppercase()) => {
                Type::Struct(name.to_owned())
            }
            None => return Err(format!("no type '{name}'")),
        },
    };
    Ok((ty, element.is_some(), nullable))
}

/// `3`, `3-5`, or `3+` up to the highest.
fn versions(text: &str, max: i16) -> Result<Versions> {
    if let Some(min) = text.strip_suffix('+') {
        return Ok(Versions { min: number(min)?, max });
    }
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    Ok(Versions { min: number(min)?, max: number(max)? })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| format!("'{text}' is not a number that fits"))
}

fn name_bodies(file: &mut File) {
    let alone = file.bodies.len() == 1;
    for body in &mut file.bodies {
        let suffix = match body.side.as_str() {
            _ if alone => "",
            "request" => "Request",
            "response" => "Response",
            "key" => "Key",
            _ => "Value",
        };
        body.structs[0].name = format!("{}{suffix}", file.name);
    }
}

/// What the generator relies on.
fn check(body: &Body) -> Result<()> {
    for one in &body.structs {
        for field in &one.fields {
            let wrong = |what: &str| Err(format!("{}.{}: {what}", one.name, field.name));
            let Versions { min, max } = field.versions;
            if min > max || !body.versions.contains(min) || !body.versions.contains(max) {
                return wrong("its versions are not the message's");
            }
            if field.tag.is_some() && body.flexible_from.is_none_or(|from| min < from) {
                return wrong("a tag needs a flexible version");
            }
            if field.tag.is_some() && field.ty == Type::Records {
                return wrong("records cannot be tagged: their place in the frame would move");
            }
            if field.array
                && matches!(field.ty, Type::Bytes | Type::Records | Type::Fixed("bool", ..))
            {
                return wrong("there is no array of such elements yet");
            }
            if field.default.as_deref() == Some("null") && field.nullable.is_none() {
                return wrong("it cannot be null");
            }
        }
    }
    Ok(())
}
