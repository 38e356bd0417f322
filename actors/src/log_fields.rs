//! Fields that lines of the log have in common.

use tracing::field::{DisplayValue, display};

use crate::domain::trace_context::{TraceContext, TraceId};

/// The field `trace_id` of a line about a message or a turn; none where there is no trace.
pub fn trace_id(context: Option<TraceContext>) -> Option<DisplayValue<TraceId>> {
    context.map(|context| display(context.trace()))
}
