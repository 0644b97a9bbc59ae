//! Bodies: an answer is one piece; a request is read whole, up to a limit and within a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::budget::CONTROL_SMALL;

/// An answer's body.
#[derive(Debug, Default)]
pub struct Body(Option<Bytes>);

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than allowed.
    TooLong,
    /// It did not come in time.
    TooSlow,
    /// The connection broke, or what came is no body.
    Broken,
}

/// Most that is read of a body that nobody wants, bytes, and for how long.
const DRAINED: usize = 1024 * 1024;
const DRAIN: Duration = Duration::from_secs(2);

/// How much room bodies have.
#[derive(Debug, Clone, Copy)]
pub struct Large<'a> {
    /// Longest body, bytes.
    pub longest: usize,
    /// Of bodies above [`CONTROL_SMALL`], as many at once as this has permits.
    pub places: &'a Semaphore,
    /// It must be there within this.
    pub within: Duration,
}

/// Reads a body whole; the permit is that of a large one, and is held for as long as its bytes are.
///
/// # Errors
/// See [`BodyError`].
pub async fn read<'a>(
    body: &mut Incoming,
    large: Large<'a>,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'a>>), BodyError> {
    timeout(large.within, collect(body, large))
        .await
        .map_err(|_| BodyError::TooSlow)?
}

/// Reads what is left of a body and forgets it, as far as that is little and comes soon: a visitor that is still sending
/// hears the answer only then.
pub async fn drain(body: &mut Incoming) {
    let all = async {
        let mut left = DRAINED;
        while !body.is_end_stream() {
            let frame =
                std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
            let Some(Ok(frame)) = frame else {
                return;
            };
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = timeout(DRAIN, all).await;
}

async fn collect<'a>(
    body: &mut Incoming,
    large: Large<'a>,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'a>>), BodyError> {
    let said = body.size_hint().lower();
    if said > large.longest as u64 {
        return Err(BodyError::TooLong);
    }
    let small = CONTROL_SMALL as usize;
    let mut bytes = Vec::new();
    let mut permit = None;
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        let Some(frame) = frame else {
            return Ok((bytes, permit));
        };
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > large.longest {
            return Err(BodyError::TooLong);
        }
        if length > small && permit.is_none() {
            permit = large.places.acquire().await.ok();
            // The bound, once: doubling would take half as much again.
            let most = (said as usize).clamp(length, large.longest);
            bytes.reserve_exact(most - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
}
