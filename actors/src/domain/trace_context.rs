//! W3C trace context: which trace something belongs to, and which span it hangs on.
//!
//! Ids of spans are derived from ids that are kept anyway, so that a child finds its parent minutes
//! later, in another actor or after a restart, and nothing else needs to be stored. `tracestate` is
//! not passed on, which the recommendation leaves to us.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
};

use uuid::Uuid;

use super::ids::{MessageId, TurnId};

/// Names a trace; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// Its sixteen bytes, as they are sent.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    fn of(message: MessageId) -> Self {
        let high = u128::from(mixed(message.as_uuid(), Origin::TraceHigh, 0));
        let low = u128::from(mixed(message.as_uuid(), Origin::TraceLow, 0));
        Self(NonZeroU128::new(high << 64 | low).unwrap_or(NonZeroU128::MIN))
    }

    /// The part that is random in every trace id of level 2 of the recommendation.
    const fn randomness(self) -> u128 {
        self.0.get() & (RANDOM_RANGE - 1)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Names a span within its trace; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// Its eight bytes, as they are sent.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    /// The span of a message: from its arrival to its answer.
    pub fn of_message(message: MessageId) -> Self {
        Self::derived(message.as_uuid(), Origin::Message, 0)
    }

    /// Keeping a message for the mailbox.
    pub fn of_accept(message: MessageId) -> Self {
        Self::derived(message.as_uuid(), Origin::Accept, 0)
    }

    /// Writing the inbox file that is named after a message.
    pub fn of_inbox_write(message: MessageId) -> Self {
        Self::derived(message.as_uuid(), Origin::InboxWrite, 0)
    }

    /// The wait of a task for a turn.
    pub fn of_wait(task: MessageId, turn: TurnId) -> Self {
        let (_, low) = task.as_uuid().as_u64_pair();
        Self::derived(turn.as_uuid(), Origin::Wait, low)
    }

    /// A turn.
    pub fn of_turn(turn: TurnId) -> Self {
        Self::derived(turn.as_uuid(), Origin::Turn, 0)
    }

    /// One call of a backend for a message; `call` counts them.
    pub fn of_call(message: MessageId, call: u64) -> Self {
        Self::derived(message.as_uuid(), Origin::Call, call)
    }

    /// One try to deliver a message; `began` tells tries apart, also those after a retry by hand.
    pub fn of_delivery(message: MessageId, began: u64) -> Self {
        Self::derived(message.as_uuid(), Origin::Delivery, began)
    }

    fn derived(id: Uuid, origin: Origin, number: u64) -> Self {
        Self(NonZeroU64::new(mixed(id, origin, number)).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// What an id is derived for. The order is part of every id that was ever given out.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Origin {
    TraceHigh,
    TraceLow,
    Message,
    Accept,
    InboxWrite,
    Wait,
    Turn,
    Call,
    Delivery,
}

impl Origin {
    /// An odd constant for each, with its bits well spread.
    #[expect(
        clippy::as_conversions,
        reason = "the place of a variant; there is no other way to read it"
    )]
    fn salt(self) -> u64 {
        (u64::from(self as u8) + 1).wrapping_mul(GOLDEN_RATIO)
    }
}

/// 2^64 divided by the golden ratio, as `SplitMix64` steps.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(id: Uuid, origin: Origin, number: u64) -> u64 {
    let (high, low) = id.as_u64_pair();
    [high, low, number]
        .iter()
        .fold(spread(origin.salt()), |state, part| {
            spread(state.wrapping_add(GOLDEN_RATIO) ^ part)
        })
}

/// The finalizer of `SplitMix64`: every bit of the result depends on every bit of the input.
const fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// How many values the random part of a trace id has: 56 bits.
const RANDOM_RANGE: u128 = 1 << 56;

/// Which share of the traces that begin here is recorded. Whoever sends a context decides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// The least random part that is recorded.
    threshold: u128,
}

impl Sampling {
    /// So many of a hundred; more than 100 are all.
    pub fn percent(percent: u16) -> Self {
        let left_out = u128::from(100_u16.saturating_sub(percent));
        Self {
            threshold: RANDOM_RANGE * left_out / 100,
        }
    }

    const fn keeps(self, trace: TraceId) -> bool {
        trace.randomness() >= self.threshold
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::percent(100)
    }
}

const SAMPLED: u8 = 1;
const RANDOM: u8 = 1 << 1;

/// A trace, the span in it that new spans hang on, and whether it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: u8,
}

impl TraceContext {
    /// The longest header that is read, in bytes: later versions may add to it.
    const LONGEST: usize = 512;

    /// Reads a `traceparent` header. `None` for all that the recommendation calls invalid: then it
    /// is as if there were none.
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.trim_matches([' ', '\t']);
        if header.len() > Self::LONGEST {
            return None;
        }
        let mut fields = header.split('-');
        let version = hex::<2>(fields.next()?)?;
        let trace = hex::<32>(fields.next()?)?;
        let span = hex::<16>(fields.next()?)?;
        let flags = hex::<2>(fields.next()?)?;
        let has_more = fields.next().is_some();
        // Later versions only ever add to the end; version 255 is forbidden.
        if version == 0xff || (version == 0 && has_more) {
            return None;
        }
        Some(Self {
            trace: TraceId(NonZeroU128::new(trace)?),
            span: SpanId(NonZeroU64::new(u64::try_from(span).ok()?)?),
            flags: u8::try_from(flags).ok()? & (SAMPLED | RANDOM),
        })
    }

    /// A trace that begins with a message.
    pub fn begun_by(message: MessageId, sampling: Sampling) -> Self {
        let trace = TraceId::of(message);
        Self {
            trace,
            span: SpanId::of_message(message),
            flags: if sampling.keeps(trace) {
                RANDOM | SAMPLED
            } else {
                RANDOM
            },
        }
    }

    /// The same trace with another span to hang on.
    #[must_use]
    pub const fn child(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// The trace.
    pub const fn trace(self) -> TraceId {
        self.trace
    }

    /// The span to hang on.
    pub const fn span(self) -> SpanId {
        self.span
    }

    /// Whether the trace is recorded.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, as they are sent.
    pub const fn flags(self) -> u8 {
        self.flags
    }
}

/// The value of a `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(formatter, "00-{trace}-{span}-{flags:02x}")
    }
}

/// A number of exactly so many digits; capitals are none.
fn hex<const DIGITS: usize>(text: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.len() == DIGITS && text.bytes().all(is_digit);
    is_number
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
