//! What the box wants to say, worst first, and the pattern that says it.

use super::pattern::Pattern;

/// A fault that has a number of blinks. The order is the order of importance: of several, the first is shown.
///
/// First what endangers the box itself, then what never heals without a person, then what may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The data partition is read-only or full: nothing that is set from now on is kept.
    Storage,
    /// The supply is too weak: the box may restart or damage its card at any moment.
    UnderVoltage,
    /// A certificate or a registration is not accepted, here or there.
    Certificate,
    /// The clocks are so far apart that a certificate is out of date, or the box does not know what time it is.
    Clock,
    /// The peer speaks another protocol or version.
    Version,
    /// No network leads to the peer.
    NoNetwork,
    /// The peer's name has no address.
    NameLookup,
    /// The peer refuses the connection, or does not answer.
    Unanswered,
}

impl Fault {
    /// Every fault, worst first.
    pub const ALL: [Self; 8] = [
        Self::Storage,
        Self::UnderVoltage,
        Self::Certificate,
        Self::Clock,
        Self::Version,
        Self::NoNetwork,
        Self::NameLookup,
        Self::Unanswered,
    ];

    /// Its number of blinks, 2 to 9.
    pub const fn blinks(self) -> u8 {
        match self {
            Self::NoNetwork => 2,
            Self::NameLookup => 3,
            Self::Unanswered => 4,
            Self::Certificate => 5,
            Self::Clock => 6,
            Self::Version => 7,
            Self::Storage => 8,
            Self::UnderVoltage => 9,
        }
    }
}

/// What the box says with its LED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Light discipline: nothing, whatever happens.
    Dark,
    /// The box restarted again and again, and runs without federation until somebody looks.
    SafeMode,
    /// A fault.
    Fault(Fault),
    /// Not ready yet.
    Booting,
    /// Nothing to do is configured, or what was given has mistakes: a person is needed.
    Provisioning,
    /// A code waits for another box.
    Pairing,
    /// The operator paused every peer.
    Paused,
    /// Every enabled peer is flowing.
    Flowing,
    /// Every enabled peer is connected; at least one has proven nothing.
    Connected,
    /// Some peers are up and some are down.
    SomeDown,
    /// No peer is up, and attempts go on.
    Retrying,
    /// No peer is up yet, and the first attempt is under way.
    Connecting,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 19] = [
        Self::Dark,
        Self::SafeMode,
        Self::Fault(Fault::Storage),
        Self::Fault(Fault::UnderVoltage),
        Self::Fault(Fault::Certificate),
        Self::Fault(Fault::Clock),
        Self::Fault(Fault::Version),
        Self::Fault(Fault::NoNetwork),
        Self::Fault(Fault::NameLookup),
        Self::Fault(Fault::Unanswered),
        Self::Booting,
        Self::Provisioning,
        Self::Pairing,
        Self::Paused,
        Self::Flowing,
        Self::Connected,
        Self::SomeDown,
        Self::Retrying,
        Self::Connecting,
    ];

    /// How it looks.
    pub const fn pattern(self) -> Pattern {
        match self {
            Self::Dark | Self::Paused => Pattern::Off,
            Self::SafeMode => Pattern::Flicker,
            Self::Fault(fault) => Pattern::Blinks(fault.blinks()),
            Self::Booting | Self::Connecting => Pattern::Fast,
            Self::Provisioning | Self::Pairing => Pattern::Double,
            Self::Flowing => Pattern::Steady,
            Self::Connected => Pattern::Wink,
            Self::SomeDown => Pattern::Slow,
            Self::Retrying => Pattern::Medium,
        }
    }

    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::SafeMode => "safe_mode",
            Self::Fault(Fault::Storage) => "fault_storage",
            Self::Fault(Fault::UnderVoltage) => "fault_under_voltage",
            Self::Fault(Fault::Certificate) => "fault_certificate",
            Self::Fault(Fault::Clock) => "fault_clock",
            Self::Fault(Fault::Version) => "fault_version",
            Self::Fault(Fault::NoNetwork) => "fault_no_network",
            Self::Fault(Fault::NameLookup) => "fault_name_lookup",
            Self::Fault(Fault::Unanswered) => "fault_unanswered",
            Self::Booting => "booting",
            Self::Provisioning => "provisioning",
            Self::Pairing => "pairing",
            Self::Paused => "paused",
            Self::Flowing => "flowing",
            Self::Connected => "connected",
            Self::SomeDown => "some_down",
            Self::Retrying => "retrying",
            Self::Connecting => "connecting",
        }
    }

    /// What it means, in words for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Dark => "light discipline, never lit",
            Self::SafeMode => "safe mode",
            Self::Fault(Fault::Storage) => "storage fault",
            Self::Fault(Fault::UnderVoltage) => "under-voltage",
            Self::Fault(Fault::Certificate) => "certificate or registration refused",
            Self::Fault(Fault::Clock) => "clock fault",
            Self::Fault(Fault::Version) => "protocol version",
            Self::Fault(Fault::NoNetwork) => "no network",
            Self::Fault(Fault::NameLookup) => "name lookup fails",
            Self::Fault(Fault::Unanswered) => "refused or timed out",
            Self::Booting => "booting",
            Self::Provisioning => "waiting for provisioning",
            Self::Pairing => "waiting for pairing",
            Self::Paused => "all peers paused by the operator",
            Self::Flowing => "every enabled peer flowing",
            Self::Connected => "connected, nothing proven",
            Self::SomeDown => "some peers down",
            Self::Retrying => "no peer up, retrying",
            Self::Connecting => "connecting",
        }
    }
}
