//! Asks one broker everything that the scripts ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    thread::sleep,
    time::Duration,
};

use milena_protocol::api::ApiKey;
use serde_json::Value;

use crate::{
    canon::Rules,
    client::{Answer, Connection},
    encode::Requests,
    script::{self, Action, Ask, Body, Reading, Script, Step},
};

type Result<T> = std::result::Result<T, String>;

/// More connections than a broker has threads.
const THREADS_MAX: usize = 16;

/// A coordinator that reads its log is asked again, as clients do: so often, and after this time.
const LOADS_AWAITED_MAX: usize = 100;
const LOAD_PAUSE: Duration = Duration::from_millis(50);

/// What a broker answered, under the name of the exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub name: String,
    pub answer: Value,
}

/// How a broker is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    pub address: SocketAddr,
    /// How long the broker gets after what changes its metadata, and again for each new topic.
    /// Kafka answers before it knows itself; Milena does not, and gets nothing.
    pub pause: Duration,
    /// Whether what the broker does not advertise is left out.
    pub only_advertised: bool,
}

/// All exchanges, in the order of the scripts.
pub fn run(
    asking: &Asking,
    scripts: &[Script],
    requests: &Requests,
    rules: &Rules,
) -> Result<Vec<Exchange>> {
    let advertised = advertised(asking, requests)?;
    let mut exchanges = Vec::new();
    for script in scripts {
        let mut run = Run { asking, requests, rules, open: BTreeMap::new(), kept: BTreeMap::new() };
        for step in &script.steps {
            let is_left_out = match &step.action {
                Action::Ask(ask) => {
                    asking.only_advertised && !advertised.contains(&key_of(&ask.api)?.number())
                }
                Action::Await => false,
            };
            if is_left_out {
                continue;
            }
            let answer = run.step(step).map_err(|error| format!("{}: {error}", step.name))?;
            exchanges.extend(answer.map(|answer| Exchange { name: step.name.clone(), answer }));
        }
    }
    Ok(exchanges)
}

fn key_of(name: &str) -> Result<ApiKey> {
    let known = |number: &i16| ApiKey::from_number(*number).filter(|key| key.api().name == name);
    (0..=i8::MAX.into())
        .find_map(|number| known(&number))
        .ok_or_else(|| format!("there is no API {name}"))
}

fn advertised(asking: &Asking, requests: &Requests) -> Result<BTreeSet<i16>> {
    let mut connection = Connection::open(asking.address)?;
    let body = requests.encode("ApiVersions", 0, &Value::Null)?;
    connection.send(ApiKey::ApiVersions, 0, None, &body, true)?;
    let Answer::Body(answer) = connection.answer()? else {
        return Err("ApiVersions is not answered".to_owned());
    };
    let keys = answer["apiKeys"].as_array().into_iter().flatten();
    Ok(keys.filter_map(|key| key["apiKey"].as_i64()).map(|key| key as i16).collect())
}

/// One script being run.
struct Run<'a> {
    asking: &'a Asking,
    requests: &'a Requests,
    rules: &'a Rules,
    open: BTreeMap<String, (Connection, Vec<String>)>,
    kept: BTreeMap<String, Value>,
}

impl Run<'_> {
    /// What is said to a step; nothing if it is not answered now.
    fn step(&mut self, step: &Step) -> Result<Option<Value>> {
        let (mut connection, mut waiting) = match self.open.remove(&step.on) {
            Some(open) => open,
            None => (Connection::open(self.asking.address)?, Vec::new()),
        };
        let mut changes = false;
        if let Action::Ask(ask) = &step.action {
            self.send(&mut connection, ask)?;
            changes = changes_metadata(&ask.api);
            if ask.reading != Reading::Never {
                waiting.push(ask.api.clone());
            }
            if ask.reading == Reading::Later {
                self.settle()?;
            }
            if ask.reading != Reading::Now {
                self.open.insert(step.on.clone(), (connection, waiting));
                return Ok(None);
            }
        }
        let mut answer = connection.answer()?;
        if let Action::Ask(ask) = &step.action {
            for _ in 0..LOADS_AWAITED_MAX {
                if !matches!(&answer, Answer::Body(body) if must_ask_again(step, body)) {
                    break;
                }
                sleep(LOAD_PAUSE);
                self.send(&mut connection, ask)?;
                answer = connection.answer()?;
            }
        }
        if changes {
            let made = match (&answer, &step.action) {
                (Answer::Body(answer), Action::Ask(ask)) if ask.api == "CreateTopics" => {
                    answer["topics"].as_array().map_or(0, Vec::len)
                }
                _ => 0,
            };
            sleep(self.asking.pause * (made as u32 + 1));
        }
        let api = waiting.remove(0);
        let mut answer = match answer {
            Answer::Body(answer) => answer,
            // Either way the next step has a connection of its own.
            Answer::Closed => return Ok(Some("closed".into())),
            Answer::Nothing => return Ok(Some("nothing".into())),
        };
        self.open.insert(step.on.clone(), (connection, waiting));
        for (name, path) in &step.keep {
            self.kept.insert(name.clone(), at(&answer, path).clone());
        }
        answer = script::map_text(&answer, &|text| self.by_name(text));
        self.rules.apply(&api, &mut answer);
        Ok(Some(answer))
    }

    /// What is answered later has come to the broker by then: each of its threads has meanwhile
    /// served somebody who came after it.
    fn settle(&self) -> Result<()> {
        sleep(self.asking.pause);
        (0..THREADS_MAX).try_for_each(|_| advertised(self.asking, self.requests).map(drop))
    }

    fn send(&self, connection: &mut Connection, ask: &Ask) -> Result<()> {
        let body = match &ask.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Json(json) => {
                let json = script::map_text(json, &|text| self.by_value(text));
                self.requests.encode(&ask.api, ask.version, &json)?
            }
        };
        let is_answered = ask.reading != Reading::Never;
        connection.send(key_of(&ask.api)?, ask.version, ask.client.as_deref(), &body, is_answered)
    }

    /// `$name` becomes what was kept under the name.
    fn by_value(&self, text: &str) -> Value {
        text.strip_prefix('$').and_then(|name| self.kept.get(name)).cloned().unwrap_or(text.into())
    }

    /// What was kept becomes its `$name`.
    fn by_name(&self, text: &str) -> Value {
        let known = self.kept.iter().find(|(_, value)| value.as_str() == Some(text));
        known.map_or_else(|| text.into(), |(name, _)| format!("${name}").into())
    }
}

/// What stands at a place of an answer.
fn at<'a>(answer: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(answer, |value, part| match part.parse::<usize>() {
        Ok(at) => &value[at],
        Err(_) => &value[part],
    })
}

/// Whether an answer is not yet the one that is waited for.
fn must_ask_again(step: &Step, answer: &Value) -> bool {
    is_busy(answer) || step.until.iter().any(|(path, value)| at(answer, path) != value)
}

/// Whether COORDINATOR_LOAD_IN_PROGRESS or CONCURRENT_TRANSACTIONS is anywhere in an answer: both
/// pass.
fn is_busy(answer: &Value) -> bool {
    let is_busy_code = |code: &Value| matches!(code.as_i64(), Some(14 | 51));
    match answer {
        Value::Array(items) => items.iter().any(is_busy),
        Value::Object(fields) => {
            let codes = ["errorCode", "partitionErrorCode"];
            codes.iter().filter_map(|name| fields.get(*name)).any(is_busy_code)
                || fields.values().any(is_busy)
        }
        _ => false,
    }
}

/// Whether a broker may need time to know what it has said.
fn changes_metadata(api: &str) -> bool {
    const BEGINNINGS: [&str; 9] = [
        "Create",
        "Delete",
        "Alter",
        "Incremental",
        "Update",
        "Metadata",
        "Elect",
        "InitProducer",
        "Unregister",
    ];
    BEGINNINGS.iter().any(|beginning| api.starts_with(beginning))
}
