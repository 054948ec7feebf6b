//! What all channels have in common: a notice goes out once, and what became of it is a reply.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::notice::Notice;
use super::{Call, Reply, Template};
use crate::capability::{At, Driver, Exactly, Prepared, Settlement};
use crate::failure::Failure;
use crate::pipeline::HOLE;

/// A way to people.
#[async_trait]
pub(super) trait Deliver: Send + Sync {
    /// See [`Driver::place`].
    fn place(&self) -> String;

    /// See [`Driver::exactly`].
    fn exactly(&self, notice: &Notice) -> Exactly;

    /// Sends a notice, and says honestly what became of it.
    async fn deliver(&self, notice: &Notice) -> Reply;

    /// What became of a notice whose host died while it was sent.
    async fn settle(&self, _notice: &Notice) -> Settlement<Reply> {
        Settlement::Happened(Reply::PerhapsSent("the host stopped while sending".to_owned()))
    }
}

/// The driver of a connection: its words, and its channel.
pub(super) struct NoticeDriver {
    pub(super) template: Template,
    pub(super) channel: Arc<dyn Deliver>,
}

impl NoticeDriver {
    fn notice(&self, at: &At, call: &Call) -> Notice {
        self.template.word(Notice::new(at.run.as_str(), &at.key(), call))
    }
}

#[async_trait]
impl Driver for NoticeDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        self.channel.place()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        // The run has no name yet that somebody could agree to.
        self.channel.exactly(&self.template.word(Notice::new(HOLE, HOLE, call)))
    }

    async fn read(&self, _at: &At, call: &Call) -> Result<Reply, Failure> {
        Err(Failure::permanent(format!("internal: the notice \"{}\" was taken for a read", call.subject)))
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        Ok(Box::new(Ready { notice: self.notice(at, call), channel: Arc::clone(&self.channel) }))
    }

    async fn settle(&self, at: &At, call: &Call, _marker: Option<&Value>) -> Settlement<Reply> {
        self.channel.settle(&self.notice(at, call)).await
    }
}

/// A notice that nobody has heard of yet.
struct Ready {
    notice: Notice,
    channel: Arc<dyn Deliver>,
}

#[async_trait]
impl Prepared<Reply> for Ready {
    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        Ok(self.channel.deliver(&self.notice).await)
    }
}
