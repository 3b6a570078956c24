//! The bytes of a connection. One type, so that encryption comes in here and nowhere else.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use milena_env::{
    DiskFile,
    net::{self, TcpStream},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
}

impl Transport {
    /// Whether the client has gone, asked without reading what it sent before.
    pub(crate) fn is_hung_up(&self) -> bool {
        match self {
            Self::Plain(stream) => net::is_hung_up(stream),
        }
    }

    /// Whether the client has gone, and sent nothing before that is not read yet.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Plain(stream) => net::is_over(stream),
        }
    }

    /// Sends a range of a file: by the kernel alone where nothing has to be encrypted.
    pub(crate) fn poll_send_file(
        &mut self,
        context: &mut Context<'_>,
        file: &dyn DiskFile,
        position: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => net::poll_send_file(stream, context, file, position, len),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
