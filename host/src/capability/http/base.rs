//! A connection's base URL, and what stands below it.

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::schema::text_schema;

/// The URL below which all of a connection's requests stand: `http` or `https`, a host, a path, and
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether requests are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a path below this one, with its query if any. The path has been
    /// [checked](super::path::check); what would still not go out letter by letter as it was judged
    /// is an error.
    pub(super) fn join(&self, target: &str) -> Result<Url, String> {
        let text = format!("{}{target}", self.prefix());
        let url = Url::parse(&text).map_err(|error| format!("{text} is no URL: {error}"))?;
        // The same text means the same origin and the same way, letter by letter.
        if url.as_str() != text || !target.starts_with('/') || url.fragment().is_some() {
            return Err(format!("`{target}` is not written as it would be sent: the URL would be {url}"));
        }
        Ok(url)
    }

    /// What of a URL stands below this one: a path that begins with `/`, with its query if any.
    /// `None` if the URL is of another origin or path, or brings credentials along.
    pub(super) fn below(&self, url: &Url) -> Option<String> {
        let mut bare = url.clone();
        bare.set_fragment(None);
        let below = bare.as_str().strip_prefix(&self.prefix())?;
        below.starts_with('/').then(|| below.to_owned())
    }

    /// A URL that stands below this one, as it would stand below the other.
    pub(super) fn at(&self, other: &Self, url: &Url) -> String {
        match self.below(url) {
            Some(below) => format!("{}{below}", other.prefix()),
            None => url.to_string(),
        }
    }

    fn prefix(&self) -> String {
        self.0.as_str().trim_end_matches('/').to_owned()
    }
}

text_schema!(
    BaseUrl,
    "BaseUrl",
    r"^https?://[^?#]+$",
    "An http:// or https:// URL without credentials, query and fragment."
);

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // What is wrong may be a password: only what is known not to be one is repeated.
        let url = Url::parse(&text).map_err(|error| {
            let why = match error {
                url::ParseError::RelativeUrlWithoutBase => "it begins with neither http:// nor https://".to_owned(),
                error => error.to_string(),
            };
            format!("this is no URL ({why}): write one like \"https://coolify.example.org/api/v1\"")
        })?;
        let wrong = if !matches!(url.scheme(), "http" | "https") {
            "begins with neither http:// nor https://"
        } else if !url.username().is_empty() || url.password().is_some() {
            "has credentials in it: write them as  auth = { … }"
        } else if url.query().is_some() || url.fragment().is_some() {
            "has a query or a fragment: a plugin's paths are appended to it"
        } else {
            return Ok(Self(url));
        };
        Err(format!("the URL {wrong}"))
    }
}

impl From<BaseUrl> for String {
    fn from(BaseUrl(url): BaseUrl) -> Self {
        url.into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<BaseUrl, String> {
        BaseUrl::try_from(text.to_owned())
    }

    #[test]
    fn a_base_url_is_an_origin_and_a_path_and_a_password_in_it_is_not_repeated() {
        for (text, wrong) in [
            ("ftp://host/", "neither"),
            ("host/path", "no URL"),
            ("https://user:hunter2hunter2@host/", "credentials"),
            ("https://host/?token=hunter2hunter2", "query"),
            ("https://host/#part", "fragment"),
            ("https://user:hunter2hunter2@/", "no URL"),
        ] {
            let error = base(text).unwrap_err();
            assert!(error.contains(wrong) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn only_what_has_the_same_origin_and_begins_with_the_same_path_is_below() {
        let base = base("https://host/api/v1/").unwrap();
        for (url, below) in [
            ("https://host/api/v1/x?y=1#z", Some("/x?y=1")),
            ("https://host:443/api/v1/x", Some("/x")),
            ("https://HOST/api/v1/x", Some("/x")),
            ("https://host/api/v1/../x", None),
            ("https://host/api/v10/x", None),
            ("https://host/api/v1", None),
            ("http://host/api/v1/x", None),
            ("https://host:8443/api/v1/x", None),
            ("https://host.evil/api/v1/x", None),
            ("https://user@host/api/v1/x", None),
        ] {
            assert_eq!(base.below(&Url::parse(url).unwrap()).as_deref(), below, "{url}");
        }
        assert_eq!(base.join("/x?y=1").unwrap().as_str(), "https://host/api/v1/x?y=1");
        assert!(base.join("/x?y=a b").is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_passes_for_a_path_goes_out_as_it_is(
            target in r"/[a-z.%2EeC3A9!$&'()*+,;=:@/?\[\]~_-]{0,12}(/\.{0,3}|\?[a-z?/%&='\[\]]{0,8})?"
        ) {
            if crate::capability::http::path::check(&target).is_ok() {
                proptest::prop_assert!(base("https://host/api/v1").unwrap().join(&target).is_ok(), "{}", target);
            }
        }
    }
}
