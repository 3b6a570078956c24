//! What one key is: its type, default, what it allows, and who may change it when.
//!
//! The tables of `keys/` are written in the small language of constructors below.

/// Kafka's types of values; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl Type {
    /// As Kafka's messages name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// What a value must be beyond its type. Elements of a list are never blank or named twice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    None,
    /// A number from the first to the second; an infinite one is no limit.
    Range(f64, f64),
    /// A number of the range, or -1.
    RangeOrMinusOne(f64, f64),
    /// One of these texts, or a list of nothing else.
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    /// A text, or a list, that is not empty.
    NotEmpty,
    /// As `NotEmpty` and `OneOf`.
    SomeOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and a duration of ISO 8601.
    OffsetReset,
    /// A list of `host:port`.
    HostsAndPorts,
    /// A list of `id@host:port`.
    Voters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// Who may change a broker's key while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// Nobody: only a restart with another file does.
    ReadOnly,
    /// Anybody, for one broker at a time.
    PerBroker,
    /// Anybody, for one broker or for all.
    ClusterWide,
}

/// Another key that gives the value where the key itself is not set, and the factor by which its
/// number is multiplied.
pub type Synonym = (&'static str, i64);

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Type,
    /// As it would be written; `None` is Kafka's null.
    pub default: Option<&'static str>,
    pub check: Check,
    pub importance: Importance,
    pub update_mode: UpdateMode,
    /// Keys of the broker that stand for this one, the strongest first. A broker's key is itself
    /// among them where there are any.
    pub synonyms: &'static [Synonym],
    /// Not listed unless somebody set it (what Kafka calls an internal key).
    pub is_hidden: bool,
    pub documentation: &'static str,
}

impl Definition {
    const fn new(name: &'static str, kind: Type) -> Self {
        Self {
            name,
            kind,
            default: None,
            check: Check::None,
            importance: Importance::Medium,
            update_mode: UpdateMode::ReadOnly,
            synonyms: &[],
            is_hidden: false,
            documentation: "",
        }
    }

    /// Its values are never shown.
    #[must_use]
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.kind, Type::Password)
    }

    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(crate) const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(crate) const fn at_least(self, min: f64) -> Self {
        self.check(Check::Range(min, f64::INFINITY))
    }

    pub(crate) const fn between(self, min: f64, max: f64) -> Self {
        self.check(Check::Range(min, max))
    }

    pub(crate) const fn one_of(self, allowed: &'static [&'static str]) -> Self {
        self.check(Check::OneOf(allowed))
    }

    pub(crate) const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }

    pub(crate) const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }

    pub(crate) const fn per_broker(mut self) -> Self {
        self.update_mode = UpdateMode::PerBroker;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> Self {
        self.update_mode = UpdateMode::ClusterWide;
        self
    }

    pub(crate) const fn synonyms(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    pub(crate) const fn says(mut self, documentation: &'static str) -> Self {
        self.documentation = documentation;
        self
    }
}

pub(crate) const fn boolean(name: &'static str) -> Definition {
    Definition::new(name, Type::Boolean)
}

pub(crate) const fn string(name: &'static str) -> Definition {
    Definition::new(name, Type::String)
}

pub(crate) const fn int(name: &'static str) -> Definition {
    Definition::new(name, Type::Int)
}

pub(crate) const fn short(name: &'static str) -> Definition {
    Definition::new(name, Type::Short)
}

pub(crate) const fn long(name: &'static str) -> Definition {
    Definition::new(name, Type::Long)
}

pub(crate) const fn double(name: &'static str) -> Definition {
    Definition::new(name, Type::Double)
}

pub(crate) const fn list(name: &'static str) -> Definition {
    Definition::new(name, Type::List)
}

pub(crate) const fn class(name: &'static str) -> Definition {
    Definition::new(name, Type::Class)
}

pub(crate) const fn password(name: &'static str) -> Definition {
    Definition::new(name, Type::Password)
}
