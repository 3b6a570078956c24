//! Writes what the feature `json` adds: every struct in the shape in which Kafka's tools print
//! it, and a table of all messages by name.

use std::fmt::Write;

use super::codec::{condition, is_set};
use super::message::line;
use super::schema::{Body, File, Struct};

pub(crate) fn implementation(body: &Body, one: &Struct) -> String {
    let mut text = String::new();
    let lifetime = if body.borrows(one) { "<'_>" } else { "" };
    line!(text, "\nimpl Json for {}{lifetime} {{", one.name);
    line!(text, "    #[allow(unused_variables, unused_mut)]");
    line!(text, "    fn json(&self, version: i16) -> serde_json::Value {{");
    line!(text, "        let mut object = serde_json::Map::new();");
    for field in &one.fields {
        let mut conditions: Vec<String> = condition(body, field.versions).into_iter().collect();
        if field.tag.is_some() {
            conditions.push(is_set(field));
        }
        let (key, place) = (&field.name, field.rust_name());
        let insert = format!("object.insert({key:?}.to_owned(), self.{place}.json(version));");
        if conditions.is_empty() {
            line!(text, "        {insert}");
        } else {
            line!(
                text,
                "        if {} {{\n            {insert}\n        }}",
                conditions.join(" && ")
            );
        }
    }
    line!(text, "        object.into()\n    }}\n}}");
    text
}

pub(crate) fn table(files: &[File]) -> String {
    let mut text = String::from(
        "\n/// Every message of the schema, for tests and tools that work by name.\n\
         pub static MESSAGES: &[crate::json::Entry] = &[\n",
    );
    for file in files {
        let folder = file.source.split('/').nth(1).unwrap_or_default();
        for body in &file.bodies {
            let path = format!("{folder}::{}", body.name());
            line!(text, "    crate::json::Entry {{");
            line!(text, "        name: {:?},", body.name());
            line!(text, "        version_min: {},", body.versions.min);
            line!(text, "        version_max: {},", body.versions.max);
            line!(text, "        flexible_from: {:?},", body.flexible_from);
            line!(
                text,
                "        read: |bytes, version| \
                 crate::json::read::<{path}>(bytes, version),\n    }},"
            );
        }
    }
    text + "];\n"
}
