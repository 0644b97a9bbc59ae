//! Bodies of calls: messages, then (in an answer) the status in the trailers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use super::status::{Code, Status};

/// What a body yields next.
#[derive(Debug)]
pub enum Part {
    /// Whole gRPC frames, one or many.
    Data(Bytes),
    /// Nothing more comes.
    End(Status),
}

/// Something that yields parts as they come about.
pub trait Source: Send {
    /// The next part; after [`Part::End`] it is not asked again.
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Part>;
}

/// The body of a call, either way.
pub struct GrpcBody {
    first: Option<Bytes>,
    rest: Rest,
    direction: Direction,
}

enum Rest {
    /// Nothing more comes; `None` = the status was sent in the headers already.
    End(Option<Status>),
    /// Parts come from elsewhere; a closed channel ends the call.
    Channel(mpsc::Receiver<Part>),
    /// Parts are made when asked for.
    Source(Box<dyn Source>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

impl GrpcBody {
    /// A request of one message.
    pub fn request(message: Bytes) -> Self {
        Self::of(Some(message), Rest::End(None), Direction::Request)
    }

    /// A request whose messages come from a channel and that ends when the channel closes.
    pub fn request_channel(parts: mpsc::Receiver<Part>) -> Self {
        Self::of(None, Rest::Channel(parts), Direction::Request)
    }

    /// A request whose messages come from a source.
    pub fn request_source(source: impl Source + 'static) -> Self {
        Self::of(None, Rest::Source(Box::new(source)), Direction::Request)
    }

    /// An answer without a body: its status stands in the headers.
    pub fn trailers_only() -> Self {
        Self::of(None, Rest::End(None), Direction::Answer)
    }

    /// An answer of one message that ended well.
    pub fn answer(message: Bytes) -> Self {
        Self::of(
            Some(message),
            Rest::End(Some(Status::ok())),
            Direction::Answer,
        )
    }

    /// An answer that says something at once, perhaps, and stays open until the channel says how it ended.
    pub fn answer_channel(first: Option<Bytes>, parts: mpsc::Receiver<Part>) -> Self {
        Self::of(first, Rest::Channel(parts), Direction::Answer)
    }

    /// An answer whose messages come from a source.
    pub fn answer_source(source: impl Source + 'static) -> Self {
        Self::of(None, Rest::Source(Box::new(source)), Direction::Answer)
    }

    fn of(first: Option<Bytes>, rest: Rest, direction: Direction) -> Self {
        Self {
            first,
            rest,
            direction,
        }
    }

    fn ended(&mut self, status: Status) -> Option<Result<Frame<Bytes>, Infallible>> {
        self.rest = Rest::End(None);
        // A request has no status; HTTP/2's END_STREAM is all there is to say.
        (self.direction == Direction::Answer).then(|| Ok(Frame::trailers(status.headers())))
    }
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let part = match &mut self.rest {
            Rest::End(None) => return Poll::Ready(None),
            Rest::End(Some(status)) => {
                let status = status.clone();
                return Poll::Ready(self.ended(status));
            }
            Rest::Channel(parts) => match parts.poll_recv(context) {
                Poll::Ready(part) => part.unwrap_or_else(|| {
                    Part::End(Status::new(Code::Unavailable, "the connection is closing"))
                }),
                Poll::Pending => return Poll::Pending,
            },
            Rest::Source(source) => match source.poll_part(context) {
                Poll::Ready(part) => part,
                Poll::Pending => return Poll::Pending,
            },
        };
        match part {
            Part::Data(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Part::End(status) => Poll::Ready(self.ended(status)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && matches!(self.rest, Rest::End(None))
    }

    // No size hint on purpose: hyper would send a content-length, which gRPC does not use.
}

impl fmt::Debug for GrpcBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcBody").finish_non_exhaustive()
    }
}
