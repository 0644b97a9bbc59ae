//! A mesh that is joined: what is heard, and what is said.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::beacon::{self, Beacon};
use super::company::{Company, Endpoint};
use super::glance;
use super::interface::{self, Interface, LOOK_EVERY};
use super::sockets::{self, Sockets};
use super::speaker::{BOXES, BoxId, Say, Speaker};
use super::{Settings, Shared};
use crate::budget;
use crate::config::MeshForm;
use crate::counters::Reason;
use crate::link::hub::Port;
use crate::link::route_watch::Changes;
use crate::wire::scan::{Found, Scanner};
use crate::wire::tak::framing::{self, DATAGRAM_HEADER, Datagram};

/// Datagrams read in one go before others have their turn.
const AT_ONCE: usize = 64;
/// Whoever wants a connection gets this long to take it, and what is written.
const CONNECT: Duration = Duration::from_secs(3);

/// How it ended.
pub(super) enum End {
    /// The box stops, or the mesh was taken out of the configuration.
    Stopped,
    /// The interface went, or is another one.
    Left(String),
}

/// Something that is held back until our turn comes.
#[derive(Debug)]
struct Said {
    event: Bytes,
    chat: bool,
}

/// A mesh that is joined.
pub(super) struct Serving<'a> {
    settings: &'a Settings,
    shared: &'a Shared,
    port: &'a Port,
    sockets: Sockets,
    interface: Interface,
    speaker: Speaker<Said>,
    company: Company,
    /// Where other boxes speak from.
    boxes: Vec<(SocketAddr, BoxId)>,
    seed: u64,
    /// The datagram that is being written.
    datagram: Vec<u8>,
}

impl<'a> Serving<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        shared: &'a Shared,
        port: &'a Port,
        sockets: Sockets,
        interface: Interface,
    ) -> Self {
        let seed = shared.hub.with(|router, _| router.content_seed());
        Self {
            speaker: Speaker::new(shared.id, shared.hub.now().mono_ms),
            company: Company::new(seed),
            boxes: Vec::new(),
            datagram: Vec::new(),
            settings,
            shared,
            port,
            sockets,
            interface,
            seed,
        }
    }

    pub(super) async fn run(
        &mut self,
        changes: &mut watch::Receiver<Changes>,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pause = self.speak();
            let room = self.settings.outgoing && self.speaker.has_room();
            // Drawn by lot which is looked at first, so that none keeps the others from their turn.
            let heard = tokio::select! {
                heard = self.sockets.sa.readable() => heard.map(|()| self.read(false)),
                heard = readable(&self.sockets.chat) => heard.map(|()| self.read(true)),
                batch = poll_fn(|context| self.port.poll_batch(context)), if room => match batch {
                    Some(event) => {
                        self.offer(event);
                        Ok(Ok(()))
                    }
                    None => return End::Left("the router let it go".to_owned()),
                },
                () = sleep(pause) => Ok(Ok(())),
                _ = changes.changed() => match self.look() {
                    Some(end) => return end,
                    None => Ok(Ok(())),
                },
                _ = look.tick() => match self.look() {
                    Some(end) => return end,
                    None => Ok(Ok(())),
                },
                _ = stop.wait_for(|&stop| stop) => {
                    self.leave();
                    return End::Stopped;
                }
            };
            if let Err(error) | Ok(Err(error)) = heard {
                let interface = &self.settings.interface;
                return End::Left(format!("nothing can be heard on {interface}: {error}"));
            }
        }
    }

    /// Says what has its turn; tells how long there is nothing to say.
    fn speak(&mut self) -> Duration {
        let now = self.shared.hub.now().mono_ms;
        while let Some(said) = self.speaker.take_due(now) {
            self.say(&said);
        }
        if !self.settings.outgoing {
            return LOOK_EVERY;
        }
        if self.speaker.beacon_due() <= now {
            self.beacon(false);
            self.speaker.beacon_said(now);
        }
        let due = self.speaker.next_due().unwrap_or(u64::MAX);
        let next = due.min(self.speaker.beacon_due());
        Duration::from_millis(next.saturating_sub(now).max(1))
    }

    /// Whether the interface is still the one that was joined; and who went stale.
    fn look(&mut self) -> Option<End> {
        let id = self.port.id();
        self.shared
            .hub
            .with(|router, now| router.expire_contacts(id, now));
        let name = &self.settings.interface;
        match interface::look(name, self.settings.outgoing) {
            Ok(same) if same == self.interface => None,
            Ok(_) => Some(End::Left(format!("{name} changed; it is joined again"))),
            Err(missing) => Some(End::Left(format!("{name}: {missing}"))),
        }
    }

    /// An event of the router's is to be said.
    fn offer(&mut self, event: Bytes) {
        if event.len() > budget::MESH_SAID as usize {
            return self.port.count(Reason::DatagramTooLong);
        }
        let now = self.shared.hub.now().mono_ms;
        let form = self.settings.form;
        let Some(glance) = glance::at_ours(&event, form, &self.company, (self.seed, now)) else {
            return self.port.count(Reason::Malformed);
        };
        if !glance.endpoints.is_empty() {
            for endpoint in glance.endpoints {
                self.say_to(&event, endpoint);
            }
            return;
        }
        let (bytes, chat) = (event.len(), glance.chat);
        let said = Said { event, chat };
        match self.speaker.offer(glance.content, said, bytes, now) {
            Say::Now(said) => self.say(&said),
            Say::Later => {}
            Say::Never => self.port.count(Reason::SaidAlready),
        }
    }

    fn say(&mut self, said: &Said) {
        let group = match said.chat {
            true => self.settings.chat,
            false => self.settings.sa,
        };
        self.write(&said.event);
        self.send(group);
    }

    /// Makes the datagram of an event.
    fn write(&mut self, event: &[u8]) {
        self.datagram.clear();
        if self.settings.form == MeshForm::Protobuf {
            self.datagram.extend_from_slice(&DATAGRAM_HEADER);
        }
        self.datagram.extend_from_slice(event);
    }

    fn send(&self, to: SocketAddrV4) {
        if let Err(error) = self.sockets.say(&self.datagram, to) {
            tracing::debug!(%error, "nothing said to {to}");
            self.port.count(Reason::LinkDown);
        }
    }

    /// Writes to one person where he listens.
    fn say_to(&mut self, event: &Bytes, endpoint: Endpoint) {
        self.write(event);
        let connection = Arc::clone(&self.shared.connections).try_acquire_owned();
        let Some(connection) = connection.ok().filter(|_| endpoint.tcp) else {
            return self.send(endpoint.address);
        };
        let (hub, id) = (self.shared.hub.clone(), self.port.id());
        let (interface, own) = (self.settings.interface.clone(), self.sockets.address());
        let datagram = self.datagram.clone();
        tokio::spawn(async move {
            let written = async {
                let mut stream = sockets::connect(endpoint.address, &interface, own).await?;
                stream.write_all(&datagram).await?;
                stream.shutdown().await
            };
            let written = timeout(CONNECT, written).await.map_err(io::Error::from);
            if let Err(error) = written.and_then(|written| written) {
                tracing::info!(%error, "{} takes no connection", endpoint.address);
                hub.with(|router, _| router.count(id, Reason::LinkDown));
            }
            drop(connection);
        });
    }

    fn beacon(&mut self, leaving: bool) {
        let id = self.shared.id;
        self.datagram = Beacon { id, leaving }.datagram();
        self.send(self.settings.sa);
    }

    /// Others need not wait for us any more; what we held back for them is said.
    fn leave(&mut self) {
        while let Some(said) = self.speaker.take_due(u64::MAX / 2) {
            self.say(&said);
        }
        if self.settings.outgoing {
            self.beacon(true);
        }
    }

    /// Reads what waits at a socket.
    fn read(&mut self, chat: bool) -> io::Result<()> {
        let shared = self.shared;
        let mut room = shared.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.is_empty() {
            *room = vec![0; budget::MESH_DATAGRAM as usize].into_boxed_slice();
        }
        for _ in 0..AT_ONCE {
            let socket = match &self.sockets.chat {
                Some(socket) if chat => socket,
                _ => &self.sockets.sa,
            };
            match socket.try_recv_from(&mut room) {
                // What fills the room may have been longer.
                Ok((length, from)) if length < room.len() => self.heard(&room[..length], from),
                Ok(_) => self.port.count(Reason::DatagramTooLong),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn heard(&mut self, datagram: &[u8], from: SocketAddr) {
        let IpAddr::V4(address) = from.ip() else {
            return;
        };
        if self.sockets.is_own(from) {
            return;
        }
        let now = self.shared.hub.now().mono_ms;
        match framing::datagram(datagram) {
            Datagram::Tak(message) => match Beacon::read(message) {
                Some(beacon) => self.met(from, &beacon, now),
                None => {
                    let told = (self.seed, now);
                    let said = glance::at_tak(message, address, &mut self.company, told);
                    self.was_said(said, now);
                    match self.is_federate(from) {
                        true => self.port.count(Reason::Overheard),
                        false => drop(self.port.receive_tak(message)),
                    }
                }
            },
            Datagram::Xml(mut xml) => {
                let mut scanner = Scanner::new(datagram.len() + 1);
                let mut some = false;
                while let Found::Piece { start, end } = scanner.next(xml) {
                    let (piece, told) = (&xml[start..end], (self.seed, now));
                    let said = glance::at_xml(piece, address, &mut self.company, told);
                    self.was_said(said, now);
                    match self.is_federate(from) {
                        true => self.port.count(Reason::Overheard),
                        false => drop(self.port.receive_xml(piece)),
                    }
                    xml = &xml[end..];
                    some = true;
                }
                if !some {
                    self.port.count(Reason::Garbage);
                }
            }
            Datagram::Version(_) => self.port.count(Reason::BadMessage),
            Datagram::Garbage => self.port.count(Reason::Garbage),
        }
    }

    /// Another box is there, and speaks from there.
    fn met(&mut self, from: SocketAddr, beacon: &Beacon, now: u64) {
        self.speaker.beacon(beacon.id, beacon.leaving, now);
        self.port.heard();
        (self.boxes).retain(|(place, id)| *place != from && *id != beacon.id);
        if !beacon.leaving && self.boxes.len() < BOXES {
            self.boxes.push((from, beacon.id));
        }
    }

    /// Whether the box that speaks from there is a federate of ours, and connected.
    fn is_federate(&self, from: SocketAddr) -> bool {
        let spoken = self.boxes.iter().find(|(place, _)| *place == from);
        spoken.is_some_and(|(_, id)| {
            let federates = &self.shared.federates;
            federates.is_connected_to(&beacon::federate_id(id))
        })
    }

    /// Somebody said this; we need not.
    fn was_said(&mut self, content: Option<u64>, now: u64) {
        let Some(content) = content else { return };
        for _ in 0..self.speaker.heard(content, now) {
            self.port.count(Reason::SaidAlready);
        }
    }
}

async fn readable(socket: &Option<UdpSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}
