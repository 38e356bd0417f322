//! Exit codes, after sysexits(3).

/// It worked.
pub const OK: u8 = 0;
/// It failed in a way that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// A file that is read makes no sense.
pub const DATA: u8 = 65;
/// What should be read is not there.
pub const NO_INPUT: u8 = 66;
/// The service does not run, or does not answer.
pub const UNAVAILABLE: u8 = 69;
/// A file could not be made.
pub const CANNOT_CREATE: u8 = 73;
/// Reading or writing failed, standard output included.
pub const IO: u8 = 74;
/// It may work later.
pub const TEMPORARY: u8 = 75;
/// It is not allowed.
pub const NO_PERMISSION: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;
/// A second signal ended it at once.
pub const INTERRUPTED: u8 = 130;
