//! From what somebody wrote to what it means: one text for each value, as DescribeConfigs shows
//! it, and from there to Rust's types.

use crate::{
    definition::{Check, Definition, Type},
    error::{Problem, ValueError},
};

impl Definition {
    /// The one way to write this value, if it is allowed.
    pub fn canonical(&self, written: &str) -> Result<String, ValueError> {
        let wrong = |value: &str, problem| ValueError::new(self.name, value, problem);
        let value = canonical(self.kind, written).map_err(|problem| wrong(written, problem))?;
        match check(self.check, self.kind, &value) {
            Ok(()) => Ok(value),
            Err(problem) if self.kind == Type::List => {
                Err(wrong(&format!("[{}]", value.replace(',', ", ")), problem))
            }
            Err(problem) => Err(wrong(&value, problem)),
        }
    }
}

/// What Java's `trim` takes away.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn canonical(kind: Type, written: &str) -> Result<String, Problem> {
    let text = trimmed(written);
    let not_a_number = |_| Problem::NotANumber(kind);
    match kind {
        Type::Boolean if text.eq_ignore_ascii_case("true") => Ok("true".to_owned()),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Ok("false".to_owned()),
        Type::Boolean => Err(Problem::NotABoolean),
        Type::Short => text.parse().map(|n: i16| n.to_string()).map_err(not_a_number),
        Type::Int => text.parse().map(|n: i32| n.to_string()).map_err(not_a_number),
        Type::Long => text.parse().map(|n: i64| n.to_string()).map_err(not_a_number),
        Type::Double => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(double_as_java(number)),
            _ => Err(Problem::NotANumber(kind)),
        },
        Type::List => {
            let elements: Vec<&str> = elements(text).collect();
            for (at, element) in elements.iter().enumerate() {
                if element.is_empty() {
                    return Err(Problem::BlankElement);
                }
                if elements.iter().take(at).any(|other| other == element) {
                    return Err(Problem::DuplicateElement);
                }
            }
            Ok(elements.join(","))
        }
        Type::String | Type::Class | Type::Password => Ok(text.to_owned()),
    }
}

/// Elements of a list as it is written: none where it is empty.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    let text = trimmed(text);
    text.split(',').map(trimmed).take(if text.is_empty() { 0 } else { usize::MAX })
}

/// The shortest digits that read back as this number, as Java writes them.
fn double_as_java(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let fraction = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{fraction}E{exponent}")
}

fn check(check: Check, kind: Type, value: &str) -> Result<(), Problem> {
    let is_list = kind == Type::List;
    // A text is a list of itself.
    let all = |is_good: &dyn Fn(&str) -> bool| match is_list {
        true => elements(value).find(|element| !is_good(element)).map(str::to_owned),
        false => (!is_good(value)).then(|| value.to_owned()),
    };
    let number = || value.parse::<f64>().map_err(|_| Problem::NotANumber(kind));
    match check {
        Check::None => Ok(()),
        Check::Range(min, max) => match number()? {
            number if number < min => Err(Problem::Below(min)),
            number if number > max => Err(Problem::Above(max)),
            _ => Ok(()),
        },
        Check::RangeOrMinusOne(min, max) => match number()? {
            number if number == -1.0 || (min..=max).contains(&number) => Ok(()),
            _ => Err(Problem::NeitherInNorMinusOne(min, max)),
        },
        Check::NotEmpty if !value.is_empty() => Ok(()),
        Check::NotEmpty if is_list => Err(Problem::EmptyList(&[])),
        Check::NotEmpty => Err(Problem::Empty),
        Check::SomeOf(allowed) if value.is_empty() => Err(Problem::EmptyList(allowed)),
        Check::OneOf(allowed) | Check::SomeOf(allowed) => {
            let bad = all(&|text| allowed.contains(&text));
            bad.map_or(Ok(()), |found| Err(Problem::NotOneOf { found, allowed }))
        }
        Check::OneOfIgnoringCase(allowed) => {
            let is_allowed = |text: &str| allowed.iter().any(|a| a.eq_ignore_ascii_case(text));
            all(&is_allowed).map_or(Ok(()), |_| Err(Problem::NotOneOfIgnoringCase(allowed)))
        }
        Check::ThrottledReplicas if value == "*" => Ok(()),
        Check::ThrottledReplicas => {
            let is_replica = |text: &str| text.split_once(':').is_some_and(both_are_digits);
            all(&is_replica).map_or(Ok(()), |_| Err(Problem::NotReplicas))
        }
        Check::OffsetReset => is_offset_reset(value).then_some(()).ok_or(Problem::NotAnOffsetReset),
        Check::HostsAndPorts => {
            all(&|text| host_and_port(text).is_some()).map_or(Ok(()), |_| Err(Problem::NotAHost))
        }
        Check::Voters => {
            let is_voter = |text: &str| {
                let voter = text.split_once('@');
                voter.is_some_and(|(id, address)| {
                    id.parse::<i32>().is_ok_and(|id| id >= 0) && host_and_port(address).is_some()
                })
            };
            all(&is_voter).map_or(Ok(()), |_| Err(Problem::NotAVoter))
        }
    }
}

fn both_are_digits((left, right): (&str, &str)) -> bool {
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    are_digits(left) && are_digits(right)
}

/// `host:port`; an IPv6 address stands in brackets, which are not part of the host.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host, port.parse().ok()?))
}

fn is_offset_reset(text: &str) -> bool {
    let duration = text.strip_prefix("by_duration:");
    text == "latest" || text == "earliest" || duration.and_then(duration_ms).is_some()
}

/// A duration of ISO 8601 that is not negative: `PnDTnHnMn.nS`, of which parts may be missing.
#[must_use]
pub fn duration_ms(text: &str) -> Option<i64> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut sum = parts(days, &[('D', 24 * 3_600_000)])?;
    sum = sum.checked_add(parts(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1000)])?)?;
    Some(sum)
}

/// Numbers, each before its unit, the units in this order; only seconds have a fraction.
fn parts(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut sum = 0i64;
    for (unit, factor) in units {
        let is_unit = |c: char| c.eq_ignore_ascii_case(unit);
        let Some((number, rest)) = text.split_once(is_unit) else { continue };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_point = number.len() != whole.len();
        if !digits(whole) || !digits(fraction) || (has_point && *unit != 'S') {
            return None;
        }
        let thousandths = fraction.bytes().chain(*b"000").take(3);
        let fraction_ms = thousandths.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
        let whole: i64 = whole.parse().ok()?;
        sum = sum.checked_add(whole.checked_mul(*factor)?)?.checked_add(fraction_ms)?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

/// A Rust type that a canonical value can be read as.
pub(crate) trait Typed: Sized {
    fn read(text: &str) -> Option<Self>;
}

macro_rules! parsed {
    ($($kind:ty),*) => {$(
        impl Typed for $kind {
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

parsed!(bool, i16, i32, i64, u16, u32, u64, usize, f64, String);

impl Typed for Vec<String> {
    fn read(text: &str) -> Option<Self> {
        Some(elements(text).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::definition::{double, int, list};

    #[test]
    fn numbers_are_written_as_by_java() {
        for (written, canonical) in [
            ("0.50", "0.5"),
            ("1", "1.0"),
            ("1e-3", "0.001"),
            ("0.0001", "1.0E-4"),
            ("1e7", "1.0E7"),
            ("9999999", "9999999.0"),
            ("12345678", "1.2345678E7"),
            ("-0", "-0.0"),
            ("1.7976931348623157E308", "1.7976931348623157E308"),
        ] {
            assert_eq!(double("x").canonical(written).as_deref(), Ok(canonical));
        }
        assert_eq!(int("x").canonical(" +3 ").as_deref(), Ok("3"));
        for bad in ["", "1.0", "3000000000", "0x1"] {
            assert_eq!(
                int("x").canonical(bad).unwrap_err().problem,
                Problem::NotANumber(Type::Int)
            );
        }
        assert!(double("x").canonical("NaN").is_err());
    }

    #[test]
    fn elements_are_trimmed_and_neither_blank_nor_double() {
        let key = list("x");
        assert_eq!(key.canonical(" a , b ").as_deref(), Ok("a,b"));
        assert_eq!(key.canonical("  ").as_deref(), Ok(""));
        assert_eq!(key.canonical("a,,b").unwrap_err().problem, Problem::BlankElement);
        assert_eq!(key.canonical("a,b,a").unwrap_err().problem, Problem::DuplicateElement);
        assert_eq!(Vec::<String>::read(""), Some(vec![]));
        assert_eq!(Vec::<String>::read("a,b"), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn durations_are_iso_8601() {
        for (text, ms) in [
            ("PT1H", Some(3_600_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("P2D", Some(172_800_000)),
            ("PT0.001S", Some(1)),
            ("PT0.0009S", Some(0)),
            ("pt5s", Some(5000)),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PT1", None),
            ("PT1.5H", None),
            ("PT1S1H", None),
            ("-PT1H", None),
            ("PT-1H", None),
            ("P99999999999999999999D", None),
            ("P9223372036854775807D", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn a_host_and_its_port() {
        assert_eq!(host_and_port("localhost:1"), Some(("localhost", 1)));
        assert_eq!(host_and_port("[::1]:1"), Some(("::1", 1)));
        assert_eq!(host_and_port(":1"), Some(("", 1)));
        for bad in ["localhost", "localhost:", "localhost:65536", "::1:1", "[::1:1"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }

    proptest! {
        /// A value that was shown can be written again, and means the same.
        #[test]
        fn what_is_shown_is_canonical(text: String, number: f64) {
            for key in crate::Scope::Broker.keys().chain(crate::Scope::Topic.keys()) {
                for text in [&text, &number.to_string()] {
                    if let Ok(shown) = key.canonical(text) {
                        prop_assert_eq!(key.canonical(&shown), Ok(shown.clone()), "{}", key.name);
                    }
                }
            }
        }

        #[test]
        fn a_double_reads_back(number in proptest::num::f64::NORMAL) {
            let shown = double("x").canonical(&number.to_string()).unwrap();
            prop_assert_eq!(shown.parse(), Ok(number));
        }
    }
}
