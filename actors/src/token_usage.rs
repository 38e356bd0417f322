//! Tokens in the form that OpenTelemetry names for generative AI.

use crate::domain::metric::{Buckets, Metric};

const TOKENS: &str = "gen_ai_client_token_usage";

/// The one metric.
pub const METRICS: &[Metric] = &[Metric::histogram(
    TOKENS,
    Buckets::Tokens,
    &["gen_ai_operation_name", "gen_ai_token_type"],
    "Tokens of one operation (chat, embeddings, invoke_agent) as the other side tells them: input, output",
)
.sometimes(&["backend", "agent"])];

/// What tokens were used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A chat completion of this backend.
    Chat(&'a str),
    /// Embeddings of this backend.
    Embeddings(&'a str),
    /// A turn of this agent.
    InvokeAgent(&'a str),
}

impl Operation<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Chat(_) => "chat",
            Self::Embeddings(_) => "embeddings",
            Self::InvokeAgent(_) => "invoke_agent",
        }
    }

    fn party(self) -> (&'static str, String) {
        match self {
            Self::Chat(backend) | Self::Embeddings(backend) => ("backend", backend.to_owned()),
            Self::InvokeAgent(agent) => ("agent", agent.to_owned()),
        }
    }
}

/// Notes what an operation read and wrote. The name of its backend or agent is a configured one.
#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "histograms are approximate"
)]
pub fn note(operation: Operation<'_>, input: u64, output: Option<u64>) {
    let (label, party) = operation.party();
    for (kind, tokens) in [("input", Some(input)), ("output", output)] {
        let Some(tokens) = tokens else { continue };
        metrics::histogram!(TOKENS, "gen_ai_operation_name" => operation.name(),
            "gen_ai_token_type" => kind, label => party.clone())
        .record(tokens as f64);
    }
}
