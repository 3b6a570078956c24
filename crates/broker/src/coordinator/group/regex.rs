//! The pattern by which a member subscribes to topics (KIP-848): RE2's syntax, as Kafka's brokers
//! take it, and a topic is meant if the pattern fits all of its name.
//!
//! A pattern becomes an automaton before it meets a name. Each byte of a name is then one step,
//! whoever wrote the pattern; what would grow too large on the way there is refused. Names of
//! topics are ASCII, and so are the classes of characters: `\p{...}` is refused.

use std::iter::Peekable;
use std::str::Chars;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::limits::{PATTERN_AUTOMATON_BYTES_MAX, PATTERN_BYTES_MAX};

/// Tells which topics are meant.
#[derive(Debug)]
pub(crate) struct TopicPattern(dense::DFA<Vec<u32>>);

/// Why a pattern is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("the pattern has {0} bytes, and {PATTERN_BYTES_MAX} are allowed")]
    TooLong(usize),
    #[error("the pattern is not a regular expression: {0}")]
    Invalid(String),
    #[error("the pattern stands for more cases than can be told apart quickly")]
    TooComplex,
}

impl TopicPattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong(pattern.len()));
        }
        let ascii = syntax::Config::new().unicode(false).utf8(false);
        let parsed = syntax::parse_with(&in_our_syntax(pattern), &ascii).map_err(|error| {
            // The lines before only draw the place.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            PatternError::Invalid(reason.trim_start_matches("error: ").to_owned())
        })?;
        let limit = Some(PATTERN_AUTOMATON_BYTES_MAX);
        let steps = thompson::Config::new()
            .utf8(false)
            .which_captures(thompson::WhichCaptures::None)
            .nfa_size_limit(limit);
        // Matches of any length are kept, so that the longest is among them.
        let all = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .determinize_size_limit(limit)
            .dfa_size_limit(limit);
        let nondeterministic = thompson::Compiler::new().configure(steps).build_from_hir(&parsed);
        let nondeterministic = nondeterministic.map_err(|_| PatternError::TooComplex)?;
        let automaton = dense::Builder::new().configure(all).build_from_nfa(&nondeterministic);
        automaton.map(Self).map_err(|_| PatternError::TooComplex)
    }

    pub(crate) fn fits(&self, topic: &str) -> bool {
        let start = Input::new(topic).anchored(Anchored::Yes);
        let Ok(mut state) = self.0.start_state_forward(&start) else {
            return false;
        };
        for byte in topic.bytes() {
            state = self.0.next_state(state, byte);
            if self.0.is_dead_state(state) {
                return false;
            }
        }
        self.0.is_match_state(self.0.next_eoi_state(state))
    }
}

/// What RE2 means where our parser would understand something else: `\Q...\E` quotes, `\<` is a
/// character, and in a class there are only characters, ranges and names.
fn in_our_syntax(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(char) = rest.next() {
        match char {
            '\\' if !in_class && rest.next_if_eq(&'Q').is_some() => quote(&mut rest, &mut out),
            '\\' => match rest.next_if(|next| "<>".contains(*next)) {
                Some(sign) => out.push(sign),
                None => out.extend(['\\'].into_iter().chain(rest.next())),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                out.extend(rest.next_if_eq(&'^'));
                if rest.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                for part in rest.by_ref() {
                    out.push(part);
                    if part == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' if in_class => out.extend(['\\', char]),
            _ => {
                in_class &= char != ']';
                out.push(char);
            }
        }
    }
    out
}

/// Every character up to `\E` for itself.
fn quote(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(char) = rest.next() {
        if char == '\\' && rest.next_if_eq(&'E').is_some() {
            return;
        }
        if char.is_ascii_punctuation() && !"<>".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
}

#[cfg(test)]
mod test;
