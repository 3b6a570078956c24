//! Makes a request's bytes of its JSON, by the schema itself and not by the code that is generated
//! from it. Fields that a version lacks are left out, fields that are not given have their
//! default, and a field that no version has is a mistake in the script.

use std::collections::BTreeMap;

use milena_protocol::Uuid;
use serde_json::Value;

use crate::records;

#[allow(dead_code, clippy::indexing_slicing, reason = "the generator's own, which uses all of it")]
#[path = "../../../crates/protocol/build/parse.rs"]
mod parse;
#[allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the generator's own, which uses all of it"
)]
#[path = "../../../crates/protocol/build/schema.rs"]
mod schema;

use schema::{Body, Field, Struct, Type};

type Result<T> = std::result::Result<T, String>;

/// The requests that can be written, by the name of their API.
#[derive(Debug)]
pub struct Requests {
    bodies: BTreeMap<String, Body>,
}

impl Requests {
    /// Reads the schema of the crate `milena-protocol`.
    pub fn load() -> Result<Self> {
        let folder = crate::home().join("../../crates/protocol/schema/api");
        let mut bodies = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.extension().is_none_or(|end| end != "schema") {
                continue;
            }
            let file = parse::file(&path)?;
            if let Some(body) = file.bodies.into_iter().find(|body| body.side == "request") {
                bodies.insert(file.name, body);
            }
        }
        Ok(Self { bodies })
    }

    /// The versions that the schema has of an API, without those that are not stable.
    pub fn versions(&self, api: &str) -> Result<(i16, i16)> {
        let body = self.bodies.get(api).ok_or_else(|| format!("there is no API {api}"))?;
        Ok((body.versions.min, body.stable_max))
    }

    /// The body of a request.
    pub fn encode(&self, api: &str, version: i16, json: &Value) -> Result<Vec<u8>> {
        let body = self.bodies.get(api).ok_or_else(|| format!("there is no API {api}"))?;
        let flexible = body.flexible_from.is_some_and(|from| version >= from);
        let mut writer = Writer { body, version, flexible, out: Vec::new() };
        let root = body.structs.first().ok_or("an empty body")?;
        writer.fields(root, json)?;
        Ok(writer.out)
    }
}

struct Writer<'a> {
    body: &'a Body,
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, one: &Struct, json: &Value) -> Result<()> {
        let empty = serde_json::Map::new();
        let given = match json {
            Value::Object(given) => given,
            Value::Null => &empty,
            other => return Err(format!("{} is no {}", other, one.name)),
        };
        for name in given.keys() {
            if !one.fields.iter().any(|field| field.name == *name) {
                return Err(format!("{} has no field {name}", one.name));
            }
        }
        let present = |field: &&Field| field.versions.contains(self.version);
        let (tagged, plain): (Vec<_>, Vec<_>) =
            one.fields.iter().filter(present).partition(|field| field.tag.is_some());
        for field in plain {
            self.field(field, given.get(&field.name))
                .map_err(|error| format!("{}.{}: {error}", one.name, field.name))?;
        }
        if self.flexible {
            let tagged: Vec<_> =
                tagged.into_iter().filter(|field| given.contains_key(&field.name)).collect();
            self.varint(tagged.len());
            for field in tagged {
                let before = std::mem::take(&mut self.out);
                self.field(field, given.get(&field.name))?;
                let data = std::mem::replace(&mut self.out, before);
                self.varint(field.tag.unwrap_or_default() as usize);
                self.varint(data.len());
                self.out.extend(data);
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, given: Option<&Value>) -> Result<()> {
        let default = match field.default.as_deref() {
            Some("null") => Value::Null,
            Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            None => match &field.ty {
                _ if field.array => Value::Array(Vec::new()),
                Type::Struct(_) => Value::Object(serde_json::Map::new()),
                Type::Fixed("bool", ..) => false.into(),
                Type::Fixed("uuid", ..) => Uuid::default().to_string().into(),
                Type::Fixed(..) => 0.into(),
                _ => "".into(),
            },
        };
        let value = given.unwrap_or(&default);
        let compact = self.flexible && !field.plain;
        if field.array {
            let Value::Array(items) = value else {
                return self.null(value, compact, 4);
            };
            self.len(items.len(), compact, 4);
            return items.iter().try_for_each(|item| self.one(&field.ty, item, compact));
        }
        if let (Type::Struct(_), Some(_)) = (&field.ty, &field.nullable) {
            self.out.push(if value.is_null() { 0xff } else { 1 });
            if value.is_null() {
                return Ok(());
            }
        }
        self.one(&field.ty, value, compact)
    }

    fn one(&mut self, ty: &Type, value: &Value, compact: bool) -> Result<()> {
        match ty {
            Type::Struct(name) => {
                let body = self.body;
                self.fields(body.find(name), value)
            }
            Type::Text => match value.as_str() {
                Some(text) => self.bytes(text.as_bytes(), compact, 2),
                None => self.null(value, compact, 2),
            },
            Type::Bytes | Type::Records => match value {
                Value::Null => self.null(value, compact, 4),
                value => self.bytes(&records::bytes(value)?, compact, 4),
            },
            Type::Fixed("bool", ..) => {
                self.out.push(value.as_bool().ok_or("no bool")?.into());
                Ok(())
            }
            Type::Fixed("float64", ..) => {
                self.out.extend(value.as_f64().ok_or("no number")?.to_be_bytes());
                Ok(())
            }
            Type::Fixed("uuid", ..) => {
                let id: Uuid = value
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| format!("{value} is no id"))?;
                self.out.extend(id.to_be_bytes());
                Ok(())
            }
            Type::Fixed(name, _, size) => {
                let number = value.as_i64().ok_or_else(|| format!("{value} is no {name}"))?;
                let bytes = number.to_be_bytes();
                self.out.extend(bytes.iter().skip(8 - size));
                Ok(())
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8], compact: bool, width: usize) -> Result<()> {
        self.len(bytes.len(), compact, width);
        self.out.extend(bytes);
        Ok(())
    }

    fn len(&mut self, len: usize, compact: bool, width: usize) {
        match (compact, width) {
            (true, _) => self.varint(len + 1),
            (false, 2) => self.out.extend((len as i16).to_be_bytes()),
            (false, _) => self.out.extend((len as i32).to_be_bytes()),
        }
    }

    /// Null is written wherever a script wants it, so that it can ask what comes of it.
    fn null(&mut self, value: &Value, compact: bool, width: usize) -> Result<()> {
        if !value.is_null() {
            return Err(format!("{value} is of another type"));
        }
        match (compact, width) {
            (true, _) => self.out.push(0),
            (false, width) => self.out.extend(std::iter::repeat_n(0xff, width)),
        }
        Ok(())
    }

    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }
}
