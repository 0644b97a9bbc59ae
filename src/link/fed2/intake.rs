//! The peer's events on their way to the router: the same for both sides of a connection.

use std::future::pending;

use hyper::body::Incoming;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::budget;
use crate::counters::Reason;
use crate::link::grpc::call::{self, Ended};
use crate::link::grpc::frame::{Decoder, FrameError};
use crate::link::grpc::status::{Code, Status};

use super::flow::Flow;
use crate::link::federate::node::Node;

/// An event of which more than this has come, and not yet its end, needs one of the few places for large events,
/// bytes. All federates and clients share those, so that the largest event times all peers need not fit into memory.
pub const INGEST: usize = budget::INGEST as usize;

/// Events are passed on in turns of this many bytes, so that one peer's flood does not keep the others waiting.
const TURN: usize = 64 * 1024;

/// Reads events until the stream ends, and says how it did. Begins when the flow is attached: until then the peer is
/// held back by HTTP/2 flow control. What is wrong with the stream is counted here.
pub async fn read(body: &mut Incoming, flow: &Flow, node: &Node) -> Result<Ended, Status> {
    flow.attached().await;
    let mut decoder = Decoder::new(node.message_limit);
    let mut whole_by = None;
    let mut place: Option<SemaphorePermit<'_>> = None;
    let mut turn = 0;
    loop {
        let bytes = tokio::select! {
            bytes = call::data(body) => bytes,
            () = passed(whole_by) => {
                flow.count(Reason::HalfEvent);
                let words = "an event was begun and not finished in time";
                return Err(Status::new(Code::DeadlineExceeded, words));
            }
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(Ended::Finished(status)) => return Ok(whole(&decoder, status, flow)),
            Err(ended) => return Ok(ended),
        };
        if flow.unpacks() {
            decoder.unpack();
        }
        let mut passed_on = 0_usize;
        let fed = decoder.feed(&bytes, &mut |message| {
            passed_on += 1;
            flow.receive(message);
        });
        if let Err(error) = fed {
            return Ok(broken(error, flow));
        }
        if decoder.held() <= INGEST {
            place = None;
        } else if place.is_none() {
            // Few may be large at once; the others wait here, and their senders with them.
            place = node.large_events.acquire().await.ok();
            whole_by = None;
        }
        whole_by = match decoder.held() {
            0 => None,
            _ if passed_on == 0 && whole_by.is_some() => whole_by,
            _ => Some(Instant::now() + node.timing.half_event),
        };
        turn += bytes.len();
        if turn >= TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn whole(decoder: &Decoder, status: Option<Status>, flow: &Flow) -> Ended {
    match decoder.finish() {
        Ok(()) => Ended::Finished(status),
        Err(error) => broken(error, flow),
    }
}

fn broken(error: FrameError, flow: &Flow) -> Ended {
    flow.refuse(error);
    Ended::Framing(error)
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => drop(timeout_at(deadline, pending::<()>()).await),
        None => pending().await,
    }
}
