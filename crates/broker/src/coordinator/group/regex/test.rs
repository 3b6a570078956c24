//! What patterns mean, and what they may cost.

use std::time::Duration;

use milena_env::{Clock, RealClock};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const FIXTURE: &[u8] = include_bytes!("../../../../tests/fixtures/patterns.jsonl.zst");

fn fits(pattern: &str, topic: &str) -> bool {
    TopicPattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).fits(topic)
}

fn reason(pattern: &str) -> String {
    TopicPattern::new(pattern).map(|_| ()).unwrap_err().to_string()
}

/// Pattern, topics that it means to RE2/J, which Kafka uses, and topics that it does not.
const SAME_AS_KAFKA: [(&str, &[&str], &[&str]); 27] = [
    ("", &[], &["a"]),
    ("orders", &["orders"], &["orders-1", "my-orders", "Orders"]),
    ("orders.*", &["orders", "orders-1", "orders.eu"], &["my-orders"]),
    ("a|ab", &["a", "ab"], &["abc", "b"]),
    ("(a|b)+?", &["a", "abba"], &["abc"]),
    ("a|b|", &["a", "b"], &["ab"]),
    ("(?i)Orders-[a-c]", &["orders-A", "ORDERS-c"], &["orders-d"]),
    ("a(?i)b|c", &["aB", "C"], &["AB"]),
    ("^orders$", &["orders"], &["orders-"]),
    ("\\Aorders\\z", &["orders"], &["orders-"]),
    ("\\bin\\b.*", &["in", "in-1"], &["in_1", "inn"]),
    ("\\w+-\\d{2,3}", &["a_b-12", "x-123"], &["a-1", "a.b-12", "a-1234"]),
    ("[^._]+", &["a-b"], &["a.b", "a_b"]),
    ("[[:alpha:]_]+[[:digit:]]", &["a_b1"], &["a-b1", "ab"]),
    ("[\\w.-]+", &["a.b-c_d"], &[]),
    ("[]a]", &["a"], &["]a"]),
    ("[a&&b]+", &["ab", "ba"], &["c"]),
    ("[[a]", &["a"], &["[a", "a]"]),
    ("[a~~b-]+", &["a-b"], &["c"]),
    ("\\Qa.b\\E.*", &["a.b", "a.bc"], &["axb"]),
    ("\\Qa.b", &["a.b"], &["axb"]),
    ("\\Q<a>\\E|b", &["b"], &["a"]),
    ("\\<a\\>", &[], &["a"]),
    ("a\\.b\\-c\\_d", &["a.b-c_d"], &["axb-c_d"]),
    ("\\x61\\x{62}", &["ab"], &["x61x62"]),
    ("(?P<region>eu|us)-(?:a|b)", &["eu-a", "us-b"], &["region-a", "eu-"]),
    ("(?s).*é", &[], &["e"]),
];

#[test]
fn patterns_mean_what_they_mean_to_kafka() {
    for (pattern, meant, others) in SAME_AS_KAFKA {
        for topic in meant {
            assert!(fits(pattern, topic), "{pattern} and {topic}");
        }
        for topic in others {
            assert!(!fits(pattern, topic), "{pattern} and {topic}");
        }
    }
}

/// `tests/oracle/run.sh` wrote what RE2/J finds of random patterns. We refuse hardly any of them.
#[test]
fn random_patterns_mean_what_they_mean_to_kafka() {
    let text = String::from_utf8(zstd::decode_all(FIXTURE).unwrap()).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let pattern = match TopicPattern::new(line["pattern"].as_str().unwrap()) {
            Ok(pattern) => pattern,
            Err(PatternError::TooComplex) => {
                refused += 1;
                continue;
            }
            Err(error) => panic!("{line}: {error}"),
        };
        taken += 1;
        for (key, meant) in [("meant", true), ("others", false)] {
            for topic in line[key].as_array().unwrap() {
                assert_eq!(pattern.fits(topic.as_str().unwrap()), meant, "{line}: {topic}");
            }
        }
    }
    assert!(taken > 1000 && refused <= taken / 200, "{taken} taken, {refused} refused");
}

#[test]
fn what_is_no_pattern_is_refused_with_a_reason() {
    for pattern in ["(", ")", "a)|(b", "[a", "*", "\\", "\\E", "(?=a)", "(a)\\1", "[b-a]"] {
        let reason = reason(pattern);
        assert!(reason.starts_with("the pattern is not a regular expression: "), "{pattern}");
        assert!(!reason.contains('\n'), "{pattern}: {reason}");
    }
    assert_eq!(reason("(a"), "the pattern is not a regular expression: unclosed group");
}

#[test]
fn a_long_list_of_names_is_a_pattern() {
    let names: Vec<String> = (0..500).map(|number| format!("team-{number}.orders")).collect();
    let pattern = TopicPattern::new(&names.join("|")).unwrap();
    assert!(names.iter().all(|name| pattern.fits(name)));
    assert!(!pattern.fits("team-500.orders"));
}

/// Refused or not: none costs by what it stands for. Memory has its bounds in the limits; what
/// goes beyond them takes its time, too.
#[test]
fn hostile_37_no_pattern_takes_long() {
    let deep = format!("{}a{}", "(".repeat(8000), ")".repeat(8000));
    let many = format!("{}a", "(a?".repeat(200) + &")*".repeat(200));
    let wide = "[^a]?".repeat(3000);
    let patterns = [
        "a{1000000000}",
        "((((a{1000}){1000}){1000}){1000}){1000}",
        "((((){1000}){1000}){1000}){1000}",
        "(((a*)*)*)*{1000}{1000}",
        "(.*a){1000}b",
        ".*a.{30}",
        "(a|aa|aaa|b{1,900}){900}",
        "(.?){5000}(.*x.{12}|.*y.{13}|.*z.{14})",
        &"x".repeat(1 << 20),
        &"(".repeat(1 << 20),
        &"(".repeat(15_000),
        &deep,
        &many,
        &wide,
        &"(a|b)?".repeat(2000),
        &".*a".repeat(4000),
        &"a{0,500}".repeat(1900),
    ];
    let long = "a".repeat(249);
    for pattern in patterns {
        let from = RealClock.monotonic();
        let taken = TopicPattern::new(pattern);
        let made = RealClock.monotonic() - from;
        if let Ok(pattern) = &taken {
            for _ in 0..1000 {
                pattern.fits(&long);
            }
        }
        let took = RealClock.monotonic() - from;
        let shown: String = pattern.chars().take(40).collect();
        println!("{shown}: made {made:?} all {took:?} {:?}", taken.as_ref().err());
        assert!(took < Duration::from_secs(5), "{shown}: {took:?}");
    }
    let reason = reason(&"x".repeat(1 << 20));
    assert_eq!(reason, "the pattern has 1048576 bytes, and 16384 are allowed");
    assert_eq!(TopicPattern::new(".*a.{30}").unwrap_err(), PatternError::TooComplex);
    assert_eq!(TopicPattern::new("a{1000000000}").unwrap_err(), PatternError::TooComplex);
}

proptest! {
    #[test]
    fn no_pattern_panics(
        pattern in "[\\\\QE<>()\\[\\]:^&~a-c.*+?{}0-9|é-]{0,40}",
        topic in "[a-c.]{0,9}",
    ) {
        if let Ok(pattern) = TopicPattern::new(&pattern) {
            pattern.fits(&topic);
        }
    }

    #[test]
    fn a_quoted_name_fits_itself_alone(name in "[ -~]{1,30}", other in "[ -~]{1,30}") {
        prop_assume!(!name.contains("\\E"));
        let pattern = TopicPattern::new(&format!("\\Q{name}\\E")).unwrap();
        prop_assert!(pattern.fits(&name));
        prop_assert_eq!(pattern.fits(&other), name == other);
    }
}
