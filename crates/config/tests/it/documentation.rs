//! Whether `docs/configuration.md` tells of every key and every default of ours.

use milena_config::Scope;

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
