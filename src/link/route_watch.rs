//! Hears from the kernel (rtnetlink) that a link, an address or a route came or went, so that a peer is dialled when
//! it can be reached, and not when a pause is over.
//!
//! Only the kind of each message is read, and whether a link runs; what the routes are stays the kernel's business.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::budget;

/// One change brings several messages: link, address, route. What comes within this is one change.
const QUIET: Duration = Duration::from_millis(40);
/// A network that never becomes quiet is reported all the same.
const LONGEST: Duration = Duration::from_millis(200);
/// Bytes of one datagram that are looked at.
const BUFFER: usize = budget::ROUTE_MESSAGES as usize;

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE (rtnetlink(7)).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// What changed since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// How often a link began to run, or an address or route was added.
    pub came: u64,
    /// How often one of them went.
    pub went: u64,
}

/// Where changes are told. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<watch::Sender<Changes>>);

/// The task that listens to the kernel; dropping it ends it.
#[derive(Debug)]
pub struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Routes {
    /// Changes from now on.
    pub fn subscribe(&self) -> watch::Receiver<Changes> {
        self.0.subscribe()
    }

    /// Begins to listen to the kernel.
    ///
    /// # Errors
    /// What the system says; without it links come back when their pauses are over.
    pub fn watch(&self) -> io::Result<Watching> {
        #[expect(
            deprecated,
            reason = "sound for an owned descriptor, which stays what it is; its successor is an unsafe function"
        )]
        let socket = AsyncFd::with_interest(open()?, Interest::READABLE)?;
        let changes = Arc::clone(&self.0);
        Ok(Watching(tokio::spawn(async move {
            loop {
                match change(&socket).await {
                    Ok(Changes { came: 0, went: 0 }) => {}
                    Ok(seen) => changes.send_modify(|all| {
                        all.came += seen.came.min(1);
                        all.went += seen.went.min(1);
                    }),
                    Err(error) => {
                        tracing::warn!(%error, "changes of routes are not heard of");
                        sleep(Duration::from_secs(10)).await;
                    }
                }
            }
        })))
    }

    /// Tells of a change; for tests.
    #[cfg(test)]
    pub fn tell(&self, seen: Changes) {
        self.0.send_modify(|all| {
            all.came += seen.came;
            all.went += seen.went;
        });
    }
}

/// Waits until something came; for ever if nobody tells.
pub async fn came(changes: &mut watch::Receiver<Changes>) {
    let known = changes.borrow_and_update().came;
    if changes.wait_for(|all| all.came != known).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    Ok(socket)
}

/// Waits for a change and for the quiet behind it.
async fn change(socket: &AsyncFd<OwnedFd>) -> io::Result<Changes> {
    let mut seen = read(socket).await?;
    let end = Instant::now() + LONGEST;
    loop {
        let quiet = (Instant::now() + QUIET).min(end);
        match timeout_at(quiet, read(socket)).await {
            Ok(more) => {
                let more = more?;
                seen.came += more.came;
                seen.went += more.went;
            }
            Err(_) => return Ok(seen),
        }
    }
}

async fn read(socket: &AsyncFd<OwnedFd>) -> io::Result<Changes> {
    let mut buffer = [0; BUFFER];
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| {
            recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).map_err(io::Error::from)
        });
        return match received {
            Err(_) => continue,
            Ok(Ok(length)) => Ok(changes_in(&buffer[..length])),
            // More came than the socket holds: something changed, whatever it was.
            Ok(Err(error)) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {
                Ok(Changes { came: 1, went: 1 })
            }
            Ok(Err(error)) => Err(error),
        };
    }
}

/// The kinds of messages in a datagram (netlink(7), rtnetlink(7)): headers of 16 bytes, each message padded to 4.
fn changes_in(mut datagram: &[u8]) -> Changes {
    const HEADER: usize = 16;
    /// IFF_UP and IFF_LOWER_UP: switched on, and the other end is there.
    const RUNS: u32 = 0x1 | 0x1_0000;
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let mut seen = Changes::default();
    while let (Some(length), Some(kind)) = (word(datagram, 0), word(datagram, 4)) {
        let length = length as usize;
        if length < HEADER {
            break;
        }
        match kind & 0xFFFF {
            // RTM_NEWLINK: also for every small change of a link; its flags stand behind 8 bytes.
            16 => match word(datagram, HEADER + 8) {
                Some(flags) if flags & RUNS == RUNS => seen.came += 1,
                _ => seen.went += 1,
            },
            // RTM_NEWADDR, RTM_NEWROUTE
            20 | 24 => seen.came += 1,
            // RTM_DELLINK, RTM_DELADDR, RTM_DELROUTE
            17 | 21 | 25 => seen.went += 1,
            _ => {}
        }
        match datagram.get(length.next_multiple_of(4)..) {
            Some(rest) => datagram = rest,
            None => break,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u32, flags: u32) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes[0..4].copy_from_slice(&32_u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(&kind.to_ne_bytes());
        bytes[24..28].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    #[test]
    fn messages_are_told_apart_by_their_kind() {
        for (kind, flags, came, went) in [
            (16, 0x1_0043, 1, 0),
            (16, 0x1003, 0, 1),
            (16, 0x1_0002, 0, 1),
            (20, 0, 1, 0),
            (21, 0, 0, 1),
            (24, 0, 1, 0),
            (25, 0, 0, 1),
            (28, 0, 0, 0),
        ] {
            let seen = changes_in(&message(kind, flags));
            assert_eq!(seen, Changes { came, went }, "{kind} {flags:x}");
        }
        let two = [message(24, 0), message(25, 0)].concat();
        assert_eq!(changes_in(&two), Changes { came: 1, went: 1 });
    }

    #[tokio::test]
    async fn the_kernel_lets_us_listen_without_privilege() {
        let routes = Routes::default();
        let mut changes = routes.subscribe();
        let _watching = routes.watch().unwrap();
        let waits = tokio::spawn(async move { came(&mut changes).await });
        tokio::task::yield_now().await;
        routes.tell(Changes { came: 0, went: 1 });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        routes.tell(Changes { came: 1, went: 0 });
        waits.await.unwrap();
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = changes_in(&bytes);
        }

        #[test]
        fn lengths_that_lie_end_the_reading(length in any::<u32>()) {
            let mut bytes = message(24, 0);
            bytes[0..4].copy_from_slice(&length.to_ne_bytes());
            prop_assert!(changes_in(&bytes).came <= 1);
        }
    }
}
