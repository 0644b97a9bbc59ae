//! Strangers who connect and say nothing keep neither a federate nor a device out.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use std::os::fd::AsRawFd;

use crate::support::{
    Authority, Device, QUIET, Registration, Setup, TomboloBox, eventually, track,
};

/// Connections of the strangers: more than the box has places for anything.
const STRANGERS: usize = 64;
/// Where they come from, another address than everybody else's.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connects from [`ELSEWHERE`] and says nothing.
fn silent(to: SocketAddr) -> TcpStream {
    let SocketAddr::V4(to) = to else {
        panic!("the boxes of scenarios listen on IPv4")
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let stream = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    setsockopt(&stream, sockopt::ReuseAddr, &true).expect("an option");
    let from = SockaddrIn::from(std::net::SocketAddrV4::new(ELSEWHERE, 0));
    bind(stream.as_raw_fd(), &from).expect("all of 127.0.0.0/8 is ours");
    connect(stream.as_raw_fd(), &SockaddrIn::from(to)).expect("the box accepts");
    TcpStream::from(stream)
}

/// So many of them; new ones take the place of those whom the box closed, for as long as the guard lives.
struct Siege {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    worker: Option<std::thread::JoinHandle<()>>,
}

impl Siege {
    fn of(to: SocketAddr) -> Self {
        let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let their_stop = std::sync::Arc::clone(&stop);
        let mut held: Vec<TcpStream> = (0..STRANGERS).map(|_| silent(to)).collect();
        let worker = std::thread::spawn(move || {
            while !their_stop.load(std::sync::atomic::Ordering::Relaxed) {
                held.retain(|stream| {
                    stream.set_nonblocking(true).expect("an option");
                    let still_open = std::io::ErrorKind::WouldBlock;
                    stream
                        .peek(&mut [0])
                        .is_err_and(|error| error.kind() == still_open)
                });
                held.resize_with(STRANGERS, || silent(to));
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        Self {
            stop,
            worker: Some(worker),
        }
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// A box with hardly any places, whose handshakes may take longer than any test waits.
fn small(name: &str) -> Setup {
    Setup::new(name)
        .limit("handshake_seconds", 120)
        .limit("max_clients", 4)
        .limit("max_federates", 2)
}

fn shut_out(alpha: &TomboloBox) {
    eventually("strangers are sent away", || {
        (alpha.status().refused("crowded") > 0).then_some(())
    });
}

#[test]
fn no_registered_federate() {
    let (alpha_leaf, bravo_leaf) = (
        Authority::new("alpha-ca").issue("alpha"),
        Authority::new("bravo-ca").issue("bravo"),
    );
    let alpha = small("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of("bravo", &bravo_leaf))
        .start();
    let _siege = Siege::of(alpha.federation());
    shut_out(&alpha);
    let bravo = Setup::new("bravo")
        .identity(&bravo_leaf)
        .peer(Registration::of("alpha", &alpha_leaf).dial(alpha.federation()))
        .start();
    bravo.wait_peer("alpha");
    alpha.wait_peer("bravo");
    // The first attempt, not one of many: nothing stood in its way.
    assert!(!bravo.log().contains("not connected"), "{}", bravo.log());
    std::thread::sleep(QUIET);
    assert!(alpha.status().is_up("bravo"), "and it stays");
}

#[test]
fn no_device() {
    let alpha = small("alpha").start();
    let _siege = Siege::of(alpha.clients_tls());
    shut_out(&alpha);
    let devices: Vec<Device> = ["hawk", "otter", "heron"]
        .map(|callsign| Device::tls(alpha.clients_tls(), &alpha.issue(callsign)))
        .into();
    let plain = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(4);
    devices[0].send(track("over-their-heads", 1));
    for device in devices[1..].iter().chain([&plain]) {
        device.expect_uid("over-their-heads");
    }
}
