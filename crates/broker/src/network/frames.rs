//! Cuts what arrives on a connection into frames.
//!
//! A frame gets a buffer of its own, exactly as long as it is, so that a batch in it can stay in
//! memory without holding on to anything else. The buffer grows as bytes arrive; an idle connection
//! has none. Short frames that arrive together share what they were read into.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::budget::{Budget, Charge, Ticket};
use crate::limits::{FIRST_READ_BYTES, FRAME_BYTES_AT_ONCE};

const LENGTH_PREFIX: usize = milena_protocol::wire::LENGTH_PREFIX;

/// One request as it came, and what it costs while it is here.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: BytesMut,
    pub(crate) charge: Charge,
}

/// Why a connection is not read any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] milena_protocol::wire::FrameError),
    #[error("the connection ended in the middle of a request")]
    CutShort,
    #[error("a request was begun and not sent on, while others waited for the memory it holds")]
    Stalled,
}

#[derive(Debug)]
pub(crate) struct Frames {
    /// What has arrived and belongs to no frame that was handed out.
    buffer: BytesMut,
    charge: Charge,
    /// The frame in the buffer is not whole.
    unfinished: Option<Ticket>,
    budget: Arc<Budget>,
    frame_bytes_max: usize,
}

impl Frames {
    pub(crate) fn new(budget: &Arc<Budget>, frame_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            charge: budget.charge(),
            unfinished: None,
            budget: Arc::clone(budget),
            frame_bytes_max,
        }
    }

    /// The next frame; `None` when the other side has ended the connection between two frames.
    /// `first` is where the beginning of a frame is read into, shared by all connections.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        first: &mut [u8; FIRST_READ_BYTES],
    ) -> Poll<Result<Option<Frame>, FrameError>> {
        loop {
            if let Some(frame) = self.take_whole()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            let read = if self.buffer.is_empty() {
                let mut into = ReadBuf::new(first);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut into))?;
                self.buffer = BytesMut::from(into.filled());
                into.filled().len()
            } else {
                let ticket = self.unfinished.get_or_insert_with(|| {
                    let ticket = self.budget.ticket(context.waker());
                    ticket.arrived(self.buffer.len());
                    ticket
                });
                if ticket.is_stalled() {
                    return Poll::Ready(Err(FrameError::Stalled));
                }
                if !ticket.may_read(context.waker()) {
                    return Poll::Pending;
                }
                self.make_room();
                let before = self.buffer.len();
                let more = pin!(stream.read_buf(&mut self.buffer));
                ready!(more.poll(context))?;
                let read = self.buffer.len() - before;
                if let Some(ticket) = &self.unfinished {
                    ticket.arrived(read);
                }
                read
            };
            self.charge.grow(read);
            match (read, self.buffer.is_empty()) {
                (0, true) => return Poll::Ready(Ok(None)),
                (0, false) => return Poll::Ready(Err(FrameError::CutShort)),
                _ => {}
            }
        }
    }

    /// Takes a frame off the buffer if all of it is there.
    fn take_whole(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(need) = self.needed()? else { return Ok(None) };
        if self.buffer.len() < need {
            return Ok(None);
        }
        let mut bytes = self.buffer.split_to(need);
        bytes.advance(LENGTH_PREFIX);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        self.unfinished = None;
        let mut charge = self.budget.charge();
        charge.grow(need);
        self.charge.set(self.buffer.len());
        Ok(Some(Frame { bytes, charge }))
    }

    /// How long the frame in the buffer is with its length prefix, if that is known.
    fn needed(&self) -> Result<Option<usize>, FrameError> {
        use milena_protocol::wire::FrameError::{NegativeLength, TooLong};
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        let length = usize::try_from(announced).map_err(|_| NegativeLength(announced))?;
        if length > self.frame_bytes_max {
            return Err(TooLong { length, limit: self.frame_bytes_max }.into());
        }
        Ok(Some(LENGTH_PREFIX + length))
    }

    /// Room behind what is there: for the whole frame if it is of usual size, else for as much
    /// again as has arrived.
    fn make_room(&mut self) {
        if self.buffer.capacity() > self.buffer.len() && self.buffer.len() >= LENGTH_PREFIX {
            return;
        }
        let need = self.needed().ok().flatten().unwrap_or(LENGTH_PREFIX);
        let room = need.min(FRAME_BYTES_AT_ONCE.max(self.buffer.len() * 2));
        let mut larger = BytesMut::with_capacity(room);
        larger.put_slice(&self.buffer);
        self.buffer = larger;
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// Gives out `chunks` one by one, then ends.
    struct Chunks(Vec<Vec<u8>>);

    impl AsyncRead for Chunks {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(chunk) = self.0.first_mut() {
                let some = chunk.len().min(into.remaining());
                into.put_slice(&chunk[..some]);
                chunk.drain(..some);
                if chunk.is_empty() {
                    self.0.remove(0);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    fn frame(len: usize) -> Vec<u8> {
        let mut bytes = (len as u32).to_be_bytes().to_vec();
        bytes.extend((0..len).map(|i| i as u8));
        bytes
    }

    fn next(frames: &mut Frames, chunks: &mut Chunks) -> Result<Option<Frame>, FrameError> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match frames.poll_next(&mut context, chunks, &mut [0; FIRST_READ_BYTES]) {
            Poll::Ready(ready) => ready,
            Poll::Pending => panic!("nothing here ever waits"),
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let lengths = [0, 1, 3, 990, 20_000, 5, 3 << 20, 7];
        let stream: Vec<u8> = lengths.iter().flat_map(|len| frame(*len)).collect();
        for size in [997, 1 << 14, (1 << 20) + 1, 1 << 22] {
            let budget = Budget::new(1 << 30, Box::new(|| 0));
            let mut frames = Frames::new(&budget, 4 << 20);
            let mut chunks = Chunks(stream.chunks(size).map(<[u8]>::to_vec).collect());
            for len in lengths {
                let got = next(&mut frames, &mut chunks).unwrap().unwrap();
                assert_eq!(got.bytes, frame(len)[LENGTH_PREFIX..]);
                assert!(budget.used() >= len + LENGTH_PREFIX);
            }
            assert!(next(&mut frames, &mut chunks).unwrap().is_none());
            assert_eq!((budget.used(), frames.buffer.capacity()), (0, 0));
        }
    }

    #[test]
    fn hostile_03_a_claimed_length_takes_no_memory() {
        let budget = Budget::new(1 << 30, Box::new(|| 0));
        let mut frames = Frames::new(&budget, 100 << 20);
        let mut first = (100_u32 << 20).to_be_bytes().to_vec();
        first.resize(1000, 7);
        let mut chunks = Chunks(vec![first]);
        assert!(matches!(next(&mut frames, &mut chunks), Err(FrameError::CutShort)));
        assert!(frames.buffer.capacity() <= FRAME_BYTES_AT_ONCE);
        assert_eq!(budget.used(), 1000);
    }

    #[test]
    fn hostile_02_too_long_or_negative_a_length_ends_the_connection() {
        for start in [&b"GET / HTTP/1.1"[..], &[0x16, 3, 1, 0, 0], &[0xff; 4]] {
            let budget = Budget::new(1 << 30, Box::new(|| 0));
            let mut frames = Frames::new(&budget, 100 << 20);
            let refused = next(&mut frames, &mut Chunks(vec![start.to_vec()]));
            assert!(matches!(refused, Err(FrameError::Malformed(_))), "{refused:?}");
        }
    }
}
