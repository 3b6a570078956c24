//! Rows under headings, as wide as they must be and no wider than the terminal.

use serde_json::{Map, Value};

use super::{Screen, bold};

/// No column is made narrower than this.
const WIDTH_MIN: usize = 8;
/// Between two columns.
const GAP: &str = "  ";

#[derive(Debug)]
pub(crate) struct Table {
    /// As JSON has them; people see them in capitals.
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let names = self.columns.iter().map(|name| (*name).to_owned());
            Value::Object(names.zip(row.iter().cloned()).collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    pub(super) fn text(&self, screen: Screen) -> String {
        let headings = self.columns.iter().map(|name| name.replace('_', "-").to_uppercase());
        let headings: Vec<String> = headings.collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(plain).collect()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|it| it.chars().count()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if let Some(screen) = screen.width {
            narrow(&mut widths, screen);
        }
        // Numbers stand under each other by their last digit.
        let is_number = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let mut cells = cells.filter(|cell| !cell.is_null()).peekable();
            cells.peek().is_some() && cells.all(Value::is_number)
        };
        let right: Vec<bool> = (0..self.columns.len()).map(is_number).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).zip(&right).map(|((cell, width), right)| {
                let cell = cut(cell, *width);
                if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        let mut text = bold(&line(&headings), screen);
        text.push('\n');
        for row in &rows {
            text.push_str(&line(row));
            text.push('\n');
        }
        text
    }
}

/// Takes from the widest column until all fit, or none can give more.
fn narrow(widths: &mut [usize], screen: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(screen);
    while excess > 0 {
        let Some(widest) = widths.iter_mut().max().filter(|width| **width > WIDTH_MIN) else {
            return;
        };
        *widest -= 1;
        excess -= 1;
    }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// A value as people read it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.replace(|c: char| c.is_control(), "\u{fffd}"),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod test {
    use serde_json::json;

    use super::*;

    fn screen(width: Option<usize>) -> Screen {
        Screen { json: false, colours: false, width }
    }

    #[test]
    fn a_table_is_as_wide_as_it_must_be_and_fits_the_terminal() {
        let mut table = Table::new(&["topic", "end_offset"]);
        table.row([json!("a-rather-long-name-of-a-topic"), json!(7)]);
        table.row([json!("b"), json!(1234)]);
        assert_eq!(
            table.text(screen(None)),
            "TOPIC                          END-OFFSET\n\
             a-rather-long-name-of-a-topic           7\n\
             b                                    1234\n"
        );
        let narrow = table.text(screen(Some(24)));
        assert_eq!(
            narrow,
            "TOPIC         END-OFFSET\n\
             a-rather-lo…           7\n\
             b                   1234\n"
        );
        assert_eq!(table.json()[1], json!({ "topic": "b", "end_offset": 1234 }));
    }

    #[test]
    fn what_controls_a_terminal_is_not_shown_to_it() {
        assert_eq!(plain(&json!("a\x1b[2Jb")), "a\u{fffd}[2Jb");
        assert_eq!(plain(&json!([])), "-");
        assert_eq!(plain(&json!([1, 2])), "1,2");
    }
}
