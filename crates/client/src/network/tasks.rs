//! The two tasks of a connection: one writes requests, one reads answers.

use std::{collections::VecDeque, io, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use milena_env::{
    net::{OwnedReadHalf, OwnedWriteHalf},
    timer,
};
use milena_protocol::wire::{LENGTH_PREFIX, split_frame};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::{
    Limits,
    connection::QUEUE_MAX,
    in_flight::{Outgoing, Shared},
};
use crate::error::Error;

/// How much room is made for an answer before any of its bytes have come, and at most at once.
const READ_MIN_BYTES: usize = 16 << 10;
const READ_MAX_BYTES: usize = 1 << 20;
/// How many pieces of memory one write takes.
const WRITE_PARTS_MAX: usize = 64;

pub(super) async fn write_all(
    shared: Arc<Shared>,
    mut writer: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let mut ended = shared.ended.subscribe();
    let mut batch = Vec::with_capacity(QUEUE_MAX);
    let mut parts = VecDeque::new();
    loop {
        tokio::select! {
            count = outgoing.recv_many(&mut batch, QUEUE_MAX) => if count == 0 { break },
            _ = ended.wait_for(|ended| *ended) => return,
        }
        for Outgoing { parts: bytes, waiting } in batch.drain(..) {
            if waiting.is_none_or(|waiting| shared.expect(waiting)) {
                parts.extend(bytes);
            }
        }
        let written = tokio::select! {
            written = write_parts(&mut writer, &mut parts) => written,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        if let Err(error) = written {
            return shared.end(shared.lost(error.to_string()));
        }
    }
    // Nobody uses the connection any more; what is in flight is still answered.
    let _ = writer.shutdown().await;
}

async fn write_parts(writer: &mut OwnedWriteHalf, parts: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !parts.is_empty() {
        let mut slices = [io::IoSlice::new(&[]); WRITE_PARTS_MAX];
        let count = slices.iter_mut().zip(parts.iter()).map(|(slice, part)| {
            *slice = io::IoSlice::new(part);
        });
        let count = count.count();
        let mut written = writer.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(part) = parts.front_mut() {
            let taken = written.min(part.len());
            part.advance(taken);
            written -= taken;
            if !part.is_empty() {
                break;
            }
            parts.pop_front();
        }
    }
    Ok(())
}

pub(super) async fn read_all(shared: Arc<Shared>, mut reader: OwnedReadHalf, limits: Limits) {
    let mut ended = shared.ended.subscribe();
    let mut incoming = BytesMut::new();
    let error = loop {
        match split_frame(&mut incoming, limits.answer_bytes) {
            Ok(Some(frame)) => match shared.answer(frame) {
                Ok(()) => continue,
                Err(error) => break error,
            },
            Ok(None) => {}
            Err(error) => {
                let problem = error.to_string().into();
                break Error::Protocol { address: shared.address.clone(), problem };
            }
        }
        make_room(&mut incoming);
        let read = tokio::select! {
            read = timer::timeout(limits.idle, reader.read_buf(&mut incoming)) => read,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        match read {
            Some(Ok(0)) => break shared.lost("the broker closed it"),
            Some(Ok(_)) => {}
            Some(Err(error)) => break shared.lost(error.to_string()),
            None => break shared.lost("nobody used it for connections.max.idle.ms"),
        }
    };
    shared.end(error);
}

/// Room for what comes next. What a frame claims is believed up to a limit, beyond which room
/// grows as bytes arrive.
pub(super) fn make_room(incoming: &mut BytesMut) {
    let claimed = incoming.first_chunk::<LENGTH_PREFIX>().map_or(0, |bytes| {
        usize::try_from(i32::from_be_bytes(*bytes)).unwrap_or(0) + LENGTH_PREFIX
    });
    let missing = claimed.saturating_sub(incoming.len());
    incoming.reserve(missing.clamp(READ_MIN_BYTES, READ_MAX_BYTES.max(incoming.len())));
}
