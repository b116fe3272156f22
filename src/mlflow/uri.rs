//! Where a tracking server is.

use std::fmt;

use url::Url;

/// The address of a tracking server, as `MLFLOW_TRACKING_URI` holds it, with any prefix of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingUri(Url);

impl TrackingUri {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it. It never repeats what may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SAMPLES: &str = "https://mlflow.example.org or https://dagshub.com/OWNER/REPO.mlflow";
        let wrong = |why: &str| Err(format!("{why}; write a tracking server's address, such as {SAMPLES}"));
        let Ok(url) = Url::parse(text.trim()) else { return wrong("is no URL") };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a user or a password, which everybody would see who may read this object; put them into a \
                        Secret under username and password, and name it in spec.mlflow.credentialsSecret"
                    .into(),
            );
        }
        if !["http", "https"].contains(&url.scheme()) {
            return wrong("starts with neither http:// nor https://");
        }
        if !url.has_host() || url.query().is_some() || url.fragment().is_some() {
            return wrong("has more or less than a host and a path");
        }
        Ok(Self(url))
    }

    /// The address of a call of the REST API.
    pub(super) fn call(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/api/2.0/mlflow/{path}", self.0.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// DagsHub's addresses end so; without it, it answers as the web site does.
    pub(super) fn lacks_mlflow(&self) -> bool {
        self.host() == "dagshub.com" && !self.0.path().trim_end_matches('/').ends_with(".mlflow")
    }
}

impl fmt::Display for TrackingUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_teams_write_them() {
        for (written, called) in [
            (
                "https://dagshub.com/alice/churn.mlflow",
                "https://dagshub.com/alice/churn.mlflow/api/2.0/mlflow/runs/get?run_id=a+b",
            ),
            (
                "https://dagshub.com/alice/churn.mlflow/",
                "https://dagshub.com/alice/churn.mlflow/api/2.0/mlflow/runs/get?run_id=a+b",
            ),
            (" http://mlflow:5000 ", "http://mlflow:5000/api/2.0/mlflow/runs/get?run_id=a+b"),
            ("http://[::1]:5000/tracking//", "http://[::1]:5000/tracking/api/2.0/mlflow/runs/get?run_id=a+b"),
        ] {
            let uri = TrackingUri::parse(written).unwrap();
            assert_eq!(uri.call("runs/get", &[("run_id", "a b")]).as_str(), called);
        }
    }

    #[test]
    fn what_is_no_tracking_servers_address_is_refused_with_an_example() {
        for wrong in [
            "",
            "mlflow",
            "./mlruns",
            "databricks",
            "file:///mlruns",
            "sqlite:///a.db",
            "ftp://a/b",
            "http://a?b=c",
            "http://a#b",
        ] {
            let message = TrackingUri::parse(wrong).unwrap_err();
            assert!(message.contains("such as https://"), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for wrong in ["https://alice:open-sesame@dagshub.com/a/b.mlflow", "https://open-sesame@dagshub.com/a/b.mlflow"]
        {
            let message = TrackingUri::parse(wrong).unwrap_err();
            assert!(message.contains("credentialsSecret") && !message.contains("open-sesame"), "{message}");
        }
    }
}
