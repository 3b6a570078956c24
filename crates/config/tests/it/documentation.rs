//! Whether `docs/configuration.md` tells of every key and every default of ours.

use std::collections::BTreeSet;

use milena_config::{Definition, Scope};

use crate::keys::OUR_DEFAULTS;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn the_page_names_every_key_of_ours() {
    let mut count = 0;
    for key in Scope::Broker.keys().filter(|key| key.name.starts_with("milena.")) {
        let default = key.default.unwrap_or("unset");
        let row = format!("| `{}` | `{default}` | {} |\n", key.name, key.documentation);
        assert!(PAGE.contains(&row), "{row}");
        count += 1;
    }
    assert_eq!(PAGE.matches("| `milena.").count(), count);
}

#[test]
fn the_page_names_every_default_of_ours() {
    for (scope, key, default) in OUR_DEFAULTS {
        let of = if *scope == Scope::Topic { " (topics)" } else { "" };
        let default = default.map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{key}`{of} |")));
        let ours = row.and_then(|row| row.split(" | ").nth(2));
        assert_eq!(ours, Some(&*default), "{key}");
    }
}

/// By its name, or by what it begins with.
#[test]
fn the_page_names_every_key_without_effect() {
    let (_, list) = PAGE.split_once("## Keys without effect").unwrap();
    let named: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
    let is_named = |key: &str| {
        let begins = |name: &&str| name.ends_with('.') && key.starts_with(*name);
        named.contains(key) || named.iter().any(begins)
    };
    let has_none = |key: &&Definition| {
        let words = key.documentation;
        words.starts_with("Not served yet") || words.contains("ccepted and ignored")
    };
    let scopes = [Scope::Broker, Scope::Topic, Scope::Group];
    let keys: Vec<_> = scopes.into_iter().flat_map(Scope::keys).collect();
    for key in keys.iter().copied().filter(has_none) {
        assert!(is_named(key.name), "{}", key.name);
    }
    // Nor does it name what has an effect.
    for key in keys.iter().filter(|key| named.contains(key.name)) {
        let other = |it: &&&Definition| it.name == key.name && has_none(it);
        assert!(keys.iter().any(|it| other(&it)), "{}", key.name);
    }
}
