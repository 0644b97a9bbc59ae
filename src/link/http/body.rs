//! Bodies: an answer is one piece; a request is read whole, up to a limit and within a time.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::budget::CONTROL_SMALL;

/// An answer's body: one piece, or pieces as they come.
#[derive(Debug, Default)]
pub struct Body(Content);

#[derive(Debug)]
enum Content {
    Piece(Option<Bytes>),
    /// What is left of a known length.
    Pieces(mpsc::Receiver<Bytes>, Option<u64>, Under),
}

impl Default for Content {
    fn default() -> Self {
        Self::Piece(None)
    }
}

/// Its pieces ended before all had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutShort;

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be given to its end")
    }
}

impl std::error::Error for CutShort {}

/// Where the pieces of an answer go. Dropping it ends the answer: before `length` bytes went, the visitor's connection
/// is cut, so that nobody takes a half for a whole.
#[derive(Debug)]
pub struct Feed {
    pieces: mpsc::Sender<Bytes>,
    under: Under,
}

/// What stands for the answer that is being given, for as long as pieces are fed to it.
type Under = Arc<Mutex<Option<Box<dyn fmt::Debug + Send>>>>;

impl Feed {
    /// Feeds one piece, not empty, as soon as there is room for it; false: nobody takes it any more.
    pub async fn feed(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.under
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Body {
    /// A body that comes in pieces, of a length above 0 where it is known; one waits, and one is on its way.
    pub fn pieces(length: Option<u64>) -> (Feed, Self) {
        let (pieces, receiver) = mpsc::channel(1);
        let under = Under::default();
        let feed = Feed {
            pieces,
            under: Arc::clone(&under),
        };
        (feed, Self(Content::Pieces(receiver, length, under)))
    }

    /// Keeps something until all pieces were fed; drops it at once where there is one piece only.
    pub(super) fn keep(&self, what: impl fmt::Debug + Send + 'static) {
        if let Content::Pieces(receiver, _, under) = &self.0
            && !receiver.is_closed()
        {
            *under.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(what));
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Piece(
            Some(bytes).filter(|bytes| !bytes.is_empty()),
        ))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match &mut self.0 {
            Content::Piece(piece) => Poll::Ready(piece.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Pieces(pieces, left, _) => {
                pieces.poll_recv(context).map(|piece| match piece {
                    Some(piece) => {
                        *left = left.map(|left| left.saturating_sub(piece.len() as u64));
                        Some(Ok(Frame::data(piece)))
                    }
                    None if left.is_none_or(|left| left == 0) => None,
                    None => Some(Err(CutShort)),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Piece(piece) => piece.is_none(),
            Content::Pieces(_, left, _) => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Piece(piece) => {
                SizeHint::with_exact(piece.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Pieces(_, left, _) => {
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut body: Body) -> Result<Vec<u8>, CutShort> {
        let mut bytes = Vec::new();
        loop {
            let frame =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            match frame {
                None => return Ok(bytes),
                Some(frame) => bytes.extend(frame?.into_data().unwrap_or_default()),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_whole_or_cut() {
        for (length, fed, came) in [
            (Some(6), 2, Ok(6)),
            (Some(7), 2, Err(CutShort)),
            (None, 2, Ok(6)),
            (None, 0, Ok(0)),
        ] {
            let (feed, body) = Body::pieces(length);
            assert_eq!(body.size_hint().exact(), length);
            let reader = tokio::spawn(all(body));
            for _ in 0..fed {
                assert!(feed.feed(Bytes::from_static(b"abc")).await);
            }
            drop(feed);
            assert_eq!(reader.await.unwrap().map(|bytes| bytes.len()), came);
        }
    }

    #[test]
    fn what_stands_for_an_answer_goes_when_all_was_fed() {
        let kept = Arc::new(());
        let (feed, body) = Body::pieces(Some(1));
        body.keep(Arc::clone(&kept));
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(feed);
        assert_eq!(Arc::strong_count(&kept), 1);
        Body::from(String::from("x")).keep(Arc::clone(&kept));
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
