//! Until when a certificate holds: the one field of X.509 that TLS libraries keep to themselves.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The end of a certificate's validity (RFC 5280, 4.1.2.5); `None` where it is not understood.
pub(super) fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate, _) = element(certificate)?;
    let (_, body, _) = element(certificate)?;
    // The version, where there is one, then number, algorithm, issuer.
    let mut rest = body;
    for expected in [VERSION, INTEGER, SEQUENCE, SEQUENCE] {
        let (kind, _, after) = element(rest)?;
        if kind == expected {
            rest = after;
        } else if expected != VERSION {
            return None;
        }
    }
    let (kind, validity, _) = element(rest)?;
    let (_, _, end) = element(validity)?;
    let (form, end, _) = element(end)?;
    (kind == SEQUENCE).then(|| time(form, end))?
}

/// The first element: its kind, what is in it, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if first & 0x80 == 0 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let mut length = 0_usize;
        for digit in digits {
            length = length.checked_mul(256)?.checked_add(usize::from(*digit))?;
        }
        (length, rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*kind, content, after))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(form: u8, text: &[u8]) -> Option<DateTime<Utc>> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = digits.split_at_checked(if form == UTC_TIME { 2 } else { 4 })?;
    let year = i32::try_from(number(year)?).ok()?;
    let year = match form {
        UTC_TIME if year >= 50 => 1900 + year,
        UTC_TIME => 2000 + year,
        GENERALIZED_TIME => year,
        _ => return None,
    };
    let parts: Vec<u32> = rest.chunks(2).map(number).collect::<Option<_>>()?;
    let [month, day, hour, minute, second] = parts.try_into().ok()?;
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    Some(date.and_time(time).and_utc())
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut bytes = vec![kind, 0x82];
        bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        bytes.extend(content);
        bytes
    }

    fn certificate(version: &[u8], form: u8, end: &[u8]) -> Vec<u8> {
        let validity = wrap(
            SEQUENCE,
            &[&wrap(UTC_TIME, &[b"260101000000Z"]), &wrap(form, &[end])],
        );
        let parts: [&[u8]; 5] = [
            version,
            &[INTEGER, 1, 7],
            &wrap(SEQUENCE, &[b"algorithm"]),
            &wrap(SEQUENCE, &[b"issuer"]),
            &validity,
        ];
        wrap(SEQUENCE, &[&wrap(SEQUENCE, &parts), b"signature"])
    }

    #[test]
    fn the_end_is_read_in_both_forms_with_and_without_a_version() {
        let version = wrap(VERSION, &[&[INTEGER, 1, 2]]);
        for (version, form, end, expected) in [
            (
                &version[..],
                UTC_TIME,
                "270203040506Z",
                "2027-02-03T04:05:06+00:00",
            ),
            (
                &version,
                UTC_TIME,
                "991231235959Z",
                "1999-12-31T23:59:59+00:00",
            ),
            (
                &[],
                GENERALIZED_TIME,
                "20510101000000Z",
                "2051-01-01T00:00:00+00:00",
            ),
        ] {
            let bytes = certificate(version, form, end.as_bytes());
            assert_eq!(not_after(&bytes).unwrap().to_rfc3339(), expected);
        }
    }

    #[test]
    fn what_is_broken_anywhere_tells_nothing() {
        let whole = certificate(&[], UTC_TIME, b"270203040506Z");
        for end in 0..whole.len() {
            assert_eq!(not_after(&whole[..end]), None, "{end}");
        }
        for end in [
            "",
            "Z",
            "270203040506",
            "271303040506Z",
            "27020304050x6Z",
            "2702030405Z",
        ] {
            assert_eq!(
                not_after(&certificate(&[], UTC_TIME, end.as_bytes())),
                None,
                "{end}"
            );
        }
        let huge = [SEQUENCE, 0xff, 0xff];
        assert_eq!(not_after(&huge), None);
    }
}
