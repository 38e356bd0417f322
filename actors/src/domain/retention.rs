//! When the store gives room back to the disk.

/// Free bytes in the file below which nobody gains by giving them back, in bytes.
const WORTH_IT: u64 = 16 << 20;

/// Whether a store that uses `used` bytes should give some of its `free` ones back to the disk: what
/// is free is used for new messages first, so a quarter of what is in use may stay.
pub const fn gives_back(used: u64, free: u64) -> bool {
    free >= WORTH_IT && free > used / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_will_be_used_again_stays() {
        assert!(!gives_back(100 << 20, 25 << 20));
        assert!(gives_back(100 << 20, 26 << 20));
        assert!(!gives_back(0, 15 << 20));
        assert!(gives_back(0, 16 << 20));
    }
}
