//! Which names a topic may have.

use milena_protocol::ErrorCode;

use super::ApiError;

const NAME_LENGTH_MAX: usize = 249;

/// Judges a new topic's name, with the words of Kafka's own message.
pub fn validate_topic_name(name: &str) -> Result<(), ApiError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > NAME_LENGTH_MAX {
        let max = NAME_LENGTH_MAX;
        format!("the length of '{name}' is longer than the max allowed length {max}")
    } else if !name.bytes().all(is_legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )
    } else {
        return Ok(());
    };
    let message = format!("Topic name is invalid: {why}");
    Err(ApiError::new(ErrorCode::InvalidTopicException, message))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn names_are_judged_as_kafka_does() {
        let longest = "x".repeat(249);
        for good in ["a", "A.b_c-9", "...", "__consumer_offsets", &longest] {
            assert_eq!(validate_topic_name(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(250);
        for bad in ["", ".", "..", "a b", "a/b", "ä", &too_long] {
            let error = validate_topic_name(bad).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidTopicException, "{bad}");
        }
    }
}
