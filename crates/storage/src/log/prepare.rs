//! What is done to a producer's batch before the partition's lock is taken: it is judged by the
//! topic's rules, and compressed anew where the topic's `compression.type` asks for another codec.

use bytes::BytesMut;
use milena_protocol::records::{
    Batch, Budget, Origin, RecordError, Rules, Scratch, TimestampRule, Validated, recompress,
    validate,
};

use super::Log;

impl Log {
    /// Judges a batch; what comes back is to be given to [`Log::append_as_leader`] with it. The
    /// batch stays where it lies unless it has to be compressed anew.
    pub fn prepare(
        &self,
        batch: &mut BytesMut,
        produce_version: i16,
        origin: Origin,
        scratch: &mut Scratch,
    ) -> Result<Validated, RecordError> {
        let config = self.config();
        let timestamps = if config.log_append_time {
            TimestampRule::Append
        } else {
            TimestampRule::Create {
                before_max_ms: config.timestamp_before_max_ms,
                after_max_ms: config.timestamp_after_max_ms,
            }
        };
        let rules = Rules {
            produce_version,
            batch_bytes_max: config.max_message_bytes as usize,
            is_compacted: config.compact,
            timestamps,
            now_ms: self.shared.clock.now_ms(),
            origin,
            budget: Budget::default(),
        };
        let validated = validate(batch, &rules, scratch)?;
        let Some((codec, level)) = config.compression else { return Ok(validated) };
        if !validated.needs_recompression(codec) {
            return Ok(validated);
        }
        let broken = |why| RecordError::Codec { codec: validated.codec, why };
        let parsed = Batch::read(batch).map_err(|_| broken("no batch"))?;
        let mut bytes = Vec::with_capacity(batch.len());
        recompress(&parsed, codec, level, rules.budget, scratch, &mut bytes)
            .map_err(|_| broken("cannot be compressed anew"))?;
        *batch = BytesMut::from(bytes.as_slice());
        // Judged again as what it has become; whoever sent it may not have known zstd.
        validate(batch, &Rules { produce_version: i16::MAX, ..rules }, scratch)
    }
}
