//! What the kernel knows of a connection (`TCP_INFO`), and its keepalive timers, while others read and write it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{GetSockOpt, sockopt::GetStruct};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::keepalive::Probes;

/// The head of the kernel's `struct tcp_info` up to `tcpi_notsent_bytes`: eight bytes, 24 numbers of 32 bits, four of 64,
/// three of 32. It has stood so since Linux 4.6 and only grows behind it.
const TCP_INFO_HEAD: usize = 148;

#[derive(Debug, Clone, Copy)]
struct TcpInfo;

// The system call itself is nix's; any bytes are a valid answer.
nix::getsockopt_impl!(
    TcpInfo,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; TCP_INFO_HEAD],
    GetStruct<[u8; TCP_INFO_HEAD]>
);

/// How a connection's line is, as the kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// Smoothed round trip, microseconds.
    pub round_trip_us: u32,
    /// Its mean deviation, microseconds.
    pub deviation_us: u32,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Segments sent and not acknowledged yet.
    pub unacknowledged: u32,
    /// Bytes that the kernel was given and has not sent yet.
    pub unsent: u32,
}

impl Line {
    /// The other end's kernel has everything that ours was given.
    pub fn is_drained(&self) -> bool {
        self.unacknowledged == 0 && self.unsent == 0
    }
}

/// A second handle of a connection's socket. It keeps the socket open: drop it with the connection.
#[derive(Debug)]
pub struct Gauge {
    socket: OwnedFd,
}

impl Gauge {
    /// For a connection that will be given away.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub fn of(stream: &TcpStream) -> io::Result<Self> {
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Self { socket })
    }

    /// How the line is now; none where the system does not tell.
    pub fn read(&self) -> Option<Line> {
        let head = TcpInfo.get(&self.socket).ok()?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(bytes))
        };
        Some(Line {
            unacknowledged: number(24)?,
            round_trip_us: number(68)?,
            deviation_us: number(72)?,
            retransmits: number(100)?,
            unsent: number(144)?,
        })
    }

    /// When the connection is dropped next, its peer is told by a reset at once: what the kernel has not delivered is
    /// given up. A peer that thinks the connection alive would else refuse the next one.
    pub fn reset(&self) {
        // Without it the kernel closes in its own time.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Sets the kernel's keepalive timers.
    ///
    /// # Errors
    /// Whatever the system says; the connection is then still usable.
    pub fn set_probes(&self, probes: &Probes) -> io::Result<()> {
        set_probes(&SockRef::from(&self.socket), probes)
    }
}

/// Sets the kernel's keepalive timers of a socket.
///
/// # Errors
/// Whatever the system says; the connection is then still usable.
pub fn set_probes(socket: &SockRef<'_>, probes: &Probes) -> io::Result<()> {
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(probes.after)
            .with_interval(probes.every)
            .with_retries(probes.count),
    )?;
    socket.set_tcp_user_timeout(Some(probes.user_timeout))
}

/// Ends a connection without waiting for what was not delivered.
pub fn drop_hard(stream: TcpStream) {
    // It only saves the peer's packets; a socket that refuses is closed the ordinary way.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_kernel_tells_round_trip_and_what_is_on_its_way() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let gauge = Gauge::of(&near).unwrap();
        for _ in 0..20 {
            near.write_all(b"there").await.unwrap();
            far.read_exact(&mut [0; 5]).await.unwrap();
            far.write_all(b"back").await.unwrap();
            near.read_exact(&mut [0; 4]).await.unwrap();
        }
        let line = gauge.read().unwrap();
        assert!(
            (1..1_000_000).contains(&line.round_trip_us),
            "loopback takes microseconds: {line:?}"
        );
        assert!(line.deviation_us < 1_000_000, "{line:?}");
        assert!(line.unacknowledged < 10, "{line:?}");
        // Far more than the other end takes without being read.
        let flood = vec![0; 1 << 20];
        while let Ok(Ok(())) =
            tokio::time::timeout(Duration::from_millis(200), near.write_all(&flood)).await
        {}
        let line = gauge.read().unwrap();
        assert!(line.unsent > 0 && !line.is_drained(), "{line:?}");
    }

    #[tokio::test]
    async fn probes_reach_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let gauge = Gauge::of(&stream).unwrap();
        gauge
            .set_probes(&Probes::of(Duration::from_secs(40)))
            .unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let time = |seconds| Duration::from_secs(seconds);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), time(40));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), time(10));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(time(70)));
    }
}
