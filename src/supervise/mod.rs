//! The box as a whole: everything is bound and started here, reloaded, drained and stopped.

mod announce;
pub mod blackbox;
pub mod changes;
mod check;
mod courier;
mod desk;
mod error;
mod federation;
mod filtering;
pub mod lamp;
mod listeners;
mod machine;
mod meshes;
mod networks;
mod packages;
mod pairing;
mod rates;
mod renewal;
mod report;
pub mod safe;
mod server_report;
mod servers;
mod signals;
mod spool;
mod takeover;
mod timekeeper;
mod trust;
mod watch;
mod web;
mod why;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Notify, mpsc, watch as channel};

use crate::access::Access;
use crate::api::connection::ConnectionInfo;
use crate::api::{self, Control, ControlListener, Turns};
use crate::budget::{self, Budget};
use crate::config::Config;
use crate::led::Signal;
use crate::link::board::PeerBoard;
use crate::link::courier::Courier;
use crate::link::fed2::echo::EchoDesk;
use crate::link::hub::Hub;
use crate::link::meter::Meters;
use crate::link::nat::Keeper;
use crate::link::refusals::Refusals;
use crate::link::tls::Credentials;
use crate::pki::store::PkiError;
use crate::pki::{KeyAlgorithm, Own, Revocations};
use crate::route::{LinkSpec, Router, Settings};
use crate::state::{NodeState, Origin};
use crate::system::{BootLog, Manager, Vitals};
use announce::announce;
use blackbox::BlackBox;
use changes::Changes;
use desk::Desk;
pub use error::StartError;
use federation::{Federation, Shares};
use lamp::{Fitting, Shown};
use listeners::Listeners;
use machine::Machine;
use meshes::Meshes;
use pairing::Pairing;
use rates::Rates;
use renewal::Waiting;
use safe::Safe;
use servers::Servers;
use signals::Signals;
use spool::Spooler;
use takeover::{Order, Taken, take_over};
use timekeeper::Timekeeper;
use watch::Watch;

/// What a box is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration, checked.
    pub config: Config,
    /// Where it stands, or would stand: changes are written there.
    pub config_file: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// Seconds that the configuration has to be confirmed, when it waits for that.
    pub unconfirmed_seconds: Option<u32>,
    /// Who started the box. A manager starts it again when it ends, so it may end to take over what needs a restart.
    pub manager: Arc<Manager>,
    /// Safe mode from the start, and why.
    pub safe: Option<Safe>,
    /// `/`; below it lies what the kernel tells about the machine.
    pub root: PathBuf,
}

/// How a box that ran came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A signal.
    Stopped,
    /// It wants to be started again.
    Restart,
}

/// Before a restart, so that whoever asked for it hears the answer.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// After a signal, what is under way may take this long to end; `systemd` and people expect less than 5 s.
const DRAIN: Duration = Duration::from_secs(4);

/// What all parts of the running box share.
#[derive(Debug)]
struct Shared {
    setup_file: PathBuf,
    config: Mutex<Arc<Config>>,
    budget: Budget,
    hub: Hub,
    clock: Timekeeper,
    board: PeerBoard,
    /// The same for servers.
    servers: PeerBoard,
    mesh_board: PeerBoard,
    keeper: Keeper,
    meters: Meters,
    refusals: Refusals,
    rates: Mutex<Rates>,
    /// The same for servers.
    server_rates: Mutex<Rates>,
    echo: EchoDesk,
    courier: Option<Courier>,
    black_box: BlackBox,
    checks: check::SharedChecks,
    pairing: Pairing,
    shown: Shown,
    federate_id: String,
    /// What we prove ourselves with.
    credentials: Credentials,
    /// Certificates that were taken back.
    revocations: Revocations,
    /// For whom our next certificate waits.
    waiting: Waiting,
    bound: api::status::ListenStatus,
    /// Of each local network, its plain listener and its TLS listener.
    bound_in_networks: Vec<[Option<SocketAddr>; 2]>,
    packages: packages::Kept,
    stop: channel::Sender<bool>,
    orders: mpsc::Sender<Order>,
    changes: Changes,
    manager: Arc<Manager>,
    /// Why the box is in safe mode, when it is.
    safe: Option<Safe>,
    /// What is remembered of this start; none where starts are not judged.
    boots: Mutex<Option<BootLog>>,
    vitals: Mutex<Vitals>,
    /// Told when the box is to end and be started again.
    restart: Notify,
}

impl Shared {
    /// Ends the box in a moment, to be started again.
    fn restart_soon(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(LAST_WORDS).await;
            shared.restart.notify_one();
        });
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_config(&self, config: Config) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// Runs the box until it is told to stop. The runtime must be one that lives on a single thread.
///
/// # Errors
/// If it cannot start. Once it runs, nothing but a signal or a change that takes a restart ends it.
pub async fn run(setup: Setup) -> Result<Ended, StartError> {
    let mut signals = Signals::listen()?;
    let Setup {
        config,
        config_file,
        state,
        unconfirmed_seconds,
        manager,
        safe,
        root,
    } = setup;
    let budget = Budget::of(&config.limits);
    // The socket first: it is the lock on the state directory.
    let control = ControlListener::bind(&state, budget::control_line(&config.limits))
        .map_err(StartError::Control)?;
    // Before anything that takes time or may fail.
    let mut fitting = Fitting::new(config.led.clone());
    fitting.show(Signal::Booting, 0);
    let (node, origin) = NodeState::open(&state).map_err(StartError::State)?;
    if origin == Origin::Replaced {
        tracing::warn!("the state files were damaged: this box has a new federate id");
    }
    let access = Access::open(&state).map_err(StartError::State)?;
    let clock = Timekeeper::start(&state, &root);
    let mut own =
        open_identity(&state, &config, safe.is_some(), &clock).map_err(StartError::Pki)?;
    let federate_id = node.federate_id_hex();
    let settings = Settings::of(&config.limits, federate_id.clone(), seed()?);
    let hub = Hub::new(Router::new(settings), clock.clock());
    let (board, refusals) = (PeerBoard::new(), Refusals::default());
    let server_board = PeerBoard::new();
    let black_box = BlackBox::open(&state, &config, &federate_id, &hub);
    board.record(black_box.recorder().clone(), hub.clock());
    server_board.record(black_box.recorder().clone(), hub.clock());
    let _watcher = black_box.watched();
    let keeper = Keeper::open(&state).map_err(StartError::State)?;
    let stop = channel::Sender::new(false);

    let patient = manager.is_there();
    let mut listeners = match safe {
        None => Listeners::bind(&config, patient).map_err(StartError::Listen)?,
        Some(_) => Listeners::default(),
    };
    // Only now: an address that another program has is no crash of ours.
    let (boots, verdict) = safe::judge(&state, &root, patient);
    let safe = safe.or(verdict);
    if let Some(safe) = &safe {
        listeners = Listeners::default();
        tracing::error!("safe mode, no peers and no clients: {safe}");
    }
    let kept = packages::Kept::open(&state, &config, safe.is_some());
    let bound = listeners.bound();
    let bound_in_networks = listeners.bound_in_networks();
    let shares = Shares {
        hub: hub.clone(),
        board: board.clone(),
        refusals: refusals.clone(),
        keeper: keeper.clone(),
        clock: clock.clone(),
    };
    let mut federation =
        Federation::new(&config, &own, &federate_id, shares).map_err(StartError::Tls)?;
    let courier = kept.as_ref().and_then(|packages| {
        let port = bound.api.map(|api| api.port());
        courier::open(&state, &config, federation.node(), packages, port)
    });
    federation.set_courier(courier.clone());
    let mut servers = Servers::new(
        &config,
        &federate_id,
        hub.clone(),
        server_board.clone(),
        &federation,
    );
    clock.apply(&config.clock);
    let (orders, mut inbox) = mpsc::channel(4);
    let changes = Changes::new(&config_file);
    if let Some(seconds) = unconfirmed_seconds {
        changes.wait(seconds, hub.now().mono_ms);
    }
    let shared = Arc::new(Shared {
        changes,
        manager,
        safe,
        boots: Mutex::new(boots),
        vitals: Mutex::default(),
        restart: Notify::new(),
        meters: federation.meters(),
        setup_file: config_file,
        budget,
        board,
        servers: server_board,
        mesh_board: PeerBoard::new(),
        keeper,
        rates: Mutex::default(),
        server_rates: Mutex::default(),
        echo: federation.echo(),
        courier,
        black_box,
        checks: check::SharedChecks::default(),
        pairing: Pairing::new(hub.now().mono_ms),
        shown: Shown::default(),
        federate_id,
        credentials: federation.credentials(),
        revocations: federation.revocations(),
        waiting: federation.waiting(),
        bound,
        bound_in_networks,
        packages: kept,
        stop,
        orders,
        refusals: refusals.clone(),
        hub: hub.clone(),
        clock,
        config: Mutex::new(Arc::new(config.clone())),
    });
    let mut meshes = Meshes::new(&shared, federation.routes());
    announce(&shared, &own, &config, access.first_password());

    let commands = hub.attach(LinkSpec::Commands);
    let desk = Arc::new(Desk::new(
        Arc::clone(&shared),
        commands,
        crate::update::machine::Machine::new(&root, &state),
        access.clone(),
        ConnectionInfo::of(
            &own,
            &config,
            &shared.federate_id,
            shared.bound.federation_port(),
        ),
    ));
    let turns = Arc::new(Turns::new(Arc::clone(&desk) as Arc<dyn Control>));
    let controlling = tokio::spawn(api::serve(control, Arc::clone(&turns)));
    let web = web::Settings {
        turns,
        access,
        packages: shared.packages.as_ref().cloned(),
        base: web::base(&config, &shared.bound),
    };
    networks::set(&hub, &config);
    let clients = listeners
        .serve(
            &own,
            &config.limits,
            refusals,
            &federation,
            web,
            &shared.stop,
        )
        .map_err(StartError::Tls)?;
    let mut spooler = None;
    if shared.safe.is_none() {
        let started = Spooler::start(&shared.hub, &state, &config.peers).await;
        spooler = Some(started.map_err(|error| StartError::System("no thread", error))?);
        federation.apply(&config);
        servers.apply(&config);
        meshes.apply(&config);
    }

    let mut watch = Watch::new();
    let mut machine = Machine::new(&root, &state);
    shared.manager.ready();
    machine.look(&shared);
    let light = tokio::spawn(lamp::run(Arc::clone(&shared), fitting, root));
    let mut pulse = shared.manager.pulse().map(tokio::time::interval);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let ended = loop {
        tokio::select! {
            () = machine::beat(&mut pulse) => shared.manager.alive(),
            _ = second.tick() => {
                shared.black_box.beat(shared.hub.now());
                shared.clock.look(&shared.hub);
                watch.look(&shared);
                federation.look();
                if federation.is_renewed(&own)
                    && let Some(renewed) = shared.renew(&own, &mut federation, &state, &desk)
                {
                    own = renewed;
                }
                machine.look(&shared);
                if let Some(packages) = shared.packages.as_ref() {
                    packages.look(&shared);
                }
                if shared.changes.is_due(shared.hub.now().mono_ms) {
                    drop(tokio::task::spawn_blocking({
                        let desk = Arc::clone(&desk);
                        move || desk.take_back()
                    }));
                }
            }
            Some(order) = inbox.recv() => {
                let taken = take_over(
                    &shared,
                    &mut federation,
                    (&mut servers, &mut meshes),
                    *order.config,
                );
                // Whoever asked may have gone away meanwhile.
                let _ = order.done.send(taken);
            }
            () = shared.restart.notified() => break Ended::Restart,
            _ = signals.hangup.recv() => drop(tokio::spawn(reload(
                Arc::clone(&shared),
                Arc::clone(&desk),
            ))),
            _ = signals.power.recv() => shared.black_box.power_fails(&shared.hub),
            _ = signals.terminate.recv() => break Ended::Stopped,
            _ = signals.interrupt.recv() => break Ended::Stopped,
        }
    };
    tracing::info!("stopping");
    shared.manager.stopping("stopping");
    shared.stop.send_replace(true);
    let drained = async {
        tokio::join!(
            federation.shutdown(),
            servers.shutdown(),
            meshes.shutdown(),
            async {
                for client in clients {
                    // A listener that panicked has nothing left to drain.
                    let _ = client.await;
                }
            }
        );
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("some neighbours did not take their goodbye in time");
    }
    controlling.abort();
    if let Some(spooler) = spooler {
        spooler.finish().await;
    }
    // It ends by itself once it is told to stop; one that panicked has nothing left to show.
    let _ = light.await;
    shared.end_in_order();
    tracing::info!("stopped");
    Ok(ended)
}

/// Our certificate and key. In safe mode those of `[identity]` may be the fault: the box's own then do.
fn open_identity(
    state: &Path,
    config: &Config,
    safe: bool,
    clock: &Timekeeper,
) -> Result<Own, PkiError> {
    let moment = clock.moment();
    let open_at = |identity, now| {
        let algorithm = KeyAlgorithm::default();
        Own::open(state, &config.name, identity, algorithm, now)
    };
    let open = |identity| match (open_at(identity, moment.now), moment.floor) {
        // Nobody vouches for our clock, it may be ahead: only what is over for certain keeps the box from starting.
        (Err(error), Some(floor)) if error.is_expired() => {
            let own = open_at(identity, floor)?;
            tracing::error!("{error}. Used all the same: nobody vouches for the clock");
            Ok(own)
        }
        (own, _) => own,
    };
    let files = config.identity.as_ref();
    match open(files.map(|files| (files.certificate.as_path(), files.key.as_path()))) {
        Err(_) if safe && files.is_some() => open(None),
        own => own,
    }
}

/// After SIGHUP. Files are read beside the event loop, and the loop takes the result over.
async fn reload(shared: Arc<Shared>, desk: Arc<Desk>) {
    shared.manager.reloading();
    match tokio::task::spawn_blocking(move || desk.read_again()).await {
        Ok(Ok(taken)) => tracing::info!("configuration read again: {}", taken.words),
        Ok(Err(fault)) => {
            tracing::error!("configuration not read again, the old one stays in use: {fault}");
        }
        Err(error) => tracing::error!("configuration not read again: {error}"),
    }
    // Whatever came of it, the box goes on.
    shared.manager.ready();
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        StartError::System(
            "no random numbers",
            std::io::Error::other("the system gives none"),
        )
    })?;
    Ok(u64::from_le_bytes(bytes))
}
