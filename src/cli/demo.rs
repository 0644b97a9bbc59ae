//! `tombolo demo`: two islands, two boxes, one federation link, live tracks on the screen.
//!
//! Both boxes are real `tombolo run` processes with throwaway keys on loopback, and the devices are real CoT
//! connections to them: what crosses here crosses the same code as in a vehicle.

mod device;
mod error;
mod events;
mod identity;
mod island;
mod ledger;
mod screen;

use std::cell::RefCell;
use std::fmt;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use error::DemoError;

use device::{Receiver, Sender};
use error::CONNECT_SECONDS;
use events::Team;
use island::{Island, Playground};
use ledger::Ledger;
use screen::{LinkRow, Screen};

use super::failure::{Exit, Failure};
use super::paths::Global;

/// How long an event may be under way after the last one was injected.
const DRAIN_SECONDS: u64 = 3;
/// How often the screen is drawn, and the links are asked.
const REFRESH: Duration = Duration::from_millis(500);

/// What can be asked of the demo.
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// Stop after this many seconds; without it, run until Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Print nothing but one JSON line at the end
    #[arg(long)]
    pub json: bool,
    /// Moving tracks on each side
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub tracks: u16,
    /// Reports per second of each track
    #[arg(long, value_name = "HZ", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub rate: u16,
}

/// The demo makes its places itself; to accept others and ignore them would be a lie.
///
/// # Errors
/// If one was named.
pub fn refuse_places(global: &Global) -> Result<(), Failure> {
    let named = [("--config", &global.config), ("--state", &global.state)];
    match named.iter().find(|(_, place)| place.is_some()) {
        None => Ok(()),
        Some((option, _)) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{option}: demo makes two boxes of its own in a temporary directory; leave it out"
            ),
        )),
    }
}

/// Runs the demo. Success only when every event was seen on the other side, once, and both links flow.
///
/// # Errors
/// Why it could not be shown, or that what was shown was not all there.
pub fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let failed =
        |error: &dyn fmt::Display| Failure::new(Exit::Unavailable, format!("demo: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    match runtime.block_on(stopped_by_signals(arguments)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed(
            &"not everything was seen on the other side, once, over flowing links",
        )),
        Err(error) => Err(failed(&error)),
    }
}

/// A second signal, or one before anything flows, ends the demo at once; dropping the islands cleans up.
async fn stopped_by_signals(arguments: &DemoArguments) -> Result<bool, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Setup)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Setup)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(DemoError::Setup)?;
    let stop = Rc::new(tokio::sync::Notify::new());
    let started = Rc::new(RefCell::new(false));
    let mut demo = Box::pin(play(arguments, Rc::clone(&stop), Rc::clone(&started)));
    let mut asked = false;
    loop {
        tokio::select! {
            outcome = &mut demo => return outcome,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if asked || !*started.borrow() {
            return Err(DemoError::Interrupted);
        }
        asked = true;
        stop.notify_one();
    }
}

async fn play(
    arguments: &DemoArguments,
    stop: Rc<tokio::sync::Notify>,
    started: Rc<RefCell<bool>>,
) -> Result<bool, DemoError> {
    let playground = Playground::create()?;
    let mut bravo = Island::prepare(&playground, "bravo")?;
    let mut alpha = Island::prepare(&playground, "alpha")?;
    bravo.start(Some(&alpha), None).await?;
    let address = bravo.federation_address()?;
    alpha.start(Some(&bravo), Some(address)).await?;
    wait_connected(&mut alpha, &mut bravo).await?;

    let ledger = Rc::new(RefCell::new(Ledger::default()));
    let far_bravo = Receiver::connect("bravo", bravo.clients_address()?).await?;
    let far_alpha = Receiver::connect("alpha", alpha.clients_address()?).await?;
    let from_alpha = Sender::connect(
        Team::new("alpha", arguments.tracks),
        alpha.clients_address()?,
    );
    let from_bravo = Sender::connect(
        Team::new("bravo", arguments.tracks),
        bravo.clients_address()?,
    );
    let (mut from_alpha, mut from_bravo) = tokio::try_join!(from_alpha, from_bravo)?;
    *started.borrow_mut() = true;

    let deadline = arguments
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds)));
    let mut screen = Screen::new(arguments.json, std::io::stdout().is_terminal());
    {
        let injecting = async {
            tokio::select! {
                outcome = from_alpha.inject(arguments.rate, &ledger) => outcome,
                outcome = from_bravo.inject(arguments.rate, &ledger) => outcome,
                () = until(deadline) => Ok(()),
                () = stop.notified() => Ok(()),
            }?;
            drained(&ledger).await;
            Ok::<(), DemoError>(())
        };
        tokio::select! {
            outcome = injecting => outcome?,
            outcome = far_bravo.watch("alpha", &ledger) => outcome?,
            outcome = far_alpha.watch("bravo", &ledger) => outcome?,
            outcome = redraw(&alpha, &bravo, &mut screen, &ledger) => outcome?,
        }
    }
    let mut links = link_row(&alpha, "bravo").await?;
    links.extend(link_row(&bravo, "alpha").await?);
    let flowing = links.len() == 2 && links.iter().all(|link| link.state == "flowing");
    tokio::join!(alpha.stop(), bravo.stop());
    let ledger = ledger.borrow();
    screen.finish(&ledger, &links);
    Ok(flowing && ledger.all_seen_once())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits until everything injected was seen, for as long as an event may be under way.
async fn drained(ledger: &RefCell<Ledger>) {
    let everything = async {
        while !ledger.borrow().all_seen() {
            sleep(Duration::from_millis(10)).await;
        }
        // A duplicate would come right behind; give it the chance to be caught.
        sleep(Duration::from_millis(200)).await;
    };
    // Running out of time is no error here: the ledger says what is missing.
    let _ = timeout(Duration::from_secs(DRAIN_SECONDS), everything).await;
}

async fn redraw(
    alpha: &Island,
    bravo: &Island,
    screen: &mut Screen,
    ledger: &RefCell<Ledger>,
) -> Result<(), DemoError> {
    if screen.is_silent() {
        return std::future::pending().await;
    }
    let began = Instant::now();
    loop {
        let mut links = link_row(alpha, "bravo").await?;
        links.extend(link_row(bravo, "alpha").await?);
        screen.draw(began.elapsed(), &ledger.borrow(), &links);
        sleep(REFRESH).await;
    }
}

async fn link_row(island: &Island, peer: &'static str) -> Result<Vec<LinkRow>, DemoError> {
    let status = island.status().await?;
    Ok(status
        .peer(peer)
        .map(|(state, _)| LinkRow {
            from: island.name(),
            to: peer,
            state,
        })
        .into_iter()
        .collect())
}

async fn wait_connected(alpha: &mut Island, bravo: &mut Island) -> Result<(), DemoError> {
    let deadline = Instant::now() + Duration::from_secs(CONNECT_SECONDS);
    loop {
        let mut reasons = Vec::new();
        for (island, peer) in [(&mut *alpha, "bravo"), (&mut *bravo, "alpha")] {
            island.still_running()?;
            let (state, reason) = island
                .status()
                .await?
                .peer(peer)
                .unwrap_or_else(|| ("unknown".into(), "not in its list of peers".into()));
            if state != "connected" && state != "flowing" {
                reasons.push(format!("{} → {peer}: {state}: {reason}", island.name()));
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let logs = format!("{}\n{}", alpha.log_tail(), bravo.log_tail());
            return Err(DemoError::NotConnected(reasons.join("\n"), logs));
        }
        sleep(Duration::from_millis(100)).await;
    }
}
