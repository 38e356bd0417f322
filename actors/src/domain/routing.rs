//! Who gets a request.
