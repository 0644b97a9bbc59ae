//! Two events are the same when attributes, children and text are: order of attributes, quotes and blank space are not.

use std::collections::BTreeMap;
use std::fmt;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event as Xml};
use time::{Date, Month};

/// One element in canonical form; displays as such.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads one event. Panics with the text when it is not well-formed.
    #[track_caller]
    pub fn parse(xml: &str) -> Self {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Self::default()];
        loop {
            let read = reader.read_event();
            match read.unwrap_or_else(|error| panic!("{error}: {xml}")) {
                Xml::Eof => break,
                Xml::Start(tag) => open.push(Self::of(&tag)),
                Xml::Empty(tag) => {
                    let element = Self::of(&tag);
                    Self::close(&mut open, element);
                }
                Xml::End(_) => {
                    let element = open.pop().expect("an open element");
                    Self::close(&mut open, element);
                }
                Xml::Text(text) => {
                    let top = open.last_mut().expect("an open element");
                    top.text += &*text;
                }
                Xml::GeneralRef(reference) => {
                    let name = (*reference).to_owned();
                    let character = match reference.resolve_char_ref().expect("a character") {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&name)
                            .expect("an entity of XML itself")
                            .to_owned(),
                    };
                    open.last_mut().expect("an open element").text += &character;
                }
                Xml::CData(text) => {
                    let top = open.last_mut().expect("an open element");
                    top.text += &*text;
                }
                _ => {}
            }
        }
        let mut root = open.pop().expect("the root").children;
        assert_eq!(root.len(), 1, "one element: {xml}");
        root.remove(0)
    }

    /// Both carry the same `time`.
    pub fn same_time(&self, other: &Self) -> bool {
        self.attributes.get("time") == other.attributes.get("time")
    }

    fn of(tag: &BytesStart<'_>) -> Self {
        let name = tag.name().as_ref().to_owned();
        let attributes = tag
            .attributes()
            .map(|attribute| {
                let attribute = attribute.expect("an attribute");
                let key = attribute.key.as_ref().to_owned();
                let value = attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .expect("a value");
                let value = canonical_value(&name, &key, &value);
                (key, value)
            })
            .collect();
        Self {
            name,
            attributes,
            ..Self::default()
        }
    }

    fn close(open: &mut [Self], mut element: Self) {
        element.text = element.text.trim().to_owned();
        element.children.sort();
        open.last_mut()
            .expect("an open element")
            .children
            .push(element);
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} {:?}>{}", self.name, self.attributes, self.text)?;
        self.children
            .iter()
            .try_for_each(|child| write!(f, "\n  {child}"))?;
        write!(f, "</{}>", self.name)
    }
}

/// Times count to the millisecond, numbers where the wire has numbers.
fn canonical_value(element: &str, key: &str, value: &str) -> String {
    match (element, key) {
        ("event", "time" | "start" | "stale") => {
            unix_ms(value).map_or_else(|| value.to_owned(), |ms| format!("{ms} ms"))
        }
        ("point" | "track", _) => value
            .parse::<f64>()
            .map_or_else(|_| value.to_owned(), |number| number.to_string()),
        _ => value.to_owned(),
    }
}

fn unix_ms(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let month = Month::try_from(u8::try_from(number(5..7)?).ok()?).ok()?;
    let day = u8::try_from(number(8..10)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(number(0..4)?).ok()?, month, day).ok()?;
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let fraction = text.get(19..)?.strip_suffix('Z')?;
    let digits = format!("{:0<3}", fraction.trim_start_matches('.'));
    let midnight = date.midnight().assume_utc().unix_timestamp();
    Some((midnight + seconds) * 1000 + digits.get(..3)?.parse::<i64>().ok()?)
}

#[test]
fn what_differs_in_meaning_differs_in_form() {
    let one = Element::parse(
        "<event time='2020-01-01T00:00:00.5Z' uid=\"a\"><point lat='1.0'/> <detail><b/><a>t &lt;</a></detail></event>",
    );
    let same = Element::parse(
        "<event uid='a' time='2020-01-01T00:00:00.500Z'><point lat=\"1\"/><detail>\n<a>t &#60;</a><b></b></detail></event>",
    );
    assert_eq!(one, same);
    for other in [
        "<event time='2020-01-01T00:00:00.501Z' uid='a'><point lat='1'/><detail><b/><a>t &lt;</a></detail></event>",
        "<event time='2020-01-01T00:00:00.5Z' uid='a'><point lat='1.1'/><detail><b/><a>t &lt;</a></detail></event>",
        "<event time='2020-01-01T00:00:00.5Z' uid='a'><point lat='1'/><detail><b/><b/><a>t &lt;</a></detail></event>",
        "<event time='2020-01-01T00:00:00.5Z' uid='a'><point lat='1'/><detail><b/><a>u &lt;</a></detail></event>",
    ] {
        assert_ne!(one, Element::parse(other), "{other}");
    }
}
