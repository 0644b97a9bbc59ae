//! `[listen]`.

use std::collections::HashMap;
use std::net::SocketAddr;

use toml::Spanned;

use super::address::socket_address;
use super::error::ConfigError;
use super::raw::{AddressList, RawListen};
use super::reader::Reader;
use super::settings::{
    API_PORT, CLIENTS_TCP_PORT, CLIENTS_TLS_PORT, FEDERATION_PORT, FREETAKSERVER_PORT, Listen,
};

/// Most addresses of one listener.
const MOST_ADDRESSES: usize = 8;

impl Reader<'_> {
    pub(super) fn listen(&self, raw: &RawListen, default: Listen) -> Result<Listen, ConfigError> {
        let federation = match &raw.federation {
            None => default.federation,
            Some(list) => self.addresses("federation", list, FEDERATION_PORT)?,
        };
        let api = self.single("api", &raw.api, API_PORT, default.api)?;
        let listen = Listen {
            clients_tcp: self.single(
                "clients_tcp",
                &raw.clients_tcp,
                CLIENTS_TCP_PORT,
                default.clients_tcp,
            )?,
            clients_tls: self.single(
                "clients_tls",
                &raw.clients_tls,
                CLIENTS_TLS_PORT,
                default.clients_tls,
            )?,
            federation,
            federation_allow: self.subnets("federation_allow", &raw.federation_allow)?,
            api,
            freetakserver: self.single(
                "freetakserver",
                &raw.freetakserver,
                FREETAKSERVER_PORT,
                // Without the API there is nobody to look after it.
                default.freetakserver.filter(|_| api.is_some()),
            )?,
        };
        if let (Some(address), Some(written)) = (listen.freetakserver, &raw.freetakserver)
            && !address.ip().is_loopback()
        {
            return Err(self.bad(
                written,
                "freetakserver",
                format!("{address} can be reached from elsewhere, and this listener asks nobody who they are"),
                "write \"127.0.0.1:19023\", or \"\" for off; the HTTPS API (api) is for everybody else",
            ));
        }
        let mut seen = HashMap::new();
        let singles = [
            ("clients_tcp", listen.clients_tcp),
            ("clients_tls", listen.clients_tls),
            ("api", listen.api),
            ("freetakserver", listen.freetakserver),
        ];
        let all = singles
            .into_iter()
            .filter_map(|(key, address)| address.map(|address| (key, address)))
            .chain(
                listen
                    .federation
                    .iter()
                    .map(|&address| ("federation", address)),
            );
        for (key, address) in all.filter(|(_, address)| address.port() != 0) {
            if let Some(other) = seen.insert(address, key) {
                return Err(ConfigError::BadValue {
                    place: self.place(self.text.find("[listen]").unwrap_or(0)),
                    key,
                    fault: format!("{address} is the address of `{other}` too"),
                    cure: "give each listener its own port".into(),
                });
            }
        }
        Ok(listen)
    }

    pub(super) fn single(
        &self,
        key: &'static str,
        written: &Option<Spanned<AddressList>>,
        port: u16,
        default: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(list) = written else {
            return Ok(default);
        };
        match self.addresses(key, list, port)?.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(self.bad(
                list,
                key,
                "holds several addresses",
                "this listener takes one",
            )),
        }
    }

    fn addresses(
        &self,
        key: &'static str,
        list: &Spanned<AddressList>,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ConfigError> {
        let written = &list.get_ref().0;
        if written.len() > MOST_ADDRESSES {
            let fault = format!("holds more than {MOST_ADDRESSES} addresses");
            return Err(self.bad(list, key, fault, "\"0.0.0.0\" listens on every network"));
        }
        let read = |text: &String| {
            socket_address(text.trim(), port).ok_or_else(|| {
                let cure = format!(
                    "write an IP address and a port, such as \"0.0.0.0:{port}\" or \"[::]:{port}\", or \"\" for off"
                );
                self.bad(list, key, format!("\"{text}\" is no address"), cure)
            })
        };
        written.iter().map(read).collect()
    }
}
