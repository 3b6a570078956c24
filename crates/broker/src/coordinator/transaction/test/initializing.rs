//! A producer comes, comes again, is fenced, and runs out of epochs.

use milena_protocol::ErrorCode;

use super::{ID, InitRequest, Rig, State, Verdict};
use crate::{coordinator::transaction::TransactionError, error_map::ToCode};

#[test]
fn a_new_id_gets_a_producer_and_the_same_id_again_the_next_epoch() {
    let mut rig = Rig::new(2, &[]);
    assert_eq!(rig.init(), Ok((1001, 0)));
    assert_eq!(rig.init(), Ok((1001, 1)));
    rig.reload();
    assert_eq!(rig.init(), Ok((1001, 2)));
    assert_eq!(rig.written(0), [State::Empty, State::Empty, State::Empty]);
}

#[test]
fn fault_26_who_came_before_is_fenced_and_what_they_began_is_aborted() {
    for version in [0, 1, 2] {
        let mut rig = Rig::new(version, &[]);
        let old = rig.init().unwrap();
        assert_eq!(rig.add(old, &[("orders", 0)]), ErrorCode::None);
        // The newcomer has to wait until the old transaction is aborted everywhere,
        assert_eq!(rig.init(), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(rig.init(), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(rig.state(), State::PrepareAbort);
        // and from the first moment on the old one may do nothing more.
        assert_eq!(rig.add(old, &[("orders", 1)]), ErrorCode::ConcurrentTransactions);
        let endings = rig.markers_are_written();
        assert_eq!(endings.len(), 1);
        assert_eq!((endings[0].epoch.0, endings[0].verdict), (old.1 + 1, Verdict::Abort));
        let end_version = if version == 2 { 2 } else { 0 };
        assert_eq!(rig.add(old, &[("orders", 1)]), ErrorCode::ProducerFenced);
        // Only of version 2 a retry can be told: it was decided, and not so.
        let late =
            if version == 2 { ErrorCode::InvalidTxnState } else { ErrorCode::ProducerFenced };
        assert_eq!(rig.end_in(old, Verdict::Commit, end_version), Err(late));
        assert_eq!(rig.init(), Ok((old.0, old.1 + 2)));
        assert_eq!(rig.end_in(old, Verdict::Commit, end_version), Err(ErrorCode::ProducerFenced));
        assert_eq!(rig.state(), State::Empty);
    }
}

#[test]
fn a_producer_that_says_who_it_is_goes_on_and_its_retry_gets_the_same() {
    let mut rig = Rig::new(2, &[]);
    let first = rig.init().unwrap();
    let second = rig.init_as(Some(first)).unwrap();
    assert_eq!(second, (first.0, 1));
    assert_eq!(rig.init_as(Some(first)), Ok(second), "the answer was lost");
    assert_eq!(rig.init_as(Some(second)), Ok((first.0, 2)));
    assert_eq!(rig.init_as(Some(first)), Err(ErrorCode::ProducerFenced));
    // Somebody else comes: who was there before is fenced for ever.
    assert_eq!(rig.init(), Ok((first.0, 3)));
    assert_eq!(rig.init_as(Some((first.0, 2))), Err(ErrorCode::ProducerFenced));
    assert_eq!(rig.init_as(Some((4711, 3))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn who_is_not_known_any_more_gets_a_new_producer_id() {
    let mut rig = Rig::new(2, &[]);
    assert_eq!(rig.init_as(Some((5, 9))), Ok((1001, 0)));
}

#[test]
fn when_the_epochs_are_used_up_the_id_gets_another_producer() {
    let mut rig = Rig::new(0, &[]);
    let mut now = rig.init().unwrap();
    while now.1 < i16::MAX - 1 {
        now = rig.init_as(Some(now)).unwrap();
    }
    assert_eq!(now, (1001, i16::MAX - 1));
    let next = rig.init_as(Some(now)).unwrap();
    assert_eq!(next, (1002, 0));
    assert_eq!(rig.init_as(Some(now)), Ok(next), "the answer was lost");
    assert_eq!(rig.known().previous_producer_id.0, 1002, "as of the last change");
    // The last epoch but one is lost in a fence; then nobody gets the last.
    let mut rig = Rig::new(0, &[]);
    let mut now = rig.init().unwrap();
    while now.1 < i16::MAX - 1 {
        now = rig.init().unwrap();
    }
    assert_eq!(rig.add(now, &[("orders", 0)]), ErrorCode::None);
    assert_eq!(rig.init(), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(rig.markers_are_written()[0].epoch.0, i16::MAX);
    assert_eq!(rig.init(), Ok((1002, 0)));
}

#[test]
fn requests_that_cannot_be_meant_are_refused() {
    let rig = Rig::new(2, &[("transaction.max.timeout.ms", "1000")]);
    let good = InitRequest {
        transactional_id: ID,
        timeout_ms: 1000,
        enables_two_phase_commit: false,
        keeps_prepared: false,
        expected: None,
    };
    let check = |request: InitRequest<'_>| {
        let code = |error: TransactionError| error.code();
        request.check(&rig.config).map_err(code).err().unwrap_or(ErrorCode::None)
    };
    assert_eq!(check(good), ErrorCode::None);
    assert_eq!(check(InitRequest { transactional_id: "", ..good }), ErrorCode::InvalidRequest);
    for timeout_ms in [0, -1, 1001] {
        let code = check(InitRequest { timeout_ms, ..good });
        assert_eq!(code, ErrorCode::InvalidTransactionTimeout);
    }
    let two_phases = check(InitRequest { enables_two_phase_commit: true, ..good });
    assert_eq!(two_phases, ErrorCode::TransactionalIdAuthorizationFailed);
    let keeps = check(InitRequest { keeps_prepared: true, ..good });
    assert_eq!(keeps, ErrorCode::UnsupportedVersion);
}
