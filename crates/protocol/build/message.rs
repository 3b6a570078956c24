//! Writes one module of Rust per schema file: structs with their defaults, decoder and encoder.

use std::fmt::Write;

use super::json;
use super::schema::{Body, Field, File, Struct, Type, Versions};

/// Appends a formatted line.
macro_rules! line {
    ($text:expr, $($arg:tt)*) => {
        writeln!($text, $($arg)*).expect("a String takes everything")
    };
}
pub(crate) use line;

pub(crate) fn file(file: &File, with_json: bool) -> String {
    let mut text = String::new();
    line!(text, "//! {}", file.doc);
    line!(text, "//!\n//! Generated from `{}`.", file.source);
    for body in &file.bodies {
        line!(
            text,
            "\n/// The {}, versions {} to {}.",
            body.side,
            body.versions.min,
            body.versions.max
        );
        line!(text, "pub mod {} {{\n    use crate::wire::*;", body.side);
        if with_json {
            line!(text, "    use crate::json::Json;");
        }
        let mut inner = String::new();
        for one in &body.structs {
            inner += &definition(body, one);
            inner += &default(body, one);
            inner += &code(body, one, with_json);
        }
        line!(
            inner,
            "\nimpl<'a> Message<'a> for {} {{",
            rust_struct(body, &body.structs[0])
        );
        line!(inner, "    const NAME: &'static str = {:?};", body.name());
        line!(inner, "    const VERSION_MIN: i16 = {};", body.versions.min);
        line!(inner, "    const VERSION_MAX: i16 = {};", body.versions.max);
        line!(
            inner,
            "    const FLEXIBLE_FROM: Option<i16> = {:?};\n}}",
            body.flexible_from
        );
        for inner in inner.lines() {
            line!(
                text,
                "{}{inner}",
                if inner.is_empty() { "" } else { "    " }
            );
        }
        line!(text, "}}");
    }
    text
}

/// The struct's name with its lifetime, if it borrows.
fn rust_struct(body: &Body, one: &Struct) -> String {
    format!(
        "{}{}",
        one.name,
        if body.borrows(one) { "<'a>" } else { "" }
    )
}

fn rust_type(body: &Body, field: &Field) -> String {
    let element = match &field.ty {
        Type::Fixed(_, rust, _) => (*rust).to_owned(),
        Type::Text => "&'a str".to_owned(),
        Type::Bytes => "&'a [u8]".to_owned(),
        Type::Records => "Records<'a>".to_owned(),
        Type::Struct(name) => rust_struct(body, body.find(name)),
    };
    let whole = if field.array {
        format!("Vec<{element}>")
    } else {
        element
    };
    if field.nullable.is_some() {
        format!("Option<{whole}>")
    } else {
        whole
    }
}

fn definition(body: &Body, one: &Struct) -> String {
    let mut text = String::new();
    let derive_default = one.fields.iter().all(|field| !own_default(field));
    let default = if derive_default { "Default, " } else { "" };
    line!(text, "\n#[derive(Clone, Debug, {default}PartialEq)]");
    line!(text, "pub struct {} {{", rust_struct(body, one));
    for field in &one.fields {
        let mut doc = field
            .doc
            .iter()
            .map(|doc| format!("{doc}."))
            .collect::<Vec<_>>();
        let Versions { min, max } = field.versions;
        if min > body.versions.min && max < body.versions.max {
            doc.push(format!("In versions {min} to {max}."));
        } else if min > body.versions.min {
            doc.push(format!("Since version {min}."));
        } else if max < body.versions.max {
            doc.push(format!("Up to version {max}."));
        }
        if let Some(tag) = field.tag {
            doc.push(format!("Tag {tag}."));
        }
        if !doc.is_empty() {
            line!(text, "    /// {}", doc.join(" "));
        }
        line!(
            text,
            "    pub {}: {},",
            field.rust_name(),
            rust_type(body, field)
        );
    }
    line!(text, "}}");
    text
}

/// Whether the field's default is another than its Rust type's.
fn own_default(field: &Field) -> bool {
    match &field.default {
        Some(default) => default != "null",
        None => field.nullable.is_some(),
    }
}

/// The field's default as an expression.
fn default_value(field: &Field) -> String {
    match (&field.default, &field.ty) {
        (Some(null), _) if null == "null" => "None".to_owned(),
        (Some(value), Type::Text) => format!("{value:?}"),
        (Some(value), _) => value.clone(),
        (None, _) if field.array && field.nullable.is_some() => "Some(Vec::new())".to_owned(),
        (None, _) if field.array => "Vec::new()".to_owned(),
        (None, ty) => {
            let value = match ty {
                Type::Fixed("bool", ..) => "false",
                Type::Fixed("float64", ..) => "0.0",
                Type::Fixed("uuid", ..) => "Uuid::ZERO",
                Type::Fixed(..) => "0",
                Type::Text => "\"\"",
                Type::Bytes => "&[]",
                Type::Records => "Records::Slice(&[])",
                Type::Struct(name) => &format!("{name}::default()"),
            };
            if field.nullable.is_some() {
                format!("Some({value})")
            } else {
                value.to_owned()
            }
        }
    }
}

fn default(body: &Body, one: &Struct) -> String {
    let mut text = String::new();
    if one.fields.iter().any(own_default) {
        let name = &one.name;
        let lifetime = if body.borrows(one) { "<'_>" } else { "" };
        line!(
            text,
            "\nimpl Default for {name}{lifetime} {{\n    fn default() -> Self {{\n        Self {{"
        );
        for field in &one.fields {
            line!(
                text,
                "            {}: {},",
                field.rust_name(),
                default_value(field)
            );
        }
        line!(text, "        }}\n    }}\n}}");
    }
    text
}

fn code(body: &Body, one: &Struct, with_json: bool) -> String {
    let mut text = String::new();
    line!(
        text,
        "\nimpl<'a> Struct<'a> for {} {{",
        rust_struct(body, one)
    );
    line!(
        text,
        "    const SIZE_MIN: usize = {};\n",
        body.size_min(one)
    );
    text += &read(body, one);
    text.push('\n');
    text += &write(body, one);
    line!(text, "}}");
    if with_json {
        text += &json::implementation(body, one);
    }
    text
}

/// The condition under which a version lies in a range, if there can be any doubt.
pub(crate) fn condition(body: &Body, range: Versions) -> Option<String> {
    let Versions { min, max } = body.versions;
    match (range.min > min, range.max < max) {
        (true, true) => Some(format!(
            "({}..={}).contains(&version)",
            range.min, range.max
        )),
        (true, false) => Some(format!("version >= {}", range.min)),
        (false, true) => Some(format!("version <= {}", range.max)),
        (false, false) => None,
    }
}

fn flexible(body: &Body) -> Option<String> {
    let from = body.flexible_from?;
    let range = Versions {
        min: from,
        max: body.versions.max,
    };
    Some(condition(body, range).unwrap_or_else(|| "true".to_owned()))
}

/// The arguments behind the field's name that tell how its length lies on the wire.
fn mode(body: &Body, field: &Field, version_too: bool) -> String {
    let compact = match flexible(body) {
        Some(condition) if !field.plain && condition != "true" => "flexible".to_owned(),
        Some(condition) if !field.plain => condition,
        _ => "false".to_owned(),
    };
    let version = if version_too { ", version" } else { "" };
    let null = match field.nullable {
        Some(range) => condition(body, range).unwrap_or_else(|| "true".to_owned()),
        None => return format!("{compact}{version}"),
    };
    format!("{compact}{version}, {null}")
}

fn method_name(field: &Field) -> String {
    let base = match &field.ty {
        Type::Fixed(..) if field.array => "number",
        Type::Fixed("bool", ..) => "boolean",
        Type::Fixed(name, ..) => name,
        Type::Text => "string",
        Type::Bytes => "bytes",
        Type::Records => "records",
        Type::Struct(_) if field.tag.is_some() && !field.array => "tagged_struct",
        Type::Struct(_) => "struct",
    };
    let option = if field.nullable.is_some() { "opt_" } else { "" };
    format!("{option}{base}{}", if field.array { "s" } else { "" })
}

fn is_fixed(field: &Field) -> bool {
    matches!(field.ty, Type::Fixed(..)) && !field.array
}

fn read_call(body: &Body, field: &Field) -> String {
    let method = method_name(field);
    let name = format!("{:?}", field.rust_name().trim_start_matches("r#"));
    match &field.ty {
        Type::Struct(inner) if !field.array && field.nullable.is_none() => {
            format!("{inner}::read(reader, version)")
        }
        Type::Struct(_) if !field.array => format!("reader.{method}({name}, version)"),
        Type::Struct(_) => format!("reader.{method}({name}, {})", mode(body, field, true)),
        _ if is_fixed(field) => format!("reader.{method}({name})"),
        _ => format!("reader.{method}({name}, {})", mode(body, field, false)),
    }
}

/// The tagged fields in the order in which they lie on the wire.
fn tagged(one: &Struct) -> Vec<(u32, &Field)> {
    let mut tagged: Vec<_> = one
        .fields
        .iter()
        .filter_map(|field| Some((field.tag?, field)))
        .collect();
    tagged.sort_by_key(|(tag, _)| *tag);
    tagged
}

fn read(body: &Body, one: &Struct) -> String {
    let mut inner = String::new();
    let tags = tagged(one);
    let mutable = if tags.is_empty() { "" } else { "mut " };
    line!(inner, "        let {mutable}it = Self {{");
    for field in &one.fields {
        let name = field.rust_name();
        let call = match (field.tag, condition(body, field.versions)) {
            (Some(_), _) => default_value(field),
            (None, Some(condition)) => {
                let (call, absent) = (read_call(body, field), default_value(field));
                format!("if {condition} {{ {call} }} else {{ {absent} }}")
            }
            (None, None) => read_call(body, field),
        };
        line!(inner, "            {name}: {call},");
    }
    line!(inner, "        }};");
    if let Some(condition) = flexible(body) {
        let walk = if tags.is_empty() {
            "reader.skip_tags();\n".to_owned()
        } else {
            let mut walk = String::from("let mut tags = reader.tags();\n");
            line!(
                walk,
                "while let Some(tag) = reader.next_tag(&mut tags) {{\n    match tag {{"
            );
            for (tag, field) in tags {
                let guard = condition_within(body, field).map(|it| format!(" if {it}"));
                let (name, call) = (field.rust_name(), read_call(body, field));
                let guard = guard.unwrap_or_default();
                line!(walk, "        {tag}{guard} => it.{name} = {call},");
            }
            line!(
                walk,
                "        _ => reader.skip_tag(),\n    }}\n    reader.end_tag(&tags);\n}}"
            );
            walk
        };
        inner += &guarded(&condition, &walk);
    }
    line!(inner, "        it");
    method(
        "fn read(reader: &mut Reader<'a>, version: i16) -> Self",
        body,
        &inner,
    )
}

/// Like `condition`, where it is already known that the version is flexible.
fn condition_within(body: &Body, field: &Field) -> Option<String> {
    let from = body.flexible_from.unwrap_or_default();
    let whole = Versions {
        min: from,
        max: body.versions.max,
    };
    if field.versions == whole {
        None
    } else {
        condition(body, field.versions)
    }
}

fn write_call(body: &Body, field: &Field) -> String {
    let method = method_name(field);
    let name = format!("{:?}", field.rust_name().trim_start_matches("r#"));
    let value = format!("self.{}", field.rust_name());
    let optional = field.nullable.is_some();
    let value = match &field.ty {
        _ if is_fixed(field) => return format!("writer.{method}({value});"),
        Type::Struct(_) if !field.array && !optional => {
            return format!("{value}.write(writer, version);");
        }
        Type::Struct(_) if !field.array => {
            return format!("writer.{method}({value}.as_ref(), version);");
        }
        _ if optional && (field.array || field.ty == Type::Records) => format!("{value}.as_ref()"),
        Type::Text | Type::Bytes if !field.array => value,
        _ => format!("&{value}"),
    };
    let with_version = matches!(field.ty, Type::Struct(_));
    format!(
        "writer.{method}({name}, {value}, {});",
        mode(body, field, with_version)
    )
}

/// Whether a tagged field has another value than its default, so that it must be written.
pub(crate) fn is_set(field: &Field) -> String {
    let value = format!("self.{}", field.rust_name());
    match (&field.default, &field.ty) {
        (Some(null), _) if null == "null" => format!("{value}.is_some()"),
        (None, _) if field.nullable.is_none() && field.array => format!("!{value}.is_empty()"),
        (None, Type::Text | Type::Bytes) if field.nullable.is_none() => {
            format!("!{value}.is_empty()")
        }
        (None, Type::Fixed("bool", ..)) => value,
        _ => format!("{value} != {}", default_value(field)),
    }
}

fn write(body: &Body, one: &Struct) -> String {
    let mut inner = String::new();
    for field in one.fields.iter().filter(|field| field.tag.is_none()) {
        let call = write_call(body, field) + "\n";
        match condition(body, field.versions) {
            Some(condition) => inner += &guarded(&condition, &call),
            None => line!(inner, "        {}", call.trim_end()),
        }
    }
    if let Some(condition) = flexible(body) {
        let tags = tagged(one);
        let mut walk = String::new();
        for (tag, field) in &tags {
            let set = is_set(field);
            let set = match condition_within(body, field) {
                Some(condition) => format!("{condition} && {set}"),
                None => set,
            };
            line!(walk, "let tag{tag} = {set};");
        }
        let count = tags.iter().map(|(tag, _)| format!("u32::from(tag{tag})"));
        let count = count
            .reduce(|sum, one| sum + " + " + &one)
            .unwrap_or_else(|| "0".to_owned());
        line!(walk, "writer.uvarint({count});");
        for (tag, field) in &tags {
            line!(
                walk,
                "if tag{tag} {{\n    let start = writer.open_tag({tag});"
            );
            line!(
                walk,
                "    {}\n    writer.close_tag(start);\n}}",
                write_call(body, field)
            );
        }
        inner += &guarded(&condition, &walk);
    }
    method(
        "fn write(&self, writer: &mut Writer, version: i16)",
        body,
        &inner,
    )
}

/// Lines that run only under a condition, indented into a method.
fn guarded(condition: &str, lines: &str) -> String {
    let mut text = String::new();
    // The name stands for the condition wherever it says "flexible".
    let always = condition == "true";
    if !always {
        line!(text, "        if {condition} {{");
    }
    let indent = if always { "        " } else { "            " };
    for inner in lines.lines() {
        line!(text, "{indent}{inner}");
    }
    if !always {
        line!(text, "        }}");
    }
    text
}

/// A method around its lines, with `flexible` bound if they ask for it.
fn method(signature: &str, body: &Body, inner: &str) -> String {
    let mut text = String::new();
    let uses_version = ["version >=", "version <=", "(&version)", ", version"];
    let signature = if uses_version.iter().any(|usage| inner.contains(usage)) {
        signature.to_owned()
    } else {
        signature.replace("version:", "_version:")
    };
    let signature = ["reader", "writer"]
        .iter()
        .fold(signature, |signature, name| {
            let unused =
                !inner.contains(&format!("{name}.")) && !inner.contains(&format!("({name}"));
            if unused {
                signature.replace(&format!("{name}:"), &format!("_{name}:"))
            } else {
                signature
            }
        });
    let asks = inner.contains("flexible");
    let signature = if asks {
        signature.replace("_version:", "version:")
    } else {
        signature
    };
    line!(text, "    {signature} {{");
    if let (true, Some(condition)) = (asks, flexible(body)) {
        line!(text, "        let flexible = {condition};");
    }
    text += inner;
    line!(text, "    }}");
    text
}
