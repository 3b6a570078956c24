//! How the text of a setting becomes its value.

use std::{str::FromStr, time::Duration};

/// What a setting can be.
pub(crate) trait Value: Sized {
    /// Reads it, or says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Value for $type {
            fn parse(text: &str) -> Result<Self, String> {
                number(text, "number")
            }
        }
    )* };
}

numbers!(i32 u32 u64 usize);

fn number<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("\"{text}\" is no {what}"))
}

/// Kafka counts milliseconds.
impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        number(text, "number of milliseconds").map(Self::from_millis)
    }
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        }
    }
}

impl Value for Box<str> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

/// A list has commas.
impl<T: Value> Value for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(T::parse).collect()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}
