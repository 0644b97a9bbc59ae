//! Arbitrary events, with what they mean known beforehand.

use proptest::collection::vec;
use proptest::prelude::*;

/// An attribute's value: what stands between the quotes, and what that means.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) raw: String,
    pub(super) means: String,
}

impl Value {
    fn exact(text: &str) -> Self {
        Self {
            raw: text.to_owned(),
            means: text.to_owned(),
        }
    }

    /// ` name='raw'` in quotes that the value allows.
    fn attribute(&self, name: &str) -> String {
        let quote = if self.raw.contains('\'') { '"' } else { '\'' };
        format!(" {name}={quote}{}{quote}", self.raw)
    }
}

/// One character in one of its spellings.
fn character() -> impl Strategy<Value = (String, char)> {
    let letter = prop_oneof![
        4 => proptest::char::range('!', '~'),
        1 => Just(' '),
        1 => proptest::sample::select(vec!['&', '<', '>', '"', '\'', '\t', '\n', '\r']),
        1 => proptest::sample::select(vec!['é', 'ß', '中', '😀', '\u{a0}', '\u{10fffd}', '\u{7f}']),
    ];
    (letter, 0u8..6).prop_map(|(letter, spelling)| {
        let code = u32::from(letter);
        match (letter, spelling) {
            (_, 0) => (format!("&#{code};"), letter),
            (_, 1) => (format!("&#x{code:X};"), letter),
            // White space that is not written as a reference is a blank (XML 1.0, 3.3.3).
            ('\t' | '\n', _) => (letter.to_string(), ' '),
            ('\r', _) => ("&#13;".to_owned(), letter),
            ('&', _) => ("&amp;".to_owned(), letter),
            ('<', _) => ("&lt;".to_owned(), letter),
            ('>', 2) => ("&gt;".to_owned(), letter),
            ('"', _) => ("&quot;".to_owned(), letter),
            ('\'', 2..4) => ("&apos;".to_owned(), letter),
            (letter, _) => (letter.to_string(), letter),
        }
    })
}

pub(super) fn value(most: usize) -> impl Strategy<Value = Value> {
    vec(character(), 0..=most).prop_map(|characters| Value {
        raw: characters.iter().map(|(raw, _)| raw.as_str()).collect(),
        means: characters.iter().map(|(_, means)| means).collect(),
    })
}

fn given(most: usize) -> impl Strategy<Value = Value> {
    value(most).prop_filter("not empty", |value| !value.means.is_empty())
}

/// A number as text, its value, and whether that is the one spelling that the way back makes.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) value: Option<f64>,
    pub(super) canonical: bool,
}

pub(super) fn number() -> impl Strategy<Value = Number> {
    let spelled = (-80_000_000i32..80_000_000, 0u8..7).prop_map(|(eighths, spelling)| {
        let value = f64::from(eighths) / 8.0;
        let plain = format!("{value:?}");
        let (text, canonical) = match spelling {
            0..3 => (plain, true),
            3 => (format!("{plain}0"), false),
            4 => (format!(" {plain} "), false),
            5 => (format!("{value:e}"), false),
            _ if value.fract() == 0.0 => (format!("{value}"), false),
            _ => (plain, true),
        };
        Number {
            text,
            value: Some(value),
            canonical,
        }
    });
    let any = any::<f64>()
        .prop_filter("finite", |number| number.is_finite())
        .prop_map(|number| Number {
            text: format!("+{:e}", number.abs()),
            value: Some(number.abs()),
            canonical: false,
        });
    prop_oneof![8 => spelled, 1 => any]
}

/// Something that is no number.
fn no_number() -> impl Strategy<Value = Number> {
    proptest::sample::select(vec![
        "NaN",
        "inf",
        "-Infinity",
        "1,5",
        "12m",
        "0x10",
        "1e999",
    ])
    .prop_map(|text| Number {
        text: text.to_owned(),
        value: None,
        canonical: false,
    })
}

/// A time: text and milliseconds since 1970.
fn time() -> impl Strategy<Value = (String, i64)> {
    (
        1_000_000_000i64..2_000_000_000,
        0u32..=6,
        0u32..1_000_000,
        -14 * 60i64..=14 * 60,
        any::<bool>(),
    )
        .prop_map(|(seconds, digits, micros, offset, zulu)| {
            let offset = if zulu { 0 } else { offset };
            let local = time::OffsetDateTime::from_unix_timestamp(seconds + offset * 60).unwrap();
            let fraction = micros / 10u32.pow(6 - digits);
            let fraction = match digits {
                0 => String::new(),
                digits => format!(".{fraction:0width$}", width = digits as usize),
            };
            let zone = match zulu {
                true => "Z".to_owned(),
                false => format!(
                    "{}{:02}:{:02}",
                    if offset < 0 { '-' } else { '+' },
                    offset.abs() / 60,
                    offset.abs() % 60
                ),
            };
            let text = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}{zone}",
                local.year(),
                u8::from(local.month()),
                local.day(),
                local.hour(),
                local.minute(),
                local.second()
            );
            let digits = fraction.trim_start_matches('.');
            let millis: i64 = format!("{digits:0<3}")[..3].parse().unwrap();
            (text, seconds * 1000 + millis)
        })
}

/// How a child of `<detail>` is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// It has an attribute more.
    pub(super) extra: bool,
    /// Written with an end tag.
    pub(super) open: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Child {
    Track {
        speed: Number,
        course: Option<Number>,
        style: Style,
    },
    Status {
        battery: String,
        readiness: bool,
        style: Style,
    },
    Precision {
        source: Value,
        altitude: Option<Value>,
        style: Style,
    },
    /// Destinations (attribute, value), and whether something else stands between them.
    Marti {
        dests: Vec<(&'static str, Value)>,
        junk: bool,
        style: Style,
    },
    /// An element with attributes that mean something.
    Named {
        name: &'static str,
        attributes: Vec<(&'static str, Value)>,
        style: Style,
    },
    Other {
        name: &'static str,
        attributes: Vec<Value>,
        text: Value,
    },
}

impl Child {
    pub(super) fn xml(&self) -> String {
        let element = |name: &str, attributes: String, style: &Style| {
            let extra = if style.extra { " more='7'" } else { "" };
            match style.open {
                true => format!("<{name}{attributes}{extra}></{name}>"),
                false => format!("<{name}{attributes}{extra}/>"),
            }
        };
        match self {
            Self::Track {
                speed,
                course,
                style,
            } => {
                let course = course
                    .as_ref()
                    .map(|course| format!(" course=\"{}\"", course.text));
                let speed = format!(" speed='{}'", speed.text);
                element("track", course.unwrap_or_default() + &speed, style)
            }
            Self::Status {
                battery,
                readiness,
                style,
            } => {
                let readiness = if *readiness { " readiness='true'" } else { "" };
                element("status", format!(" battery='{battery}'{readiness}"), style)
            }
            Self::Precision {
                source,
                altitude,
                style,
            } => {
                let altitude = altitude
                    .as_ref()
                    .map(|altitude| altitude.attribute("altsrc"));
                let source = source.attribute("geopointsrc");
                element(
                    "precisionlocation",
                    altitude.unwrap_or_default() + &source,
                    style,
                )
            }
            Self::Marti { dests, junk, style } => {
                let dests: String = dests
                    .iter()
                    .map(|(name, value)| format!("<dest{}/>", value.attribute(name)))
                    .collect();
                let junk = if *junk {
                    "<note>for them only</note>"
                } else {
                    ""
                };
                let extra = if style.extra { " version='7'" } else { "" };
                format!("<marti{extra}>{dests}{junk}</marti>")
            }
            Self::Named {
                name,
                attributes,
                style,
            } => {
                let attributes = (attributes.iter()).map(|(name, value)| value.attribute(name));
                element(name, attributes.collect(), style)
            }
            Self::Other {
                name,
                attributes,
                text,
            } => {
                let attributes: String = (attributes.iter().zip('a'..))
                    .map(|(value, name)| value.attribute(&name.to_string()))
                    .collect();
                // Text, unlike an attribute's, keeps its blanks; they do not matter here.
                let text = text.raw.replace("]]>", "]] >");
                format!("<{name}{attributes}>{text}</{name}>")
            }
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Track { .. } => "track",
            Self::Status { .. } => "status",
            Self::Precision { .. } => "precisionlocation",
            Self::Marti { .. } => "marti",
            Self::Named { name, .. } | Self::Other { name, .. } => name,
        }
    }
}

fn child() -> impl Strategy<Value = Child> {
    let style = || {
        (any::<bool>(), proptest::bool::weighted(0.2)).prop_map(|(extra, open)| Style {
            extra: extra && open,
            open,
        })
    };
    let style = move || prop_oneof![3 => Just(Style { extra: false, open: false }), 1 => style(), 1 => Just(Style { extra: true, open: false })];
    let numbers = prop_oneof![9 => number(), 1 => no_number()];
    let battery = prop_oneof![
        (0i32..=100).prop_map(|level| level.to_string()),
        proptest::sample::select(vec!["007", "+5", "-1", "full", "", "99999999999", "5.0"])
            .prop_map(str::to_owned),
    ];
    let dest = (
        proptest::sample::select(vec!["uid", "callsign", "mission", "group"]),
        value(6),
    );
    prop_oneof![
        (numbers, proptest::option::weighted(0.8, number()), style()).prop_map(
            |(speed, course, style)| Child::Track {
                speed,
                course,
                style
            }
        ),
        (battery, proptest::bool::weighted(0.2), style()).prop_map(
            |(battery, readiness, style)| Child::Status {
                battery,
                readiness,
                style
            }
        ),
        (value(6), proptest::option::weighted(0.8, value(6)), style()).prop_map(
            |(source, altitude, style)| Child::Precision {
                source,
                altitude,
                style
            }
        ),
        (named(), style()).prop_map(|((name, attributes), style)| Child::Named {
            name,
            attributes,
            style
        }),
        (vec(dest, 0..4), proptest::bool::weighted(0.2), style())
            .prop_map(|(dests, junk, style)| Child::Marti { dests, junk, style }),
        (
            proptest::sample::select(vec![
                "contact",
                "remarks",
                "__group",
                "takv",
                "_flow-tags_",
                "link",
                "x-é"
            ]),
            vec(value(8), 0..4),
            value(12),
        )
            .prop_map(|(name, attributes, text)| Child::Other {
                name,
                attributes,
                text
            }),
    ]
}

/// A child that has typed fields in a `TakMessage`, mostly with all of its attributes.
fn named() -> BoxedStrategy<(&'static str, Vec<(&'static str, Value)>)> {
    let kinds: Vec<(&str, &[&str])> = vec![
        ("contact", &["callsign", "endpoint"]),
        ("__group", &["name", "role"]),
        ("takv", &["device", "platform", "os", "version"]),
    ];
    let kind = proptest::sample::select(kinds);
    (kind, vec(value(8), 4), 0u8..8, any::<bool>())
        .prop_map(|((name, known), values, fewer, turned)| {
            let mut attributes: Vec<_> = known.iter().copied().zip(values).collect();
            if fewer == 0 {
                attributes.pop();
            }
            if turned {
                attributes.reverse();
            }
            (name, attributes)
        })
        .boxed()
}

/// An event.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) uid: Value,
    pub(super) kind: Value,
    pub(super) how: Value,
    pub(super) given: [Option<Value>; 3],
    pub(super) times: [(String, i64); 3],
    pub(super) point: [Number; 5],
    pub(super) detail: Option<Vec<Child>>,
}

impl Model {
    pub(super) fn xml(&self) -> String {
        let [time, start, stale] = &self.times;
        let mut xml = format!(
            "<event version='2.0'{}{} time='{}' start=\"{}\" stale='{}'{}",
            self.uid.attribute("uid"),
            self.kind.attribute("type"),
            time.0,
            start.0,
            stale.0,
            self.how.attribute("how")
        );
        for (value, name) in self.given.iter().zip(["access", "caveat", "releasableTo"]) {
            if let Some(value) = value {
                xml += &value.attribute(name);
            }
        }
        xml += "><point";
        for (number, name) in self.point.iter().zip(["lat", "lon", "hae", "ce", "le"]) {
            xml += &format!(" {name}='{}'", number.text);
        }
        xml += "/>";
        if let Some(children) = &self.detail {
            xml += &detail_xml(children.iter());
        }
        xml + "</event>"
    }
}

pub(super) fn detail_xml<'a>(children: impl Iterator<Item = &'a Child>) -> String {
    let inside: String = children.map(Child::xml).collect();
    format!("<detail>{inside}</detail>")
}

pub(super) fn children() -> impl Strategy<Value = Vec<Child>> {
    vec(child(), 0..7)
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    let error = || prop_oneof![6 => number(), 1 => no_number()];
    let point = (number(), number(), error(), error(), error());
    let optional = || proptest::option::weighted(0.3, value(6));
    let kind = "[a-z]-[a-zA-Z]-[A-Z]{1,3}".prop_map(|kind| Value::exact(&kind));
    (
        given(12),
        kind,
        given(5),
        (optional(), optional(), optional()),
        (time(), time(), time()),
        point,
        proptest::option::weighted(0.9, children()),
    )
        .prop_map(|(uid, kind, how, given, times, point, detail)| Model {
            uid,
            kind,
            how,
            given: given.into(),
            times: times.into(),
            point: point.into(),
            detail,
        })
}
