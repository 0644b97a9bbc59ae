//! What system this is: `/usr/lib/tombolo/image-release`, written when the image was built.

/// The running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// The board it was built for.
    pub board: String,
}

impl Release {
    /// Reads lines such as `VERSION=0.2.0` and `BOARD="rpi4-64"`; none if one of the two is missing.
    pub fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.trim().split_once('='))
                .find_map(|(name, value)| {
                    (name == key).then(|| value.trim_matches(['"', '\'']).to_owned())
                })
                .filter(|value| !value.is_empty())
        };
        Some(Self {
            version: value("VERSION")?,
            board: value("BOARD")?,
        })
    }

    /// What a bundle for this board names as `compatible`.
    pub fn compatible(&self) -> String {
        format!("tombolo-{}", self.board)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_says_what_it_is() {
        let release = Release::read("# image\nVERSION=\"0.2.0~rc1\"\r\nBOARD=rpi4-64\n").unwrap();
        assert_eq!(release.version, "0.2.0~rc1");
        assert_eq!(release.compatible(), "tombolo-rpi4-64");
        assert_eq!(Release::read("VERSION=\nBOARD=x"), None);
        assert_eq!(Release::read("VERSION=1"), None);
    }
}
