//! What this box does for other boxes: its private methods, and what begins when another box is met.
//!
//! One [`Companions`] per box. Who has something for other boxes says so here at start: [`Companions::serve`] a
//! method, [`Companions::attend`] a task for each connection with a box, [`Companions::offer`] a bare feature.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};

use super::companion::{Answering, Companion, Feature, Features, Line, PATIENCE, PAYLOAD_LIMIT};
use crate::link::federate::packing::Packing;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Serve = Arc<dyn Fn(Question) -> Answering + Send + Sync>;
type Attend = Arc<dyn Fn(Companion) -> Task + Send + Sync>;

/// A private call that came.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who asks.
    pub companion: Companion,
    /// What it says; at most [`PAYLOAD_LIMIT`] bytes.
    pub payload: Bytes,
}

/// Other boxes and what we do for them. Clones share it.
#[derive(Clone)]
pub struct Companions(Arc<Mutex<Desk>>);

struct Desk {
    features: Features,
    methods: Vec<(&'static str, Serve)>,
    attended: Vec<(Feature, Attend)>,
    packing: Arc<Semaphore>,
    /// The boxes that are connected; at most one per peer.
    live: Vec<Companion>,
}

impl Default for Companions {
    /// Answers pings, nothing else yet.
    fn default() -> Self {
        let companions = Self(Arc::new(Mutex::new(Desk {
            features: Features::default(),
            methods: Vec::new(),
            attended: Vec::new(),
            packing: Arc::new(Semaphore::new(0)),
            live: Vec::new(),
        })));
        companions.serve(Feature::Ping, "Ping", |question| async {
            Ok(question.payload)
        });
        companions
    }
}

impl Companions {
    /// Answers the private method `name` with `answer`, and says that we have the feature.
    pub fn serve<F>(
        &self,
        feature: Feature,
        name: &'static str,
        answer: impl Fn(Question) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Bytes, Status>> + Send + 'static,
    {
        let mut desk = self.lock();
        desk.features = desk.features.with(feature);
        let answer: Serve = Arc::new(move |question| Box::pin(answer(question)));
        desk.methods.push((name, answer));
    }

    /// Runs `task` for each connection with a box that has the feature, as we do, until the connection ends.
    pub fn attend<F>(&self, feature: Feature, task: impl Fn(Companion) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task: Attend = Arc::new(move |companion| Box::pin(task(companion)));
        self.lock().attended.push((feature, task));
    }

    /// Says that we have a feature which needs neither a method nor a task.
    pub fn offer(&self, feature: Feature) {
        let mut desk = self.lock();
        desk.features = desk.features.with(feature);
    }

    /// So many connections may be packed at once. Said once, at start.
    pub fn allow_packing(&self, connections: usize) {
        if connections == 0 {
            return;
        }
        self.lock().packing.add_permits(connections);
        self.serve(Feature::Pack, "Pack", |question| async move {
            let yes = question.companion.packing().let_peer_pack();
            Ok(vec![u8::from(yes)].into())
        });
        self.attend(Feature::Pack, pack);
    }

    /// The peer of a new connection, to which we say what we have said so far; `packed`: what we send is to be packed.
    pub fn companion(&self, peer: &str, packed: bool) -> Companion {
        let desk = self.lock();
        let packing = Packing::new(Arc::clone(&desk.packing));
        if packed {
            packing.want();
        }
        Companion::new(peer, desk.features, packing)
    }

    /// The connected box that is this peer, if it is one.
    pub fn of(&self, peer: &str) -> Option<Companion> {
        let desk = self.lock();
        desk.live.iter().find(|live| live.peer() == peer).cloned()
    }

    /// Answers a private call.
    pub(super) async fn answer(&self, name: &str, question: Question) -> Result<Bytes, Status> {
        let serve = {
            let desk = self.lock();
            let known = desk.methods.iter().find(|(known, _)| *known == name);
            known.map(|(_, serve)| Arc::clone(serve))
        };
        let Some(serve) = serve else {
            return Err(Status::new(Code::Unimplemented, "no such private method"));
        };
        let late = || Status::new(Code::DeadlineExceeded, "this box found no answer in time");
        let answer = timeout(PATIENCE, serve(question))
            .await
            .unwrap_or_else(|_| Err(late()))?;
        if answer.len() > PAYLOAD_LIMIT {
            let words = format!("a private answer of {} bytes", answer.len());
            return Err(Status::new(Code::Internal, words));
        }
        Ok(answer)
    }

    /// The line to a box is up: what attends it begins, in the connection's `tasks`. The returned guard is kept
    /// while the line is up.
    pub(super) fn met(&self, companion: &Companion, line: Arc<dyn Line>, tasks: &TaskScope) -> Met {
        companion.connect(line);
        let attends: Vec<Attend> = {
            let mut desk = self.lock();
            desk.live.retain(|live| live.peer() != companion.peer());
            desk.live.push(companion.clone());
            desk.attended
                .iter()
                .filter(|(feature, _)| companion.has(*feature))
                .map(|(_, task)| Arc::clone(task))
                .collect()
        };
        for task in attends {
            tasks.spawn(task(companion.clone()));
        }
        Met {
            companions: self.clone(),
            companion: companion.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two questions for a place at the other box.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Packs the events of a connection as soon as both boxes have a place for it.
async fn pack(companion: Companion) {
    let packing = companion.packing().clone();
    while packing.is_wanted() && !packing.packs() {
        let answer = match packing.reserve() {
            true => companion.call("Pack", Bytes::new()).await.ok(),
            false => None,
        };
        match answer.as_deref() {
            Some([1]) => packing.begin(),
            _ => sleep(ASK_AGAIN).await,
        }
    }
}

impl fmt::Debug for Companions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Companions").finish_non_exhaustive()
    }
}

/// A box is connected as long as this lives.
#[derive(Debug)]
pub(super) struct Met {
    companions: Companions,
    companion: Companion,
}

impl Drop for Met {
    fn drop(&mut self) {
        self.companion.hang_up();
        let mut desk = self.companions.lock();
        desk.live.retain(|live| !live.is_same(&self.companion));
    }
}
