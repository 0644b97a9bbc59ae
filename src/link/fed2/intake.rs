//! The peer's events on their way to the router: the same for both sides of a connection.

use hyper::body::Incoming;

use crate::counters::Reason;
use crate::link::federate::begun::Begun;
use crate::link::federate::node::Node;
use crate::link::grpc::call::{self, Ended};
use crate::link::grpc::frame::{Decoder, FrameError};
use crate::link::grpc::status::{Code, Status};

use super::flow::Flow;

/// Reads events until the stream ends, and says how it did. Begins when the flow is attached: until then the peer is
/// held back by HTTP/2 flow control. What is wrong with the stream is counted here.
pub async fn read(body: &mut Incoming, flow: &Flow, node: &Node) -> Result<Ended, Status> {
    flow.attached().await;
    let mut decoder = Decoder::new(node.message_limit);
    let mut begun = Begun::new(node);
    loop {
        let bytes = tokio::select! {
            bytes = call::data(body) => bytes,
            () = begun.overdue() => {
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
        begun.fed(bytes.len(), passed_on, decoder.held()).await;
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
