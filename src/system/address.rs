//! How others reach this machine.

use std::net::UdpSocket;

/// The address by which others most likely reach this box: that of the interface with the default route, else the
/// host name. Nothing is sent.
pub fn own_address() -> String {
    let address = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // An address of the documentation block (RFC 5737): connecting a UDP socket only asks the routing table.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    match address {
        Ok(address) if !address.ip().is_loopback() && !address.ip().is_unspecified() => {
            address.ip().to_string()
        }
        _ => host_name(),
    }
}

/// The machine's host name, `localhost` when it has none.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_an_address() {
        assert!(!own_address().is_empty());
        assert!(!host_name().is_empty());
    }
}
