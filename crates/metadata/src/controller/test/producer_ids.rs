//! Producer ids are given out in blocks.

use milena_protocol::{ErrorCode, api::AllocateProducerIdsRequest};

use super::Story;
use crate::controller::AllocateProducerIds;

fn allocate(story: &mut Story, broker_epoch: i64) -> Result<(i64, i32), ErrorCode> {
    let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch };
    story.ask::<AllocateProducerIds, _>(&request, |it| {
        super::code(it.error_code).map(|()| (it.producer_id_start, it.producer_id_len))
    })
}

#[test]
fn no_id_is_given_twice() {
    let mut story = Story::of(1);
    let epoch = story.image().cluster.broker(1).unwrap().epoch;
    assert_eq!(allocate(&mut story, epoch), Ok((0, 1000)));
    assert_eq!(allocate(&mut story, epoch), Ok((1000, 1000)));
    assert_eq!(allocate(&mut story, epoch + 1), Err(ErrorCode::StaleBrokerEpoch));
    assert_eq!(story.image().next_producer_id, 2000);
}
