//! A socket that leads to a thin link: what the kernel takes from us and cannot send yet is bounded, because nothing
//! can overtake it any more.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::config::Rate;

/// Up to this rate the send buffer itself is made small, bits per second. Above it the buffer must hold what is under
/// way on a long path.
const SMALL_BUFFER_UP_TO: u64 = 256_000;

/// Bounds what waits unsent in the kernel to a quarter of a second of the rate, and on thin links the whole send buffer
/// to two seconds.
///
/// # Errors
/// Whatever the system says; the connection is then still usable.
pub fn narrow(stream: &TcpStream, rate: Option<Rate>) -> io::Result<()> {
    let Some(rate) = rate else {
        return Ok(());
    };
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(unsent(rate))?;
    if rate.bits() <= SMALL_BUFFER_UP_TO {
        socket.set_send_buffer_size(buffer(rate))?;
    }
    Ok(())
}

/// Bytes that may wait unsent.
fn unsent(rate: Rate) -> u32 {
    u32::try_from(rate.bytes() / 4)
        .unwrap_or(u32::MAX)
        .clamp(1024, 128 * 1024)
}

/// Bytes of the send buffer; the kernel counts its own bookkeeping in and doubles what it is told.
fn buffer(rate: Rate) -> usize {
    usize::try_from(rate.bytes() * 2)
        .unwrap_or(usize::MAX)
        .clamp(2 * 1024, 64 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thin_link_has_a_small_buffer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap());
        let (wide, thin) = (connect().await.unwrap(), connect().await.unwrap());
        narrow(&wide, None).unwrap();
        narrow(&thin, Rate::of_bits(9600)).unwrap();
        assert_eq!(SockRef::from(&thin).tcp_notsent_lowat().unwrap(), 1024);
        let size = |stream| SockRef::from(stream).send_buffer_size().unwrap();
        assert!(size(&thin) <= 16 * 1024 && size(&thin) < size(&wide));
    }
}
