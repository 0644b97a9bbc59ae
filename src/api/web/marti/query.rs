//! Parameters of a request's address, and a range of bytes. Pure.

/// Most parameters that are looked at.
const MOST: usize = 32;

/// The parameters behind the `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them; what cannot be read is not there.
    pub fn of(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').take(MOST);
        let pairs = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((decode(key)?, decode(value)?))
        });
        Self(pairs.collect())
    }

    /// The first of that name that is not empty; case does not matter.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All of that name that are not empty.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let fits = move |key: &str| key.eq_ignore_ascii_case(name);
        let pairs = self.0.iter();
        let pairs = pairs.filter(move |(key, value)| fits(key) && !value.is_empty());
        pairs.map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?);
                rest = after;
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Which bytes of a file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All: no range, or one that means nothing here (several ranges, another unit).
    All,
    /// From the first to behind the second.
    Part(u64, u64),
    /// None of them is there.
    Nothing,
}

/// Reads a `Range` header for a file of `size` bytes.
pub fn range(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|header| header.trim().strip_prefix("bytes="))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (begin, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Wanted::All,
    };
    match begin < end.min(size) {
        true => Wanted::Part(begin, end.min(size)),
        false => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_found_in_any_case() {
        let query = Query::of(Some(
            "hash=ab%2Bc&filename=plan+1%20%C3%A9.zip&empty=&Keyword=a&keyword=b&bad=%z1&%",
        ));
        assert_eq!(query.first("HASH"), Some("ab+c"));
        assert_eq!(query.first("filename"), Some("plan 1 é.zip"));
        assert_eq!(query.all("keyword").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((query.first("empty"), query.first("bad")), (None, None));
        assert_eq!(Query::of(None), Query::of(Some("")));
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        for (header, wanted) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=5-", Wanted::Part(5, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-30", Wanted::Part(0, 10)),
            ("bytes=2-99999999999999999999999", Wanted::Part(2, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=+1-2", Wanted::All),
        ] {
            assert_eq!(range(Some(header), 10), wanted, "{header}");
        }
        assert_eq!(range(None, 10), Wanted::All);
        assert_eq!(range(Some("bytes=0-"), 0), Wanted::Nothing);
    }
}
