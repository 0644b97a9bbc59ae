//! The peer's frames on their way to the router.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::counters::Reason;
use crate::link::federate::begun::{Begun, INGEST};
use crate::link::federate::node::Node;
use crate::link::federate::registry::Claim;
use crate::link::federate::trouble::Trouble;
use crate::link::hub::Port;
use crate::wire::fed1::{Broken, Decoder};

use super::outgoing::SharedDesk;
use super::signs::Signs;

/// Where what comes is handed to.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its limits.
    pub node: &'a Node,
    /// The link's place at the router.
    pub port: &'a Port,
    /// Its place among the peers.
    pub claim: &'a Claim,
    /// How well it is.
    pub signs: &'a Signs,
    /// FreeTAKServer's desk, if it is one.
    pub desk: Option<&'a SharedDesk>,
}

impl Incoming<'_> {
    /// Reads until the stream ends or breaks, and says how it did.
    pub async fn read(&self, mut stream: impl AsyncRead + Unpin) -> Trouble {
        let mut decoder = Decoder::new(self.node.message_limit);
        let mut begun = Begun::new(self.node);
        let mut buffer = vec![0; INGEST];
        let mut whole = Vec::new();
        loop {
            let count = tokio::select! {
                count = stream.read(&mut buffer) => count,
                () = begun.overdue() => {
                    self.port.count(Reason::HalfEvent);
                    return Trouble::Garbled("the peer began an event and did not finish it in time".into());
                }
            };
            let count = match count {
                Ok(0) => return self.ended(&decoder),
                Ok(count) => count,
                Err(error) => {
                    if decoder.finish().is_err() {
                        self.port.count(Reason::BadFraming);
                    }
                    return Trouble::of_stream(&error);
                }
            };
            self.signs.heard();
            self.claim.healthy();
            let mut passed_on = 0_usize;
            let fed = decoder.feed(&buffer[..count], &mut |message| {
                passed_on += 1;
                self.hand_over(message, &mut whole);
            });
            if let Err(broken) = fed {
                return self.broken(broken);
            }
            begun.fed(count, passed_on, decoder.held()).await;
        }
    }

    fn hand_over(&self, message: &[u8], whole: &mut Vec<u8>) {
        if let Some(desk) = self.desk {
            let now_ms = self.node.hub.now().wall_ms;
            if let Err(reason) = desk.lock().incoming(message, whole, now_ms) {
                return self.port.count(reason);
            }
            if !whole.is_empty() {
                // Said a second time, a field takes the place of the first.
                whole.splice(..0, message.iter().copied());
                self.port.receive_federated(whole);
                return;
            }
        }
        self.port.receive_federated(message);
    }

    fn ended(&self, decoder: &Decoder) -> Trouble {
        match decoder.finish() {
            Ok(()) => Trouble::Lost("the peer closed the connection".into()),
            Err(broken) => self.broken(broken),
        }
    }

    fn broken(&self, broken: Broken) -> Trouble {
        self.port.count(match broken {
            Broken::TooLong { .. } => Reason::Oversize,
            Broken::Truncated => Reason::BadFraming,
        });
        Trouble::Garbled(broken.to_string())
    }
}
