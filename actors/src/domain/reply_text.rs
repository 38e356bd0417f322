//! Puts the text of a reply together beside the stream that carries it.
