//! Who is told of what happens: operators who watch, and a collector of traces.

use std::sync::Arc;

use postroom_actors::{
    activity::Activity,
    ports::{Clock, IdSource, traces::Traces},
};

use crate::adapters::system_clock::UuidSource;

/// Told by all actors of what they have done.
#[derive(Clone)]
pub(super) struct Observers {
    /// What happens, for operators who watch.
    pub(super) activity: Activity,
    /// Where spans go.
    pub(super) traces: Traces,
}

impl Observers {
    /// Those of a run that begins now.
    pub(super) fn new(traces: Traces, clock: &Arc<dyn Clock>) -> Self {
        let run = UuidSource::default().message_id(clock.now());
        let run = run.as_uuid().simple().to_string();
        Self {
            activity: Activity::new(run, Arc::clone(clock)),
            traces,
        }
    }
}
