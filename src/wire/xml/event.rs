//! An event and its parts, as views over the bytes it came in.

/// An event, seen in the bytes it came in. Attribute values are raw: between the quotes, references unresolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// `<event` to `</event>`.
    pub bytes: &'a [u8],
    /// `event@uid`, never empty.
    pub uid: &'a [u8],
    /// `event@type`, never empty.
    pub kind: &'a [u8],
    /// `event@how`.
    pub how: &'a [u8],
    /// `event@time`, milliseconds since 1970.
    pub time: Option<i64>,
    /// `event@start`, milliseconds since 1970.
    pub start: Option<i64>,
    /// `event@stale`, milliseconds since 1970.
    pub stale: Option<i64>,
    /// `event@access`.
    pub access: &'a [u8],
    /// `event@caveat`.
    pub caveat: &'a [u8],
    /// `event@releasableTo`.
    pub releasable_to: &'a [u8],
    /// The first `<point>`.
    pub point: Option<Point<'a>>,
    /// The first `<detail>`.
    pub detail: Option<Detail<'a>>,
    /// No references and no white space but blanks anywhere: every raw value means itself.
    pub plain: bool,
}

/// `<point>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point<'a> {
    /// Latitude, degrees.
    pub lat: &'a [u8],
    /// Longitude, degrees.
    pub lon: &'a [u8],
    /// Height above the ellipsoid, metres.
    pub hae: &'a [u8],
    /// Circular error, metres.
    pub ce: &'a [u8],
    /// Linear error, metres.
    pub le: &'a [u8],
}

/// `<detail>`, with those of its children that routing or federation looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail<'a> {
    /// `<detail` to its end.
    pub bytes: &'a [u8],
    /// `track@speed`, `track@course`.
    pub track: Child<'a>,
    /// `status@battery`, `status@readiness`.
    pub status: Child<'a>,
    /// `precisionlocation@geopointsrc`, `precisionlocation@altsrc`.
    pub precision: Child<'a>,
    /// `contact@callsign`, `contact@endpoint`.
    pub contact: Child<'a>,
    /// `link@uid`, `link@type`.
    pub link: Child<'a>,
    /// `__group@name`, `__group@role`.
    pub group: Child<'a>,
    /// `<marti>`, no attributes.
    pub marti: Child<'a>,
    /// `<image>`, no attributes looked at.
    pub image: Child<'a>,
}

/// A direct child of `<detail>`; the first of its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Child<'a> {
    /// How many of that name there are.
    pub count: u32,
    /// From `<` to its end; of the first.
    pub bytes: &'a [u8],
    /// The two attributes that are looked at.
    pub values: [Option<&'a [u8]>; 2],
    /// It has other attributes too.
    pub others: bool,
    /// It is written `<name …/>`.
    pub empty: bool,
}

impl Event<'_> {
    /// An event that says nothing, to be filled. No constant, because a constant is copied whole, with the room for a
    /// detail that it does not have.
    #[inline(always)]
    pub const fn nothing() -> Self {
        Self {
            bytes: &[],
            uid: &[],
            kind: &[],
            how: &[],
            time: None,
            start: None,
            stale: None,
            access: &[],
            caveat: &[],
            releasable_to: &[],
            point: None,
            detail: None,
            plain: false,
        }
    }
}

impl Detail<'_> {
    /// A detail that says nothing: what an event without one has.
    pub const NOTHING: Self = Self {
        bytes: &[],
        track: Child::NONE,
        status: Child::NONE,
        precision: Child::NONE,
        contact: Child::NONE,
        link: Child::NONE,
        group: Child::NONE,
        marti: Child::NONE,
        image: Child::NONE,
    };
}

impl Default for Detail<'_> {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl<'a> Child<'a> {
    /// No such child.
    pub const NONE: Self = Self {
        count: 0,
        bytes: &[],
        values: [None; 2],
        others: false,
        empty: false,
    };

    /// The only one of its name, empty, with exactly the two attributes: typed fields can say all of it.
    pub fn is_exact(&self) -> bool {
        self.count == 1 && self.empty && !self.others && self.values.iter().all(Option::is_some)
    }

    /// The first attribute's raw value, if it is there and not empty.
    pub fn first(&self) -> Option<&'a [u8]> {
        self.values[0].filter(|value| !value.is_empty())
    }

    /// The second attribute's raw value, if it is there and not empty.
    pub fn second(&self) -> Option<&'a [u8]> {
        self.values[1].filter(|value| !value.is_empty())
    }
}
