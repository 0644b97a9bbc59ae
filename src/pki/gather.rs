//! An identity out of whatever somebody put into a folder: PEM, `.p12` and `.jks` files in any number and order.

use std::fmt;

use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use super::Identity;
use super::certificate::Facts;
use super::jks::{self, JksError};
use super::p12::{Contents, P12Error};
use super::store::pem_section;

/// Passwords that TAK's own scripts give to `.p12` files, and none.
pub const USUAL_PASSWORDS: [&str; 3] = ["atakatak", "", "changeit"];
/// Longest chain that is put together.
const MOST_CHAIN: usize = 8;

/// Why no identity comes out of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatherError {
    /// The file at fault; none: all of them together.
    pub file: Option<String>,
    /// What is wrong with it, and the cure.
    pub fault: String,
}

impl fmt::Display for GatherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}: {}", self.fault),
            None => f.write_str(&self.fault),
        }
    }
}

impl std::error::Error for GatherError {}

/// What was found in the files.
#[derive(Debug, Default)]
pub struct Gathered {
    /// All certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    keys: Vec<PrivateKeyDer<'static>>,
    /// Names of the files that hold something secret.
    pub secret_files: Vec<String>,
    /// Names of the files that a password opens which everybody knows.
    pub known_passwords: Vec<String>,
}

impl Gathered {
    /// Takes a file in. `passwords` are tried on a `.p12` before the usual ones.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn add(
        &mut self,
        name: &str,
        bytes: &[u8],
        passwords: &[String],
    ) -> Result<(), GatherError> {
        let wrong = |fault: &str| GatherError {
            file: Some(name.to_owned()),
            fault: fault.to_owned(),
        };
        if jks::is_one(bytes) {
            return self.add_jks(name, bytes, passwords);
        }
        if memchr::memmem::find(bytes, b"-----BEGIN ").is_none() {
            return self.add_p12(name, bytes, passwords);
        }
        let is_encrypted = [
            &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
            b"Proc-Type: 4,ENCRYPTED",
        ]
        .iter()
        .any(|mark| memchr::memmem::find(bytes, mark).is_some());
        if is_encrypted {
            return Err(wrong(
                "the key is encrypted, and nobody is there to type a password; give it without one \
                 (openssl pkey -in FILE -out NEWFILE), or as a .p12",
            ));
        }
        let begun = (self.certificates.len(), self.keys.len());
        for certificate in CertificateDer::pem_slice_iter(bytes) {
            let certificate =
                certificate.map_err(|_| wrong("a certificate is damaged; export it again"))?;
            Facts::read(&certificate)
                .map_err(|_| wrong("a certificate is malformed; export it again"))?;
            self.certificates.push(certificate);
        }
        for key in PrivateKeyDer::pem_slice_iter(bytes) {
            self.keys
                .push(key.map_err(|_| wrong("a private key is damaged; export it again"))?);
        }
        if begun == (self.certificates.len(), self.keys.len()) {
            return Err(wrong("holds neither a certificate nor a private key"));
        }
        if self.keys.len() > begun.1 {
            self.secret_files.push(name.to_owned());
        }
        Ok(())
    }

    fn add_p12(
        &mut self,
        name: &str,
        bytes: &[u8],
        passwords: &[String],
    ) -> Result<(), GatherError> {
        let wrong = |fault: String| GatherError {
            file: Some(name.to_owned()),
            fault,
        };
        let opened = self.open(name, passwords, |password| {
            match Contents::read(bytes, password) {
                Err(P12Error::Damaged | P12Error::Password) => None,
                read => Some(read),
            }
        });
        let contents = opened
            .ok_or_else(|| {
                wrong(
                    "is neither PEM nor a .p12 with one of the usual passwords; write its password into \
                     certs/password.txt"
                        .to_owned(),
                )
            })?
            .map_err(|error| wrong(error.to_string()))?;
        for key in contents.keys {
            let der = PrivatePkcs8KeyDer::from(key);
            self.keys.push(PrivateKeyDer::Pkcs8(der));
        }
        for certificate in contents.certificates {
            let certificate = CertificateDer::from(certificate);
            if Facts::read(&certificate).is_ok() {
                self.certificates.push(certificate);
            }
        }
        self.secret_files.push(name.to_owned());
        Ok(())
    }

    /// What the first password that fits opens: one of those given, else one of the usual ones, which is noted. `read` says
    /// nothing for a password that does not fit.
    fn open<T>(
        &mut self,
        name: &str,
        passwords: &[String],
        mut read: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let usual = USUAL_PASSWORDS.iter().copied();
        let mut given = passwords.iter().map(String::as_str).chain(usual);
        let (password, contents) = given.find_map(|password| Some((password, read(password)?)))?;
        if USUAL_PASSWORDS.contains(&password) {
            self.known_passwords.push(name.to_owned());
        }
        Some(contents)
    }

    fn add_jks(
        &mut self,
        name: &str,
        bytes: &[u8],
        passwords: &[String],
    ) -> Result<(), GatherError> {
        let wrong = |fault: String| GatherError {
            file: Some(name.to_owned()),
            fault,
        };
        let opened = self.open(name, passwords, |password| {
            match jks::read(bytes, Some(password)) {
                Err(JksError::Password) => None,
                read => Some(read),
            }
        });
        // The certificates of a truststore are open to everybody.
        let unlocked = || match jks::read(bytes, None) {
            Ok(unchecked) if unchecked.hidden == 0 => Ok(unchecked),
            _ => Err(JksError::Password),
        };
        let contents = opened.unwrap_or_else(unlocked);
        let contents = contents.map_err(|error| match error {
            JksError::Password => wrong(
                "is a Java keystore with another password; give its password (`cert import --password-file`, or \
                 certs/password.txt on a stick)"
                    .to_owned(),
            ),
            error => wrong(error.to_string()),
        })?;
        if !contents.keys.is_empty() {
            self.secret_files.push(name.to_owned());
        }
        for key in contents.keys {
            self.keys
                .push(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)));
        }
        for certificate in contents.certificates {
            let certificate = CertificateDer::from(certificate);
            if Facts::read(&certificate).is_ok() && !self.certificates.contains(&certificate) {
                self.certificates.push(certificate);
            }
        }
        Ok(())
    }

    /// There is a private key, so an identity is meant.
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Puts leaf, issuers and key together, and checks all that a TAK peer will check.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn identity(&self, now: UnixTime) -> Result<Identity, GatherError> {
        let identity = self.login()?;
        identity.check(now).map_err(|flaw| GatherError {
            file: None,
            fault: format!("the certificate with its chain {flaw}"),
        })?;
        Ok(identity)
    }

    /// The certificates of CAs among them.
    pub fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let is_authority = |certificate: &&CertificateDer<'static>| {
            Facts::read(certificate).is_ok_and(|facts| facts.authority)
        };
        self.certificates
            .iter()
            .filter(is_authority)
            .cloned()
            .collect()
    }

    /// Puts leaf, issuers and key together, for logging in somewhere as a client: whether that is allowed is for the
    /// server to say.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn login(&self) -> Result<Identity, GatherError> {
        let wrong = |fault: String| GatherError { file: None, fault };
        let fits = |certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'static>| {
            CertifiedKey::from_der(
                vec![certificate.clone()],
                key.clone_key(),
                &default_provider(),
            )
            .is_ok()
        };
        let is_leaf = |certificate: &&CertificateDer<'static>| {
            Facts::read(certificate).is_ok_and(|facts| !facts.authority)
        };
        let mut pairs: Vec<_> = self
            .certificates
            .iter()
            .filter(is_leaf)
            .filter_map(|leaf| Some((leaf, self.keys.iter().find(|key| fits(leaf, key))?)))
            .collect();
        pairs.dedup_by_key(|(leaf, _)| *leaf);
        let (leaf, key) = match pairs[..] {
            [pair] => pair,
            [] => {
                return Err(wrong(
                    "no private key belongs to one of the certificates (those of CAs aside)".into(),
                ));
            }
            _ => {
                return Err(wrong(
                    "there is more than one certificate with its key; leave one".into(),
                ));
            }
        };
        let mut chain = vec![leaf.clone()];
        while let Some(issuer) = self.issuer_of(&chain[chain.len() - 1])
            && !chain.contains(issuer)
            && chain.len() < MOST_CHAIN
        {
            chain.push(issuer.clone());
        }
        Ok(Identity {
            chain,
            key: key.clone_key(),
        })
    }

    fn issuer_of(&self, certificate: &CertificateDer<'static>) -> Option<&CertificateDer<'static>> {
        let wanted = Facts::read(certificate).ok()?.issuer;
        self.certificates.iter().find(|other| {
            Facts::read(other).is_ok_and(|facts| facts.authority && facts.subject == wanted)
        })
    }
}

/// A private key as PEM.
pub fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem_section(label, key.secret_der())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{KeyAlgorithm, Store, p12, store};

    fn now() -> UnixTime {
        UnixTime::now()
    }

    #[test]
    fn pem_and_p12_in_any_order_give_the_identity() {
        let directory = tempfile::tempdir().unwrap();
        let own = Store::open_or_create(directory.path(), "alpha", KeyAlgorithm::default(), now())
            .unwrap();
        let identity = own.identity();
        let leaf = store::pem(&identity.chain[..1]);
        let authority = store::pem(&identity.chain[1..]);
        let key = key_pem(&identity.key);
        let mut gathered = Gathered::default();
        for (name, text) in [
            ("ca.pem", &authority),
            ("box.key", &key),
            ("box.pem", &leaf),
        ] {
            gathered.add(name, text.as_bytes(), &[]).unwrap();
        }
        let found = gathered.identity(now()).unwrap();
        assert_eq!(found.chain, identity.chain);
        assert_eq!(gathered.secret_files, ["box.key"]);
        for (password, given) in [("atakatak", vec![]), ("s3cret", vec!["s3cret".to_owned()])] {
            let bytes = p12::keystore("box", identity, password).unwrap();
            let mut gathered = Gathered::default();
            gathered.add("box.p12", &bytes, &given).unwrap();
            assert_eq!(gathered.identity(now()).unwrap().chain, identity.chain);
        }
        let bytes = p12::keystore("box", identity, "other").unwrap();
        let error = Gathered::default().add("box.p12", &bytes, &[]).unwrap_err();
        assert!(error.to_string().contains("certs/password.txt"), "{error}");
        let mut gathered = Gathered::default();
        gathered.add("box.key", key.as_bytes(), &[]).unwrap();
        assert!(
            gathered
                .identity(now())
                .unwrap_err()
                .fault
                .contains("no private key belongs")
        );
        gathered.add("box.pem", leaf.as_bytes(), &[]).unwrap();
        assert!(
            gathered
                .identity(now())
                .unwrap_err()
                .fault
                .contains("lacks its issuer")
        );
        assert!(
            gathered
                .add(
                    "x.pem",
                    b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                    &[]
                )
                .is_err()
        );
    }
}
