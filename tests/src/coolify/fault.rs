//! What goes wrong with a request, besides the lies.

use serde::{Deserialize, Serialize};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// 500, and nothing is done.
    Error,
    /// It is done, and answered with 500.
    DoneError,
    /// Nothing is done, and no answer ever comes.
    Hang,
    /// It is done, and no answer ever comes.
    DoneHang,
    /// Nothing is done, and the connection is closed.
    Cut,
    /// It is done, and the connection is closed.
    DoneCut,
    /// 429 with `Retry-After: 1`; nothing is done.
    TooMany,
}

impl Behaviour {
    /// Whether the request is done.
    pub fn is_done(self) -> bool {
        matches!(self, Self::DoneError | Self::DoneHang | Self::DoneCut)
    }
}

/// A fault that waits for its requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// `POST /deploy`; `*` at its end stands for anything, and alone for every request.
    pub endpoint: String,
    /// What becomes of them.
    pub behaviour: Behaviour,
    /// How many are let through before.
    #[serde(default)]
    pub after: u32,
    /// How many it hits; all from then on unless said.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    /// Whether it hits this request. It counts.
    pub fn hits(&mut self, request: &str) -> bool {
        let fits = match self.endpoint.strip_suffix('*') {
            Some(beginning) => request.starts_with(beginning),
            None => request == self.endpoint,
        };
        if !fits || self.times == Some(0) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}
