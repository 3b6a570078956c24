//! Writes one module of Rust per schema file: its structs with their defaults.

use std::fmt::Write;

use super::schema::{Body, Field, File, Struct, Type, Versions};
use super::{codec, json};

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
        line!(inner, "\nimpl<'a> Message<'a> for {} {{", rust_struct(body, &body.structs[0]));
        line!(inner, "    const NAME: &'static str = {:?};", body.name());
        line!(inner, "    const VERSION_MIN: i16 = {};", body.versions.min);
        line!(inner, "    const VERSION_MAX: i16 = {};", body.versions.max);
        line!(inner, "    const FLEXIBLE_FROM: Option<i16> = {:?};", body.flexible_from);
        if body.structs[0].fields.iter().any(|field| field.name == "throttleTimeMs") {
            line!(inner, "\n    fn throttled(&self, ms: i32) -> Option<Self> {{");
            line!(inner, "        let throttle_time_ms = self.throttle_time_ms.max(ms);");
            line!(inner, "        Some(Self {{ throttle_time_ms, ..self.clone() }})\n    }}");
        }
        line!(inner, "}}");
        for inner in inner.lines() {
            line!(text, "{}{inner}", if inner.is_empty() { "" } else { "    " });
        }
        line!(text, "}}");
    }
    text
}

/// The struct's name with its lifetime, if it borrows.
fn rust_struct(body: &Body, one: &Struct) -> String {
    format!("{}{}", one.name, if body.borrows(one) { "<'a>" } else { "" })
}

fn rust_type(body: &Body, field: &Field) -> String {
    let element = match &field.ty {
        Type::Fixed(_, rust, _) => (*rust).to_owned(),
        Type::Text => "&'a str".to_owned(),
        Type::Bytes => "&'a [u8]".to_owned(),
        Type::Records => "Records<'a>".to_owned(),
        Type::Struct(name) => rust_struct(body, body.find(name)),
    };
    let whole = if field.array { format!("Vec<{element}>") } else { element };
    if field.nullable.is_some() { format!("Option<{whole}>") } else { whole }
}

fn definition(body: &Body, one: &Struct) -> String {
    let mut text = String::new();
    let derive_default = one.fields.iter().all(|field| !own_default(field));
    let default = if derive_default { "Default, " } else { "" };
    line!(text, "\n#[derive(Clone, Debug, {default}PartialEq)]");
    line!(text, "pub struct {} {{", rust_struct(body, one));
    for field in &one.fields {
        let mut doc = field.doc.iter().map(|doc| format!("{doc}.")).collect::<Vec<_>>();
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
        line!(text, "    pub {}: {},", field.rust_name(), rust_type(body, field));
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
pub(crate) fn default_value(field: &Field) -> String {
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
            if field.nullable.is_some() { format!("Some({value})") } else { value.to_owned() }
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
            line!(text, "            {}: {},", field.rust_name(), default_value(field));
        }
        line!(text, "        }}\n    }}\n}}");
    }
    text
}

fn code(body: &Body, one: &Struct, with_json: bool) -> String {
    let mut text = String::new();
    line!(text, "\nimpl<'a> Struct<'a> for {} {{", rust_struct(body, one));
    line!(text, "    const SIZE_MIN: usize = {};\n", body.size_min(one));
    text += &codec::read(body, one);
    text.push('\n');
    text += &codec::write(body, one);
    line!(text, "}}");
    if with_json {
        text += &json::implementation(body, one);
    }
    text
}
