//! TCP. The machine's by tokio; under the feature `simulation` turmoil's, in which a whole cluster
//! runs in one thread and the network loses, delays and partitions by a seed.
//!
//! Both have the same types with the same methods, so that this is a choice of names, made when
//! the crate is built: in the product there is nothing between the caller and tokio. What one of
//! the two lacks is not to be used elsewhere, or gets a function here.

use std::{io, net::SocketAddr, os::fd::BorrowedFd};

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

/// The descriptor for `sendfile`; a simulated connection has none.
#[cfg(not(feature = "simulation"))]
pub fn fd(stream: &TcpStream) -> Option<BorrowedFd<'_>> {
    use std::os::fd::AsFd;
    Some(stream.as_fd())
}

/// The descriptor for `sendfile`; a simulated connection has none.
#[cfg(feature = "simulation")]
pub fn fd(_stream: &TcpStream) -> Option<BorrowedFd<'_>> {
    None
}

#[cfg(all(test, not(feature = "simulation")))]
mod test {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::timer::timeout;

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
            assert!(fd(&client).is_some());
            client.write_all(b"ping").await.unwrap();
            let mut bytes = [0; 4];
            server.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"ping");
            let silence = timeout(Duration::from_millis(5), client.read_exact(&mut bytes)).await;
            assert!(silence.is_none());
            drop(server);
            assert_eq!(client.read(&mut bytes).await.unwrap(), 0);
            drop(listener);
            let refused = connect(&address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    }
}
