//! A mistake in the schema stops the build, with its place.

#[allow(dead_code, clippy::disallowed_methods, clippy::panic, reason = "it belongs to the build")]
#[path = "../../build"]
mod build {
    pub(crate) mod parse;
    pub(crate) mod schema;
}

use build::parse::parse;
use build::schema::{Type, Versions};

const GOOD: &str = "\
# Moves things.
api 7 Move
on broker

request 0-5, flexible 3+, stable to 4
  name     string?2+ 1+ = null # whose
  things   [Thing]
    id     uuid
    count  int32 tag 2 3+ = -1
  others   [Thing] 2-4
";

#[test]
fn a_file_is_read_as_its_page_says() {
    let file = parse("schema/api/07_move.schema", GOOD).unwrap();
    assert_eq!((file.module.as_str(), file.doc.as_str()), ("move", "Moves things."));
    let body = &file.bodies[0];
    assert_eq!((body.flexible_from, body.stable_max), (Some(3), 4));
    let [message, thing] = &body.structs[..] else { panic!("{body:?}") };
    let [name, things, others] = &message.fields[..] else { panic!("{message:?}") };
    assert_eq!(
        (name.versions, name.nullable),
        (Versions { min: 1, max: 5 }, Some(Versions { min: 2, max: 5 }))
    );
    assert_eq!((name.default.as_deref(), name.doc.as_deref()), (Some("null"), Some("whose")));
    assert_eq!((&things.ty, things.array), (&Type::Struct("Thing".to_owned()), true));
    assert_eq!(others.versions, Versions { min: 2, max: 4 });
    assert_eq!(thing.fields[1].tag, Some(2));
    // An id, and in flexible versions the count of tagged fields.
    assert_eq!((body.size_min(thing), body.size_min(message)), (16, 3));
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (good, bad, told) in [
        ("uuid", "uuidd", "x.schema:8: no type 'uuidd'"),
        ("    id     uuid", "     id     uuid", "x.schema:8: wrong indentation"),
        ("on broker", "at broker", "x.schema:3: what is 'at'?"),
        ("flexible 3+", "flexible x", "x.schema:5: 'x' is not a number that fits"),
        ("2-4", "2-6", "x.schema: Move.others: its versions are not the message's"),
        ("tag 2 3+", "tag 2", "x.schema: Thing.count: a tag needs a flexible version"),
        ("?2+", "", "x.schema: Move.name: it cannot be null"),
        ("int32 tag", "records tag", "x.schema: Thing.count: records cannot be tagged"),
    ] {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD);
        let error = parse("x.schema", &text).map(|file| file.name).unwrap_err();
        assert!(error.starts_with(told), "{bad}: {error}");
    }
}
