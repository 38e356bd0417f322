//! Admits relays, chooses backends, and records replies.
