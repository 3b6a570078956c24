//! Transactions as stories: who asks what, what is answered, what is written down, which markers
//! are asked for. No socket, no disk, and time passes when the story says so.

mod ending;
mod initializing;
mod passing;
mod random;
mod records;

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId, Uuid,
    metadata::{FeatureLevelRecord, PartitionRecord, TopicRecord, Value as MetadataRecord},
};

use super::{
    Action, Adding, EndRequest, Ended, Ending, InitRequest, Initialized, Producer, State,
    TRANSACTION_VERSION, Transaction, TransactionError, Transactions, Verdict,
};
use crate::{
    coordinator::{
        Machine,
        test::{Pair, Stage, replayed},
    },
    error_map::ToCode,
};

/// The id that most stories are about.
const ID: &str = "shop";

/// A partition of `__transaction_state`, its log, and the world around it.
type Rig = Stage<Transactions>;

impl Rig {
    fn new(transaction_version: i16, settings: &[(&str, &str)]) -> Self {
        let mut rig = Self::empty(settings);
        rig.finalise(transaction_version);
        rig.metadata(&[MetadataRecord::TopicRecord(TopicRecord {
            name: "orders",
            topic_id: Uuid::from_be_bytes([7; 16]),
        })]);
        for partition_id in 0..3 {
            rig.metadata(&[MetadataRecord::PartitionRecord(PartitionRecord {
                partition_id,
                topic_id: Uuid::from_be_bytes([7; 16]),
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                ..Default::default()
            })]);
        }
        rig.happens(|core, scene| core.loaded(scene));
        rig
    }

    fn finalise(&mut self, feature_level: i16) {
        let name = TRANSACTION_VERSION;
        let record = FeatureLevelRecord { name, feature_level };
        self.metadata(&[MetadataRecord::FeatureLevelRecord(record)]);
    }

    fn init_as(&mut self, expected: Option<(i64, i16)>) -> Result<(i64, i16), ErrorCode> {
        let expected = expected.map(|(id, epoch)| Initialized {
            producer_id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
        });
        let request = InitRequest {
            transactional_id: ID,
            timeout_ms: 60_000,
            enables_two_phase_commit: false,
            keeps_prepared: false,
            expected,
        };
        request.check(&self.config).map_err(|error| error.code())?;
        let mut asked = self.happens(|core, scene| core.init(&request, None, scene));
        if let Err(TransactionError::NoProducerId) = asked {
            let unused = Some(self.unused());
            asked = self.happens(|core, scene| core.init(&request, unused, scene));
        }
        asked.map(|it| (it.producer_id.0, it.epoch.0)).map_err(|error| error.code())
    }

    fn init(&mut self) -> Result<(i64, i16), ErrorCode> {
        self.init_as(None)
    }

    /// A producer of transaction version 0 has its id.
    fn add(&mut self, producer: (i64, i16), partitions: &[(&str, i32)]) -> ErrorCode {
        self.add_in(producer, partitions, 0)
    }

    fn add_in(&mut self, of: (i64, i16), partitions: &[(&str, i32)], version: i16) -> ErrorCode {
        let adding = Adding { producer: producer(of), partitions, version };
        let added = self.happens(|core, scene| core.add(&adding, scene));
        added.err().map_or(ErrorCode::None, |error| error.code())
    }

    fn end_in(&mut self, of: (i64, i16), verdict: Verdict, version: i16) -> Answer {
        let request = EndRequest { producer: producer(of), verdict, version };
        let mut ended = self.happens(|core, scene| core.end(&request, None, scene));
        if let Err(TransactionError::NoProducerId) = ended {
            let unused = Some(self.unused());
            ended = self.happens(|core, scene| core.end(&request, unused, scene));
        }
        answer(ended)
    }

    /// The markers that were asked for.
    fn endings(&mut self) -> Vec<Ending> {
        let asked = std::mem::take(&mut self.actions).into_iter().map(|action| match action {
            Action::WriteMarkers(ending) => ending,
            Action::BringProducerId { .. } => panic!("no markers: {action:?}"),
        });
        asked.collect()
    }

    /// All markers that were asked for are written.
    fn markers_are_written(&mut self) -> Vec<Ending> {
        let endings = self.endings();
        for ending in &endings {
            self.happens(|core, scene| core.markers_written(ending, &[], scene));
        }
        endings
    }

    fn state(&self) -> State {
        self.known().state
    }

    fn known(&self) -> &Transaction {
        self.core.get(ID).unwrap()
    }

    /// The states that were written down from this place of the log on.
    fn written(&self, from: usize) -> Vec<State> {
        let state = |(key, value): &Pair| {
            assert_eq!(super::record::read_key(key).unwrap(), Some(ID));
            let value = super::record::read_value(value.as_deref().unwrap()).unwrap().unwrap();
            State::from_number(value.transaction_status).unwrap()
        };
        self.log[from..].iter().map(state).collect()
    }
}

fn producer(of: (i64, i16)) -> Producer<'static> {
    Producer { transactional_id: ID, id: ProducerId(of.0), epoch: ProducerEpoch(of.1) }
}

/// What EndTxn came to: the producer that it tells, if any.
type Answer = Result<Option<(i64, i16)>, ErrorCode>;

fn answer(ended: Result<Ended, TransactionError>) -> Answer {
    match ended {
        Ok(next) => Ok(next.map(|(id, epoch)| (id.0, epoch.0))),
        Err(error) => Err(error.code()),
    }
}
