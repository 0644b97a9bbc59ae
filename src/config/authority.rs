//! A peer's CA as it stands in a file or in the configuration itself.

use std::fmt;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pki::Fingerprint;
use crate::pki::gather::Gathered;
use crate::pki::jks;

/// Most CA certificates of one peer.
pub const MOST_CERTIFICATES: usize = 16;
/// Largest PEM text of one peer, bytes.
pub const MOST_PEM_BYTES: u64 = 128 * 1024;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why a PEM text is not the CA of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorityFault {
    /// No certificate in it.
    Empty,
    /// A certificate that cannot be decoded; counted from 1.
    Unreadable(usize),
    /// A certificate that may not issue others.
    Leaf {
        /// Which one, counted from 1.
        number: usize,
        /// Whose it is.
        subject: String,
        /// What would register it as a leaf.
        fingerprint: Fingerprint,
    },
    /// More than [`MOST_CERTIFICATES`].
    TooMany,
    /// A keystore that cannot be opened; why, with the cure.
    Keystore(String),
}

impl AuthorityFault {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            Self::Empty | Self::Unreadable(_) => {
                "give the peer's CA certificate as PEM (it begins with -----BEGIN CERTIFICATE-----)"
                    .into()
            }
            Self::Leaf { fingerprint, .. } => format!(
                "give the certificate of the CA that issued it, or register the leaf itself with \
                 fingerprint = \"{fingerprint}\""
            ),
            Self::Keystore(_) => "or give the CA's certificate as PEM".into(),
            Self::TooMany => "give only the CA that issues this peer's certificates".into(),
        }
    }
}

impl fmt::Display for AuthorityFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("holds no certificate"),
            Self::Unreadable(number) => write!(f, "certificate {number} cannot be read"),
            Self::Leaf {
                number, subject, ..
            } => write!(
                f,
                "certificate {number} ({subject}) is a leaf, not a CA: it may not issue others"
            ),
            Self::Keystore(fault) => f.write_str(fault),
            Self::TooMany => write!(f, "holds more than {MOST_CERTIFICATES} certificates"),
        }
    }
}

impl std::error::Error for AuthorityFault {}

/// Reads CA certificates from PEM; sections of other kinds are passed over.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, AuthorityFault> {
    let mut authorities = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = index + 1;
        if number > MOST_CERTIFICATES {
            return Err(AuthorityFault::TooMany);
        }
        let certificate = certificate.map_err(|_| AuthorityFault::Unreadable(number))?;
        check(&certificate, number)?;
        authorities.push(certificate);
    }
    match authorities.is_empty() {
        true => Err(AuthorityFault::Empty),
        false => Ok(authorities),
    }
}

/// Reads CA certificates from whatever they came in: PEM, DER, a `.jks` or a `.p12` with one of the usual passwords.
/// Leaves and keys in a keystore are passed over.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_any(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, AuthorityFault> {
    if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
        return read(bytes);
    }
    if bytes.first() == Some(&0x30)
        && let Ok((rest, _)) = X509Certificate::from_der(bytes)
        && rest.is_empty()
    {
        let certificate = CertificateDer::from(bytes.to_vec());
        check(&certificate, 1)?;
        return Ok(vec![certificate]);
    }
    let is_keystore = jks::is_one(bytes) || bytes.first() == Some(&0x30);
    if !is_keystore {
        return Err(AuthorityFault::Empty);
    }
    let mut gathered = Gathered::default();
    gathered
        .add("it", bytes, &[])
        .map_err(|error| AuthorityFault::Keystore(error.fault))?;
    if !gathered.known_passwords.is_empty() {
        tracing::warn!(
            "a keystore that is used as `ca_cert` has a password that everybody knows (atakatak, changeit)"
        );
    }
    let authorities = gathered.authorities();
    match (authorities.len(), gathered.certificates.first()) {
        (0, None) => Err(AuthorityFault::Empty),
        (0, Some(leaf)) => {
            check(leaf, 1)?;
            Err(AuthorityFault::Empty)
        }
        (count, _) if count > MOST_CERTIFICATES => Err(AuthorityFault::TooMany),
        _ => Ok(authorities),
    }
}

/// The certificates of a PEM text without what stands around them (keys, bag attributes, remarks).
pub fn certificates_only(pem: &str) -> String {
    let mut kept = String::new();
    let mut rest = pem;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let Some((body, after)) = begun.split_once(END) else {
            break;
        };
        kept.extend([BEGIN, body, END, "\n"]);
        rest = after;
    }
    kept
}

fn check(certificate: &CertificateDer<'_>, number: usize) -> Result<(), AuthorityFault> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| AuthorityFault::Unreadable(number))?;
    if parsed.is_ca() {
        return Ok(());
    }
    Err(AuthorityFault::Leaf {
        number,
        subject: parsed.subject().to_string(),
        fingerprint: Fingerprint::of(certificate),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    /// A self-signed certificate as PEM.
    pub(crate) fn certificate(name: &str, is_ca: bool) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem()
    }

    #[test]
    fn several_authorities_and_remarks_are_read() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let pem = format!(
            "hello\n{}{key}{}",
            certificate("a", true),
            certificate("b", true)
        );
        assert_eq!(read(pem.as_bytes()).unwrap().len(), 2);
        let kept = certificates_only(&pem);
        assert_eq!(read(kept.as_bytes()), read(pem.as_bytes()));
        assert!(!kept.contains("PRIVATE") && !kept.contains("hello"));
    }

    #[test]
    fn a_leaf_is_named_and_its_fingerprint_offered() {
        let leaf = certificate("unit-7", false);
        let fault = read(format!("{}{leaf}", certificate("a", true)).as_bytes()).unwrap_err();
        assert!(
            fault
                .to_string()
                .contains("certificate 2 (CN=unit-7) is a leaf"),
            "{fault}"
        );
        let der = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        assert!(fault.cure().contains(&Fingerprint::of(&der).to_string()));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(read(b""), Err(AuthorityFault::Empty));
        assert_eq!(read(b"hello"), Err(AuthorityFault::Empty));
        let garbage = format!("{BEGIN}\nAAAA\n{END}\n");
        assert_eq!(read(garbage.as_bytes()), Err(AuthorityFault::Unreadable(1)));
        let cut = certificate("a", true).replace(END, "");
        assert!(read(cut.as_bytes()).is_err());
        let many = certificate("a", true).repeat(MOST_CERTIFICATES + 1);
        assert_eq!(read(many.as_bytes()), Err(AuthorityFault::TooMany));
    }
}
