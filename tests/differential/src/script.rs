//! The scripts: what is asked, in which order, over which connections.
//!
//! `README.md` tells all words of a line. A file is a story of its own, with its own topics.

use std::path::Path;

use serde_json::Value;

use crate::encode::Requests;

type Result<T> = std::result::Result<T, String>;

/// What a line may say.
const WORDS: [&str; 13] = [
    "ask", "say", "version", "versions", "body", "hex", "keep", "on", "client", "later", "silent",
    "await", "until",
];

/// One thing to do.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the exchange is called in transcripts and differences.
    pub name: String,
    /// Which connection.
    pub on: String,
    pub action: Action,
    /// What of the answer has a name from here on, and where it stands.
    pub keep: Vec<(String, String)>,
    /// What the answer says, and where, when it is not to be asked again.
    pub until: Vec<(String, Value)>,
}

#[derive(Clone, Debug)]
pub enum Action {
    Ask(Ask),
    /// Reads the answer to what was asked with `later`.
    Await,
}

#[derive(Clone, Debug)]
pub struct Ask {
    pub api: String,
    pub version: i16,
    pub client: Option<String>,
    pub body: Body,
    pub reading: Reading,
}

#[derive(Clone, Debug)]
pub enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

/// When the answer is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    Now,
    Later,
    /// There is none.
    Never,
}

/// A file of steps.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: String,
    pub steps: Vec<Step>,
}

/// All scripts, in the order of their names.
pub fn all(requests: &Requests) -> Result<Vec<Script>> {
    let folder = crate::home().join("scripts");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| error.to_string())? {
        paths.push(entry.map_err(|error| error.to_string())?.path());
    }
    paths.sort();
    let scripts: Vec<Script> =
        paths.iter().map(|path| read(path, requests)).collect::<Result<_>>()?;
    let mut names: Vec<_> = scripts.iter().flat_map(|one| &one.steps).map(|s| &s.name).collect();
    names.sort();
    match names.windows(2).find(|two| two.first() == two.last()) {
        Some(two) => Err(format!("two exchanges are called {two:?}")),
        None => Ok(scripts),
    }
}

fn read(path: &Path, requests: &Requests) -> Result<Script> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut steps = Vec::new();
    for (number, line) in crate::read_lines(path)? {
        let wrong = |error| format!("{}:{number}: {error}", path.display());
        steps.extend(read_line(&name, &line, requests).map_err(wrong)?);
    }
    Ok(Script { name, steps })
}

fn read_line(script: &str, line: &Value, requests: &Requests) -> Result<Vec<Step>> {
    let object = line.as_object().ok_or("no object")?;
    if let Some(unknown) = object.keys().find(|key| !WORDS.contains(&key.as_str())) {
        return Err(format!("what is {unknown}?"));
    }
    let text = |word: &str| line[word].as_str().map(str::to_owned);
    let say = text("say").ok_or("say what it is about")?;
    let keep = line["keep"].as_object().into_iter().flatten();
    let keep = keep.map(|(name, at)| (name.clone(), at.as_str().unwrap_or_default().to_owned()));
    let until = line["until"].as_object().into_iter().flatten();
    let until = until.map(|(at, value)| (at.clone(), value.clone()));
    let step = Step {
        name: String::new(),
        on: text("on").or_else(|| text("await")).unwrap_or_default(),
        action: Action::Await,
        keep: keep.collect(),
        until: until.collect(),
    };
    let Some(api) = text("ask") else {
        return Ok(vec![Step { name: format!("{script}: {say}"), ..step }]);
    };
    let (min, max) = requests.versions(&api)?;
    let number = |value: &Value| value.as_i64().map(|number| number as i16);
    let versions = match (&line["version"], &line["versions"]) {
        (Value::Null, Value::Null) => max..=max,
        (Value::Null, Value::Array(ends)) => {
            let end = |at: usize| ends.get(at).and_then(number).ok_or("[first, last]");
            end(0)?..=end(1)?
        }
        (Value::Null, _) => min..=max,
        (version, _) => number(version).map(|version| version..=version).ok_or("no version")?,
    };
    let reading = match (&line["later"], &line["silent"]) {
        (Value::Bool(true), _) => Reading::Later,
        (_, Value::Bool(true)) => Reading::Never,
        _ => Reading::Now,
    };
    versions
        .map(|version| {
            let body = match object.get("hex") {
                Some(_) => Body::Bytes(crate::records::bytes(line)?),
                None => Body::Json(number_in(&line["body"], version)),
            };
            let client = match object.get("client") {
                Some(client) => client.as_str().map(str::to_owned),
                None => Some("differential".to_owned()),
            };
            let ask = Ask { api: api.clone(), version, client, body, reading };
            let name = format!("{script}: {api} v{version}: {say}");
            Ok(Step { name, action: Action::Ask(ask), ..step.clone() })
        })
        .collect()
}

/// `$version` in a text stands for the number of the version.
fn number_in(body: &Value, version: i16) -> Value {
    map_text(body, &|text| text.replace("$version", &version.to_string()).into())
}

/// The same value with every text in it replaced.
pub fn map_text(value: &Value, replace: &dyn Fn(&str) -> Value) -> Value {
    match value {
        Value::String(text) => replace(text),
        Value::Array(items) => items.iter().map(|item| map_text(item, replace)).collect(),
        Value::Object(fields) => {
            let mapped =
                fields.iter().map(|(name, value)| (name.clone(), map_text(value, replace)));
            Value::Object(mapped.collect())
        }
        other => other.clone(),
    }
}
