//! The answer of a mailbox: an OpenAI chat completion that says nothing, or thanks.
