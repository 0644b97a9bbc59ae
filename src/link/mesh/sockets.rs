//! The sockets of one mesh: one for each group that is heard, one to say things.
//!
//! - What comes on one interface is not taken for another's: a socket is bound to the group's own address, is a member on
//!   one interface only, and takes nothing that other sockets joined for (`IP_MULTICAST_ALL` off).
//! - Other programs on this machine may listen to the same port (`SO_REUSEADDR`), and hear what we say (`IP_MULTICAST_LOOP`
//!   stays on). So we hear ourselves, and know it by the port that we say things from. Not `SO_REUSEPORT`: of sockets that
//!   have it the kernel gives a datagram to one only, whatever each has joined (seen on Linux 6.18).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::Settings;
use super::interface::Interface;

/// The sockets of one mesh.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Where positions are heard.
    pub(super) sa: UdpSocket,
    /// Where chat is heard; none if that is the same group.
    pub(super) chat: Option<UdpSocket>,
    /// Where we speak from; none where we never do.
    say: Option<Socket>,
    own: Option<SocketAddr>,
}

impl Sockets {
    /// Joins the groups.
    pub(super) fn open(settings: &Settings, interface: Interface) -> io::Result<Self> {
        let sa = listen(settings.sa, interface.index)?;
        let chat = match settings.chat == settings.sa {
            true => None,
            false => Some(listen(settings.chat, interface.index)?),
        };
        let say = match interface.address.filter(|_| settings.outgoing) {
            Some(address) => Some(speak(settings, address)?),
            None => None,
        };
        let own = match &say {
            Some(say) => say.local_addr()?.as_socket(),
            None => None,
        };
        Ok(Self { sa, chat, say, own })
    }

    /// Whether a datagram from there is our own.
    pub(super) fn is_own(&self, from: SocketAddr) -> bool {
        self.own == Some(from)
    }

    /// Says a datagram to a group, or to one who listens there.
    pub(super) fn say(&self, datagram: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let Some(say) = &self.say else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        say.send_to(datagram, &to.into()).map(drop)
    }

    /// Our address on the mesh.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        match self.own?.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

fn listen(group: SocketAddrV4, index: u32) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v4(false)?;
    socket.bind(&group.into())?;
    socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(index))?;
    UdpSocket::from_std(socket.into())
}

/// Not one of tokio's, which says nothing before the event loop has heard that it can: a datagram is said now or never.
fn speak(settings: &Settings, address: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(address, 0).into())?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_ttl_v4(settings.ttl.into())?;
    socket.set_multicast_loop_v4(true)?;
    by_way_of(&SockRef::from(&socket), &settings.interface);
    Ok(socket)
}

/// Binds to the interface where the kernel lets us (since 5.7 without privilege): two interfaces may have one address.
fn by_way_of(socket: &SockRef<'_>, interface: &str) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.bind_device(Some(interface.as_bytes())) {
        tracing::debug!(%error, "not bound to {interface}: the routes decide");
    }
}

/// Connects to one who wants a connection.
pub(super) async fn connect(
    to: SocketAddrV4,
    interface: &str,
    address: Option<Ipv4Addr>,
) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    by_way_of(&SockRef::from(&socket), interface);
    if let Some(address) = address {
        socket.bind(SocketAddrV4::new(address, 0).into())?;
    }
    socket.connect(to.into()).await
}
