//! A line on the terminal that says how far long work has come. Nothing is drawn elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use milena_env::Clock;

const BAR: usize = 24;
/// How often it is drawn.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Progress {
    clock: Arc<dyn Clock>,
    what: &'static str,
    whole: u64,
    began: Duration,
    drawn: Option<Duration>,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(clock: &Arc<dyn Clock>, what: &'static str, whole: u64) -> Self {
        let (clock, began) = (Arc::clone(clock), clock.monotonic());
        let is_shown = io::stderr().is_terminal();
        Self { clock, what, whole, began, drawn: None, is_shown }
    }

    pub(crate) fn at(&mut self, done: u64) {
        if !self.is_shown {
            return;
        }
        let now = self.clock.monotonic();
        if self.drawn.is_some_and(|drawn| now < drawn + PAUSE) {
            return;
        }
        self.drawn = Some(now);
        let line = line(self.what, done, self.whole, now.saturating_sub(self.began));
        // A terminal that cannot be written to needs no bar.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, whole: u64, took: Duration) -> String {
    let share = done.min(whole).checked_mul(BAR as u64).and_then(|it| it.checked_div(whole));
    let full = usize::try_from(share.unwrap_or(0)).unwrap_or(BAR).min(BAR);
    let percent = done.saturating_mul(100).checked_div(whole).unwrap_or(100).min(100);
    let a_second = done as f64 / took.as_secs_f64().max(0.001);
    let (bar, rest) = ("#".repeat(full), "-".repeat(BAR - full));
    format!("{what} [{bar}{rest}] {percent:>3} %  {a_second:.0}/s")
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_bar_fills_and_never_overflows() {
        let second = Duration::from_secs(1);
        assert_eq!(line("x", 0, 4, second), format!("x [{}]   0 %  0/s", "-".repeat(24)));
        assert_eq!(
            line("x", 2, 4, second),
            format!("x [{}{}]  50 %  2/s", "#".repeat(12), "-".repeat(12))
        );
        assert_eq!(line("x", 9, 4, second), format!("x [{}] 100 %  9/s", "#".repeat(24)));
        assert_eq!(line("x", 0, 0, second), format!("x [{}] 100 %  0/s", "-".repeat(24)));
    }
}
