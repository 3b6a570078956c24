//! What a duty sees of the world while it serves one request, and where it puts what comes of it.

use milena_env::Random;
use milena_protocol::{Message, metadata::Value, wire::Writer};

use super::{ConfigSchema, ControllerError, ControllerOptions, Now, Outcome, liveness::Sessions};
use crate::image::MetadataImage;

pub(super) struct Scene<'a> {
    pub(super) image: &'a MetadataImage,
    pub(super) options: &'a ControllerOptions,
    pub(super) schema: &'a dyn ConfigSchema,
    pub(super) random: &'a mut Random,
    pub(super) sessions: &'a mut Sessions,
    /// The offset that the request's first record gets.
    pub(super) next_offset: i64,
    pub(super) now: Now,
    pub(super) version: i16,
    pub(super) outcome: &'a mut Outcome,
}

impl Scene<'_> {
    pub(super) fn put(&mut self, record: &Value<'_>) -> Result<(), ControllerError> {
        Ok(self.outcome.records.push(record)?)
    }

    /// Whether a broker is registered in that epoch.
    pub(super) fn is_current(&self, broker: i32, epoch: i64) -> bool {
        self.image.cluster.broker(broker).is_some_and(|it| it.epoch == epoch)
    }

    /// The last thing that a duty does.
    pub(super) fn answer<'m>(&mut self, answer: &impl Message<'m>) -> Result<(), ControllerError> {
        let mut writer = Writer::with_capacity(256);
        answer.encode(&mut writer, self.version)?;
        self.outcome.answer = writer.finish()?.into_body().unwrap_or_default().into();
        Ok(())
    }
}
