//! `tombolo token add|password|list|revoke|first`: who may use the HTTPS API.

use std::io::{self, BufRead, IsTerminal, Read};

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::output::{clean, column, json_line, print};
use super::paths::Places;
use crate::access::{Access, FIRST_USER};
use crate::api::access;
use crate::api::token::TokenEntry;
use crate::api::{AskError, Fault, Request, Response, ask};

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it; it is shown this once
    Add {
        /// Its name, unique
        name: String,
        /// What it may do: viewer, operator, administrator, or view, inject, federate_within, federate_across, change,
        /// stop, admin
        #[arg(
            long = "scope",
            value_name = "SCOPE",
            value_delimiter = ',',
            default_value = "viewer"
        )]
        scopes: Vec<String>,
        /// Days until it ends, 1 to 3650; without, it does not end
        #[arg(long, value_name = "N")]
        days: Option<u32>,
    },
    /// Give a user a password for the login; it is read from standard input
    Password {
        /// The user's name
        name: String,
        /// What the user may do, as with `add`
        #[arg(
            long = "scope",
            value_name = "SCOPE",
            value_delimiter = ',',
            default_value = "administrator"
        )]
        scopes: Vec<String>,
        /// Make a password and print it
        #[arg(long)]
        generate: bool,
    },
    /// Show tokens and users
    List {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// End a token or a user, and what is open in its name
    Revoke {
        /// Its name
        name: String,
    },
    /// Show the password of the first login, while there are neither tokens nor users
    First,
}

/// Longest line that is read as a password, bytes.
const MOST_LINE: u64 = 1024;

/// Runs `token`.
///
/// # Errors
/// What the box, or its state directory, says against it.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let request = request(&arguments.action)?;
    let answer = match ask(&places.state, &request) {
        // The first password is one of the running box.
        Err(AskError::NotRunning(_)) if request != Request::FirstPassword => {
            to_the_files(&request, places)?
        }
        answer => answer?.into_result()?,
    };
    print(&match (answer, &arguments.action) {
        (Response::Secret(secret), _) => format!("{secret}\n"),
        (Response::Done(words), _) => format!("{}\n", clean(&words)),
        (Response::Tokens(tokens), Action::List { json: true }) => json_line(&tokens)?,
        (Response::Tokens(tokens), _) => table(&tokens),
        (Response::First(Some(password)), _) => format!("{FIRST_USER} {password}\n"),
        (Response::First(None), _) => {
            let words = "there are tokens or users already, or the first password was used; \
                         `tombolo token password USER` sets one";
            return Err(Failure::new(Exit::Unavailable, words));
        }
        _ => {
            let words = "the box answers something else than was asked";
            return Err(Failure::new(Exit::Internal, words));
        }
    })
}

fn request(action: &Action) -> Result<Request, Failure> {
    Ok(match action {
        Action::Add { name, scopes, days } => Request::TokenAdd {
            name: name.clone(),
            scopes: scopes.clone(),
            days: *days,
        },
        Action::Password {
            name,
            scopes,
            generate,
        } => Request::PasswordSet {
            name: name.clone(),
            scopes: scopes.clone(),
            password: match generate {
                true => None,
                false => Some(read_password()?),
            },
        },
        Action::List { .. } => Request::TokenList,
        Action::Revoke { name } => Request::TokenRevoke { name: name.clone() },
        Action::First => Request::FirstPassword,
    })
}

/// One line. It is not asked for at a terminal, where it would be seen: `--generate` is for people.
fn read_password() -> Result<String, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        let words = "a password typed here would be seen; pipe it in (`tombolo token password USER < FILE`), or have one made \
                     with --generate";
        return Err(Failure::new(Exit::Usage, words));
    }
    let mut line = String::new();
    let read = input.lock().take(MOST_LINE).read_line(&mut line);
    read.map_err(|error| {
        Failure::new(
            Exit::Data,
            format!("no password on standard input: {error}"),
        )
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// No box runs: to its state directory.
fn to_the_files(request: &Request, places: &Places) -> Result<Response, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Exit::CannotCreate, error.to_string());
    crate::files::private_directory(&places.state).map_err(|error| {
        failed(&format!(
            "{}: {}",
            places.state.display(),
            crate::files::fault(&error)
        ))
    })?;
    let access = Access::open(&places.state).map_err(|error| failed(&error))?;
    let now = rustls_pki_types::UnixTime::now().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    Ok(match request {
        Request::TokenAdd { name, scopes, days } => {
            let (scopes, end) = (access::scopes(scopes)?, access::end(*days, now)?);
            let token = access
                .add_token(name, scopes, end, now)
                .map_err(Fault::from)?;
            Response::Secret(token)
        }
        Request::PasswordSet {
            name,
            scopes,
            password,
        } => {
            let scopes = access::scopes(scopes)?;
            let made = access.set_password(name, scopes, password.as_deref(), now);
            match made.map_err(Fault::from)? {
                Some(made) => Response::Secret(made),
                None => Response::Done(format!("\"{name}\" has a password")),
            }
        }
        Request::TokenRevoke { name } => {
            access.revoke(name).map_err(Fault::from)?;
            Response::Done(format!("\"{name}\" is revoked"))
        }
        _ => Response::Tokens(access.list().into_iter().map(TokenEntry::from).collect()),
    })
}

fn table(tokens: &[TokenEntry]) -> String {
    if tokens.is_empty() {
        return "no tokens and no users; `tombolo token first` shows the password of the first login\n".into();
    }
    let mut text = String::from("NAME                 KIND   ENDS                      MAY\n");
    for token in tokens {
        text.push_str(&format!(
            "{} {} {} {}\n",
            column(&token.name, 20),
            column(&token.kind, 6),
            column(token.expires.as_deref().unwrap_or("never"), 25),
            token.scopes.join(","),
        ));
    }
    text
}
