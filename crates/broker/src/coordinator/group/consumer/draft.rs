//! What one event wants written: all of it, or nothing has happened.

use std::sync::Arc;

use super::{
    super::{
        super::{Scene, TooLarge, WriteError},
        GroupError,
        record::{self, Encoded},
    },
    ConsumerGroup,
    change::Change,
};

#[derive(Debug, Default)]
pub(super) struct Draft {
    records: Vec<Encoded>,
    /// What takes the changes back, the last one last.
    pub(super) undo: Vec<Change>,
}

impl Draft {
    pub(super) fn write(&mut self, group: &Arc<str>, change: &Change) -> Result<(), WriteError> {
        let value = change.value();
        self.put(record::encode(&change.key(group), value.as_ref())?);
        Ok(())
    }

    pub(super) fn put(&mut self, record: Encoded) {
        self.records.push(record);
    }

    fn push(&self, scene: &mut Scene<'_>) -> Result<(), WriteError> {
        let room = scene.effects.room();
        if self.records.iter().map(Encoded::size).sum::<usize>() > room {
            return Err(TooLarge(room).into());
        }
        for record in &self.records {
            record.push(scene)?;
        }
        Ok(())
    }
}

impl ConsumerGroup {
    /// Lets something happen, and has it written. What was refused, or cannot be written, has not
    /// happened.
    pub(super) fn event<T>(
        &mut self,
        mut draft: Draft,
        scene: &mut Scene<'_>,
        event: impl FnOnce(&mut Self, &mut Draft, &mut Scene<'_>) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let done = event(self, &mut draft, scene).and_then(|answer| {
            draft.push(scene)?;
            Ok(answer)
        });
        if done.is_err() && !draft.undo.is_empty() {
            for change in draft.undo.into_iter().rev() {
                self.apply(change);
            }
            self.is_up_to_date = false;
            self.successor = None;
            self.begin_sessions(scene);
            self.set_alarm();
        }
        done
    }
}
