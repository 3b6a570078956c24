//! Produce: appends batches to partitions, and answers when they are where `acks` wants them.
//!
//! The batches stay in the frame that brought them: it is cut into pieces, none is copied. All
//! partitions of a request are appended before anything is waited for; only a transaction's first
//! batch in a partition waits for its coordinator's word before (`verify`).

mod answer;
mod append;
mod place;
mod verify;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::BytesMut;
use milena_protocol::{
    ErrorCode, Offset, Uuid,
    api::{ProduceRequest, ProduceResponse},
    open_request,
};

use self::{
    answer::{respond, settle, without_answer},
    append::append,
    place::place,
};
use super::{Call, Outcome, Serving, call::Reply};
use crate::{
    network::{budget::Charge, connection::Client, frames::Frame, threads::Worker},
    partition::Partition,
    quotas::Meter,
    transactions::verification::Standing,
};

/// What the request says beside its records.
struct Terms {
    version: i16,
    acks: i16,
    timeout: Duration,
}

/// One partition's records, and what becomes of them.
struct Item {
    index: i32,
    /// Where the records lie in the frame.
    records: std::ops::Range<usize>,
    place: Result<Arc<Partition>, ErrorCode>,
    standing: Standing,
    fate: Fate,
}

/// What became of the records of one partition.
enum Fate {
    /// Nothing, with the reason in words where the code does not say it all.
    Refused(Refusal),
    Appended {
        base_offset: Offset,
        end: Offset,
        append_time_ms: i64,
    },
}

/// Why the records of one partition are not taken.
struct Refusal {
    code: ErrorCode,
    message: Option<Box<str>>,
    /// Single records that are to blame, with their reasons.
    records: Vec<(i32, Box<str>)>,
    /// Whether the log was asked: then the answer says where it begins.
    is_from_log: bool,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new(), is_from_log: false }
    }
}

/// The items of one topic, in the order of the request.
struct TopicItems {
    name: Box<str>,
    id: Uuid,
    items: Vec<Item>,
}

/// A request on its way.
struct Produce {
    worker: Rc<Worker>,
    terms: Terms,
    reply: Reply,
    meter: Option<Rc<Meter>>,
    frame_bytes: usize,
    bytes: BytesMut,
    charge: Charge,
    topics: Vec<TopicItems>,
}

/// Begins to serve: everything is appended when this returns, unless a coordinator has to be asked.
pub(super) fn serve(worker: &Rc<Worker>, client: &Rc<Client>, frame: Frame) -> Serving {
    let Frame { bytes, charge } = frame;
    let opened = match open_request(&bytes) {
        Ok(opened) => opened,
        Err(error) => return Serving::Done(Outcome::close(&error)),
    };
    let call = Call::new(worker, client, &opened);
    let request: ProduceRequest<'_> = match call.decode(opened.body) {
        Ok(request) => request,
        Err(outcome) => return Serving::Done(outcome),
    };
    let terms = Terms {
        version: call.version,
        acks: request.acks,
        timeout: Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into()),
    };
    let mut topics = place(&call, &request, &bytes);
    let question = verify::begin(&call, &request, &bytes, &mut topics);
    let (reply, meter, worker) = (call.reply, call.meter.clone(), Rc::clone(worker));
    drop(request);
    let frame_bytes = bytes.len();
    let mut produce = Produce { worker, terms, reply, meter, frame_bytes, bytes, charge, topics };
    match question {
        None => produce.append(),
        Some(question) => Serving::Beginning(Box::pin(async move {
            question.ask(&produce.worker.broker, &mut produce.topics).await;
            produce.append()
        })),
    }
}

impl Produce {
    fn append(self) -> Serving {
        let Self { worker, terms, reply, meter, frame_bytes, mut bytes, charge, mut topics } = self;
        append(&worker, &terms, &mut bytes, &mut topics);
        let busy_ms = meter.as_ref().map_or(0, |meter| meter.answered());
        // The batches count as the journal's from here on.
        drop((bytes, charge));
        if terms.acks == 0 {
            if let Some(meter) = meter {
                meter.produced(frame_bytes);
            }
            return Serving::Done(without_answer(&topics));
        }
        Serving::Waiting(Box::pin(async move {
            settle(&terms, &mut topics).await;
            let sent_ms = meter.map_or(0, |meter| meter.produced(frame_bytes));
            let throttle_time_ms = sent_ms.max(busy_ms);
            reply.answer(&ProduceResponse { throttle_time_ms, ..respond(&topics) })
        }))
    }
}
