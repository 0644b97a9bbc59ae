//! Keeps the router's spool on the disk: takes its jobs, has them performed on a thread of their own, and tells it what
//! came of them. A card may take seconds; the event loop waits for none of it.

mod disk;

use std::future::poll_fn;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::Peer;
use crate::files;
use crate::link::hub::Hub;
use crate::route::Router;
use crate::route::spool::{Done, Job};
use disk::Disk;

/// What is not urgent is written this often.
const EVERY: Duration = Duration::from_secs(1);
/// At the end, what waits may take this long to be written.
const LAST: Duration = Duration::from_millis(900);
/// Stack of the thread, bytes.
const STACK: usize = 128 * 1024;

/// The running spool.
#[derive(Debug)]
pub(super) struct Spooler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Spooler {
    /// Tells the router what the disk holds, and goes on in a task. Before any link comes up.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) async fn start(hub: &Hub, state: &Path, peers: &[Peer]) -> std::io::Result<Self> {
        let disk = Disk::new(state);
        let names: Vec<String> = names(peers).map(str::to_owned).collect();
        let search = disk.clone();
        match tokio::task::spawn_blocking(move || search.find(&names)).await {
            Ok(Ok(found)) => hub.with(|router, now| {
                for (peer, which, lane) in found {
                    router.spool_found(&peer, which, &lane, now);
                    let events = router.spool_state(&peer, now).events;
                    let lane = which.word();
                    tracing::info!("spool: {events} events wait for {peer} ({lane} read)");
                }
            }),
            Ok(Err(error)) => tracing::error!("spool: {}", files::fault(&error)),
            Err(error) => tracing::error!("spool: {error}"),
        }
        let (requests, jobs) = mpsc::channel(1);
        let (answers, done) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("spool".into())
            .stack_size(STACK)
            .spawn(move || work(&disk, jobs, &answers))?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(hub.clone(), Worker { requests, done }, stopped));
        Ok(Self { stop, task })
    }

    /// Writes what waits. After the links have ended.
    pub(super) async fn finish(self) {
        // A task that panicked has nothing left to write.
        let _ = self.stop.send(());
        if timeout(LAST, self.task).await.is_err() {
            tracing::warn!("spool: the disk did not take everything in time");
        }
    }
}

/// The peers whose spool is kept.
pub(super) fn names(peers: &[Peer]) -> impl Iterator<Item = &str> {
    peers
        .iter()
        .filter(|peer| peer.spool)
        .map(|peer| peer.name.as_str())
}

/// The thread: one batch of jobs after the other.
fn work(disk: &Disk, mut jobs: mpsc::Receiver<Vec<Job>>, answers: &mpsc::Sender<Vec<Done>>) {
    while let Some(batch) = jobs.blocking_recv() {
        let done = batch.into_iter().filter_map(|job| disk.perform(job));
        if answers.blocking_send(done.collect()).is_err() {
            return;
        }
    }
}

struct Worker {
    requests: mpsc::Sender<Vec<Job>>,
    done: mpsc::Receiver<Vec<Done>>,
}

impl Worker {
    /// Has the jobs performed and tells the router.
    async fn perform(&mut self, hub: &Hub, jobs: Vec<Job>) {
        if self.requests.send(jobs).await.is_err() {
            return;
        }
        for done in self.done.recv().await.unwrap_or_default() {
            tell(hub, done);
        }
    }
}

fn tell(hub: &Hub, done: Done) {
    let why = match &done {
        Done::NotAppended { why, .. } => Some(why.clone()),
        _ => None,
    };
    let (before, after) = hub.with(|router, now| {
        let before = router.spool_fault().is_some();
        router.spool_done(done, now);
        (before, router.spool_fault().is_some())
    });
    match (before, after) {
        (false, true) => tracing::error!(
            "spool: what waits stays in memory, and would be lost with the power: {}",
            why.unwrap_or_default()
        ),
        (true, false) => tracing::info!("spool: the disk takes it again"),
        _ => {}
    }
}

async fn run(hub: Hub, mut worker: Worker, mut stopped: oneshot::Receiver<()>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let jobs = poll_fn(|context| hub.with(|router, now| router.poll_spool(context, now)));
        tokio::select! {
            jobs = jobs => worker.perform(&hub, jobs).await,
            _ = tick.tick() => hub.with(Router::spool_tick),
            _ = &mut stopped => break,
        }
    }
    // Twice: what was with the disk, and what came meanwhile.
    for _ in 0..2 {
        hub.with(Router::spool_tick);
        let jobs = poll_fn(|context| {
            std::task::Poll::Ready(hub.with(|router, now| router.poll_spool(context, now)))
        });
        if let std::task::Poll::Ready(jobs) = jobs.await {
            worker.perform(&hub, jobs).await;
        }
    }
}
