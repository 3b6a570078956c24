//! What commands show: one answer, told to people as tables and to programs as JSON.
//!
//! Standard output has the answer and nothing else; what is said about it goes to standard error.

mod bytes;
pub(crate) mod progress;
mod table;
mod time;

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};

pub(crate) use bytes::{from_json, hex, in_json, shown};
pub(crate) use table::Table;
pub(crate) use time::{format_ms, parse_duration_ms, parse_ms};

use crate::failure::{Exit, Failure, Result};

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) json: bool,
    pub(crate) colours: bool,
    /// Columns of the terminal; none where the output goes elsewhere, and nothing is cut.
    pub(crate) width: Option<usize>,
}

/// What a command found, in parts that have names if there are several.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    parts: Vec<(Option<&'static str>, Part)>,
    /// What was not found or not done, while the rest was.
    failures: Vec<Failure>,
    asked: usize,
}

#[derive(Debug)]
enum Part {
    Table(Table),
    Fields(Vec<(&'static str, Value)>),
    /// For people alone.
    Note(String),
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let size = rustix::termios::tcgetwinsize(&out).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none();
        Self { json, colours, width: width.filter(|_| is_terminal) }
    }
}

impl Answer {
    pub(crate) fn table(table: Table) -> Self {
        Self { parts: vec![(None, Part::Table(table))], ..Self::default() }
    }

    pub(crate) fn fields(fields: Vec<(&'static str, Value)>) -> Self {
        Self { parts: vec![(None, Part::Fields(fields))], ..Self::default() }
    }

    pub(crate) fn with_table(mut self, name: &'static str, table: Table) -> Self {
        self.parts.push((Some(name), Part::Table(table)));
        self
    }

    pub(crate) fn with_fields(
        mut self,
        name: &'static str,
        fields: Vec<(&'static str, Value)>,
    ) -> Self {
        self.parts.push((Some(name), Part::Fields(fields)));
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.parts.push((None, Part::Note(text.into())));
        self
    }

    /// One of several things succeeded.
    pub(crate) fn did(&mut self) {
        self.asked += 1;
    }

    /// One of several things failed.
    pub(crate) fn failed(&mut self, failure: impl Into<Failure>) {
        self.asked += 1;
        self.failures.push(failure.into());
    }

    /// The value of a result, unless it failed, which is noted.
    pub(crate) fn take<T>(&mut self, result: milena_client::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.did();
                Some(value)
            }
            Err(error) => {
                self.failed(error);
                None
            }
        }
    }

    /// Puts the parts behind those of another one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self.failures.extend(other.failures);
        self.asked += other.asked;
        self
    }

    /// Shows all of it, and fails if any of it failed.
    pub(crate) fn show(self, screen: Screen) -> Result<()> {
        let text = if screen.json { self.json() } else { self.text(screen) };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        let Self { failures, asked, .. } = self;
        let all = asked.max(failures.len());
        let mut failures = failures.into_iter();
        match (failures.next(), failures.len()) {
            (None, _) => Ok(()),
            (Some(only), 0) if all == 1 => Err(only),
            (Some(first), others) => {
                let exit = if failures.as_slice().iter().all(|it| it.exit() == first.exit()) {
                    first.exit()
                } else {
                    Exit::Failed
                };
                for failure in std::iter::once(first).chain(failures) {
                    eprintln!("milena: {failure}");
                }
                Err(Failure::together(others + 1, all, exit))
            }
        }
    }

    fn json(&self) -> String {
        let told: Vec<_> =
            self.parts.iter().filter(|(_, part)| !matches!(part, Part::Note(_))).collect();
        let mut value = match told.as_slice() {
            [(None, part)] => part.json(),
            parts => {
                let mut object = Map::new();
                for (name, part) in parts {
                    match (name, part.json()) {
                        (Some(name), value) => drop(object.insert((*name).to_owned(), value)),
                        (None, Value::Object(fields)) => object.extend(fields),
                        (None, value) => drop(object.insert("items".to_owned(), value)),
                    }
                }
                Value::Object(object)
            }
        };
        let failures = self.failures.iter().map(|it| Value::from(it.to_string()));
        let failures: Vec<_> = failures.collect();
        if let (Value::Object(object), false) = (&mut value, failures.is_empty()) {
            object.insert("errors".to_owned(), failures.into());
        }
        format!("{value:#}\n")
    }

    fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        for (name, part) in &self.parts {
            let is_empty = matches!(part, Part::Table(table) if table.is_empty());
            if let Some(name) = name {
                let name = name.replace('_', " ");
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(&bold(&format!("{name}:"), screen));
                text.push_str(if is_empty { " none\n" } else { "\n" });
            }
            match part {
                // What failed is told.
                Part::Table(_) if is_empty && (name.is_some() || !self.failures.is_empty()) => {}
                Part::Table(table) => text.push_str(&table.text(screen)),
                Part::Note(note) => text.extend([note.as_str(), "\n"]),
                Part::Fields(fields) => {
                    let widest = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                    for (name, value) in fields {
                        let name = name.replace('_', " ");
                        let line = format!("{name:<widest$}  {}", table::plain(value));
                        text.extend([line.trim_end(), "\n"]);
                    }
                }
            }
        }
        text
    }
}

impl Part {
    fn json(&self) -> Value {
        match self {
            Self::Table(table) => table.json(),
            Self::Fields(fields) => {
                let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                Value::Object(fields.collect())
            }
            Self::Note(note) => note.as_str().into(),
        }
    }
}

pub(crate) fn bold(text: &str, screen: Screen) -> String {
    if screen.colours { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
