//! The commands and what they are for. What is not in this table does not exist.

use super::text::Page;

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What may follow it.
    pub(super) usage: &'static str,
    /// In one line.
    pub(super) about: &'static str,
    /// What else there is to know.
    pub(super) more: &'static str,
}

macro_rules! commands {
    ($($name:literal, $usage:literal, $about:literal, $more:literal;)*) => {
        /// Every command, in the order of the help.
        pub(super) const COMMANDS: &[Command] = &[$(Command { name: $name, usage: $usage, about: $about, more: $more },)*];
    };
}

commands! {
    "help", "[COMMAND]", "this list, or more about a command", "";
    "setup", "", "the first setup again: six questions",
        "It adds one peer. Nothing changes before the last answer.";
    "show", "[status|peers|config|certs|clock|network|log|changes]", "how things stand",
        "`show` alone is `show status`. `show config` is the text of tombolo.toml with what was set and is not committed yet; \
         `show changes` tells only that.";
    "set", "KEY VALUE", "change a key of the configuration, not in use before commit",
        "Keys are those of tombolo.toml: node.name, limits.max_clients, listen.federation, peer.NAME.address. A list is \
         written as [\"0.0.0.0:9001\", \"[::]:9001\"].";
    "unset", "KEY", "take a key out: its default counts again", "";
    "commit", "[confirm TIME]", "take over what was set",
        "`commit confirm 5` takes it over for five minutes: if `confirm` does not come in that time, or the power goes, the \
         configuration before comes back. TIME is minutes, or 90s, or 1h; at most a day.";
    "confirm", "", "keep what `commit confirm` took over", "";
    "rollback", "", "back to the configuration before the last change",
        "A second rollback goes forward again. One that waits for its confirmation is dropped.";
    "discard", "", "forget what was set and not committed", "";
    "peer", "list|add|set|pause|resume|remove ...", "the federates; takes effect at once",
        "peer add NAME [address HOST:PORT] [fingerprint SHA256:...] [no-incoming] [no-outgoing] [disabled] [replace] \
         [keepalive-seconds N] [ca-cert]: without a fingerprint, or with ca-cert, its CA is pasted next. peer set NAME takes \
         the same words, and no-address, no-ca-cert, no-fingerprint, incoming, outgoing, enabled. Both: rate RATE, fallback-of NAME, fallback-seconds N, \
         addresses LIST, uplinks LIST, preset PARTS, allow-types LIST, block-types LIST, allow-callsigns LIST, block-callsigns \
         LIST, filter-direction in|out|both, inbound-groups LIST, outbound-groups LIST, max-hops N, probe-address HOST:PORT, probe-p12 FILE, spool, correct-clock, compress, \
         data-packages-in, data-packages-out; with no- in front the opposite, and no-filter, no-probe. LIST has commas: \
         a-f,b-t-f.";
    "pair", "code|show|clear | join CODE HOST[:PORT]", "pair with another box by a code of 8 characters",
        "`pair code` makes one, for ten minutes and one use; on the other box: pair join CODE HOST. A new code makes the one \
         before worthless, `pair clear` takes it back; what was paired before stays. Behind code and join: name NAME, \
         no-incoming, no-outgoing, no-data-packages-in, no-data-packages-out; behind join: reachable, if the other box may \
         dial us, too. Boxes whose certificates come of one CA need no code: peer add NAME address HOST ca-cert.";
    "paste", "NAME", "paste the CA certificate of a peer that is there", "From its BEGIN line to its END line.";
    "cert", "show|export", "our certificates; export shows them as PEM", "";
    "check", "PEER", "say how far a peer's link comes, and prove that what is sent comes out",
        "Step by step, with what to do about the first that failed; then a probe there and back.";
    "why", "UID [peer NAME]", "what became of a track, and which rule stopped it",
        "By uid, or by the callsign of a contact. Of the newest event of each uid the box knows what happened to it.";
    "selftest", "", "try everything and say what is wrong", "";
    "log", "[N]", "the latest lines of the log, 20 or N", "";
    "update", "status | FILE [downgrade]", "install a signed bundle that lies on this box, or see how it went",
        "Only on a box with two system slots. Also an older one with `downgrade`.";
    "safe-mode", "leave", "forget what led to safe mode, and start as configured", "";
    "reboot", "", "start the machine again", "The word reboot is asked for.";
    "factory-reset", "", "forget configuration, keys and state", "The word erase is asked for.";
    "pin", "set|clear", "lock this console by a PIN, or no longer",
        "It keeps people at the cable out, nobody else. Five wrong tries, then a growing wait.";
    "lock", "", "lock now", "";
    "exit", "", "leave the console", "";
}

/// The list, or more about one command; none when there is no such command.
pub(super) fn help(command: Option<&str>) -> Option<String> {
    let mut page = Page::new();
    let Some(name) = command else {
        for command in COMMANDS {
            page.label(command.name, command.about);
        }
        page.line("Ctrl-C drops the line, # begins a remark. More: help COMMAND");
        return Some(page.into_text());
    };
    let command = COMMANDS.iter().find(|command| command.name == name)?;
    page.line(&format!("{} {}", command.name, command.usage))
        .line(command.about);
    if !command.more.is_empty() {
        page.line(command.more);
    }
    Some(page.into_text())
}

/// The command that was probably meant.
pub(super) fn nearest(word: &str) -> Option<&'static str> {
    let names: Vec<&'static str> = COMMANDS.iter().map(|command| command.name).collect();
    crate::config::suggest::nearest(word, &names)
}
