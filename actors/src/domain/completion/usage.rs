//! Token counts under the names of chat completions.

use serde::Serialize;

use crate::domain::turn::Usage;

/// `usage` of a completion.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct UsageCounts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl UsageCounts {
    /// The counts of a turn; zeros where they are not known.
    pub(super) fn of(usage: Option<Usage>) -> Self {
        let Some(usage) = usage else {
            return Self::default();
        };
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: Some(PromptDetails {
                cached_tokens: usage.cached_input_tokens,
            }),
            completion_tokens_details: Some(CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
            }),
        }
    }
}
