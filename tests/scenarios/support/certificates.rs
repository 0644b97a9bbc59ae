//! Certificate authorities and leaves, good ones and the ones that must be refused.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What may be odd about a leaf.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Extended key usages; empty = no extension.
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// Its time is over.
    pub expired: bool,
    /// Valid from and until, milliseconds since 1970; none = for decades.
    pub valid: Option<(i64, i64)>,
    /// The issuer is sent with it.
    pub issuer_sent: bool,
}

impl Default for Profile {
    /// As TAK's own `makeCert.sh server` issues them (protocol reference 1.3).
    fn default() -> Self {
        Self {
            usages: vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ],
            expired: false,
            valid: None,
            issuer_sent: true,
        }
    }
}

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A leaf with its chain and key.
#[derive(Debug)]
pub struct Leaf {
    /// Common name and subject alternative name.
    pub name: String,
    /// What is sent: leaf, then issuer.
    pub chain_pem: String,
    /// The issuer alone.
    pub authority_pem: String,
    /// The private key.
    pub key_pem: String,
    /// SHA-256 of the leaf in the spelling of `tombolo.toml`.
    pub fingerprint: String,
    /// What is sent, DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, DER.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Leaf {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            chain_pem: self.chain_pem.clone(),
            authority_pem: self.authority_pem.clone(),
            key_pem: self.key_pem.clone(),
            fingerprint: self.fingerprint.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl Authority {
    /// A new authority.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// The authority that a box made for itself.
    pub fn of_box(state: &Path) -> Self {
        Self::of_folder(&state.join("pki"))
    }

    /// The authority whose `ca.pem` and `ca.key` lie in the folder.
    pub fn of_folder(folder: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
        let pem = read("ca.pem");
        let key = KeyPair::from_pem(&read("ca.key")).expect("a key");
        Self {
            der: CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"),
            issuer: Issuer::from_ca_cert_pem(&pem, key).expect("an authority"),
            pem,
        }
    }

    /// Writes `ca.pem` and `ca.key`.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("ca.pem"), &self.pem).expect("ca.pem");
        fs::write(folder.join("ca.key"), self.issuer.key().serialize_pem()).expect("ca.key");
    }

    /// An ordinary leaf.
    pub fn issue(&self, name: &str) -> Leaf {
        self.issue_as(name, &Profile::default())
    }

    /// A revocation list with these leaves in it, PEM; its time is over.
    pub fn revoke(&self, leaves: &[&Leaf]) -> String {
        let revoked = leaves.iter().map(|leaf| {
            let (_, parsed) = X509Certificate::from_der(&leaf.chain[0]).expect("a certificate");
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(parsed.raw_serial()),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2024, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }

    /// A leaf with oddities.
    pub fn issue_as(&self, name: &str, profile: &Profile) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = named(name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages.clone_from(&profile.usages);
        params.use_authority_key_identifier_extension = true;
        if profile.expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        if let Some((from, until)) = profile.valid {
            let moment = |ms: i64| time::OffsetDateTime::from_unix_timestamp(ms / 1000);
            params.not_before = moment(from).expect("a time");
            params.not_after = moment(until).expect("a time");
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let hex: String = digest(&SHA256, certificate.der())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let mut chain = vec![certificate.der().clone()];
        let mut chain_pem = certificate.pem();
        if profile.issuer_sent {
            chain.push(self.der.clone());
            chain_pem += &self.pem;
        }
        Leaf {
            name: name.into(),
            chain_pem,
            authority_pem: self.pem.clone(),
            key_pem: key.serialize_pem(),
            fingerprint: format!("SHA256:{hex}"),
            chain,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2044, 1, 1);
    params
}
