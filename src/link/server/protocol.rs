//! Which protocol a login speaks: XML from its beginning, and TAK protocol v1 once the server has offered it and agreed
//! (protocol reference 6.2). Between our question and its answer nothing may be sent.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use memchr::memmem;

use crate::cot::tak::negotiation::{Asking, Step};
use crate::link::hub::Port;
use crate::link::ingest::Heed;
use crate::wire::scan::{Found, Scanner};
use crate::wire::tak::framing::StreamHeader;
use crate::wire::xml;

/// The protocol of one connection.
#[derive(Debug, Default)]
pub(super) struct Protocol(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    asking: Asking,
    /// To be sent before anything else.
    question: Option<Vec<u8>>,
    /// The server said yes, and our side has not switched yet.
    agreed: bool,
    tak: bool,
}

/// What the writing side may do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send this, and ask again.
    Send(Vec<u8>),
    /// Wait for the answer.
    Wait,
    /// Go on.
    Go,
}

impl Protocol {
    /// A piece of XML came. None: it is no part of the negotiation.
    pub(super) fn heed(&self, piece: &[u8], now_ms: i64) -> Option<Heed> {
        memmem::find(piece, b"t-x-takp-")?;
        let event = xml::parse(piece).ok()?;
        let mut state = self.state();
        match state.asking.hear(&event, now_ms) {
            Step::NotMine => return None,
            Step::Ask(question) => state.question = Some(question),
            Step::Switch => {
                state.agreed = true;
                return Some(Heed::Switch);
            }
            Step::Nothing | Step::Stay => {}
        }
        Some(Heed::Keep)
    }

    /// What is to be done before the next bytes go.
    pub(super) fn turn(&self, port: &Port, max_event: usize, now_ms: i64) -> Turn {
        let mut state = self.state();
        if let Some(question) = state.question.take() {
            return Turn::Send(question);
        }
        if std::mem::take(&mut state.agreed) {
            state.tak = true;
            drop(state);
            tracing::debug!("the login speaks TAK protocol v1 from now on");
            return Turn::Send(switch(port, max_event));
        }
        if state.asking.may_send() {
            return Turn::Go;
        }
        // An answer that never comes leaves everything as it was.
        state.asking.tick(now_ms);
        if state.asking.may_send() {
            Turn::Go
        } else {
            Turn::Wait
        }
    }

    /// The connection speaks TAK protocol v1, in our direction.
    pub(super) fn is_tak(&self) -> bool {
        self.state().tak
    }

    /// Something of our own, as it is written now.
    pub(super) fn write(&self, xml: String, port: &Port) -> Vec<u8> {
        match self.is_tak() {
            false => xml.into_bytes(),
            true => {
                let mut out = Vec::new();
                put(&mut out, xml.as_bytes(), port);
                out
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our side becomes TAK protocol v1; gives what stood ready as XML, written anew.
fn switch(port: &Port, max_event: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // One batch stands ready at most; what waits behind it is written anew by the router.
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(Some(batch)) = port.poll_batch(&mut context) {
        let mut scanner = Scanner::new(max_event);
        let mut rest = &batch[..];
        while let Found::Piece { start, end } = scanner.next(rest) {
            put(&mut out, &rest[start..end], port);
            rest = &rest[end..];
        }
    }
    port.switch_to_tak(b"");
    out
}

fn put(out: &mut Vec<u8>, xml: &[u8], port: &Port) {
    let message = port.in_tak(xml);
    if let Some((message, length)) = message
        .as_ref()
        .and_then(|message| Some((message, u32::try_from(message.len()).ok()?)))
    {
        out.extend_from_slice(StreamHeader::of(length).bytes());
        out.extend_from_slice(message);
    }
}
