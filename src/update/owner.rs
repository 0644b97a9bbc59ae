//! Root writes what belongs to the daemon as the daemon's user: so the files are the daemon's own, and no link that a
//! taken-over daemon lays in its directories leads root's writes elsewhere.

use std::io;

use nix::unistd::{Gid, Uid, User, getegid, geteuid, setegid, seteuid};

/// The user that the daemon runs as on a box.
const USER: &str = "tombolo";

/// Does something as the daemon's user when run by root and there is such a user; else as who we are.
///
/// # Errors
/// If the user cannot be taken on, or the work itself fails.
pub fn as_owner<T, E: From<io::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let user = match geteuid().is_root() {
        true => User::from_name(USER).map_err(io::Error::from)?,
        false => None,
    };
    let Some(user) = user else {
        return work();
    };
    let _back = Worn::new(user.uid, user.gid)?;
    work()
}

/// The other user, until dropped.
struct Worn {
    group: Gid,
}

impl Worn {
    fn new(user: Uid, group: Gid) -> io::Result<Self> {
        let worn = Self { group: getegid() };
        setegid(group)?;
        // A failure here drops `worn`, which takes the group back.
        seteuid(user)?;
        Ok(worn)
    }
}

impl Drop for Worn {
    fn drop(&mut self) {
        // Root stays the real and the saved user, so this cannot be refused.
        let _ = seteuid(Uid::from_raw(0));
        let _ = setegid(self.group);
    }
}
