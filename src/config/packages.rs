//! `[packages]`: the store of data packages, and where federates bring and fetch them.

pub(super) mod written;

use std::net::SocketAddr;

use crate::packages::Bounds;

const MIB: u64 = 1024 * 1024;
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Most packages that any configuration allows.
pub const MOST_PACKAGES: u32 = 256;

/// Data packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    /// Off: none are kept or given.
    pub enabled: bool,
    /// MiB of all together.
    pub store_mib: u32,
    /// MiB of one.
    pub max_package_mib: u32,
    /// How many, at most [`MOST_PACKAGES`].
    pub max_packages: u32,
    /// Days after which they go.
    pub max_age_days: u32,
    /// MiB that stay free on the disk.
    pub free_space_mib: u32,
    /// Port for federates, on the address of the API; 0: any free one; none: off.
    pub federation_port: Option<u16>,
}

impl Default for Packages {
    fn default() -> Self {
        Self {
            enabled: true,
            store_mib: 512,
            max_package_mib: 150,
            max_packages: MOST_PACKAGES,
            max_age_days: 30,
            free_space_mib: 64,
            federation_port: Some(8444),
        }
    }
}

impl Packages {
    /// What the store may hold.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            bytes: u64::from(self.store_mib) * MIB,
            largest: u64::from(self.max_package_mib) * MIB,
            count: self.max_packages as usize,
            age_ms: u64::from(self.max_age_days) * DAY_MS,
            free_space: u64::from(self.free_space_mib) * MIB,
        }
    }

    /// Where federates bring and fetch them; none without the API, whose address it shares.
    pub fn federation_address(&self, api: Option<SocketAddr>) -> Option<SocketAddr> {
        let port = self.federation_port.filter(|_| self.enabled)?;
        Some(SocketAddr::new(api?.ip(), port))
    }
}
