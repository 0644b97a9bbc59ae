//! Network and login files: looked at far enough to find what would lock the operator out.

/// What a file of the folder `network` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For systemd-networkd.
    Network,
    /// A Wi-Fi network with its password.
    Wifi,
}

/// What a file is by its name (in lower case); none: not one that is taken.
pub fn kind(name: &str) -> Option<Kind> {
    let fit = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let wifi = name
        .strip_prefix("wpa_supplicant-")
        .and_then(|rest| rest.strip_suffix(".conf"));
    match name.strip_suffix(".network") {
        _ if !fit => None,
        Some(stem) if !stem.is_empty() && !stem.starts_with('.') => Some(Kind::Network),
        _ if wifi.is_some_and(|interface| !interface.is_empty() && interface.len() < 16) => {
            Some(Kind::Wifi)
        }
        _ => None,
    }
}

/// Checks a file.
///
/// # Errors
/// What is wrong, with line and cure.
pub fn check(kind: Kind, text: &str) -> Result<(), String> {
    match kind {
        Kind::Network => check_network(text),
        Kind::Wifi if !text.contains("network={") => {
            Err("holds no network={ ... } block; write one with ssid and psk".into())
        }
        Kind::Wifi if text.matches('{').count() != text.matches('}').count() => {
            Err("a block is not closed; end it with a line }".into())
        }
        Kind::Wifi => Ok(()),
    }
}

fn check_network(text: &str) -> Result<(), String> {
    let mut section = None;
    let mut matches = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let Some(name) = name.strip_suffix(']').filter(|name| !name.is_empty()) else {
                return Err(format!("line {number}: a section is written [Name]"));
            };
            section = Some(name.to_owned());
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {number}: is no Key=Value"));
        };
        let Some(section) = &section else {
            return Err(format!(
                "line {number}: stands before the first section; begin with [Match]"
            ));
        };
        if key.trim().is_empty() {
            return Err(format!("line {number}: has no key before the ="));
        }
        matches |= section == "Match" && !value.trim().is_empty();
    }
    match matches {
        true => Ok(()),
        false => Err("says not which interface it is for; write a section [Match] with a line such as Name=eth0".into()),
    }
}

/// Checks `authorized_keys`.
///
/// # Errors
/// What is wrong, with line and cure.
pub fn check_keys(text: &str) -> Result<(), String> {
    let mut keys = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_kind = |word: &str| {
            ["ssh-ed25519", "ssh-rsa"].contains(&word)
                || word.starts_with("ecdsa-sha2-")
                || word.starts_with("sk-")
        };
        let is_key = |word: &str| word.starts_with("AAAA") && word.len() > 40;
        if !words
            .windows(2)
            .any(|pair| is_kind(pair[0]) && is_key(pair[1]))
        {
            return Err(format!(
                "line {}: is no public SSH key; copy the one line of a file such as id_ed25519.pub",
                index + 1
            ));
        }
        keys += 1;
    }
    match keys {
        0 => Err("holds no key; copy the one line of a file such as id_ed25519.pub into it".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_is() {
        assert_eq!(kind("10-eth0.network"), Some(Kind::Network));
        assert_eq!(kind("wpa_supplicant-wlan0.conf"), Some(Kind::Wifi));
        for none in [
            ".network",
            "eth0.conf",
            "wpa_supplicant-.conf",
            "a b.network",
            "x.network.bak",
            "..network",
            "ä.network",
        ] {
            assert_eq!(kind(none), None, "{none}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let check = |text| check_network(text).err().unwrap_or_default();
        assert_eq!(
            check("# lan\n[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n"),
            ""
        );
        assert!(check("Name=eth0\n").contains("line 1: stands before"));
        assert!(check("[Match\nName=eth0\n").contains("line 1: a section"));
        assert!(check("[Match]\nName eth0\n").contains("line 2: is no"));
        assert!(check("[Network]\nDHCP=yes\n").contains("[Match]"));
        assert!(check("").contains("[Match]"));
        let key = format!("ssh-ed25519 AAAA{} me@home\n", "x".repeat(64));
        assert_eq!(check_keys(&key), Ok(()));
        assert!(
            check_keys(&format!("# k\n{key}\nssh-ed25519\n"))
                .unwrap_err()
                .contains("line 4")
        );
        assert!(check_keys("-----BEGIN OPENSSH PRIVATE KEY-----").is_err());
        assert!(check_keys("\n").is_err());
        assert!(super::check(Kind::Wifi, "network={\nssid=\"x\"\n").is_err());
        assert!(super::check(Kind::Wifi, "network={\nssid=\"x\"\n}\n").is_ok());
    }
}
