//! Credentials are set, told and removed.

use bytes::Bytes;
use milena_protocol::{
    ErrorCode,
    api::{
        AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest,
        alter_user_scram_credentials::request::{
            ScramCredentialDeletion, ScramCredentialUpsertion,
        },
        describe_user_scram_credentials::request::UserName,
    },
};

use super::Story;
use crate::{
    METADATA_VERSION,
    controller::{AlterUserScramCredentials, describe_user_scram_credentials},
    image::Replay,
};

const SHA_256: i8 = 1;
const SHA_512: i8 = 2;

fn set(name: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion<'_> {
    ScramCredentialUpsertion { name, mechanism, iterations, salt: b"salt", salted_password: b"s" }
}

fn delete(name: &str, mechanism: i8) -> ScramCredentialDeletion<'_> {
    ScramCredentialDeletion { name, mechanism }
}

/// What is said of each user.
fn alter(
    story: &mut Story,
    deletions: Vec<ScramCredentialDeletion<'_>>,
    upsertions: Vec<ScramCredentialUpsertion<'_>>,
) -> Vec<(String, Result<(), ErrorCode>)> {
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    story.ask::<AlterUserScramCredentials, _>(&request, |answer| {
        let of = answer.results.iter().map(|it| (it.user.to_owned(), super::code(it.error_code)));
        of.collect()
    })
}

/// A user, each mechanism with its iterations, and the code.
type Described = (String, Vec<(i8, i32)>, i16);

fn describe(story: &Story, users: &[&str]) -> Vec<Described> {
    let users = users.iter().map(|name| UserName { name }).collect();
    let request = DescribeUserScramCredentialsRequest { users: Some(users) };
    describe_user_scram_credentials(story.image(), &request, |answer| {
        let infos = answer.results.iter().map(|it| {
            let infos = it.credential_infos.iter().map(|info| (info.mechanism, info.iterations));
            (it.user.to_owned(), infos.collect(), it.error_code)
        });
        infos.collect()
    })
}

#[test]
fn credentials_are_set_told_and_removed() {
    let mut story = Story::of(1);
    let both = vec![set("ann", SHA_256, 4096), set("bob", SHA_512, 16_384)];
    let done = alter(&mut story, Vec::new(), both);
    assert!(done.len() == 2 && done.iter().all(|(_, result)| result.is_ok()));
    alter(&mut story, Vec::new(), vec![set("ann", SHA_512, 5000)]);
    let ann = ("ann".to_owned(), vec![(SHA_256, 4096), (SHA_512, 5000)], 0);
    let bob = ("bob".to_owned(), vec![(SHA_512, 16_384)], 0);
    assert_eq!(describe(&story, &[]), [ann, bob.clone()]);

    alter(&mut story, vec![delete("ann", SHA_256)], vec![set("bob", SHA_512, 8192)]);
    let ann = ("ann".to_owned(), vec![(SHA_512, 5000)], 0);
    let bob = (bob.0, vec![(SHA_512, 8192)], 0);
    assert_eq!(describe(&story, &["bob", "ann"]), [ann, bob]);
    let mut snapshot = Replay::default();
    let read = |record: Bytes| {
        snapshot.apply_bytes(&record).unwrap();
        Ok(())
    };
    story.image().to_records(read).unwrap();
    assert_eq!(snapshot.image.scram, story.image().scram, "a snapshot loses none of them");
    alter(&mut story, vec![delete("ann", SHA_512), delete("bob", SHA_512)], Vec::new());
    assert_eq!(describe(&story, &[]), []);
    let nobody = ErrorCode::ResourceNotFound as i16;
    assert_eq!(describe(&story, &["ann"]), [("ann".to_owned(), vec![], nobody)]);
}

/// The example of RFC 7677, and the same password under the other mechanism.
#[test]
fn the_keys_are_those_of_the_standard() {
    let mut story = Story::of(1);
    // `pencil`, salted 4096 times with `W22ZaJ0SNY7soEsUEjb6gQ==`.
    let salted_password = hex("c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
    let salted_password = &salted_password;
    let upsertions = vec![
        ScramCredentialUpsertion { salted_password, ..set("ann", SHA_256, 4096) },
        ScramCredentialUpsertion { salted_password, ..set("bob", SHA_512, 4096) },
    ];
    alter(&mut story, Vec::new(), upsertions);
    let ann = story.image().scram.get("ann", SHA_256).unwrap();
    let stored_key = "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6";
    let server_key = "c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5";
    assert_eq!((&*ann.stored_key, &*ann.server_key), (&*hex(stored_key), &*hex(server_key)));
    let bob = story.image().scram.get("bob", SHA_512).unwrap();
    let stored_key = "65cc4eacc595a618209ea69ef61c58263ba42efd2d22ff955f50aecc8abc20c2\
                      00867a2b1d8efe2bf0c7dbcaabab5757d40e8474b33f753e556121743ceed4ea";
    assert_eq!((&*bob.stored_key, bob.server_key.len()), (&*hex(stored_key), 64));
    assert_eq!(format!("{bob:?}"), "ScramCredential", "secrets are in no log");
}

fn hex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_stored() {
    let mut story = Story::of(1);
    let unacceptable = Err(ErrorCode::UnacceptableCredential);
    for (upsertion, answer) in [
        (set("", SHA_256, 4096), unacceptable),
        (set("ann", SHA_256, 4095), unacceptable),
        (set("ann", SHA_512, 16_385), unacceptable),
        (ScramCredentialUpsertion { salted_password: b"", ..set("a", 1, 4096) }, unacceptable),
        (set("ann", 0, 4096), Err(ErrorCode::UnsupportedSaslMechanism)),
        (set("ann", 3, 4096), Err(ErrorCode::UnsupportedSaslMechanism)),
    ] {
        assert_eq!(alter(&mut story, Vec::new(), vec![upsertion])[0].1, answer);
    }
    let gone = alter(&mut story, vec![delete("ann", SHA_256)], Vec::new());
    assert_eq!(gone[0].1, Err(ErrorCode::ResourceNotFound));
    let twice = vec![set("ann", SHA_256, 4096), set("ann", SHA_512, 4096)];
    let twice = alter(&mut story, Vec::new(), twice);
    assert_eq!(twice, [("ann".to_owned(), Err(ErrorCode::DuplicateResource))]);
    assert_eq!(describe(&story, &[]), []);

    story.feature(METADATA_VERSION, 10);
    let early = alter(&mut story, Vec::new(), vec![set("ann", SHA_256, 4096)]);
    assert_eq!(early[0].1, Err(ErrorCode::UnsupportedVersion));
}
