//! Which configuration and which state directory a command means.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure};
use crate::config::Config;

const SYSTEM_CONFIG: &str = "/etc/tombolo/tombolo.toml";
const SYSTEM_STATE: &str = "/var/lib/tombolo";

const GLOBAL: &str = "Global options";

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file [default: /etc/tombolo/tombolo.toml if it is there, else under the user's configuration]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub config: Option<PathBuf>,
    /// State directory: keys, certificates, control socket [default: /var/lib/tombolo as root, else the user's]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub state: Option<PathBuf>,
    /// Say more; twice: say everything (TOMBOLO_LOG sets levels per module)
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
}

/// Where a command about the system itself looks; tests give it a directory of their own.
#[derive(Debug, Args)]
pub struct SystemRoot {
    /// Directory to look in instead of / for what the system says
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/",
        hide = true
    )]
    pub root: PathBuf,
}

/// The places that a command works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The configuration file; it need not exist.
    pub config: PathBuf,
    /// It was named on the command line, so it must exist to be read.
    pub config_is_named: bool,
    /// The state directory; it need not exist.
    pub state: PathBuf,
}

/// What the places depend on when they are not named.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    is_root: bool,
    has_system_config: bool,
    config_home: Option<PathBuf>,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl Places {
    /// Finds the places from the command line and, for what it does not name, from user and environment.
    ///
    /// # Errors
    /// If there is no home directory to put them in.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        // The XDG specification: a relative path counts as unset.
        let variable = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let surroundings = Surroundings {
            is_root: nix::unistd::geteuid().is_root(),
            has_system_config: Path::new(SYSTEM_CONFIG).exists(),
            config_home: variable("XDG_CONFIG_HOME"),
            state_home: variable("XDG_STATE_HOME"),
            home: variable("HOME"),
        };
        Self::among(global, &surroundings)
    }

    fn among(global: &Global, around: &Surroundings) -> Result<Self, Failure> {
        let under = |base: &Option<PathBuf>, from_home: &str, option: &str| {
            base.clone()
                .or_else(|| around.home.as_ref().map(|home| home.join(from_home)))
                .map(|base| base.join("tombolo"))
                .ok_or_else(|| {
                    let message =
                        format!("there is no HOME to look in; name a place with {option}");
                    Failure::new(Exit::Usage, message)
                })
        };
        let config = match &global.config {
            Some(named) => named.clone(),
            None if around.has_system_config || around.is_root => PathBuf::from(SYSTEM_CONFIG),
            None => under(&around.config_home, ".config", "--config FILE")?.join("tombolo.toml"),
        };
        let state = match &global.state {
            Some(named) => named.clone(),
            None if around.is_root => PathBuf::from(SYSTEM_STATE),
            None => under(&around.state_home, ".local/state", "--state DIR")?,
        };
        Ok(Self {
            config,
            // The units name it to be sure. A box that nobody has set up yet has none there.
            config_is_named: global
                .config
                .as_deref()
                .is_some_and(|named| named != Path::new(SYSTEM_CONFIG)),
            state,
        })
    }

    /// Which configuration it is, for people.
    pub fn config_in_words(&self) -> String {
        match self.config.exists() {
            true => self.config.display().to_string(),
            false => format!("no file at {}; defaults", self.config.display()),
        }
    }

    /// Reads the configuration; one that is not there and was not named is the default.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load_config(&self) -> Result<Config, Failure> {
        let is_missing = matches!(
            self.config.metadata(),
            Err(error) if error.kind() == io::ErrorKind::NotFound
        );
        match is_missing {
            true if self.config_is_named => {
                let file = &self.config;
                let message = format!(
                    "{}: there is no such file; check the path, or make one with `tombolo config template`",
                    file.display()
                );
                Err(Failure::new(Exit::NoInput, message))
            }
            // There may be something beside it.
            true => Ok(Config::read("", &self.config)?),
            false => Ok(Config::load(&self.config)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(global: &Global, around: &Surroundings) -> (String, String) {
        let places = Places::among(global, around).unwrap();
        (
            places.config.display().to_string(),
            places.state.display().to_string(),
        )
    }

    #[test]
    fn unnamed_places_depend_on_the_user() {
        let none = Global::default();
        let user = Surroundings {
            home: Some("/home/u".into()),
            ..Surroundings::default()
        };
        let places = find(&none, &user);
        assert_eq!(places.0, "/home/u/.config/tombolo/tombolo.toml");
        assert_eq!(places.1, "/home/u/.local/state/tombolo");
        let xdg = Surroundings {
            config_home: Some("/c".into()),
            state_home: Some("/s".into()),
            ..user.clone()
        };
        assert_eq!(
            find(&none, &xdg),
            ("/c/tombolo/tombolo.toml".into(), "/s/tombolo".into())
        );
        let system = Surroundings {
            has_system_config: true,
            ..user
        };
        let places = find(&none, &system);
        assert_eq!(places.0, "/etc/tombolo/tombolo.toml");
        assert_eq!(places.1, "/home/u/.local/state/tombolo");
        let root = Surroundings {
            is_root: true,
            ..Surroundings::default()
        };
        assert_eq!(
            find(&none, &root),
            (SYSTEM_CONFIG.into(), SYSTEM_STATE.into())
        );
        let error = Places::among(&none, &Surroundings::default()).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
    }

    #[test]
    fn named_places_win() {
        let global = Global {
            config: Some("x.toml".into()),
            state: Some("s".into()),
            verbose: 0,
        };
        assert_eq!(
            find(&global, &Surroundings::default()),
            ("x.toml".into(), "s".into())
        );
    }

    #[test]
    fn the_box_s_own_place_need_not_hold_a_configuration() {
        for (named, must_be_there) in [(SYSTEM_CONFIG, false), ("/etc/other.toml", true)] {
            let global = Global {
                config: Some(named.into()),
                state: Some("s".into()),
                verbose: 0,
            };
            let places = Places::among(&global, &Surroundings::default()).unwrap();
            assert_eq!(places.config_is_named, must_be_there, "{named}");
        }
    }

    #[test]
    fn only_a_named_configuration_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let mut places = Places {
            config: directory.path().join("tombolo.toml"),
            config_is_named: false,
            state: directory.path().into(),
        };
        assert_eq!(places.load_config(), Ok(Config::default()));
        places.config_is_named = true;
        assert_eq!(places.load_config().unwrap_err().exit, Exit::NoInput);
        std::fs::write(&places.config, "x = 1").unwrap();
        assert_eq!(places.load_config().unwrap_err().exit, Exit::Config);
    }
}
