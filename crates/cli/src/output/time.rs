//! Points in time and spans of it, as people write them. All of it is UTC.

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970 as `2026-11-21T20:15:00.123Z`.
pub(crate) fn format_ms(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Milliseconds since 1970 from such a text, of which the end may be left out, or from a number of
/// them. A zone may stand behind it: `Z`, `+02:00`.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let days = days(year, month, day)?;
    let (clock, zone_ms) = match clock.find(['Z', '+', '-']) {
        Some(at) => (clock.get(..at)?, zone_ms(clock.get(at..)?)?),
        None => (clock, 0),
    };
    let mut parts = clock.splitn(3, ':');
    let mut whole = |below: i64| match parts.next() {
        None | Some("") => Some(0),
        Some(text) => text.parse().ok().filter(|number| (0..below).contains(number)),
    };
    let (hour, minute) = (whole(24)?, whole(60)?);
    let second_ms = match parts.next() {
        None => 0,
        Some(text) => seconds_ms(text).filter(|ms| *ms < 61_000)?,
    };
    let of_day = (hour * 60 + minute) * 60_000 + second_ms;
    days.checked_mul(DAY_MS)?.checked_add(of_day)?.checked_sub(zone_ms)
}

/// A span as Kafka's tools take it (`P1DT2H30M`), or shorter (`1d2h30m`, `500ms`).
pub(crate) fn parse_duration_ms(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let (mut rest, iso) = match lower.strip_prefix('p') {
        Some(rest) => (rest, true),
        None => (lower.as_str(), false),
    };
    let mut total = 0_i64;
    let mut found = false;
    while !rest.is_empty() {
        if iso && let Some(clock) = rest.strip_prefix('t') {
            rest = clock;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(end)?;
        let unit_len = unit.find(|c: char| c.is_ascii_digit() || c == 't').unwrap_or(unit.len());
        let (unit, left) = unit.split_at_checked(unit_len)?;
        let thousandths = seconds_ms(number)?;
        let unit_ms = match unit {
            "ms" if !iso => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            "w" => 7 * DAY_MS,
            _ => return None,
        };
        total = total.checked_add(thousandths.checked_mul(unit_ms)? / 1000)?;
        (rest, found) = (left, true);
    }
    found.then_some(total)
}

/// `1.25` as 1250.
fn seconds_ms(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    whole.checked_mul(1000)?.checked_add(digits.parse().ok()?)
}

fn zone_ms(text: &str) -> Option<i64> {
    let sign = match text.chars().next()? {
        'Z' => return (text.len() == 1).then_some(0),
        '-' => -1,
        _ => 1,
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) =
        if digits.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    (hours < 19 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Days since 1970 of a date, after Howard Hinnant's calendar algorithms.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let in_range = (0..=9999).contains(&year) && (1..=12).contains(&month);
    if !in_range || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (date(days) == (year, month, day)).then_some(days)
}

/// The date of a day since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 951_782_400_000, 1_709_164_800_123, 1_795_291_200_000, -1, 4_102_444_799_999]
        {
            assert_eq!(parse_ms(&format_ms(ms)), Some(ms), "{}", format_ms(ms));
        }
        assert_eq!(format_ms(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(parse_ms("2000-02-29"), Some(951_782_400_000));
        assert_eq!(parse_ms("2000-02-29T01:30"), Some(951_782_400_000 + 5_400_000));
        assert_eq!(parse_ms("2000-02-29T02:30:00.5+01:00"), Some(951_782_400_000 + 5_400_500));
        assert_eq!(parse_ms("1700000000000"), Some(1_700_000_000_000));
        for wrong in ["", "2001-02-29", "2000-13-01", "2000-02-29T25:00", "yesterday", "2000-02"] {
            assert_eq!(parse_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_read_in_kafkas_way_and_a_shorter_one() {
        assert_eq!(parse_duration_ms("P1DT2H30M"), Some(95_400_000));
        assert_eq!(parse_duration_ms("PT0.5S"), Some(500));
        assert_eq!(parse_duration_ms("1d2h30m"), Some(95_400_000));
        assert_eq!(parse_duration_ms("500ms"), Some(500));
        for wrong in ["", "P", "5", "5 years", "h", "-1h"] {
            assert_eq!(parse_duration_ms(wrong), None, "{wrong}");
        }
    }
}
