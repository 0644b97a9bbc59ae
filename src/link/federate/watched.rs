//! Remembers why a TLS stream broke.
//!
//! In TLS 1.3 the side that dials believes itself connected before the other side has judged its certificate: the
//! refusal arrives as an alert while HTTP/2 is already reading, and comes out of hyper as a bare "connection error".
//! This wrapper keeps the first error of the stream, and rather than that the first that TLS itself explains, so that
//! the link's state can say what happened.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::trouble::Trouble;
use crate::link::meter::Meter;

/// A stream whose most telling error is remembered, and that is metered.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    fault: Fault,
    meter: Meter,
}

/// The most telling error of a [`Watched`] stream.
#[derive(Clone, Default)]
pub struct Fault(Arc<Mutex<Option<Trouble>>>);

impl Fault {
    /// What broke the stream, if an error did.
    pub fn take(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &io::Error) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = Trouble::of_stream(error);
        let says_more = trouble.handshake().is_some();
        match &*known {
            None => *known = Some(trouble),
            Some(Trouble::Lost(_)) if says_more => *known = Some(trouble),
            Some(_) => {}
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").finish_non_exhaustive()
    }
}

impl<S> Watched<S> {
    /// Wraps a stream.
    pub fn new(stream: S, meter: Meter) -> (Self, Fault) {
        let fault = Fault::default();
        let watched = Self {
            stream,
            fault: fault.clone(),
            meter,
        };
        (watched, fault)
    }

    fn metered(&self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        if let Ok(written) = &result {
            self.meter.wrote(*written);
        }
        self.noted(result)
    }

    fn noted<T>(&self, result: io::Result<T>) -> Poll<io::Result<T>> {
        if let Err(error) = &result {
            self.fault.note(error);
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.noted(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.metered(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.metered(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.meter.flushed();
        self.noted(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, Error};

    #[test]
    fn an_alert_says_more_than_a_broken_pipe() {
        let fault = Fault::default();
        let alert = || io::Error::other(Error::AlertReceived(AlertDescription::UnknownCA));
        fault.note(&io::ErrorKind::BrokenPipe.into());
        fault.note(&alert());
        fault.note(&io::ErrorKind::UnexpectedEof.into());
        assert!(fault.take().is_some_and(|trouble| trouble.is_certificate()));
        fault.note(&io::ErrorKind::UnexpectedEof.into());
        fault.note(&io::Error::other("later"));
        let first = Trouble::of_stream(&io::ErrorKind::UnexpectedEof.into());
        assert_eq!(fault.take(), Some(first));
    }
}
