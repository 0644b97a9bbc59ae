//! Everything that the status page shows, at one moment and for one who looks.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::access::{Grant, Scope};
use crate::api::connection::ConnectionInfo;
use crate::api::request::{PeerEntry, Request, Response};
use crate::api::status::Status;
use crate::api::turns::Control;
use crate::api::web::Problem;
use crate::api::web::about::{connection, status};
use crate::pki::certificate::Facts;
use crate::wire::stamp;

/// A certificate that ends soon is told of from so many days on.
const SOON_DAYS: i64 = 30;

/// What is shown.
#[derive(Debug)]
pub struct View<'a> {
    /// How everything stands.
    pub status: Status,
    /// The federates as they are configured.
    pub entries: Vec<PeerEntry>,
    /// What others need to federate with us.
    pub connection: ConnectionInfo,
    /// Who looks.
    pub grant: &'a Grant,
}

/// A certificate, and until when it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// What it is.
    pub name: String,
    /// Its last day, `2026-11-20`.
    pub until: String,
    /// Days that are left by the clock of the box; negative = it is over.
    pub days: i64,
}

impl Dated {
    /// Somebody should make a new one.
    pub fn is_due(&self) -> bool {
        self.days < SOON_DAYS
    }
}

impl<'a> View<'a> {
    /// As it is now.
    ///
    /// # Errors
    /// When the box answers something else than it was asked.
    pub fn now(grant: &'a Grant, control: &dyn Control) -> Result<Self, Problem> {
        let Response::Peers(entries) = control.handle(Request::PeerList).into_result()? else {
            return Err(Problem::internal());
        };
        Ok(Self {
            status: status(control)?,
            entries,
            connection: connection(control)?,
            grant,
        })
    }

    /// Who looks may do that.
    pub fn may(&self, scope: Scope) -> bool {
        self.grant.scopes.holds(scope)
    }

    /// Our certificate, our CA, and the CAs of the federates.
    pub fn dates(&self) -> Vec<Dated> {
        let now = stamp::read(self.status.clock.utc.as_bytes()).unwrap_or(0) / 1000;
        let dated = |name: String, until: i64| {
            let text = stamp::write(until.saturating_mul(1000));
            Dated {
                name,
                until: text.map_or_else(String::new, |text| {
                    String::from_utf8_lossy(&text[..10]).into_owned()
                }),
                days: (until - now).div_euclid(86_400),
            }
        };
        let ours = [
            ("This box", &self.connection.federation_certificate),
            ("Its CA", &self.connection.ca_certificate),
        ];
        let ours = ours.into_iter().filter_map(|(name, pem)| {
            let first = CertificateDer::pem_slice_iter(pem.as_bytes())
                .next()?
                .ok()?;
            Some(dated(name.to_owned(), Facts::read(&first).ok()?.not_after))
        });
        let theirs = self.entries.iter().filter_map(|entry| {
            let until = stamp::read(entry.authority_until.as_deref()?.as_bytes())? / 1000;
            Some(dated(format!("CA of {}", entry.name), until))
        });
        ours.chain(theirs).collect()
    }
}
