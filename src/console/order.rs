//! What goes in and out of the console's core.

use super::network::Network;
use crate::api::{Fault, Request, Response, Status};

/// What came from the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A line without its end.
    Line(String),
    /// A line that was longer than the console takes.
    TooLong,
    /// A line that is not UTF-8 text.
    NotText,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the input.
    End,
    /// Nobody typed anything for as long as the lock waits.
    Idle,
}

/// What is to be done, in this order. An order is always the last; its answer comes before the next input.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Show this.
    Print(String),
    /// Do this and hand the answer back.
    Order(Order),
    /// The console ends.
    Leave,
}

/// Something that only the outside can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Ask the box; when none runs, do it to its files.
    Request(Request),
    /// Look around: [`Answer::Sight`].
    Look,
    /// Try everything: [`Answer::Checks`].
    Selftest,
    /// Wait until the box that starts again answers.
    AwaitRestart,
    /// What takes more rights than the console has.
    System(SystemOrder),
    /// About the PIN.
    Pin(PinOrder),
}

/// What the machine is asked to do by a file that its administrator's units watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemOrder {
    /// Start the machine again.
    Reboot,
    /// Forget configuration, keys and state.
    FactoryReset,
    /// Install a bundle.
    Update {
        /// The file.
        file: String,
        /// Also when it is older than what runs.
        allow_downgrade: bool,
    },
    /// Set the network up.
    Network(Network),
}

/// About the PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinOrder {
    /// Is this it?
    Verify(String),
    /// This is it from now on.
    Set(String),
    /// There is none from now on.
    Clear,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Order::Request`].
    Response(Response),
    /// To [`Order::Look`].
    Sight(Box<Sight>),
    /// To [`Order::Selftest`].
    Checks(Vec<Check>),
    /// Done; in words.
    Done(String),
    /// Not done.
    Failed(Fault),
}

/// What there is to see on this machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// Release of this program.
    pub version: String,
    /// The box's name, also when it does not run.
    pub name: String,
    /// How it stands; none when it does not run.
    pub status: Option<Status>,
    /// Why there is no status, in words.
    pub trouble: Option<String>,
    /// Configured peers; none when the configuration cannot be read.
    pub peers: Option<usize>,
    /// Seconds until the configuration is taken back; none = it waits for no confirmation.
    pub unconfirmed_seconds: Option<u32>,
    /// Network interfaces with their addresses, without loopback.
    pub interfaces: Vec<(String, Vec<String>)>,
    /// Our certificates; none before the first start.
    pub own: Option<OwnCertificates>,
    /// Mistakes found in what was provisioned.
    pub mistakes: Vec<String>,
    /// Now, RFC 3339.
    pub utc: String,
    /// Requests to the machine (network, reboot, update, reset) have somebody who hears them.
    pub hears_requests: bool,
    /// A PIN is set.
    pub has_pin: bool,
    /// Wrong PINs since the last right one.
    pub wrong_pins: u32,
    /// The password of the first login at the HTTPS API; none once there are tokens or users.
    pub first_password: Option<String>,
}

/// Our certificates as people need them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCertificates {
    /// SHA-256 of our leaf.
    pub fingerprint: String,
    /// SHA-256 of the CA that issued it.
    pub authority_fingerprint: String,
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Valid until, RFC 3339.
    pub until: String,
    /// The leaf, PEM.
    pub leaf_pem: String,
    /// Its CA, PEM.
    pub authority_pem: String,
}

/// One line of the self test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was tried.
    pub what: String,
    /// What is wrong and the cure; none = all well.
    pub fault: Option<String>,
}
