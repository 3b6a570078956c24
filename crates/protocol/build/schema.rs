//! The schema as it stands in memory, and what follows from it: names, sizes, lifetimes.

/// An inclusive range of versions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// One file of the schema.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: String,
    pub(crate) module: String,
    pub(crate) doc: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) listeners: Vec<String>,
    pub(crate) bodies: Vec<Body>,
}

/// What a file defines.
#[derive(Debug)]
pub(crate) enum Kind {
    Api(i16),
    Record(i16),
    Message,
}

/// A request, response, key, value, or the one body of a plain message.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) side: String,
    pub(crate) versions: Versions,
    pub(crate) flexible_from: Option<i16>,
    pub(crate) stable_max: i16,
    pub(crate) header: Option<i16>,
    /// The message itself, then the structs inside it.
    pub(crate) structs: Vec<Struct>,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    /// As Kafka's tools print it.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) array: bool,
    pub(crate) nullable: Option<Versions>,
    pub(crate) versions: Versions,
    /// Never compact, whatever the rest of the message is.
    pub(crate) plain: bool,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
    pub(crate) doc: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// Name in the schema, type in Rust, bytes on the wire.
    Fixed(&'static str, &'static str, usize),
    Text,
    Bytes,
    Records,
    Struct(String),
}

pub(crate) const FIXED: [Type; 8] = [
    Type::Fixed("bool", "bool", 1),
    Type::Fixed("int8", "i8", 1),
    Type::Fixed("int16", "i16", 2),
    Type::Fixed("uint16", "u16", 2),
    Type::Fixed("int32", "i32", 4),
    Type::Fixed("int64", "i64", 8),
    Type::Fixed("float64", "f64", 8),
    Type::Fixed("uuid", "Uuid", 16),
];

impl Body {
    pub(crate) fn name(&self) -> &str {
        &self.structs[0].name
    }

    pub(crate) fn find(&self, name: &str) -> &Struct {
        let found = self.structs.iter().find(|one| one.name == name);
        found.unwrap_or_else(|| panic!("{}: no struct {name}", self.name()))
    }

    /// Whether a struct borrows from the frame.
    pub(crate) fn borrows(&self, one: &Struct) -> bool {
        one.fields.iter().any(|field| match &field.ty {
            Type::Fixed(..) => false,
            Type::Struct(name) => self.borrows(self.find(name)),
            _ => true,
        })
    }

    fn flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|from| version >= from)
    }

    /// The versions in which a struct occurs.
    fn occurs(&self, name: &str, version: i16) -> bool {
        name == self.name()
            || self.structs.iter().any(|parent| {
                parent.name != name
                    && parent.fields.iter().any(|field| {
                        field.ty == Type::Struct(name.to_owned())
                            && field.versions.contains(version)
                    })
                    && self.occurs(&parent.name, version)
            })
    }

    /// The fewest bytes that a struct takes in any version in which it occurs.
    pub(crate) fn size_min(&self, one: &Struct) -> usize {
        (self.versions.min..=self.versions.max)
            .filter(|version| self.occurs(&one.name, *version))
            .map(|version| self.size_at(one, version))
            .min()
            .unwrap_or_else(|| panic!("{}: {} never occurs", self.name(), one.name))
    }

    fn size_at(&self, one: &Struct, version: i16) -> usize {
        let present = one
            .fields
            .iter()
            .filter(|field| field.tag.is_none() && field.versions.contains(version));
        let tags = usize::from(self.flexible(version));
        tags + present.map(|field| self.field_size_at(field, version)).sum::<usize>()
    }

    fn field_size_at(&self, field: &Field, version: i16) -> usize {
        let compact = self.flexible(version) && !field.plain;
        match &field.ty {
            _ if compact
                && (field.array
                    || matches!(field.ty, Type::Text | Type::Bytes | Type::Records)) =>
            {
                1
            }
            _ if field.array => 4,
            Type::Fixed(_, _, size) => *size,
            Type::Text => 2,
            Type::Bytes | Type::Records => 4,
            Type::Struct(_) if field.nullable.is_some() => 1,
            Type::Struct(name) => self.size_at(self.find(name), version),
        }
    }
}

impl Field {
    /// The field's name in Rust.
    pub(crate) fn rust_name(&self) -> String {
        let name = snake_case(&self.name);
        if ["type", "match"].contains(&name.as_str()) { format!("r#{name}") } else { name }
    }
}

/// `clientId` to `client_id`, `enable2Pc` to `enable2_pc`, `kRaftVersion` to `kraft_version`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut after_capital = true;
    for (at, letter) in name.char_indices() {
        let capital = letter.is_ascii_uppercase();
        if capital && !after_capital {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        after_capital = capital || at == 0;
    }
    snake
}
