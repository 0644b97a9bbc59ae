//! From the files that a `[[server]]` names to the TLS of its login, with clear words for each mistake.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;

use crate::config::ServerTls;
use crate::files;
use crate::link::tls::{self, Credentials, Moments};
use crate::pki::gather::{Gathered, USUAL_PASSWORDS};

/// Longest file of certificates, bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Reads the files, which takes time: not on the event loop. `own` is shown where the configuration names no identity.
///
/// # Errors
/// What is wrong with which file, and the cure.
pub fn prepare(
    tls: &ServerTls,
    own: &Credentials,
    moments: Moments,
) -> Result<Arc<ClientConfig>, String> {
    let passwords: Vec<String> = tls.password.iter().cloned().collect();
    let mut ours = Gathered::default();
    if let Some(p12) = &tls.p12 {
        add(&mut ours, p12, &passwords, "p12")?;
        if !ours.has_key() {
            return Err(format!(
                "{}: holds no private key: it is the truststore; `p12` wants the file of the user, and `ca_cert` this one",
                p12.display()
            ));
        }
    }
    if let Some((certificate, key)) = &tls.pem {
        add(&mut ours, certificate, &passwords, "certificate")?;
        add(&mut ours, key, &passwords, "key")?;
    }
    let mut authorities = ours.authorities();
    if let Some(ca_cert) = &tls.ca_cert {
        let mut theirs = Gathered::default();
        add(&mut theirs, ca_cert, &passwords, "ca_cert")?;
        let named: Vec<CertificateDer<'static>> = match theirs.authorities() {
            none if none.is_empty() => theirs.certificates,
            authorities => authorities,
        };
        // Who names a CA means it, and not whatever else lies in the user's file.
        authorities = named;
    }
    if authorities.is_empty() && tls.fingerprint.is_none() {
        return Err(
            "nothing tells the server from an impostor: the .p12 holds no CA; give `ca_cert` or the server's \
             `fingerprint`"
                .into(),
        );
    }
    let credentials = match ours.has_key() {
        false => own.clone(),
        true => {
            let identity = ours.login().map_err(|error| error.to_string())?;
            Credentials::new(&identity)
                .map_err(|error| format!("TLS does not take our certificate and key: {error}"))?
                .judging_at(moments)
        }
    };
    tls::login_client(&credentials, authorities, tls.fingerprint).map_err(|error| error.to_string())
}

fn add(
    gathered: &mut Gathered,
    file: &Path,
    passwords: &[String],
    key: &str,
) -> Result<(), String> {
    let name = file.display().to_string();
    let bytes = files::read_bounded(file, MOST_BYTES)
        .map_err(|error| format!("{name}: {}; see `{key}`", files::fault(&error)))?;
    gathered.add(&name, &bytes, passwords).map_err(|error| {
        let is_pem = memchr::memmem::find(&bytes, b"-----BEGIN ").is_some();
        // An ASN.1 sequence with a long length is how every .p12 begins.
        match bytes.first() {
            _ if is_pem => error.to_string(),
            Some(0x30) if passwords.is_empty() => format!(
                "{name}: none of the usual passwords ({}) opens it: write its own into `password`",
                USUAL_PASSWORDS[0]
            ),
            Some(0x30) => format!("{name}: `password` does not open it: correct it"),
            _ => format!("{name}: is neither PEM nor a .p12; see `{key}`"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Authority, Leaf, at};
    use crate::pki::{Identity, Moment, p12};
    use std::path::PathBuf;

    const NOW: i64 = crate::pki::testing::NOW;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn file(&self, name: &str, bytes: &[u8]) -> Option<PathBuf> {
            let path = self.0.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Some(path)
        }
    }

    fn told(tls: &ServerTls) -> Result<(), String> {
        let own = Authority::new("own CA").issue(Leaf::good("box"));
        let own = Credentials::new(&own).unwrap();
        let moments: Moments = Arc::new(|| Moment::from(at(NOW)));
        prepare(tls, &own, moments).map(drop)
    }

    #[test]
    fn a_users_file_is_opened_with_the_usual_password_or_the_given_one() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let user: Identity = Authority::new("TAK CA").issue(Leaf::good("user"));
        for (given, real, words) in [
            (None, "atakatak", ""),
            (None, "changeit", ""),
            (Some("s3cret"), "s3cret", ""),
            (
                None,
                "s3cret",
                "none of the usual passwords (atakatak) opens it: write its own into `password`",
            ),
            (Some("wrong"), "s3cret", "`password` does not open it"),
        ] {
            let tls = ServerTls {
                p12: folder.file("user.p12", &p12::keystore("user", &user, real).unwrap()),
                password: given.map(str::to_owned),
                ..ServerTls::default()
            };
            match told(&tls) {
                Ok(()) => assert_eq!(words, "", "{real}"),
                Err(fault) => assert!(
                    !words.is_empty() && fault.contains(words),
                    "{real}: {fault}"
                ),
            }
        }
    }

    #[test]
    fn mistakes_with_the_files_have_their_words() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let user: Identity = Authority::new("TAK CA").issue(Leaf::good("user"));
        let trust = p12::truststore(&user.chain[1..], "atakatak").unwrap();
        let with = |p12: Option<PathBuf>, ca_cert: Option<PathBuf>| ServerTls {
            p12,
            ca_cert,
            ..ServerTls::default()
        };
        let store = folder.file("trust.p12", &trust);
        for (tls, words) in [
            (
                with(folder.file("a.p12", b"hello"), None),
                "is neither PEM nor a .p12; see `p12`",
            ),
            (with(store.clone(), None), "it is the truststore"),
            (with(Some("/nowhere/u.p12".into()), None), "see `p12`"),
            (with(None, folder.file("b.pem", b"x")), "see `ca_cert`"),
        ] {
            let fault = told(&tls).unwrap_err();
            assert!(fault.contains(words), "{words}: {fault}");
        }
        // The box's own certificate, and a truststore to know the server by.
        assert_eq!(told(&with(None, store)), Ok(()));
    }
}
