//! Arithmetic of what turns use.

use postroom_actors::domain::turn::Usage;

/// What a turn used, of a session's running total. A total smaller than before has begun anew: then
/// it is the turn's own.
pub(super) fn since(total: Usage, before: Option<Usage>) -> Usage {
    let before = before.unwrap_or_default();
    let has_restarted = total.input_tokens < before.input_tokens
        || total.output_tokens < before.output_tokens
        || total.cost_microdollars < before.cost_microdollars;
    if has_restarted {
        return total;
    }
    Usage {
        input_tokens: total.input_tokens.saturating_sub(before.input_tokens),
        cached_input_tokens: total
            .cached_input_tokens
            .saturating_sub(before.cached_input_tokens),
        output_tokens: total.output_tokens.saturating_sub(before.output_tokens),
        reasoning_tokens: total
            .reasoning_tokens
            .saturating_sub(before.reasoning_tokens),
        cost_microdollars: total
            .cost_microdollars
            .map(|cost| cost.saturating_sub(before.cost_microdollars.unwrap_or_default())),
    }
}

/// Adds a part of a turn to what was counted of it so far.
pub(super) fn add(sum: &mut Option<Usage>, part: Usage) {
    let so_far = sum.unwrap_or_default();
    let cost = match (so_far.cost_microdollars, part.cost_microdollars) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    *sum = Some(Usage {
        input_tokens: so_far.input_tokens.saturating_add(part.input_tokens),
        cached_input_tokens: so_far
            .cached_input_tokens
            .saturating_add(part.cached_input_tokens),
        output_tokens: so_far.output_tokens.saturating_add(part.output_tokens),
        reasoning_tokens: so_far
            .reasoning_tokens
            .saturating_add(part.reasoning_tokens),
        cost_microdollars: cost,
    });
}
