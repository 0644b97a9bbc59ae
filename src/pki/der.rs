//! Walking through DER without copying it.

/// Tags that are asked for.
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;

/// Elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Its tag.
    pub(super) tag: u8,
    /// What is in it.
    pub(super) content: &'a [u8],
    /// All of it.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// What is in it, element by element.
    pub(super) fn walk(&self) -> Walk<'a> {
        Walk(self.content)
    }
}

impl<'a> Walk<'a> {
    /// Over these bytes.
    pub(super) fn over(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Nothing is left.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(super) fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element; none at the end and where no element begins. Lengths of at most four bytes are read.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0_u64, |length, &digit| length << 8 | u64::from(digit));
                (usize::try_from(length).ok()?, rest)
            }
            // Of indefinite length, or longer than anything here.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Element {
            tag,
            content,
            whole,
        })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        match self.tag() {
            Some(found) if found == tag => self.next(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_come_one_after_the_other() {
        let mut walk = Walk::over(&[0x30, 3, 2, 1, 7, 4, 0x81, 1, 9]);
        let sequence = walk.expect(SEQUENCE).unwrap();
        assert_eq!(sequence.whole, [0x30, 3, 2, 1, 7]);
        assert_eq!(sequence.walk().expect(INTEGER).unwrap().content, [7]);
        assert_eq!(walk.expect(INTEGER), None);
        assert_eq!(walk.next().unwrap().content, [9]);
        assert!(walk.is_over() && walk.next().is_none());
        for broken in [
            &[0x30_u8, 0x80][..],
            &[0x30, 5, 1],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30],
        ] {
            assert_eq!(Walk::over(broken).next(), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut walk = Walk::over(&bytes);
            while walk.next().is_some() {}
        }
    }
}
