//! What may differ from run to run and is hidden from transcripts: `may-differ.jsonl` names it.

use serde_json::Value;

type Result<T> = std::result::Result<T, String>;

/// Values that mean something of their own stay visible even where others are hidden.
fn is_telling(value: &Value) -> bool {
    let text = value.as_str().unwrap_or("?");
    value.is_null()
        || matches!(value.as_i64(), Some(0 | -1))
        || ["", "AAAAAAAAAAAAAAAAAAAAAA"].contains(&text)
        || text.starts_with('$')
}

#[derive(Clone, Debug)]
enum What {
    /// The value is replaced by a star.
    Hide,
    /// The items of a list are ordered by one of their fields, or by themselves.
    Sort(String),
}

#[derive(Clone, Debug)]
struct Rule {
    api: String,
    path: Vec<String>,
    what: What,
}

/// The rules of `may-differ.jsonl`.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

impl Rules {
    pub fn load() -> Result<Self> {
        let lines = crate::read_lines(&crate::home().join("may-differ.jsonl"))?;
        let rule = |(number, line): (usize, Value)| {
            let text = |word: &str| line[word].as_str().map(str::to_owned);
            let (path, what) = match (text("hide"), text("sort")) {
                (Some(path), None) => (path, What::Hide),
                (None, Some(path)) => (path, What::Sort(text("by").unwrap_or_default())),
                _ => return Err(format!("may-differ.jsonl:{number}: hide or sort what?")),
            };
            if text("why").is_none() {
                return Err(format!("may-differ.jsonl:{number}: why?"));
            }
            let path = path.split('.').map(str::to_owned).collect();
            Ok(Rule { api: text("api").unwrap_or_else(|| "*".to_owned()), path, what })
        };
        lines.into_iter().map(rule).collect::<Result<_>>().map(Self)
    }

    /// Makes an answer canonical.
    pub fn apply(&self, api: &str, answer: &mut Value) {
        for rule in self.0.iter().filter(|rule| rule.api == "*" || rule.api == api) {
            let path: Vec<&str> = rule.path.iter().map(String::as_str).collect();
            visit(answer, &path, &rule.what);
        }
    }
}

fn visit(value: &mut Value, path: &[&str], what: &What) {
    match (path, value) {
        ([], value) => change(value, what),
        (["*", rest @ ..], Value::Array(items)) => {
            items.iter_mut().for_each(|item| visit(item, rest, what));
        }
        ([name, rest @ ..], Value::Object(fields)) => {
            if let Some(field) = fields.get_mut(*name) {
                visit(field, rest, what);
            }
        }
        _ => {}
    }
}

fn change(value: &mut Value, what: &What) {
    match (what, value) {
        (What::Hide, value) if !is_telling(value) => *value = "*".into(),
        (What::Sort(by), Value::Array(items)) => items.sort_by_key(|item| match by.as_str() {
            "" => item.to_string(),
            by => by.split('+').map(|field| format!("{:>20} ", text_of(&item[field]))).collect(),
        }),
        _ => {}
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(path: &str, what: What) -> Rule {
        let path = path.split('.').map(str::to_owned).collect();
        Rule { api: "*".to_owned(), path, what }
    }

    #[test]
    fn only_what_a_rule_names_is_hidden_and_only_what_differs_by_chance() {
        let rules =
            Rules(vec![rule("a.*.id", What::Hide), rule("a", What::Sort("id+n".to_owned()))]);
        let mut answer = json!({"a": [{"id": 7, "n": 10}, {"id": 9, "n": 9}, {"id": -1}], "id": 7});
        rules.apply("Fetch", &mut answer);
        assert_eq!(
            answer,
            json!({"a": [{"id": "*", "n": 9}, {"id": "*", "n": 10}, {"id": -1}], "id": 7})
        );
    }
}
