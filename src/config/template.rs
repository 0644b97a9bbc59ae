//! `tombolo.toml` with every key, commented: for people, and for the test that it says what the code does.

use std::fmt::Write;

use super::limits::Limits;
use super::settings::Config;

const HEAD: &str = r#"# tombolo.toml: every key is optional; what is commented out is the default.
# Files conf.d/*.toml beside it belong to it, in the order of their names; a key stands in one of them only.

[node]
# name = "alpha"                      # what other federates see; default: the host's name
# advertised_host = "tak.example.org" # how clients reach this box; default: found from the network

# Without [identity] the box makes its own CA and certificates under the state directory.
# [identity]
# certificate = "/path/chain.pem"     # leaf, then issuer
# key = "/path/key.pem"

[listen]                              # "" or [] switches one off
clients_tcp = "127.0.0.1:8087"        # plain CoT
clients_tls = "0.0.0.0:8089"          # CoT over mutual TLS
federation = ["0.0.0.0:9001"]         # other federates
api = "0.0.0.0:8443"                  # HTTPS API
freetakserver = "127.0.0.1:19023"     # two routes of FreeTAKServer's API, for this machine alone

[led]                                 # the status LED; default: /sys/class/leds/tombolo:status if it is there
# device = "/sys/class/leds/act"      # a LED that the kernel knows; "" = none
# gpio = "gpiochip0:17"               # instead of device: a bare line, in the words of `gpioinfo`
# active_low = true                   # with gpio: lit while the line is low
mode = "status"                       # or "dark": light discipline, never lit

[clock]                               # the time of day, beside what the kernel's clock says
gpsd = "127.0.0.1:2947"               # a gpsd to ask for the time of GPS; "" = off
peers = true                          # the median of the peers' clocks, when nothing better is there

[packages]                            # data packages: kept on the disk, given to clients (api) and federates
enabled = true
store_mib = 512                       # all together, 1 to 1048576; what was used longest ago goes first
max_package_mib = 150                 # one package, 1 to 2048
max_packages = 256                    # how many, 1 to 256
max_age_days = 30                     # after that they go, 1 to 3650
free_space_mib = 64                   # stays free on the disk, 0 to 1048576
federation_port = 8444                # for federates, on the address of `api`; false = off

[limits]
"#;

const PEERS: &str = r#"
[console]
idle_minutes = 10   # a console with a PIN locks after it, 0 to 1440; 0 = never

[keepalive]
discovery = true    # side connections between boxes learn how long the network remembers an idle link; false = none

# [[uplink]]                             # ways out, at most 4; without any, the kernel's routes decide
# name = "lte"
# interface = "wwan0"
# priority = 20                          # smaller is better
# rate = "2 Mbit/s"                      # what it carries, if that is known
# keepalive_seconds = 30                 # without: learned
# hold_seconds = 30                      # it must have held this long before a peer returns to it
# metered = false                        # true: no standby over it, no emergencies twice

# [[network]]                            # local networks beside that of [listen], which is called "local"
# name = "range"
# clients_tcp = "127.0.0.1:9087"         # further listeners, whose clients are in it
# clients_tls = "0.0.0.0:9089"
# incoming = true                        # others get what it sends
# outgoing = true                        # it gets what others send
# inbound_groups = ["__ANON__"]          # what it sends is in these groups
# outbound_groups = ["__ANON__"]         # it gets what is in one of these

# [[peer]]
# name = "bravo"
# address = "tak.battalion.example:9001" # dial it; without: it dials us
# ca_cert = "peers/bravo-ca.pem"         # path relative to this file, or inline PEM
# fingerprint = "SHA256:AB12..."         # its leaf; ca_cert, fingerprint or both
# enabled = true
# incoming = true                        # take what it sends
# outgoing = true                        # send what we have
# spool = true                           # keep emergencies, deletes and chat for it while it is away
# correct_clock = true                   # move the times of its events into our clock when its own is off
# keepalive_seconds = 60                 # 1 to 32767; without: what was learned of the uplink, or 60
# probe = { address = "tak.battalion.example:8089", p12 = "peers/probe.p12", password = "atakatak" } # for `check`
# rate = "9600 bit/s"                    # what may be sent to it; without: as much as the network takes
# compress = true                        # pack for a box behind a thin link (a rate of 64 kbit/s or less)
# addresses = ["198.51.100.7:9001"]      # further addresses of the same peer, at most 4
# data_packages_in = true                # take data packages and files from it
# data_packages_out = true               # let it have data packages and files of ours
# package_limit_mib = 50                 # largest data package either way, 1 to 4096; without: what the store takes
# package_block_extensions = ["pref"]    # such files do not cross, alone or in a package
# relay_missions = true                  # pass missions and data feeds between it and other federates
# package_port = 8444                    # federation v1: where packages are uploaded to it
# filter = { preset = "tracks+chat+emergencies", allow_types = ["b-m-p"], block_types = ["a-h"], allow_callsigns = ["ALPHA*"], block_callsigns = ["*-TEST"], direction = "both" } # without: everything may cross
# uplinks = ["lte"]                      # which may carry it; without: all
# inbound_groups = ["Blue"]              # what it sends is put into these groups; without: all
# outbound_groups = ["Blue"]             # it gets what is in one of these; without: all
# group_mapping = true                   # tell it the names of groups, and count the names it tells
# inbound_group_mapping = ["Blue Force:Blue"] # "remote:local": its names and ours
# automatic_group_mapping = false        # its names are ours, if its CA is the one of our own certificate
# fallback_when_no_group_mappings = false # what has no known name goes into inbound_groups, and not nowhere
# max_hops = 3                           # how far our events may go from here; without: no limit
# outbound_group_hop_limits = ["Blue:2"] # the same by group
# protocol = "v2"                        # or "v1": FreeTAKServer and old TAK Servers, usually on port 9000
#                                        # with v1: flavour = "freetakserver" (default "takserver"), and
#                                        # legacy_no_client_certificate = true (see the README before you do)
# fallback_seconds = 10                  # with fallback_of = "NAME": dialled only while NAME has been down so long

# [[server]]                             # a TAK server without federation: the box logs in there as a client
# name = "ots"
# address = "ots.example:8089"           # its port for clients: 8089 with TLS, 8087 without
# p12 = "servers/ots.p12"                # our user there; or `certificate` and `key`, PEM; without: the box's own
# password = "atakatak"                  # of the .p12; without, the usual ones are tried
# ca_cert = "servers/ots-ca.pem"         # CA of the server, PEM or .p12; not needed where the .p12 holds it
# fingerprint = "SHA256:AB12..."         # the server's own certificate, beside ca_cert or instead of it
# tls = true                             # follows from the above; false = plain TCP
# auth = { username = "box", password = "..." } # where the server asks for an account in the stream
# network = "local"                      # the [[network]] that it belongs to; without: that of [listen]'s clients
# callsign = "ALPHA"                     # who we are on its map; without: the box's name
# enabled = true
# incoming = true                        # take what it sends
# outgoing = true                        # send what we have
# keepalive_seconds = 20                 # between pings, 1 to 3600

# [[mesh]]                               # the multicast of ATAK on a network, for those who have no server
# name = "lan"
# interface = "eth0"                     # it need not be there yet
# sa = "239.2.3.1:6969"                  # where positions are said
# chat = "224.10.10.1:17012"             # where chat is said
# ttl = 1                                # 1: not beyond this network
# form = "xml"                           # or "protobuf"; both are understood
# incoming = true                        # take what is said there
# outgoing = true                        # say there what we have; false: the box sends nothing there at all
# data_packages_in = true                # as with peers
# data_packages_out = true
# filter = { block_types = ["b-f-t"] }   # as with peers; without: everything may cross
"#;

impl Config {
    /// The text of a `tombolo.toml` that sets every key to its default and explains it.
    pub fn template() -> String {
        let mut text = String::from(HEAD);
        for limit in Limits::TABLE {
            for line in limit.about {
                let _ = writeln!(text, "#{line}");
            }
            let _ = writeln!(
                text,
                "{} = {}   # {} to {}",
                limit.key, limit.default, limit.least, limit.most
            );
        }
        text + PEERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LedPlace;
    use std::path::Path;

    #[test]
    fn the_template_is_the_default() {
        let parsed = Config::parse(&Config::template(), Path::new(""));
        assert_eq!(parsed, Ok(Config::default()));
    }

    #[test]
    fn what_the_template_comments_out_is_accepted_too() {
        let ca = crate::config::authority::tests::certificate("bravo", true);
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("peers")).unwrap();
        std::fs::write(directory.path().join("peers/bravo-ca.pem"), ca).unwrap();
        let fingerprint = format!("SHA256:{}", "AB".repeat(32));
        let uncommented: Vec<String> = Config::template()
            .replace("SHA256:AB12...", &fingerprint)
            // It stands for `gpio`, not beside it.
            .replace("# device =", "#device =")
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let config = Config::parse(&uncommented.join("\n"), directory.path()).unwrap();
        assert_eq!(config.name, "alpha");
        assert_eq!(config.peers.len(), 1);
        assert_eq!(
            config.peers[0].address.as_deref(),
            Some("tak.battalion.example:9001")
        );
        assert!(config.identity.is_some());
        assert!(matches!(config.led.place, LedPlace::Line { line: 17, .. }));
    }
}
