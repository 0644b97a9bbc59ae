//! One call: its request head, its answer head, and reading what follows.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use prost::Message;

use super::body::GrpcBody;
use super::frame::{CONTROL_LIMIT, Decoder, FrameError};
use super::status::{Code, Status};

/// A reader gives way to the other tasks of the box after this much, bytes.
const TURN: usize = 64 * 1024;

/// The request of a call. `authority` is the `host:port` that was dialled, `path` begins with a slash.
///
/// # Errors
/// When either has characters that a URI cannot hold.
pub fn request(
    authority: &str,
    path: &str,
    body: GrpcBody,
) -> Result<Request<GrpcBody>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("https://{authority}{path}"))
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header("grpc-accept-encoding", "identity")
        .header(
            header::USER_AGENT,
            concat!("tombolo/", env!("CARGO_PKG_VERSION")),
        )
        .body(body)
}

/// The answer to a call that goes on with `body`.
pub fn answer(body: GrpcBody) -> Response<GrpcBody> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    answer
}

/// The answer to a call that ends right here.
pub fn refusal(status: &Status) -> Response<GrpcBody> {
    let mut answer = answer(GrpcBody::trailers_only());
    answer.headers_mut().extend(status.headers());
    answer
}

/// The plain HTTP answer to a request that is no gRPC call at all; none for one that is.
pub fn turn_away<B>(request: &Request<B>) -> Option<Response<GrpcBody>> {
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !is_grpc(request.headers()) {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut answer = Response::new(GrpcBody::trailers_only());
    *answer.status_mut() = status;
    Some(answer)
}

/// Whether an answer goes on with messages.
///
/// # Errors
/// The status with which the call has ended already (which may be OK).
pub fn judge_answer<B>(answer: &Response<B>) -> Result<(), Status> {
    if let Some(status) = Status::read(answer.headers()) {
        return Err(status);
    }
    if answer.status() != StatusCode::OK {
        return Err(Status::of_http(answer.status()));
    }
    if !is_grpc(answer.headers()) {
        return Err(Status::new(Code::Unknown, "the answer is no gRPC answer"));
    }
    Ok(())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// How a body ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself. An answer carries its status; a request, or an answer that forgot it, does not.
    Finished(Option<Status>),
    /// Reset by the peer, or the connection went away.
    Lost(String),
    /// Its frames cannot be read.
    Framing(FrameError),
}

impl Ended {
    /// The status this stands for at the reading end.
    pub fn status(&self) -> Status {
        match self {
            Self::Finished(Some(status)) => status.clone(),
            Self::Finished(None) => Status::new(Code::Unknown, "ended without a status"),
            Self::Lost(why) => Status::new(Code::Unavailable, why.clone()),
            Self::Framing(error) => framing_status(*error),
        }
    }
}

/// The status with which a call ends whose frames cannot be read.
pub fn framing_status(error: FrameError) -> Status {
    let code = match error {
        FrameError::Flag(1) => Code::Unimplemented,
        FrameError::TooLong { .. } => Code::ResourceExhausted,
        FrameError::Flag(_) | FrameError::Truncated | FrameError::Unpacking => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The next DATA of a body, or how it ended. Reading gives the flow-control window back to the peer.
pub async fn data(body: &mut Incoming) -> Result<Bytes, Ended> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Err(Ended::Finished(None)),
            Some(Err(error)) => return Err(Ended::Lost(reason(&error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => return Ok(bytes),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Err(Ended::Finished(Status::read(&trailers)));
                    }
                }
            },
        }
    }
}

/// Reads a body to its end, `feed` taking the bytes, and gives way to other tasks every 64 KiB.
pub async fn drain(
    body: &mut Incoming,
    mut feed: impl FnMut(&[u8]) -> Result<(), FrameError>,
) -> Ended {
    let mut turn = 0;
    loop {
        match data(body).await {
            Ok(bytes) => {
                if let Err(error) = feed(&bytes) {
                    return Ended::Framing(error);
                }
                turn += bytes.len();
            }
            Err(ended) => return ended,
        }
        if turn >= TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Control messages of one type, one after the other.
pub struct Messages<M> {
    body: Incoming,
    decoder: Decoder,
    ready: VecDeque<Bytes>,
    kind: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Messages<M> {
    /// Reads messages of at most [`CONTROL_LIMIT`] bytes from a body.
    pub fn new(body: Incoming) -> Self {
        Self::limited(body, CONTROL_LIMIT)
    }

    /// Reads messages of at most `limit` bytes from a body.
    pub fn limited(body: Incoming, limit: usize) -> Self {
        Self {
            body,
            decoder: Decoder::new(limit),
            ready: VecDeque::new(),
            kind: PhantomData,
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// How the body ended; a message that is no `M` ends it too.
    pub async fn next(&mut self) -> Result<M, Ended> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return M::decode(bytes).map_err(|error| {
                    Ended::Lost(format!("a message that cannot be read: {error}"))
                });
            }
            match data(&mut self.body).await {
                Ok(bytes) => {
                    let ready = &mut self.ready;
                    self.decoder
                        .feed(&bytes, &mut |message| {
                            ready.push_back(Bytes::copy_from_slice(message));
                        })
                        .map_err(Ended::Framing)?;
                }
                Err(Ended::Finished(status)) => {
                    self.decoder.finish().map_err(Ended::Framing)?;
                    return Err(Ended::Finished(status));
                }
                Err(ended) => return Err(ended),
            }
        }
    }
}

impl<M> fmt::Debug for Messages<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// hyper's own words say little ("http2 error"); the causes beneath say what happened.
pub fn reason(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
