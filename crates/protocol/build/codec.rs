//! Writes how a struct is read from a frame and written to one: straight lines, one a field, with
//! a condition where a field is not in every version.

use std::fmt::Write;

use super::message::{default_value, line};
use super::schema::{Body, Field, Struct, Type, Versions};

/// The condition under which a version lies in a range, if there can be any doubt.
pub(crate) fn condition(body: &Body, range: Versions) -> Option<String> {
    let Versions { min, max } = body.versions;
    match (range.min > min, range.max < max) {
        (true, true) => Some(format!("({}..={}).contains(&version)", range.min, range.max)),
        (true, false) => Some(format!("version >= {}", range.min)),
        (false, true) => Some(format!("version <= {}", range.max)),
        (false, false) => None,
    }
}

fn flexible(body: &Body) -> Option<String> {
    let from = body.flexible_from?;
    let range = Versions { min: from, max: body.versions.max };
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
    let mut tagged: Vec<_> =
        one.fields.iter().filter_map(|field| Some((field.tag?, field))).collect();
    tagged.sort_by_key(|(tag, _)| *tag);
    tagged
}

pub(crate) fn read(body: &Body, one: &Struct) -> String {
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
            line!(walk, "while let Some(tag) = reader.next_tag(&mut tags) {{\n    match tag {{");
            for (tag, field) in tags {
                let guard = condition_within(body, field).map(|it| format!(" if {it}"));
                let (name, call) = (field.rust_name(), read_call(body, field));
                let guard = guard.unwrap_or_default();
                line!(walk, "        {tag}{guard} => it.{name} = {call},");
            }
            line!(walk, "        _ => reader.skip_tag(),\n    }}\n    reader.end_tag(&tags);\n}}");
            walk
        };
        inner += &guarded(&condition, &walk);
    }
    line!(inner, "        it");
    method("fn read(reader: &mut Reader<'a>, version: i16) -> Self", body, &inner)
}

/// Like `condition`, where it is already known that the version is flexible.
fn condition_within(body: &Body, field: &Field) -> Option<String> {
    let from = body.flexible_from.unwrap_or_default();
    let whole = Versions { min: from, max: body.versions.max };
    if field.versions == whole { None } else { condition(body, field.versions) }
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
    format!("writer.{method}({name}, {value}, {});", mode(body, field, with_version))
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

pub(crate) fn write(body: &Body, one: &Struct) -> String {
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
        let count = count.reduce(|sum, one| sum + " + " + &one).unwrap_or_else(|| "0".to_owned());
        line!(walk, "writer.uvarint({count});");
        for (tag, field) in &tags {
            line!(walk, "if tag{tag} {{\n    let start = writer.open_tag({tag});");
            line!(walk, "    {}\n    writer.close_tag(start);\n}}", write_call(body, field));
        }
        inner += &guarded(&condition, &walk);
    }
    method("fn write(&self, writer: &mut Writer, version: i16)", body, &inner)
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
    let signature = ["reader", "writer"].iter().fold(signature, |signature, name| {
        let unused = !inner.contains(&format!("{name}.")) && !inner.contains(&format!("({name}"));
        if unused {
            signature.replace(&format!("{name}:"), &format!("_{name}:"))
        } else {
            signature
        }
    });
    let asks = inner.contains("flexible");
    let signature = if asks { signature.replace("_version:", "version:") } else { signature };
    line!(text, "    {signature} {{");
    if let (true, Some(condition)) = (asks, flexible(body)) {
        line!(text, "        let flexible = {condition};");
    }
    text += inner;
    line!(text, "    }}");
    text
}
