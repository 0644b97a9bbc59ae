//! The newer keys of `[[peer]]` as options of `peer add` and `peer set`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::failure::{Exit, Failure, unreadable};
use crate::config::written::{Key, KeyChanges, Written};
use crate::files;

/// Longest file with a password, bytes.
const MOST_PASSWORD: u64 = 4096;

/// Options of both commands. What is not given stays as it is, or at its default.
#[derive(Debug, Args)]
pub(super) struct MoreKeys {
    /// What may be sent to it, such as "9600 bit/s"
    #[arg(long, value_name = "RATE", group = "changes", help_heading = "Traffic")]
    rate: Option<String>,
    /// As much as the network takes
    #[arg(
        long,
        group = "changes",
        conflicts_with = "rate",
        help_heading = "Traffic"
    )]
    no_rate: bool,
    /// Keep emergencies, deletes and chat for it while it is away: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    spool: Option<bool>,
    /// Move the times of its events into our clock when its own is off: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    correct_clock: Option<bool>,
    /// Pack for a box behind a thin link: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    compress: Option<bool>,
    /// Take data packages and files from it: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    data_packages_in: Option<bool>,
    /// Let it have data packages and files of ours: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    data_packages_out: Option<bool>,
    /// Pass missions and data feeds between it and other federates: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Traffic")]
    relay_missions: Option<bool>,
    /// Largest data package either way, MiB, 1 to 4096
    #[arg(long, value_name = "MIB", group = "changes", help_heading = "Traffic")]
    package_limit_mib: Option<u32>,
    /// Extensions of files that do not cross, alone or in a package, with commas in between; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Traffic")]
    package_block_extensions: Option<String>,
    /// Federation v1: port to which packages are uploaded
    #[arg(long, value_name = "PORT", group = "changes", help_heading = "Traffic")]
    package_port: Option<u32>,
    /// Further addresses of the same peer, host:port with commas in between; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Ways")]
    addresses: Option<String>,
    /// Uplinks that may carry it, with commas in between; "" = all
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Ways")]
    uplinks: Option<String>,
    /// Dial it only while this peer is down
    #[arg(long, value_name = "NAME", group = "changes", help_heading = "Ways")]
    fallback_of: Option<String>,
    /// It stands in for nobody
    #[arg(
        long,
        group = "changes",
        conflicts_with = "fallback_of",
        help_heading = "Ways"
    )]
    no_fallback: bool,
    /// Seconds that the other must be down before this one is dialled
    #[arg(long, value_name = "N", group = "changes", help_heading = "Ways")]
    fallback_seconds: Option<u32>,
    /// Groups that what it sends is put into, with commas in between; "" = all
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Groups")]
    inbound_groups: Option<String>,
    /// It gets what is in one of these groups; "" = all
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Groups")]
    outbound_groups: Option<String>,
    /// Tell it the names of groups, and count the names it tells: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Groups")]
    group_mapping: Option<bool>,
    /// Its names and ours, "remote:local" with commas in between; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Groups")]
    inbound_group_mapping: Option<String>,
    /// Its names are ours, if it is of our own CA: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Groups")]
    automatic_group_mapping: Option<bool>,
    /// What has no known name goes into the inbound groups: true or false
    #[arg(long, value_name = "BOOL", group = "changes", help_heading = "Groups")]
    fallback_when_no_group_mappings: Option<bool>,
    /// How far our events may go from here, in hops, 1 to 254
    #[arg(long, value_name = "N", group = "changes", help_heading = "Groups")]
    max_hops: Option<u32>,
    /// Without limit
    #[arg(
        long,
        group = "changes",
        conflicts_with = "max_hops",
        help_heading = "Groups"
    )]
    no_max_hops: bool,
    /// The same by group, "Blue:2" with commas in between; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Groups")]
    outbound_group_hop_limits: Option<String>,
    /// What passes by the names people use, such as tracks+chat+emergencies; "" = no preset
    #[arg(long, value_name = "PARTS", group = "changes", help_heading = "Filter")]
    preset: Option<String>,
    /// CoT types that pass, each with all below it, with commas in between; "" = no such list
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Filter")]
    allow_types: Option<String>,
    /// CoT types that do not pass; emergencies only if they are named
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Filter")]
    block_types: Option<String>,
    /// Callsigns whose events pass; * is any letters, ? one
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Filter")]
    allow_callsigns: Option<String>,
    /// Callsigns whose events do not pass
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Filter")]
    block_callsigns: Option<String>,
    /// Which way the filter looks: in, out or both
    #[arg(
        long,
        value_name = "DIRECTION",
        group = "changes",
        help_heading = "Filter"
    )]
    filter_direction: Option<String>,
    /// Let everything pass
    #[arg(long, group = "changes", help_heading = "Filter", conflicts_with_all = ["preset", "allow_types",
        "block_types", "allow_callsigns", "block_callsigns", "filter_direction"])]
    no_filter: bool,
    /// Its port for clients, where `check` logs in with a second identity
    #[arg(
        long,
        value_name = "HOST:PORT",
        group = "changes",
        help_heading = "Probe"
    )]
    probe_address: Option<String>,
    /// That identity as a .p12 file
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Probe")]
    probe_p12: Option<PathBuf>,
    /// A file with the password of that .p12
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Probe")]
    probe_password_file: Option<PathBuf>,
    /// That identity as PEM: its certificate
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Probe")]
    probe_certificate: Option<PathBuf>,
    /// That identity as PEM: its key
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Probe")]
    probe_key: Option<PathBuf>,
    /// PEM file with the CA of the server's port for clients
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Probe")]
    probe_ca_cert: Option<PathBuf>,
    /// No second identity
    #[arg(
        long,
        group = "changes",
        conflicts_with = "probe_address",
        help_heading = "Probe"
    )]
    no_probe: bool,
}

impl MoreKeys {
    /// The keys that the options change.
    ///
    /// # Errors
    /// If the file with the password cannot be read.
    pub(super) fn changes(&self) -> Result<KeyChanges, Failure> {
        let mut changes = KeyChanges::new();
        let mut set = |option: &str, written: Option<Written>| {
            if let Some(key) = Key::of_option(option) {
                changes.insert(key.key.to_owned(), written);
            }
        };
        for (option, text) in [
            ("rate", &self.rate),
            ("package-block-extensions", &self.package_block_extensions),
            ("addresses", &self.addresses),
            ("uplinks", &self.uplinks),
            ("fallback-of", &self.fallback_of),
            ("inbound-groups", &self.inbound_groups),
            ("outbound-groups", &self.outbound_groups),
            ("inbound-group-mapping", &self.inbound_group_mapping),
            ("outbound-group-hop-limits", &self.outbound_group_hop_limits),
            ("preset", &self.preset),
            ("allow-types", &self.allow_types),
            ("block-types", &self.block_types),
            ("allow-callsigns", &self.allow_callsigns),
            ("block-callsigns", &self.block_callsigns),
            ("filter-direction", &self.filter_direction),
            ("probe-address", &self.probe_address),
        ] {
            let Some(text) = text else { continue };
            let read = Key::of_option(option).and_then(|key| key.read(text).ok());
            // An empty text takes the key away.
            set(option, read.filter(|_| !text.trim().is_empty()));
        }
        for (option, on) in [
            ("spool", self.spool),
            ("correct-clock", self.correct_clock),
            ("compress", self.compress),
            ("data-packages-in", self.data_packages_in),
            ("data-packages-out", self.data_packages_out),
            ("relay-missions", self.relay_missions),
            ("group-mapping", self.group_mapping),
            ("automatic-group-mapping", self.automatic_group_mapping),
            (
                "fallback-when-no-group-mappings",
                self.fallback_when_no_group_mappings,
            ),
        ] {
            if let Some(on) = on {
                set(option, Some(Written::Switch(on)));
            }
        }
        for (option, file) in [
            ("probe-p12", &self.probe_p12),
            ("probe-certificate", &self.probe_certificate),
            ("probe-key", &self.probe_key),
            ("probe-ca-cert", &self.probe_ca_cert),
        ] {
            if let Some(file) = file {
                set(option, Some(Written::Text(absolute(file))));
            }
        }
        for (option, number) in [
            ("package-limit-mib", self.package_limit_mib),
            ("package-port", self.package_port),
            ("fallback-seconds", self.fallback_seconds),
            ("max-hops", self.max_hops),
        ] {
            if let Some(number) = number {
                set(option, Some(Written::Number(number.into())));
            }
        }
        if let Some(file) = &self.probe_password_file {
            set("probe-password", Some(Written::Text(password(file)?)));
        }
        for (key, gone) in [
            ("rate", self.no_rate),
            ("fallback_of", self.no_fallback),
            ("max_hops", self.no_max_hops),
            ("filter", self.no_filter),
            ("probe", self.no_probe),
        ] {
            if gone {
                changes.insert(key.to_owned(), None);
            }
        }
        Ok(changes)
    }
}

/// The box reads the file later, from another directory.
fn absolute(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    whole.display().to_string()
}

fn password(file: &Path) -> Result<String, Failure> {
    let cure = "--probe-password-file takes a file that holds the password alone";
    let bytes =
        files::read_bounded(file, MOST_PASSWORD).map_err(|error| unreadable(file, &error, cure))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: it is no text; {cure}", file.display());
        Failure::new(Exit::Data, message)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
