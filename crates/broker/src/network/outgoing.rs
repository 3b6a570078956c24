//! What goes out on a connection: pieces of memory by vectored writes, ranges of files by sendfile.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use milena_env::DiskFile;
use milena_protocol::wire::{self, Part};
use tokio::io::AsyncWrite;

use super::{budget::Charge, transport::Transport};
use crate::limits::PIECES_AT_ONCE;

/// A range of a file that is part of an answer.
#[derive(Clone, Debug)]
pub(crate) struct FileRange {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) position: u64,
}

/// A finished answer; its `Part::Range` tokens are places in `ranges`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) frame: wire::Frame,
    pub(crate) ranges: Vec<FileRange>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File { range: FileRange, len: usize },
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    unsent: usize,
    charge: Charge,
}

impl Outgoing {
    pub(crate) fn new(charge: Charge) -> Self {
        Self { pieces: VecDeque::new(), unsent: 0, charge }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes in memory and in files that still have to go out.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    pub(crate) fn push(&mut self, answer: Answer) {
        for part in answer.frame.into_parts() {
            self.unsent += part.len();
            let piece = match part {
                Part::Bytes(bytes) => Piece::Bytes(bytes),
                Part::Range { token, length } => {
                    let range = usize::try_from(token).ok().and_then(|at| answer.ranges.get(at));
                    let Some(range) = range.cloned() else {
                        debug_assert!(false, "an answer names a range that it does not have");
                        continue;
                    };
                    Piece::File { range, len: length as usize }
                }
            };
            self.pieces.push_back(piece);
        }
    }

    /// Sends until nothing is left, or the other side takes no more for now.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Transport,
    ) -> Poll<io::Result<()>> {
        let sent = self.poll_pieces(context, stream);
        if sent.is_pending() {
            // Only what has to wait is worth counting.
            self.charge.set(self.in_memory());
        } else {
            self.charge.set(0);
        }
        sent
    }

    fn poll_pieces(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Transport,
    ) -> Poll<io::Result<()>> {
        loop {
            let sent = match self.pieces.front_mut() {
                None => return Poll::Ready(Ok(())),
                Some(Piece::File { range, len }) => {
                    let (file, from) = (&*range.file, range.position);
                    let sent = ready!(stream.poll_send_file(context, file, from, *len))?;
                    if sent == 0 {
                        // The length is promised already: there is no honest way to go on.
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    range.position += sent as u64;
                    *len -= sent;
                    if *len == 0 {
                        self.pieces.pop_front();
                    }
                    sent
                }
                Some(Piece::Bytes(_)) => {
                    let sent = ready!(self.poll_write_bytes(context, stream))?;
                    self.drop_sent(sent);
                    sent
                }
            };
            self.unsent -= sent;
        }
    }

    /// Writes the pieces of memory that come next.
    fn poll_write_bytes(
        &self,
        context: &mut Context<'_>,
        stream: &mut Transport,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); PIECES_AT_ONCE];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let Piece::Bytes(bytes) = piece else { break };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let slices = slices.get(..count).unwrap_or_default();
        let sent = ready!(Pin::new(stream).poll_write_vectored(context, slices))?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        Poll::Ready(Ok(sent))
    }

    fn drop_sent(&mut self, mut sent: usize) {
        while let Some(Piece::Bytes(bytes)) = self.pieces.front_mut() {
            if bytes.len() > sent {
                bytes.advance(sent);
                return;
            }
            sent -= bytes.len();
            self.pieces.pop_front();
        }
    }

    fn in_memory(&self) -> usize {
        let size = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::File { .. } => 0,
        };
        self.pieces.iter().map(size).sum()
    }
}
