//! Hears a peer out before its connection is given up.
//!
//! A peer that refuses us sends an alert and closes. What we write meanwhile then fails, often before the alert was
//! read, and "broken pipe" would hide the reason. The system keeps what came before the connection broke, so this
//! stream, which lies below TLS, goes on reading after a write has failed: until the alert, the end, or
//! [`HEARING`] is over.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a peer is heard after a write has failed.
const HEARING: Duration = Duration::from_millis(500);

/// A stream that can still be read for a while when writing to it has failed. What is written then goes nowhere.
#[derive(Debug)]
pub struct LastWords<S> {
    stream: S,
    broken: Option<Broken>,
}

#[derive(Debug)]
struct Broken {
    /// The write error, until it has been told.
    error: Option<io::Error>,
    over: Pin<Box<Sleep>>,
}

impl<S> LastWords<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            broken: None,
        }
    }

    /// Passes a write's result on, or takes its error in.
    fn kept(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error)) if hung_up(&error) => {
                let mut over = Box::pin(sleep(HEARING));
                // Whoever writes here reads here too: its task must wake when the time is over.
                let _ = over.as_mut().poll(context);
                self.broken = Some(Broken {
                    error: Some(error),
                    over,
                });
                Poll::Ready(Ok(length))
            }
            result => result,
        }
    }
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for LastWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        match (result, &mut self.broken) {
            (Poll::Pending, Some(broken)) => {
                std::task::ready!(broken.over.as_mut().poll(context));
                let told = || io::ErrorKind::BrokenPipe.into();
                Poll::Ready(Err(broken.error.take().unwrap_or_else(told)))
            }
            (result, _) => result,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LastWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.kept(context, result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.broken.is_some() {
            return Poll::Ready(Ok(length));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.kept(context, result, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.broken {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.broken {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Our end, and the peer's.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ours = TcpStream::connect(address).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    /// Writes until the system knows that nobody is there, and then once more.
    async fn write_on(stream: &mut LastWords<TcpStream>) {
        for _ in 0..1000 {
            if stream.broken.is_some() {
                break;
            }
            stream.write_all(b"anybody?").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(stream.broken.is_some());
        stream.write_all(b"anybody?").await.unwrap();
        stream.flush().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_said_before_the_reset_is_heard() {
        let (mut ours, mut theirs) = pair().await;
        ours.write_all(b"never read").await.unwrap();
        theirs.readable().await.unwrap();
        theirs.write_all(b"because").await.unwrap();
        // Closing with unread bytes resets the connection.
        drop(theirs);
        let mut ours = LastWords::new(ours);
        write_on(&mut ours).await;
        let mut heard = [0; 7];
        ours.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"because");
        let end = tokio::time::timeout(Duration::from_secs(10), ours.read(&mut heard));
        assert!(!matches!(end.await.unwrap(), Ok(1..)));
    }

    /// Reads nothing, ever, and breaks at the first write.
    struct Mute;

    impl AsyncRead for Mute {
        fn poll_read(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Mute {
        fn poll_write(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_more_is_not_waited_for() {
        let mut stream = LastWords::new(Mute);
        stream.write_all(b"anybody?").await.unwrap();
        let mut byte = [0];
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut byte));
        let error = end.await.expect("in time").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
