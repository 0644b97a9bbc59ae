//! Taking certificates back that our CA issued for local users.
//!
//! `STATE/pki/issued` remembers them, a line each: serial number, end, fingerprint, callsign. `STATE/pki/crl/own.pem` is
//! the list of those that were taken back, signed by our CA; the running box reads it again when it changes.

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::certificate::Facts;
use super::super::crl::{self, Entry, MOST_ENTRIES};
use super::super::issue::IssueError;
use super::super::revocations::FOLDER;
use super::{Files, LOCK, PkiError, Store, io_error, pem_section};
use crate::pki::{Fingerprint, files};

const ISSUED: &str = "issued";
/// Certificates that are remembered; the oldest give way.
const MOST_ISSUED: usize = 2048;
/// Our own list is made again with every change; it need not end before its CA does.
const LIST_DAYS: i64 = 3_650;

/// A certificate that our CA issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its serial number, big-endian, without zeros in front.
    pub serial: Vec<u8>,
    /// Valid until, seconds since 1970.
    pub until: i64,
    /// SHA-256 of it.
    pub fingerprint: Fingerprint,
    /// For whom.
    pub callsign: String,
}

impl Issued {
    /// Reads a certificate; none when it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let facts = Facts::read(certificate).ok()?;
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self {
            serial: trimmed(parsed.raw_serial()),
            until: facts.not_after,
            fingerprint: Fingerprint::of(certificate),
            callsign: facts.common_name.unwrap_or_default(),
        })
    }

    fn line(&self) -> String {
        let callsign: String = self
            .callsign
            .chars()
            .filter(|letter| !letter.is_control())
            .collect();
        format!(
            "{} {} {} {callsign}\n",
            hex(&self.serial),
            self.until,
            self.fingerprint
        )
    }

    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, ' ');
        Some(Self {
            serial: unhex(parts.next()?)?,
            until: parts.next()?.parse().ok()?,
            fingerprint: parts.next()?.parse().ok()?,
            callsign: parts.next()?.to_owned(),
        })
    }
}

impl Store {
    /// The certificates for local users that are remembered, the newest last. Those that have ended are left out.
    pub fn issued(&self, now: UnixTime) -> Vec<Issued> {
        let bytes = std::fs::read(self.directory.join(ISSUED)).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(Issued::read);
        lines.filter(|one| one.until >= now).collect()
    }

    /// Remembers one, so that it can be taken back by its name.
    pub(super) fn note_issued(
        &self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<(), PkiError> {
        let Some(new) = Issued::of(certificate) else {
            return Err(IssueError::Certificate.into());
        };
        let mut known = self.issued(now);
        known.push(new);
        let first = known.len().saturating_sub(MOST_ISSUED);
        let text: String = known[first..].iter().map(Issued::line).collect();
        let path = self.directory.join(ISSUED);
        files::write(&path, 0o600, text.as_bytes()).map_err(|error| io_error(&path, &error))
    }

    /// Whether our CA, as it is now, issued a certificate.
    pub fn has_issued(&self, certificate: &CertificateDer<'_>) -> bool {
        super::super::chain::verify_server(
            std::slice::from_ref(certificate),
            std::slice::from_ref(&self.authority),
            Facts::read(certificate).map_or(UnixTime::now(), |facts| {
                // Whether it has ended is of no interest here.
                let begun = u64::try_from(facts.not_before).unwrap_or(0);
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(begun))
            }),
        )
        .is_ok()
    }

    /// Takes certificates back by their serial numbers, for ever; says how many were not taken back before.
    ///
    /// # Errors
    /// A CA key that is missing or does not fit, a list that is full or cannot be written.
    pub fn revoke(&self, serials: &[Vec<u8>], now: UnixTime) -> Result<usize, PkiError> {
        let lock_file = self.directory.join(LOCK);
        let _lock = files::lock(&lock_file).map_err(|error| io_error(&lock_file, &error))?;
        let files = Files {
            directory: self.directory.clone(),
        };
        let state = self.directory.parent().unwrap_or(&self.directory);
        let folder = state.join(FOLDER);
        files::private_directory(&folder).map_err(|error| io_error(&folder, &error))?;
        let path = folder.join("own.pem");
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut entries = match files::read(&path) {
            // What cannot be read must not be lost by writing a shorter list over it.
            Ok(bytes) => crl::entries(&bytes).ok_or_else(|| PkiError::List(path.clone()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error(&path, &error)),
        };
        let before = entries.len();
        for serial in serials {
            let serial = trimmed(serial);
            if entries.iter().all(|known| known.serial != serial) {
                entries.push(Entry {
                    serial,
                    since: seconds,
                });
            }
        }
        if entries.len() > MOST_ENTRIES {
            return Err(PkiError::ListFull(path));
        }
        let key = files.authority_key(&self.authority)?;
        let issuer =
            Issuer::from_ca_cert_der(&self.authority, &key).map_err(|_| IssueError::Certificate)?;
        let moment = |seconds: i64| {
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::Certificate)
        };
        let revoked = entries.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: moment(entry.since)?,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: moment(seconds)?,
            next_update: moment(seconds + LIST_DAYS * 86_400)?,
            // Grows with every list, and over every restart.
            crl_number: SerialNumber::from(now.as_secs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect::<Result<_, IssueError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list
            .signed_by(&issuer)
            .map_err(|_| IssueError::Certificate)?;
        let text = pem_section("X509 CRL", list.der());
        files::write(&path, 0o644, text.as_bytes()).map_err(|error| io_error(&path, &error))?;
        Ok(entries.len() - before)
    }
}

fn trimmed(serial: &[u8]) -> Vec<u8> {
    let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
    serial[zeros..].to_vec()
}

/// A serial number as people write it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The same back; colons may stand in between.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|&byte| byte != b':')
        .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let padded = if digits.len() % 2 == 1 {
        [&[0], &digits[..]].concat()
    } else {
        digits
    };
    let bytes: Vec<u8> = padded.chunks(2).map(|two| two[0] << 4 | two[1]).collect();
    Some(trimmed(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::revocations::{Revocations, Source};
    use crate::pki::testing::{AFTER_BUILD as NOW, at};
    use crate::pki::trust::judge_client;
    use crate::pki::{KeyAlgorithm, Refusal};

    #[test]
    fn a_user_whose_certificate_is_taken_back_is_refused_and_the_other_is_not() {
        let state = tempfile::tempdir().unwrap();
        let open = |algorithm| Store::open_or_create(state.path(), "alpha", algorithm, at(NOW));
        let store = open(KeyAlgorithm::EcdsaP256).unwrap();
        let [viper, cobra] =
            ["VIPER 1", "COBRA"].map(|name| store.issue_client(name, at(NOW)).unwrap());
        let names = |store: &Store| -> Vec<String> {
            let issued = store.issued(at(NOW)).into_iter();
            issued.map(|issued| issued.callsign).collect()
        };
        assert_eq!(names(&store), ["VIPER 1", "COBRA"]);
        assert!(store.issued(at(NOW + 800 * 86_400)).is_empty());
        let ours = [store.authority().clone()];
        let folder = Source {
            path: state.path().join(FOLDER),
            authorities: ours.to_vec(),
        };
        let revocations = Revocations::default();
        assert!(!revocations.look(&[], Some(&folder), false));
        let judge = |user: &crate::pki::Identity| {
            judge_client(&user.chain, (&ours, &revocations), at(NOW)).map(|(name, _)| name)
        };
        assert_eq!(judge(&viper).as_deref(), Ok("VIPER 1"));
        let first = store.issued(at(NOW)).remove(0);
        assert_eq!(
            store.revoke(std::slice::from_ref(&first.serial), at(NOW)),
            Ok(1)
        );
        assert_eq!(store.revoke(&[first.serial], at(NOW)), Ok(0));
        assert!(revocations.look(&[], Some(&folder), false));
        assert!(!revocations.look(&[], Some(&folder), false));
        assert_eq!(judge(&viper), Err(Refusal::Revoked));
        assert_eq!(judge(&cobra).as_deref(), Ok("COBRA"));
        // The next one is added to those before, and a damaged list is not written over.
        assert!(store.has_issued(&cobra.chain[0]));
        let second = Issued::of(&cobra.chain[0]).unwrap();
        assert_eq!(store.revoke(&[second.serial], at(NOW + 1)), Ok(1));
        assert!(revocations.look(&[], Some(&folder), false));
        assert_eq!(judge(&viper), Err(Refusal::Revoked));
        assert_eq!(judge(&cobra), Err(Refusal::Revoked));
        let own = folder.path.join("own.pem");
        std::fs::write(&own, "noise").unwrap();
        assert_eq!(store.revoke(&[vec![1]], at(NOW)), Err(PkiError::List(own)));
        // What it said before stays in force, with a fault that people are told.
        assert!(revocations.look(&[], Some(&folder), false));
        assert_eq!(judge(&viper), Err(Refusal::Revoked));
        let standing = revocations.standing();
        assert_eq!(standing[0].fault, Some(crl::CrlFault::NoList));
        let list = standing[0].list.as_ref().unwrap();
        assert_eq!((list.len(), list.made), (2, NOW + 1));
    }

    #[test]
    fn serial_numbers_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("0a:0B", &[10_u8, 11][..]),
            ("abc", &[10, 0xbc]),
            ("00FF", &[255]),
        ] {
            assert_eq!(unhex(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(hex(&[10, 255]), "0AFF");
        for wrong in ["", "xy", &"a".repeat(65)] {
            assert_eq!(unhex(wrong), None);
        }
    }
}
