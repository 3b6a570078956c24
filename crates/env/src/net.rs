//! TCP. The machine's by tokio; under the feature `simulation` turmoil's, in which a whole cluster
//! runs in one thread and the network loses, delays and partitions by a seed.
//!
//! Both have the same types with the same methods, so that this is a choice of names, made when
//! the crate is built: in the product there is nothing between the caller and tokio. What one of
//! the two lacks is not to be used elsewhere, or gets a function here.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;

use crate::DiskFile;

#[cfg(not(feature = "simulation"))]
pub use tokio::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
#[cfg(feature = "simulation")]
pub use turmoil::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// Opens a port for others to connect to; `address` is `host:port`, port 0 takes any free one.
#[allow(clippy::disallowed_methods, reason = "this is the one place that opens ports")]
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether an address is found under a name.
pub async fn is_known(host: &str) -> bool {
    tokio::net::lookup_host((host, 0)).await.is_ok_and(|mut found| found.next().is_some())
}

/// Connects to `host:port`. Small messages go out at once, as with [`accept`].
#[allow(clippy::disallowed_methods, reason = "this is the one place that connects")]
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits for somebody to connect. An error may concern that connection alone (it was reset at
/// once), or everybody (no descriptor is left).
pub async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// A connection on its way from the thread that accepted it to the one that serves it.
#[derive(Debug)]
pub struct Handover(
    #[cfg(not(feature = "simulation"))] std::net::TcpStream,
    #[cfg(feature = "simulation")] TcpStream,
);

#[cfg(not(feature = "simulation"))]
impl Handover {
    /// Lets go of a connection.
    pub fn give(stream: TcpStream) -> io::Result<Self> {
        stream.into_std().map(Self)
    }

    /// Takes it up in the runtime of the calling thread.
    pub fn take(self) -> io::Result<TcpStream> {
        TcpStream::from_std(self.0)
    }
}

/// In a simulation all hosts share one thread, and there is nothing to hand over.
#[cfg(feature = "simulation")]
impl Handover {
    /// Lets go of a connection.
    pub fn give(stream: TcpStream) -> io::Result<Self> {
        Ok(Self(stream))
    }

    /// Takes it up.
    pub fn take(self) -> io::Result<TcpStream> {
        Ok(self.0)
    }
}

/// Sends a range of a file, as much of it as the socket takes now; says how much that was. Zero
/// means that the file ends before the range does.
pub fn poll_send_file(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    file: &dyn DiskFile,
    position: u64,
    len: usize,
) -> Poll<io::Result<usize>> {
    #[cfg(not(feature = "simulation"))]
    if let Some(file) = file.fd() {
        return poll_sendfile(stream, context, file, position, len);
    }
    let mut bytes = vec![0; len.min(64 << 10)];
    let read = file.read_at(&mut bytes, position)?;
    bytes.truncate(read);
    Pin::new(stream).poll_write(context, &bytes)
}

#[cfg(not(feature = "simulation"))]
fn poll_sendfile(
    stream: &TcpStream,
    context: &mut Context<'_>,
    file: std::os::fd::BorrowedFd<'_>,
    position: u64,
    len: usize,
) -> Poll<io::Result<usize>> {
    use std::task::ready;
    loop {
        ready!(stream.poll_write_ready(context))?;
        let send = || {
            let mut from = position;
            rustix::fs::sendfile(stream, file, Some(&mut from), len).map_err(io::Error::from)
        };
        match stream.try_io(tokio::io::Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Whether the other side has ended the connection, or its half of it, asked without reading what
/// it sent before that.
#[cfg(not(feature = "simulation"))]
pub fn is_hung_up(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(stream, PollFlags::RDHUP)];
    // What was not asked for (`HUP`, `ERR`) is told as well, and is the end too.
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1..))
}

/// Whether that end is all that is left to read.
#[cfg(not(feature = "simulation"))]
pub fn is_over(stream: &TcpStream) -> bool {
    is_hung_up(stream) && rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes == 0)
}

/// In a simulation nobody can ask; the end shows when everything before it was read.
#[cfg(feature = "simulation")]
pub const fn is_hung_up(_: &TcpStream) -> bool {
    false
}

/// Likewise.
#[cfg(feature = "simulation")]
pub const fn is_over(_: &TcpStream) -> bool {
    false
}

#[cfg(all(test, not(feature = "simulation")))]
mod test {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::timer::timeout;

    #[test]
    fn a_range_of_a_file_is_sent_also_by_another_thread() {
        use crate::{Disk, RealDisk, disk::Open};
        let path = std::env::temp_dir().join(format!("milena-send-{}", std::process::id()));
        let file = RealDisk.open(&path, Open::Create).unwrap();
        let bytes: Vec<u8> = (0..3 << 20).map(|i| (i % 251) as u8).collect();
        file.write_all_at(&[io::IoSlice::new(&bytes)], 0).unwrap();
        let run = |future| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(future)
        };
        let (listening, address) = std::sync::mpsc::channel();
        let receiver = crate::spawn_thread("receiver", move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = listen("127.0.0.1:0").await.unwrap();
                listening.send(listener.local_addr().unwrap().to_string()).unwrap();
                let (mut stream, _) = accept(&listener).await.unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).await.unwrap();
                received
            })
        });
        let address = address.recv().unwrap();
        let connect = async move { Handover::give(connect(&address).await.unwrap()).unwrap() };
        let handed = run(Box::pin(connect) as Pin<Box<dyn Future<Output = Handover>>>);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = handed.take().unwrap();
            let mut position = 5;
            loop {
                let len = bytes.len() + 10 - position as usize;
                let send = |context: &mut Context<'_>| {
                    poll_send_file(&mut stream, context, &*file, position, len)
                };
                match std::future::poll_fn(send).await.unwrap() {
                    0 => break,
                    sent => position += sent as u64,
                }
            }
        });
        assert_eq!(receiver.unwrap().join().unwrap(), bytes[5..]);
        RealDisk.remove_file(&path).unwrap();
    }

    #[test]
    fn bytes_go_there_and_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listen("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (client, server) = tokio::join!(connect(&address), accept(&listener));
            let (mut client, (mut server, peer)) = (client.unwrap(), server.unwrap());
            assert_eq!(client.local_addr().unwrap(), peer);
            assert!(client.nodelay().unwrap() && server.nodelay().unwrap());
            client.write_all(b"ping").await.unwrap();
            let mut bytes = [0; 4];
            server.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"ping");
            assert!(!is_hung_up(&client));
            let silence = timeout(Duration::from_millis(5), client.read_exact(&mut bytes)).await;
            assert!(silence.is_none());
            server.write_all(b"pong").await.unwrap();
            drop(server);
            while !is_hung_up(&client) {
                crate::timer::sleep(Duration::from_millis(1)).await;
            }
            assert!(!is_over(&client));
            client.read_exact(&mut bytes).await.unwrap();
            assert!(is_over(&client));
            assert_eq!(client.read(&mut bytes).await.unwrap(), 0);
            drop(listener);
            let refused = connect(&address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }
}
