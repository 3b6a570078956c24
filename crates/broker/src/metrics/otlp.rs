//! Reads OpenTelemetry's `MetricsData` (protobuf), which is what clients push: gauges, sums, and of
//! histograms their count and sum. What it does not know it skips; what is no protobuf is
//! [`Malformed`], and never a panic. It keeps nothing, and knows no other form of metrics.

use std::{borrow::Cow, ops::ControlFlow};

use crate::limits::{METRIC_ATTRIBUTES_MAX, METRIC_POINTS_MAX};

/// The bytes are no `MetricsData`, or hold more than anybody pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only ever grows, as long as the client lives.
    Counter,
    Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Double(f64),
}

pub(super) type Attribute<'a> = (&'a str, Cow<'a, str>);

/// One number that a client has measured.
#[derive(Debug)]
pub(super) struct Point<'p, 'a> {
    pub(super) name: &'a str,
    /// Stands behind the name.
    pub(super) suffix: &'static str,
    pub(super) kind: Kind,
    pub(super) number: Number,
    /// The client's own, and the point's.
    pub(super) attributes: [&'p [Attribute<'a>]; 2],
}

/// Shows every point, until `see` breaks off.
pub(super) fn points(
    metrics_data: &[u8],
    see: &mut impl FnMut(Point<'_, '_>) -> ControlFlow<()>,
) -> Result<(), Malformed> {
    let mut seen = 0;
    for of_resource in messages(metrics_data, 1) {
        let of_resource = of_resource?;
        let mut own = Vec::new();
        for resource in messages(of_resource, 1) {
            attributes(resource?, 1, &mut own)?;
        }
        for scope in messages(of_resource, 2) {
            for metric in messages(scope?, 2) {
                if of_metric(metric?, &own, &mut seen, see)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn of_metric<'a>(
    metric: &'a [u8],
    own: &[Attribute<'a>],
    seen: &mut usize,
    see: &mut impl FnMut(Point<'_, '_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Malformed> {
    let name = messages(metric, 1).last().transpose()?.map_or(Ok(""), text)?;
    for field in Fields(metric) {
        let (number @ (5 | 7 | 9), Field::Bytes(data)) = field? else { continue };
        let kind = kind(number, data)?;
        for point in messages(data, 1) {
            let point = point?;
            *seen += 1;
            if *seen > METRIC_POINTS_MAX {
                return Err(Malformed);
            }
            let mut of_point = Vec::new();
            attributes(point, if number == 9 { 9 } else { 7 }, &mut of_point)?;
            let numbers = if number == 9 { of_histogram(point)? } else { of_number(point)? };
            for (suffix, number) in numbers.into_iter().flatten() {
                let attributes = [own, &of_point];
                let point = Point { name, suffix, kind, number, attributes };
                if see(point).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// What a sum says since the push before it may go down, like a gauge.
fn kind(number: u64, data: &[u8]) -> Result<Kind, Malformed> {
    const CUMULATIVE: u64 = 2;
    let (mut is_cumulative, mut is_monotonic) = (false, number == 9);
    for field in Fields(data) {
        match field? {
            (2, Field::Varint(temporality)) => is_cumulative = temporality == CUMULATIVE,
            (3, Field::Varint(yes)) if number == 7 => is_monotonic = yes != 0,
            _ => {}
        }
    }
    Ok(if is_cumulative && is_monotonic { Kind::Counter } else { Kind::Gauge })
}

type Numbers = [Option<(&'static str, Number)>; 2];

fn of_number(point: &[u8]) -> Result<Numbers, Malformed> {
    let (mut number, mut is_missing) = (None, false);
    for field in Fields(point) {
        match field? {
            (4, Field::Fixed(bits)) => number = Some(("", Number::Double(f64::from_bits(bits)))),
            (6, Field::Fixed(bits)) => number = Some(("", Number::Whole(bits.cast_signed()))),
            (8, Field::Varint(flags)) => is_missing = flags & 1 != 0,
            _ => {}
        }
    }
    Ok([number.filter(|_| !is_missing), None])
}

fn of_histogram(point: &[u8]) -> Result<Numbers, Malformed> {
    // What is left out is 0.
    let (mut count, mut sum) = (0, None);
    for field in Fields(point) {
        match field? {
            (4, Field::Fixed(bits)) => count = bits,
            (5, Field::Fixed(bits)) => sum = Some(("_sum", Number::Double(f64::from_bits(bits)))),
            _ => {}
        }
    }
    let count = Number::Whole(i64::try_from(count).unwrap_or(i64::MAX));
    Ok([Some(("_count", count)), sum])
}

/// Adds what a message has as its field `number`. Lists and maps are no labels, and left out.
fn attributes<'a>(
    message: &'a [u8],
    number: u64,
    all: &mut Vec<Attribute<'a>>,
) -> Result<(), Malformed> {
    for attribute in messages(message, number) {
        let attribute = attribute?;
        let key = messages(attribute, 1).last().transpose()?.map_or(Ok(""), text)?;
        let mut value = None;
        for any_value in messages(attribute, 2) {
            for field in Fields(any_value?) {
                value = match field? {
                    (1, Field::Bytes(bytes)) => Some(text(bytes)?.into()),
                    (2, Field::Varint(yes)) => Some((yes != 0).to_string().into()),
                    (3, Field::Varint(bits)) => Some(bits.cast_signed().to_string().into()),
                    (4, Field::Fixed(bits)) => Some(f64::from_bits(bits).to_string().into()),
                    _ => value,
                };
            }
        }
        if all.len() == METRIC_ATTRIBUTES_MAX {
            return Err(Malformed);
        }
        all.extend(value.map(|value| (key, value)));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed)
}

/// All of what a message has as its field `number`, where that is bytes.
fn messages(message: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields(message).filter_map(move |field| match field {
        Ok((found, Field::Bytes(bytes))) if found == number => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

enum Field<'a> {
    Varint(u64),
    /// Eight bytes.
    Fixed(u64),
    Bytes(&'a [u8]),
    /// Four bytes, which nothing here is.
    Short,
}

/// The fields of a message, each with its number. Nothing comes after an error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn read(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed(u64::from_le_bytes(self.chunk()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => self.chunk::<4>().map(|_| Field::Short)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read().ok_or(Malformed);
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

#[cfg(test)]
mod test {
    use milena_protocol::records::{Budget, Codec, decompress};

    use super::*;

    /// What `kafka-console-consumer` of Kafka 4.3.1 pushed as it ended, having read 200 records of
    /// a topic `t` as a member of the group `readers`, with all metrics subscribed.
    const PUSHED: &[u8] = include_bytes!("../../tests/fixtures/telemetry-of-a-consumer.zst");

    fn pushed() -> Vec<u8> {
        decompress(Codec::Zstd, PUSHED, Budget::bytes(1 << 20)).unwrap()
    }

    fn all(bytes: &[u8]) -> Result<Vec<String>, Malformed> {
        let mut all = Vec::new();
        points(bytes, &mut |Point { name, suffix, kind, number, attributes }| {
            all.push(format!("{name}{suffix} {kind:?} {number:?} {attributes:?}"));
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// A field of bytes.
    fn field(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        let bytes = parts.concat();
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], &*bytes].concat()
    }

    #[test]
    fn what_javas_client_pushes_is_read() {
        let all = all(&pushed()).unwrap();
        assert_eq!(all.len(), 140);
        let of_topic =
            all.iter().find(|it| it.contains("records.consumed.total") && !it.ends_with("[]]"));
        let of_topic = of_topic.unwrap();
        for part in [
            "org.apache.kafka.consumer.fetch.manager.records.consumed.total Counter Double(200.0)",
            r#"("group_id", "readers")"#,
            r#"[("topic", "t")]"#,
        ] {
            assert!(of_topic.contains(part), "{of_topic}");
        }
        let is_whole = |it: &&String| it.contains("app.info.start.time.ms Gauge Whole(1795319");
        assert_eq!(all.iter().filter(is_whole).count(), 1, "{all:#?}");
    }

    #[test]
    fn histograms_are_count_and_sum_and_the_rest_is_skipped() {
        let ten = 10_u64.to_le_bytes();
        let half = 0.5_f64.to_le_bytes();
        let key = |value: &[u8]| field(9, &[&field(1, &[b"k"]), &field(2, &[value])]);
        let point = field(1, &[&[4 << 3 | 1], &ten, &[5 << 3 | 1], &half, &key(&[2 << 3, 1])]);
        let unknown =
            [&[15 << 3, 0x80, 1, 14 << 3 | 5, 1, 2, 3, 4][..], &field(13, &[b"x"])].concat();
        let delta = field(9, &[&point, &[2 << 3, 1], &unknown]);
        let whole = field(9, &[&point, &[2 << 3, 2]]);
        let metric = |data| field(2, &[&field(2, &[&field(1, &[b"h"]), data, &unknown])]);
        // The resource may come behind what it has.
        let resource = field(1, &[&field(1, &[&field(1, &[b"r"]), &field(2, &[&[3 << 3, 7]])])]);
        let metrics = field(1, &[&metric(&delta), &metric(&whole), &resource]);
        let labels = r#"[[("r", "7")], [("k", "true")]]"#;
        let told = ["Gauge", "Counter"].map(|kind| {
            let count = format!("h_count {kind} Whole(10) {labels}");
            [count, format!("h_sum {kind} Double(0.5) {labels}")]
        });
        assert_eq!(all(&metrics).unwrap(), told.concat());
    }

    #[test]
    fn damaged_pushes_are_read_or_refused() {
        let pushed = pushed();
        let mut fields = Fields(&pushed);
        fields.by_ref().take(20).for_each(drop);
        let mut bytes = pushed[..pushed.len() - fields.0.len()].to_vec();
        let whole = all(&bytes).unwrap();
        assert_eq!(whole.len(), 20);
        let read = (0..bytes.len()).filter(|len| all(&bytes[..*len]).is_ok()).count();
        assert_eq!(read, 20, "where one ends, and at the beginning");
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused += usize::from(all(&bytes).is_err());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(refused > bytes.len(), "{refused}");
    }

    #[test]
    fn no_more_is_read_than_anybody_pushes() {
        let number = field(1, &[&[6 << 3 | 1], &[0; 8]]);
        let metric = field(1, &[&field(2, &[&field(2, &[&field(5, &[&number])])])]);
        let count = |bytes: &[u8]| all(bytes).map(|all| all.len());
        assert_eq!(count(&metric.repeat(METRIC_POINTS_MAX)), Ok(METRIC_POINTS_MAX));
        assert_eq!(count(&metric.repeat(METRIC_POINTS_MAX + 1)), Err(Malformed));
        let attribute = field(1, &[&field(1, &[]), &field(2, &[&[3 << 3, 1]])]);
        let bounded = |count| attributes(&attribute.repeat(count), 1, &mut Vec::new());
        assert_eq!(bounded(METRIC_ATTRIBUTES_MAX), Ok(()));
        assert_eq!(bounded(METRIC_ATTRIBUTES_MAX + 1), Err(Malformed));
        // A group of protobuf's first version, and numbers without an end.
        assert!(all(&[0x0b, 0x0c]).is_err() && all(&[0xff; 100]).is_err());
    }
}
