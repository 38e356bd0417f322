//! A whole number and its unit, as people write durations and sizes.

/// Reads `<digits><unit>`, in the smallest of the units; a unit may be empty.
///
/// `None`: no digits, an unknown unit, or more than 2^64.
pub(super) fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let count: u64 = digits.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*factor)
}
