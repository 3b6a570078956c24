//! Transactional batches: whose they are, and whether their coordinator has to be asked first.

use std::sync::Arc;

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId, api::ProduceRequest, records::BatchHeader,
};

use super::{super::Call, Fate, Item, Refusal, TopicItems};
use crate::{
    authorizer::{Operation, Resource},
    broker::Broker,
    error_map::ToCode,
    transactions::verification::{self, Manner, Producer, Standing},
};

/// A coordinator that has to be asked before anything is appended.
pub(super) struct Question {
    transactional_id: Box<str>,
    id: ProducerId,
    epoch: ProducerEpoch,
    manner: Manner,
}

/// Judges what is transactional of a request; says whether somebody has to be asked.
pub(super) fn begin(
    call: &Call<'_>,
    request: &ProduceRequest<'_>,
    frame: &[u8],
    topics: &mut [TopicItems],
) -> Option<Question> {
    let transactional = |item: &Item| {
        let header = BatchHeader::read(frame.get(item.records.clone())?).ok()?;
        header.attributes.is_transactional().then_some(header)
    };
    if !items(topics).any(|item| transactional(item).is_some()) {
        return None;
    }
    let id = request.transactional_id.unwrap_or_default();
    let may = request.transactional_id.is_some()
        && call.may(Operation::Write, Resource::TransactionalId(id));
    if !may {
        refuse_all(topics, ErrorCode::TransactionalIdAuthorizationFailed, None);
        return None;
    }
    let placed = items(topics).filter(|item| item.place.is_ok());
    let headers = placed.filter_map(transactional).filter(BatchHeader::has_producer_id);
    let writers: Vec<_> =
        headers.map(|header| (header.producer_id, header.producer_epoch)).collect();
    let (producer_id, epoch) = *writers.first()?;
    if writers.iter().any(|writer| *writer != (producer_id, epoch)) {
        let why = "Transactional records contained more than one producer ID";
        refuse_all(topics, ErrorCode::InvalidProducerIdMapping, Some(why));
        return None;
    }
    let manner = Manner::of_produce(call.version);
    let producer = Producer { transactional_id: id, id: producer_id, epoch };
    let mut must_ask = false;
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        let header = transactional(item).filter(BatchHeader::has_producer_id);
        let (Some(header), Ok(partition)) = (header, &item.place) else { continue };
        let sequence = header.base_sequence;
        match verification::begin(call.broker(), &producer, manner, partition, sequence) {
            Ok(standing) => {
                must_ask |= matches!(standing, Standing::Asking(_));
                item.standing = standing;
            }
            Err(error) => item.refuse(error.code(), None),
        }
    }
    must_ask.then(|| Question { transactional_id: id.into(), id: producer_id, epoch, manner })
}

impl Question {
    /// Asks, and refuses what is not part of the transaction.
    pub(super) async fn ask(self, broker: &Arc<Broker>, topics: &mut [TopicItems]) {
        let is_asked = |item: &Item| matches!(item.standing, Standing::Asking(_));
        let asked = topics.iter().flat_map(|topic| {
            let asked = topic.items.iter().filter(|item| is_asked(item));
            asked.map(|item| (&*topic.name, item.index))
        });
        let partitions: Vec<_> = asked.collect();
        let (transactional_id, id, epoch) = (&*self.transactional_id, self.id, self.epoch);
        let producer = Producer { transactional_id, id, epoch };
        let verdicts = verification::ask(broker, &producer, self.manner, &partitions).await;
        let asked = topics.iter_mut().flat_map(|topic| &mut topic.items);
        for (item, verdict) in asked.filter(|item| is_asked(item)).zip(verdicts) {
            if let Err(code) = verdict {
                let (code, message) = told(code, self.manner);
                item.refuse(code, message);
            }
        }
    }
}

/// What a producer is told where the coordinator has answered with `code`.
fn told(code: ErrorCode, manner: Manner) -> (ErrorCode, Option<Box<str>>) {
    match code {
        ErrorCode::InvalidTxnState => {
            (code, Some("Partition was not added to the transaction".into()))
        }
        ErrorCode::ConcurrentTransactions if manner == Manner::Leaves => (code, None),
        // Producers take these for the end of everything, unless they look for a coordinator.
        ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator
        | ErrorCode::ConcurrentTransactions => {
            let message = format!(
                "Unable to verify the partition has been added to the transaction. Underlying \
                 error: {}",
                code.name()
            );
            (ErrorCode::NotEnoughReplicas, Some(message.into()))
        }
        code => (code, None),
    }
}

impl Item {
    fn refuse(&mut self, code: ErrorCode, message: Option<Box<str>>) {
        self.place = Err(code);
        self.fate = Fate::Refused(Refusal { message, ..code.into() });
    }
}

fn items(topics: &[TopicItems]) -> impl Iterator<Item = &Item> {
    topics.iter().flat_map(|topic| &topic.items)
}

fn refuse_all(topics: &mut [TopicItems], code: ErrorCode, why: Option<&str>) {
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        item.refuse(code, why.map(Box::from));
    }
}
