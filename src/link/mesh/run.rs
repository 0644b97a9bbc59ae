//! One mesh from its start to its end: joined whenever its interface is there.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::interface::{self, Interface, LOOK_EVERY};
use super::pace::Pace;
use super::serve::{End, Serving};
use super::sockets::Sockets;
use super::{Settings, Shared};
use crate::config::MeshForm;
use crate::link::board::PeerState;
use crate::link::hub::Port;
use crate::route::{LinkSpec, Role, Wire};

/// When the interface went, its people are kept this long: networks come and go.
const KEPT_MS: u64 = 30_000;

/// Runs a mesh until it is told to stop.
pub(super) async fn run(settings: Settings, shared: Shared, mut stop: watch::Receiver<bool>) {
    let mut changes = shared.routes.subscribe();
    let mut pace = Pace::default();
    let mut port: Option<Port> = None;
    let (mut left_ms, mut news) = (0, true);
    loop {
        let now = shared.hub.now();
        let allowed_ms = pace.next_ms(news);
        let words = match interface::look(&settings.interface, settings.outgoing) {
            Err(missing) => format!("{}: {missing}", settings.interface),
            Ok(_) if now.mono_ms < allowed_ms => {
                let seconds = (allowed_ms - now.mono_ms).div_ceil(1000);
                format!(
                    "{} comes and goes: joined again in {seconds} s",
                    settings.interface
                )
            }
            Ok(found) => {
                pace.tries(now.mono_ms);
                match Sockets::open(&settings, found) {
                    Err(error) => format!("cannot join on {}: {error}", settings.interface),
                    Ok(sockets) => {
                        tell_joined(&settings, &shared, found);
                        let port = port.get_or_insert_with(|| attach(&settings, &shared));
                        let mut serving = Serving::new(&settings, &shared, port, sockets, found);
                        let end = serving.run(&mut changes, &mut stop).await;
                        left_ms = shared.hub.now().mono_ms;
                        pace.was_on(left_ms - now.mono_ms);
                        match end {
                            End::Stopped => return,
                            End::Left(words) => words,
                        }
                    }
                }
            }
        };
        let now = shared.hub.now();
        let board = &shared.board;
        // What comes and goes ten times a second is no news each time.
        let known = board.status(&settings.name).unwrap_or_default();
        if known.state == PeerState::Connected || known.reason.is_empty() {
            tracing::warn!(mesh = settings.name, "mesh {}: {words}", settings.name);
        }
        board.set(&settings.name, PeerState::Waiting, words, now.wall_ms);
        if port.is_some() && now.mono_ms >= left_ms + KEPT_MS {
            port = None;
        }
        let allowed = Duration::from_millis(pace.next_ms(true).saturating_sub(now.mono_ms));
        let pause = match allowed.is_zero() {
            true => LOOK_EVERY,
            false => allowed.min(LOOK_EVERY),
        };
        news = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            () = sleep(pause) => news,
            _ = stop.wait_for(|&stop| stop) => return,
        };
    }
}

fn attach(settings: &Settings, shared: &Shared) -> Port {
    let port = shared.hub.attach(LinkSpec::Neighbour {
        name: settings.name.clone(),
        role: Role::Mesh,
        network: settings.network,
        incoming: settings.incoming,
        outgoing: settings.outgoing,
    });
    if settings.form == MeshForm::Protobuf {
        port.set_wire(Wire::Tak);
    }
    port.set_policy(settings.policy.clone());
    port
}

fn tell_joined(settings: &Settings, shared: &Shared, found: Interface) {
    let now = shared.hub.now().wall_ms;
    let (name, interface) = (&settings.name, &settings.interface);
    let address = match found.address {
        Some(address) => format!("{interface} {address}"),
        None => interface.clone(),
    };
    tracing::info!(
        mesh = name,
        "mesh {name}: joined {} and {} on {address}",
        settings.sa,
        settings.chat
    );
    shared.board.set_address(name, address);
    shared.board.set_attached(name, now);
    shared.board.set(name, PeerState::Connected, "", now);
}
