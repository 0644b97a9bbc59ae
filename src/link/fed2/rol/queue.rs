//! What waits to be sent to one federate on its ROL stream.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;

use crate::counters::Reason;
use crate::link::fed2::flow::Flow;
use crate::link::federate::node::Node;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::Status;
use crate::link::packages::{Carrier, Destinations, Refusal, ResourceDetails, Way};
use crate::packages::{Details, Hash};
use crate::wire::rol::program::announce_package;
use crate::wire::rol::writer::around;

/// Messages that may wait for one federate.
pub const MOST_WAITING: usize = 32;

/// A package whose sending broke off this often is given up.
const MOST_ATTEMPTS: u8 = 3;

/// Something to be sent.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A package, with its bytes.
    Offer { hash: Hash, way: Way, attempts: u8 },
    /// A message in two parts: as it is, and what goes behind it.
    Message(Bytes, Bytes),
}

/// The outgoing ROL stream of one connection.
pub struct Outgoing {
    node: Arc<Node>,
    peer: String,
    connection: u64,
    flow: Arc<Flow>,
    tasks: TaskScope,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Item>,
    /// Number of the stream that carries them; an older one must stop. 0 = none was opened yet.
    stream: u64,
    /// The peer knows no such stream.
    is_shut: bool,
    ending: Option<Status>,
    waker: Option<Waker>,
}

/// What a stream finds when it looks for something to send.
pub(super) enum Next {
    Item(Item),
    Nothing,
    End(Option<Status>),
}

impl Outgoing {
    /// For a new connection with `peer`; `tasks` end with it.
    pub fn new(node: &Arc<Node>, peer: &str, flow: &Arc<Flow>, tasks: TaskScope) -> Arc<Self> {
        Arc::new(Self {
            node: Arc::clone(node),
            peer: peer.to_owned(),
            connection: node.packages.next_connection(),
            flow: Arc::clone(flow),
            tasks,
            inner: Mutex::default(),
        })
    }

    /// A body begins that carries what waits; its number. A second one ends the first. With the first the federate becomes
    /// one that packages can be sent to.
    pub(super) fn begin_stream(self: &Arc<Self>) -> u64 {
        let (stream, waker) = {
            let mut inner = self.lock();
            inner.stream += 1;
            (inner.stream, inner.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if stream == 1 && self.node.packages.desk().is_some() {
            self.tasks.spawn(Arc::clone(self).shown());
        }
        stream
    }

    /// Shows the carrier to the consignee for as long as the connection lasts.
    async fn shown(self: Arc<Self>) {
        let Some(desk) = self.node.packages.desk() else {
            return;
        };
        self.flow.attached().await;
        let _gone = Gone(Arc::clone(&self));
        desk.consignee
            .attached(Arc::clone(&self) as Arc<dyn Carrier>);
        std::future::pending::<()>().await;
    }

    /// The peer has no such method, or the connection ends: what waits is given back, and nothing is taken any more.
    pub fn shut(&self) {
        let (items, waker) = {
            let mut inner = self.lock();
            inner.is_shut = true;
            (std::mem::take(&mut inner.items), inner.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        for item in items {
            self.not_sent(&item, Refusal::LinkDown);
        }
    }

    /// The stream ends with `status`.
    pub fn finish(&self, status: Status) {
        let waker = {
            let mut inner = self.lock();
            inner.ending.get_or_insert(status);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The connection's events.
    pub(super) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Who we are.
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// What that stream is to send next; it is woken when there is something.
    pub(super) fn next(&self, stream: u64, context: &Context<'_>) -> Next {
        let mut inner = self.lock();
        if inner.stream != stream {
            return Next::End(None);
        }
        if let Some(status) = &inner.ending {
            return Next::End(Some(status.clone()));
        }
        match inner.items.pop_front() {
            Some(item) => Next::Item(item),
            None => {
                inner.waker = Some(context.waker().clone());
                Next::Nothing
            }
        }
    }

    /// Its stream ended in the middle of it: it is begun anew on the next.
    pub(super) fn broken_off(&self, item: Item) {
        let item = match item {
            Item::Offer { attempts, .. } if attempts + 1 >= MOST_ATTEMPTS => {
                return self.not_sent(&item, Refusal::LinkDown);
            }
            Item::Offer {
                hash,
                way,
                attempts,
            } => Item::Offer {
                hash,
                way,
                attempts: attempts + 1,
            },
            item => item,
        };
        let mut inner = self.lock();
        if !inner.is_shut {
            return inner.items.push_front(item);
        }
        drop(inner);
        self.not_sent(&item, Refusal::LinkDown);
    }

    /// All of it is handed over.
    pub(super) fn sent(&self, item: &Item) {
        if let (Item::Offer { hash, .. }, Some(desk)) = (item, self.node.packages.desk()) {
            tracing::debug!(peer = self.peer, %hash, "a package is sent");
            desk.consignee.sent(&self.peer, hash, Ok(()));
        }
    }

    /// It does not go.
    pub(super) fn not_sent(&self, item: &Item, why: Refusal) {
        self.flow.count(why.reason());
        if let (Item::Offer { hash, .. }, Some(desk)) = (item, self.node.packages.desk()) {
            tracing::debug!(peer = self.peer, %hash, %why, "a package is not sent");
            desk.consignee.sent(&self.peer, hash, Err(why));
        }
    }

    /// What goes around a message to this federate.
    ///
    /// # Errors
    /// Why it is not for it.
    pub(super) fn envelope(&self, way: &Way) -> Result<Vec<u8>, Refusal> {
        let theirs = self.node.board.federate_id(&self.peer);
        let came_with = way.envelope.as_deref();
        let made = self.flow.ask(|port| {
            port.ask(|router, id| {
                router.resource_envelope(id, way.groups, came_with, theirs.as_bytes())
            })
        });
        made.unwrap_or(Err(Reason::LinkDown)).map_err(refusal)
    }

    fn put(&self, item: Item) -> Result<(), Refusal> {
        let waker = {
            let mut inner = self.lock();
            if inner.is_shut {
                return Err(Refusal::NoStream);
            }
            if inner.items.len() >= MOST_WAITING {
                return Err(Refusal::QueueFull);
            }
            inner.items.push_back(item);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Counts what is not taken.
    fn noted(&self, taken: Result<(), Refusal>) -> Result<(), Refusal> {
        taken.inspect_err(|why| self.flow.count(why.reason()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier for Outgoing {
    fn name(&self) -> &str {
        &self.peer
    }

    fn connection(&self) -> u64 {
        self.connection
    }

    fn offer_resource(&self, details: &Details, way: &Way) -> Result<(), Refusal> {
        let offered = || {
            // Once now, so that the answer is known at once; it is made again when its turn comes.
            self.envelope(way)?;
            let way = Way {
                groups: way.groups,
                envelope: match &way.envelope {
                    Some(envelope) => Some(self.node.packages.placed(envelope.clone())?),
                    None => None,
                },
            };
            self.put(Item::Offer {
                hash: details.hash,
                way,
                attempts: 0,
            })
        };
        self.noted(offered())
    }

    fn announce(&self, details: &Details, to: &Destinations, way: &Way) -> Result<(), Refusal> {
        let announced = || {
            let envelope = self.envelope(way)?;
            let parameters = ResourceDetails {
                sha256: details.hash.to_string(),
                destinations: to.clone(),
                name: details.name.clone(),
                filename: details.filename.clone(),
                stored: i64::try_from(details.submitted).unwrap_or(i64::MAX),
                size: details.size,
                sender_callsign: details.submitter.clone(),
            };
            let program = announce_package(&parameters.json());
            let message = around(&program, None, envelope).before.into();
            let message = self.node.packages.placed(message)?;
            self.put(Item::Message(message, Bytes::new()))
        };
        self.noted(announced())
    }

    fn relay(&self, rol: &Bytes, way: &Way) -> Result<(), Refusal> {
        let relayed = || {
            let envelope = self.node.packages.placed(self.envelope(way)?.into())?;
            self.put(Item::Message(rol.clone(), envelope))
        };
        self.noted(relayed())
    }
}

/// In the words of packages.
pub(super) fn refusal(reason: Reason) -> Refusal {
    match reason {
        Reason::Loop => Refusal::Loop,
        Reason::HopLimit => Refusal::HopLimit,
        Reason::NoGroup => Refusal::Group,
        Reason::LinkDown => Refusal::LinkDown,
        _ => Refusal::Unreadable("groups, provenance or hops"),
    }
}

/// However the connection ends, the consignee hears of it.
struct Gone(Arc<Outgoing>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.shut();
        if let Some(desk) = self.0.node.packages.desk() {
            desk.consignee.detached(&self.0.peer, self.0.connection);
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("peer", &self.peer)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
