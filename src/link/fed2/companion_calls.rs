//! Private calls between boxes on the wire, both sides.
//!
//! The dialling side simply calls `/tombolo.Box/NAME`. For the other direction it opens `/tombolo.Box/Serve`, a call
//! that stays open: the accepted side asks in its answer stream, the dialling side answers in the request stream, and a
//! number says which answer belongs to which question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use prost::Message;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Ended, Messages};
use crate::link::grpc::frame::framed;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};

use super::calls::Caller;
use super::companion::{AT_ONCE, Answering, Companion, Line, PAYLOAD_LIMIT, SERVE, SERVICE};
use super::companion_desk::{Companions, Question};
use super::flow::Flow;

/// Longest message around a payload, bytes.
const MESSAGE_LIMIT: usize = PAYLOAD_LIMIT + 512;

/// A question or an answer on the Serve call.
#[derive(Clone, PartialEq, Eq, Message)]
struct Envelope {
    /// Which question.
    #[prost(uint32, tag = "1")]
    number: u32,
    /// The method that is asked for.
    #[prost(string, tag = "2")]
    method: String,
    #[prost(bytes = "bytes", tag = "3")]
    payload: Bytes,
    /// How an answer ended: gRPC's code and words.
    #[prost(uint32, tag = "4")]
    code: u32,
    #[prost(string, tag = "5")]
    words: String,
}

/// The dialling side: waits until the peer is known to be a box and attached, lets itself be called, and calls. Does
/// nothing towards anything that is no box.
pub(super) async fn dialled(
    companions: Companions,
    companion: Companion,
    mut caller: Caller,
    flow: Arc<Flow>,
    tasks: TaskScope,
) {
    if !companion.known().await {
        return;
    }
    flow.attached().await;
    let (answers, parts) = mpsc::channel(AT_ONCE);
    let path = format!("{SERVICE}{SERVE}");
    let opened = caller.open_path(&path, GrpcBody::request_channel(parts));
    let line = Arc::new(Dialled(caller));
    let _met = companions.met(&companion, line, &tasks);
    let Ok(body) = opened.await else {
        // The other box does not let itself be served; calling it still works for as long as the connection lasts.
        return std::future::pending().await;
    };
    let mut questions = Messages::<Envelope>::limited(body, MESSAGE_LIMIT);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Ok(question) = questions.next().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (companions, companion, answers) =
            (companions.clone(), companion.clone(), answers.clone());
        tasks.spawn(async move {
            let _place = place;
            let asked = Question {
                companion,
                payload: question.payload,
            };
            let answer = companions.answer(&question.method, asked).await;
            let answer = envelope(question.number, answer);
            let _ = answers.send(Part::Data(framed(&answer))).await;
        });
    }
}

fn envelope(number: u32, answer: Result<Bytes, Status>) -> Envelope {
    let (payload, status) = match answer {
        Ok(payload) => (payload, Status::ok()),
        Err(status) => (Bytes::new(), status),
    };
    Envelope {
        number,
        method: String::new(),
        payload,
        code: status.code as u32,
        words: status.message,
    }
}

/// To a box that we dialled.
struct Dialled(Caller);

impl Line for Dialled {
    fn ask(&self, method: &'static str, payload: Bytes) -> Answering {
        let path = format!("{SERVICE}{method}");
        let body = GrpcBody::request(framed(&payload));
        let answer = self.0.clone().open_path(&path, body);
        Box::pin(async move {
            let mut messages = Messages::<Bytes>::limited(answer.await?, MESSAGE_LIMIT);
            messages.next().await.map_err(|ended| ended.status())
        })
    }
}

/// The accepted side: answers one private call of a box.
pub(super) async fn answered(
    companions: &Companions,
    companion: &Companion,
    tasks: &TaskScope,
    name: &str,
    body: Incoming,
) -> Result<Response<GrpcBody>, Status> {
    if !companion.is_box() {
        return Err(Status::new(Code::Unimplemented, "served to boxes only"));
    }
    if name == SERVE {
        return Ok(serve(companions, companion, tasks, body));
    }
    let mut messages = Messages::<Bytes>::limited(body, MESSAGE_LIMIT);
    let payload = messages.next().await.map_err(|ended| match ended {
        Ended::Framing(error) => call::framing_status(error),
        other => Status::new(Code::InvalidArgument, other.status().message),
    })?;
    let question = Question {
        companion: companion.clone(),
        payload,
    };
    let answer = companions.answer(name, question).await?;
    Ok(call::answer(GrpcBody::answer(framed(&answer))))
}

/// The dialling side lets itself be called.
fn serve(
    companions: &Companions,
    companion: &Companion,
    tasks: &TaskScope,
    body: Incoming,
) -> Response<GrpcBody> {
    let (questions, parts) = mpsc::channel(AT_ONCE);
    let waiting = Arc::new(Waiting::default());
    let line = Arc::new(Accepted {
        questions,
        waiting: Arc::clone(&waiting),
    });
    let met = companions.met(companion, line, tasks);
    tasks.spawn(async move {
        let _met = met;
        let mut answers = Messages::<Envelope>::limited(body, MESSAGE_LIMIT);
        while let Ok(answer) = answers.next().await {
            waiting.answered(answer);
        }
    });
    call::answer(GrpcBody::answer_channel(None, parts))
}

/// To a box that dialled us.
struct Accepted {
    questions: mpsc::Sender<Part>,
    waiting: Arc<Waiting>,
}

impl Line for Accepted {
    fn ask(&self, method: &'static str, payload: Bytes) -> Answering {
        let place = Waiting::place(&self.waiting);
        let questions = self.questions.clone();
        Box::pin(async move {
            let mut place = place.ok_or_else(|| {
                let words = "too many private calls wait for their answer";
                Status::new(Code::ResourceExhausted, words)
            })?;
            let question = Envelope {
                number: place.number,
                method: method.to_owned(),
                payload,
                ..Envelope::default()
            };
            let gone = || Status::new(Code::Unavailable, "the line to the other box is down");
            questions
                .send(Part::Data(framed(&question)))
                .await
                .map_err(|_| gone())?;
            (&mut place.answer).await.map_err(|_| gone())?
        })
    }
}

type Reply = Result<Bytes, Status>;

/// Questions without an answer yet, by number; at most [`AT_ONCE`].
#[derive(Default)]
struct Waiting(Mutex<(u32, HashMap<u32, oneshot::Sender<Reply>>)>);

/// A question that waits; dropping it makes room for another one.
struct Place {
    waiting: Arc<Waiting>,
    number: u32,
    answer: oneshot::Receiver<Reply>,
}

impl Waiting {
    fn place(this: &Arc<Self>) -> Option<Place> {
        let mut waiting = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, open) = &mut *waiting;
        if open.len() >= AT_ONCE {
            return None;
        }
        *next = next.wrapping_add(1);
        let (sender, answer) = oneshot::channel();
        open.insert(*next, sender);
        Some(Place {
            waiting: Arc::clone(this),
            number: *next,
            answer,
        })
    }

    fn answered(&self, answer: Envelope) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = waiting.1.remove(&answer.number) {
            let status = Status::of_number(answer.code as usize, answer.words);
            let reply = if status.is_ok() {
                Ok(answer.payload)
            } else {
                Err(status)
            };
            let _ = asker.send(reply);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self
            .waiting
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.1.remove(&self.number);
    }
}
