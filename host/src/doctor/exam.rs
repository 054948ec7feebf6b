//! What examines one thing: where its findings go.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Aspect, Finding, Grade};
use crate::capability::{At, Opening};
use crate::id::{ExecutionId, RunId};
use crate::secret::{Scrub, Scrubber};

/// The examination of one connection, as its capability carries it out.
///
/// Whatever was found is kept when the examination is broken off at its deadline. So each thing is
/// reported as soon as it is known, and [`Exam::trying`] names what may take long before it begins.
pub struct Exam<'a> {
    /// What opens the connection.
    pub opening: &'a Opening,
    /// Whether all secrets of the connection can be had; if not, that has been reported already. A
    /// driver can't be opened then, and everything that needs none can still be tried.
    pub has_secrets: bool,
    sheet: &'a Sheet<'a>,
    calls: AtomicU32,
}

impl<'a> Exam<'a> {
    pub(super) fn new(opening: &'a Opening, has_secrets: bool, sheet: &'a Sheet<'a>) -> Self {
        Self { opening, has_secrets, sheet, calls: AtomicU32::new(0) }
    }

    /// Says what is tried now: it is what a broken off examination has hung at.
    pub fn trying(&self, aspect: Aspect, what: impl Into<String>) {
        self.sheet.trying(aspect, what.into());
    }

    /// Where a call of the examination stands that needs a driver's means; each has a name of its own.
    pub fn at(&self, deadline: Duration) -> At {
        At {
            run: RunId::from(format!("doctor-{}", self.sheet.subject)),
            execution: ExecutionId(0),
            ordinal: self.calls.fetch_add(1, Ordering::Relaxed),
            began: Timestamp::now(),
            deadline,
            idempotency_key: None,
        }
    }

    /// Something is known. The other methods are this one in short.
    pub fn found(&self, aspect: Aspect, seen: impl Into<String>, grade: Grade) {
        self.sheet.found(aspect, seen.into(), grade);
    }

    /// It is as it should be.
    pub fn good(&self, aspect: Aspect, seen: impl Into<String>) {
        self.sheet.found(aspect, seen.into(), Grade::Good);
    }

    /// It was not tried, and why.
    pub fn untried(&self, aspect: Aspect, why: impl Into<String>) {
        self.sheet.found(aspect, why.into(), Grade::Untried);
    }

    /// A rollback can do with it, but it is probably not meant.
    pub fn warning(&self, aspect: Aspect, seen: impl Into<String>, remedy: impl Into<String>) {
        self.sheet.found(aspect, seen.into(), Grade::Warning { remedy: remedy.into() });
    }

    /// A rollback would fail of it. The remedy is one line.
    pub fn fault(&self, aspect: Aspect, seen: impl Into<String>, remedy: impl Into<String>) {
        self.sheet.found(aspect, seen.into(), Grade::Fault { remedy: remedy.into() });
    }
}

/// Who is told of it.
pub type Listen<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What happens while things are examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Something is tried now that may take a while.
    Trying {
        /// Whose it is.
        subject: String,
        /// What is tried, in a few words.
        what: String,
    },
    /// Something is known.
    Found(Finding),
    /// Nothing more will be found out about this one.
    Ended {
        /// Which one.
        subject: String,
    },
}

/// Where the findings about one subject go. Everything on it is scrubbed of secrets, here and once.
pub(super) struct Sheet<'a> {
    subject: String,
    scrubber: Scrubber,
    listen: Listen<'a>,
    current: Mutex<Option<(Aspect, String)>>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(subject: impl Into<String>, scrubber: Scrubber, listen: Listen<'a>) -> Self {
        Self { subject: subject.into(), scrubber, listen, current: Mutex::default() }
    }

    pub(super) fn trying(&self, aspect: Aspect, mut what: String) {
        what.scrub(&self.scrubber);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((aspect, what.clone()));
        (self.listen)(Progress::Trying { subject: self.subject.clone(), what });
    }

    pub(super) fn found(&self, aspect: Aspect, seen: String, mut grade: Grade) {
        // Programs complain in lines.
        let lines = seen.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut seen = lines.collect::<Vec<_>>().join("; ");
        seen.scrub(&self.scrubber);
        if let Grade::Warning { remedy } | Grade::Fault { remedy } = &mut grade {
            remedy.scrub(&self.scrubber);
        }
        (self.listen)(Progress::Found(Finding { subject: self.subject.clone(), aspect, seen, grade }));
    }

    /// The deadline has passed.
    pub(super) fn broken_off(&self, deadline: Duration) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (aspect, what) = current.unwrap_or((Aspect::Settings, "its settings".to_owned()));
        let seen = format!("gave up after {} at: {what}", humantime::format_duration(deadline));
        let remedy = "see that it answers at all, and not only sometimes".to_owned();
        self.found(aspect, seen, Grade::fault(remedy));
    }

    pub(super) fn ended(&self) {
        (self.listen)(Progress::Ended { subject: self.subject.clone() });
    }
}
