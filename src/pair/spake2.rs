//! SPAKE2 as RFC 9382 has it, suite P256-SHA256-HKDF-HMAC: the one with test vectors, which the tests below go through.
//!
//! A is the joiner and speaks first, B the holder. The group is p256's, whose arithmetic takes the same time whatever the
//! numbers; hash, HKDF and HMAC are ring's. The secret `w` is HKDF of the code and not a memory-hard function of it: such a
//! function makes stolen *records* of passwords slow to search, and here nothing is recorded. The exchange itself gives
//! nobody anything to search in.

use std::fmt;

use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::elliptic_curve::subtle::ConstantTimeEq;
use p256::{AffinePoint, ProjectivePoint, Scalar};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;

use super::Entropy;

/// Bytes of a share: an uncompressed point.
pub const SHARE: usize = 65;
/// Bytes of a confirmation.
pub const CONFIRMATION: usize = 32;

/// The two points of RFC 9382, section 4, compressed.
const M: [u8; 33] = [
    0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2,
    0x99, 0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1,
    0x2f,
];
const N: [u8; 33] = [
    0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77,
    0x07, 0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b,
    0x49,
];

/// Whose part is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The joiner.
    A,
    /// The holder.
    B,
}

/// What both must say the same about, beside the code.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Identity of A.
    pub a: &'a [u8],
    /// Identity of B.
    pub b: &'a [u8],
    /// Further data (AAD of the RFC).
    pub more: &'a [u8],
}

/// `w` of the RFC.
#[derive(Clone)]
pub(super) struct Secret(Scalar);

impl Secret {
    /// Of a password, or of random bytes that stand for one.
    pub fn of(password: &[u8]) -> Self {
        let mut wide = [0; 64];
        let key = Salt::new(HKDF_SHA256, b"tombolo pairing").extract(password);
        for (part, info) in wide.chunks_exact_mut(32).zip([b"w 1", b"w 2"]) {
            // 32 bytes is what this HKDF gives at once: it cannot fail.
            if let Ok(derived) = key.expand(&[info], HKDF_SHA256) {
                let _ = derived.fill(part);
            }
        }
        Self(reduced(&wide))
    }
}

/// A number of many more bits than the group's order, reduced by it: no remainder is likelier than another.
fn reduced(wide: &[u8; 64]) -> Scalar {
    let base = Scalar::from(u64::from(u32::MAX) + 1);
    let words = wide.chunks_exact(4);
    words.fold(Scalar::ZERO, |sum, word| {
        let word = word
            .iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte));
        sum * base + Scalar::from(word)
    })
}

/// The blinding point of a role.
fn blinding(role: Role) -> ProjectivePoint {
    let bytes = match role {
        Role::A => &M,
        Role::B => &N,
    };
    // The constants above are points, as every test shows.
    AffinePoint::from_sec1_bytes(bytes).map_or(ProjectivePoint::IDENTITY, ProjectivePoint::from)
}

fn encoded(point: ProjectivePoint) -> [u8; SHARE] {
    let mut bytes = [0; SHARE];
    let encoded = point.to_affine().to_sec1_point(false);
    // The point at infinity is shorter; nobody takes what comes of it.
    for (to, from) in bytes.iter_mut().zip(encoded.as_bytes()) {
        *to = *from;
    }
    bytes
}

/// One side, after its share is made.
pub(super) struct Side {
    role: Role,
    secret: Secret,
    own: Scalar,
    share: [u8; SHARE],
}

impl Side {
    /// Makes the share.
    pub fn new(role: Role, secret: Secret, entropy: &Entropy) -> Self {
        Self::with(role, secret, reduced(entropy))
    }

    fn with(role: Role, secret: Secret, own: Scalar) -> Self {
        let point = ProjectivePoint::GENERATOR * own + blinding(role) * secret.0;
        Self {
            role,
            secret,
            own,
            share: encoded(point),
        }
    }

    /// What the other side is told.
    pub fn share(&self) -> &[u8; SHARE] {
        &self.share
    }

    /// Takes the other side's share.
    ///
    /// # Errors
    /// When it is no point of the group.
    pub fn finish(self, theirs: &[u8; SHARE], about: About<'_>) -> Result<Agreed, BadShare> {
        // An uncompressed point and nothing else: neither infinity nor a second spelling.
        let point = match theirs[0] {
            4 => AffinePoint::from_sec1_bytes(theirs).map_err(|_| BadShare)?,
            _ => return Err(BadShare),
        };
        let (a, b, blinded_by) = match self.role {
            Role::A => (&self.share, theirs, Role::B),
            Role::B => (theirs, &self.share, Role::A),
        };
        let unblinded = ProjectivePoint::from(point) - blinding(blinded_by) * self.secret.0;
        // The group has no other subgroup, so there is no cofactor to take away.
        let shared = unblinded * self.own;
        if bool::from(shared.ct_eq(&ProjectivePoint::IDENTITY)) {
            return Err(BadShare);
        }
        let shared = encoded(shared);
        let secret = self.secret.0.to_bytes();
        let transcript = transcript(&[about.a, about.b, a, b, &shared, secret.as_slice()]);
        Ok(Agreed::of(self.role, &transcript, about.more))
    }
}

/// TT of the RFC: each part behind its length, eight bytes, the lowest first.
fn transcript(parts: &[&[u8]; 6]) -> Vec<u8> {
    let mut transcript = Vec::with_capacity(512);
    for part in parts {
        transcript.extend_from_slice(&(part.len() as u64).to_le_bytes());
        transcript.extend_from_slice(part);
    }
    transcript
}

/// What came out: the same on both sides if, and only if, they had the same code and said the same about themselves.
pub(super) struct Agreed {
    /// Ke of the RFC.
    pub key: [u8; 16],
    /// What we show to prove it.
    pub ours: [u8; CONFIRMATION],
    /// What the other side must show.
    theirs: [u8; CONFIRMATION],
}

impl Agreed {
    fn of(role: Role, transcript: &[u8], more: &[u8]) -> Self {
        let hash = digest(&SHA256, transcript);
        let (key, confirming) = hash.as_ref().split_at(16);
        let mut keys = [0; 32];
        let derived = Salt::new(HKDF_SHA256, &[]).extract(confirming);
        if let Ok(derived) = derived.expand(&[b"ConfirmationKeys", more], HKDF_SHA256) {
            let _ = derived.fill(&mut keys);
        }
        let confirmation = |key: &[u8]| {
            let mut bytes = [0; CONFIRMATION];
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), transcript);
            bytes.copy_from_slice(tag.as_ref());
            bytes
        };
        let (a, b) = (confirmation(&keys[..16]), confirmation(&keys[16..]));
        let (ours, theirs) = match role {
            Role::A => (a, b),
            Role::B => (b, a),
        };
        let mut agreed = Self {
            key: [0; 16],
            ours,
            theirs,
        };
        agreed.key.copy_from_slice(key);
        agreed
    }

    /// Whether the other side had the same code; takes the same time for every answer.
    pub fn is_confirmed_by(&self, confirmation: &[u8; CONFIRMATION]) -> bool {
        self.theirs.ct_eq(confirmation).into()
    }
}

/// What came is no point of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadShare;

impl fmt::Display for BadShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no point of P-256; is there another program at the other end?")
    }
}

impl std::error::Error for BadShare {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::{bytes, hex};
    use p256::elliptic_curve::PrimeField;

    struct Vector {
        a: &'static str,
        b: &'static str,
        w: &'static str,
        x: &'static str,
        share_a: &'static str,
        y: &'static str,
        share_b: &'static str,
        key: &'static str,
        confirmation_a: &'static str,
        confirmation_b: &'static str,
    }

    /// RFC 9382, appendix B, all four.
    const VECTORS: [Vector; 4] = [
        Vector {
            a: "server",
            b: "client",
            w: "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
            x: "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
            share_a: "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9010153ac33d0d5f2047ffdb1a3e42c9b4e6be662766e1eeb4116988ede5f912c",
            y: "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
            share_b: "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d09857ccbc522686c83d1852abfa8ed6e4a1155cf8f1543ceca528afb591a1e0b7",
            key: "0e0672dc86f8e45565d338b0540abe69",
            confirmation_a: "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
            confirmation_b: "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b",
        },
        Vector {
            a: "",
            b: "client",
            w: "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
            x: "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
            share_a: "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44fb92ba966578c1b712be6962498834078262caa5b441ecfa9d4a9485720e918a",
            y: "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
            share_b: "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b881a8c82327687d0501862970c64565560cb5671f696048050ca66ca5f8cc7fc",
            key: "642f05c473c2cd79909f9a841e2f30a7",
            confirmation_a: "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
            confirmation_b: "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df",
        },
        Vector {
            a: "server",
            b: "",
            w: "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254",
            x: "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633",
            share_a: "04f88fb71c99bfffaea370966b7eb99cd4be0ff1a7d335caac4211c4afd855e2e15a873b298503ad8ba1d9cbb9a392d2ba309b48bfd7879aefd0f2cea6009763b0",
            y: "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16",
            share_b: "040c269d6be017dccb15182ac6bfcd9e2a14de019dd587eaf4bdfd353f031101e7cca177f8eb362a6e83e7d5e729c0732e1b528879c086f39ba0f31a9661bd34db",
            key: "005184ff460da2ce59062c87733c299c",
            confirmation_a: "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2",
            confirmation_b: "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec",
        },
        Vector {
            a: "",
            b: "",
            w: "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca",
            x: "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473",
            share_a: "04a65b367a3f613cf9f0654b1b28a1e3a8a40387956c8ba6063e8658563890f46ca1ef6a676598889fc28de2950ab8120b79a5ef1ea4c9f44bc98f585634b46d66",
            y: "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53",
            share_b: "04589f13218822710d98d8b2123a079041052d9941b9cf88c6617ddb2fcc0494662eea8ba6b64692dc318250030c6af045cb738bc81ba35b043c3dcb46adf6f58d",
            key: "fc6374762ba5cf11f4b2caa08b2cd1b9",
            confirmation_a: "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca",
            confirmation_b: "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175",
        },
    ];

    fn scalar(text: &str) -> Scalar {
        let bytes: [u8; 32] = bytes(text).try_into().unwrap();
        Scalar::from_repr(bytes.into()).unwrap()
    }

    #[test]
    fn the_vectors_of_the_rfc() {
        for vector in VECTORS {
            let secret = Secret(scalar(vector.w));
            let a = Side::with(Role::A, secret.clone(), scalar(vector.x));
            let b = Side::with(Role::B, secret, scalar(vector.y));
            let (share_a, share_b) = (*a.share(), *b.share());
            assert_eq!(hex(&share_a), vector.share_a);
            assert_eq!(hex(&share_b), vector.share_b);
            let about = About {
                a: vector.a.as_bytes(),
                b: vector.b.as_bytes(),
                more: b"",
            };
            let a = a.finish(&share_b, about).unwrap();
            let b = b.finish(&share_a, about).unwrap();
            for agreed in [&a, &b] {
                assert_eq!(hex(&agreed.key), vector.key);
            }
            assert_eq!(hex(&a.ours), vector.confirmation_a);
            assert_eq!(hex(&b.ours), vector.confirmation_b);
            assert!(a.is_confirmed_by(&b.ours) && b.is_confirmed_by(&a.ours));
            assert!(!a.is_confirmed_by(&a.ours), "its own words prove nothing");
        }
    }

    #[test]
    fn whatever_differs_is_seen() {
        let about = About {
            a: b"a",
            b: b"b",
            more: b"",
        };
        let agree = |code: &[u8], other: &[u8], theirs: About<'_>| {
            let a = Side::new(Role::A, Secret::of(code), &[3; 64]);
            let b = Side::new(Role::B, Secret::of(other), &[4; 64]);
            let (share_a, share_b) = (*a.share(), *b.share());
            let a = a.finish(&share_b, about).unwrap();
            let b = b.finish(&share_a, theirs).unwrap();
            (a.is_confirmed_by(&b.ours), a.key == b.key)
        };
        assert_eq!(agree(b"x", b"x", about), (true, true));
        assert_eq!(agree(b"x", b"y", about), (false, false));
        assert_eq!(
            agree(b"x", b"x", About { b: b"c", ..about }),
            (false, false)
        );
        assert_eq!(
            agree(b"x", b"x", About { a: b"c", ..about }),
            (false, false)
        );
        // What is no part of the transcript still has its say in the confirmation.
        assert_eq!(
            agree(
                b"x",
                b"x",
                About {
                    more: b"c",
                    ..about
                }
            ),
            (false, true)
        );
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let about = About {
            a: b"",
            b: b"",
            more: b"",
        };
        let finish = |share: &[u8; SHARE]| {
            let side = Side::new(Role::B, Secret::of(b"x"), &[1; 64]);
            side.finish(share, about).map(|_| ())
        };
        let good = *Side::new(Role::A, Secret::of(b"x"), &[2; 64]).share();
        assert_eq!(finish(&good), Ok(()));
        let mut off = good;
        off[64] ^= 1;
        let mut compressed = good;
        compressed[0] = 2;
        // The point that unblinds to infinity takes the secret to make; still it is refused.
        let infinity = encoded(blinding(Role::A) * Secret::of(b"x").0);
        for bad in [off, compressed, [0; SHARE], [255; SHARE], infinity] {
            assert_eq!(finish(&bad), Err(BadShare));
        }
    }

    #[test]
    fn reduction_is_that_of_a_number() {
        let mut wide = [0; 64];
        wide[63] = 7;
        assert_eq!(reduced(&wide), Scalar::from(7u32));
        wide[55] = 1;
        assert_eq!(reduced(&wide), Scalar::from((1u128 << 64) + 7));
        // The order itself is nothing.
        let mut order = [0; 64];
        order[32..].copy_from_slice(&bytes(
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        ));
        assert_eq!(reduced(&order), Scalar::ZERO);
    }
}
