//! Whether a peer wants to see our certificate at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::current::Current;

/// Whether a peer asked for our certificate. Clones share it; a configuration dials one connection at a time.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Whether the peer of the last handshake did; asked once per handshake.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Our certificate, and whether it was asked for.
#[derive(Debug)]
pub(super) struct Asking {
    inner: Arc<Current>,
    asked: Asked,
}

impl Asking {
    /// Notes in `asked` that `inner` was asked for.
    pub(super) fn new(inner: Arc<Current>, asked: Asked) -> Self {
        Self { inner, asked }
    }
}

impl ResolvesClientCert for Asking {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.0.store(true, Ordering::Relaxed);
        ResolvesClientCert::resolve(&*self.inner, hints, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
