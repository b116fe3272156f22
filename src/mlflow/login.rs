//! Who asks: what a Secret's keys make of it.

use std::fmt;

/// Names of keys, the plain one and MLflow's own variable, since teams have Secrets with those already.
const USERNAME: [&str; 2] = ["username", "MLFLOW_TRACKING_USERNAME"];
const PASSWORD: [&str; 2] = ["password", "MLFLOW_TRACKING_PASSWORD"];
const TOKEN: [&str; 2] = ["token", "MLFLOW_TRACKING_TOKEN"];

/// What goes into the header `Authorization`.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Nobody,
    Basic { username: String, password: String },
    Bearer(String),
}

impl Login {
    /// Reads the keys of a Secret. A user with a token logs in by password, as DagsHub wants it.
    ///
    /// # Errors
    /// A phrase that says which keys it should have.
    pub fn read(key: impl Fn(&str) -> Option<String>) -> Result<Self, &'static str> {
        let first = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(&key);
            values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        let sound = |value: &String| !value.chars().any(char::is_control);
        let (username, password, token) = (first(USERNAME), first(PASSWORD), first(TOKEN));
        if ![&username, &password, &token].into_iter().flatten().all(sound) {
            return Err("holds a control character, such as a line break, within a user, a password or a token");
        }
        match (username, password, token) {
            (Some(username), _, _) if username.contains(':') => {
                Err("has a ':' in the user's name, which HTTP's basic authentication cannot say")
            }
            (Some(username), Some(password), _) | (Some(username), None, Some(password)) => {
                Ok(Self::Basic { username, password })
            }
            (_, _, Some(token)) => Ok(Self::Bearer(token)),
            (Some(_), None, None) => Err("has a user and no password: give it the key password, or token"),
            (None, Some(_), None) => Err("has a password and no user: give it the key username"),
            (None, None, None) => Err("has neither the keys username and password nor the key token"),
        }
    }

    pub(super) fn sign(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keys: &[(&str, &str)]) -> Result<Login, &'static str> {
        Login::read(|name| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn secrets_are_taken_with_plain_keys_and_with_mlflows_own() {
        let basic = Ok(Login::Basic { username: "alice".into(), password: "open-sesame".into() });
        assert_eq!(read(&[("username", "alice\n"), ("password", "open-sesame\n")]), basic);
        let own = [("MLFLOW_TRACKING_USERNAME", "alice"), ("MLFLOW_TRACKING_PASSWORD", "open-sesame")];
        assert_eq!(read(&own), basic);
        assert_eq!(read(&[("username", "alice"), ("token", "open-sesame")]), basic, "DagsHub");
        assert_eq!(read(&[("token", "open-sesame")]), Ok(Login::Bearer("open-sesame".into())));
        assert_eq!(read(&[("MLFLOW_TRACKING_TOKEN", "open-sesame")]), Ok(Login::Bearer("open-sesame".into())));
    }

    #[test]
    fn a_secret_that_lacks_something_is_told_without_repeating_it() {
        for (keys, words) in [
            (&[][..], "neither the keys"),
            (&[("username", "open-sesame")], "no password"),
            (&[("password", "open-sesame")], "no user"),
            (&[("username", "open:sesame"), ("password", "x")], "':'"),
            (&[("token", "open\nsesame")], "control character"),
            (&[("username", " "), ("password", "")], "neither the keys"),
        ] {
            let message = read(keys).unwrap_err();
            assert!(message.contains(words) && !message.contains("open"), "{message}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let basic = Login::Basic { username: "alice".into(), password: "open-sesame".into() };
        assert_eq!(format!("{basic:?} {:?}", Login::Bearer("open-sesame".into())), "Basic(…) Bearer(…)");
    }
}
