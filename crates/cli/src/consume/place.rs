//! Where to begin.

use milena_env::{Clock, RealClock};

use crate::{
    failure::{Failure, Result},
    output::{parse_duration_ms, parse_ms},
};

/// With the first record, unless one of these says otherwise.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Place {
    /// Begin with the first record that there is (as it does anyway).
    #[arg(long)]
    from_start: bool,
    /// Begin behind the last record.
    #[arg(long)]
    from_end: bool,
    /// Begin with this offset; -5 is five records before the end.
    #[arg(long, value_name = "OFFSET", allow_negative_numbers = true, conflicts_with = "group")]
    from_offset: Option<i64>,
    /// Begin with the first record since then: 2026-11-21T20:15:00Z, milliseconds since 1970, or so
    /// long ago: 2h, P1D.
    #[arg(long, value_name = "TIME", conflicts_with = "group")]
    from_time: Option<String>,
}

impl Place {
    pub(super) const fn is_end(&self) -> bool {
        self.from_end
    }

    /// Since when.
    pub(super) fn since(&self) -> Result<Option<i64>> {
        let Some(text) = &self.from_time else { return Ok(None) };
        let ago = || Some(RealClock.now_ms().saturating_sub(parse_duration_ms(text)?));
        let since = parse_ms(text).or_else(ago);
        let wrong = || Failure::usage(format!("`{text}` is no time, as in 2026-11-21T20:15 or 2h"));
        since.ok_or_else(wrong).map(Some)
    }

    /// The offset to begin with in a partition. `since` is the first record of the time asked for.
    pub(super) fn offset(&self, start: i64, end: i64, since: Option<i64>) -> i64 {
        let wanted = match (self.from_offset, &self.from_time) {
            (Some(offset), _) if offset < 0 => end.saturating_add(offset),
            (Some(offset), _) => offset,
            (None, Some(_)) => since.unwrap_or(end),
            (None, None) if self.from_end => end,
            (None, None) => start,
        };
        wanted.clamp(start, end)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_place_is_within_what_there_is() {
        let none =
            || Place { from_start: false, from_end: false, from_offset: None, from_time: None };
        assert_eq!(none().offset(3, 9, None), 3);
        assert_eq!(Place { from_end: true, ..none() }.offset(3, 9, None), 9);
        for (offset, found) in [(5, 5), (1, 3), (20, 9), (-2, 7), (-20, 3), (i64::MIN, 3)] {
            let place = Place { from_offset: Some(offset), ..none() };
            assert_eq!(place.offset(3, 9, None), found, "{offset}");
        }
        let place = Place { from_time: Some("2026-11-21".into()), ..none() };
        assert_eq!(place.offset(3, 9, Some(6)), 6);
        assert_eq!(place.offset(3, 9, None), 9);
        assert!(place.since().unwrap().is_some());
        assert!(Place { from_time: Some("soon".into()), ..none() }.since().is_err());
    }
}
