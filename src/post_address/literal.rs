//! Hosts that are addresses, in every way of writing that a resolver understands.

use std::net::{IpAddr, Ipv4Addr};

use super::bare;

/// The address that a host is, where it is one and not a name.
///
/// IPv4 also in the forms of old resolvers: one to four numbers, decimal, octal (`0177`) or
/// hexadecimal (`0x7f`), the last of them filling what is left.
pub fn literal_address(host: &str) -> Option<IpAddr> {
    let host = bare(host);
    host.parse().ok().or_else(|| numbers(host).map(IpAddr::V4))
}

fn numbers(host: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u32>> = host.split('.').map(number).collect();
    let parts = parts?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 0xff) {
        return None;
    }
    let room = 8 * (4 - u32::try_from(first.len()).ok()?);
    if u64::from(*last) >= 1_u64 << room {
        return None;
    }
    let front = first
        .iter()
        .fold(0_u64, |bits, part| bits << 8 | u64::from(*part));
    let bits = front << room | u64::from(*last);
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

fn number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (lower.as_str(), 8),
        None => (lower.as_str(), 10),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if radix == 16 && digits.is_empty() {
        return Some(0);
    }
    is_plain
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_an_address_is_seen_through() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f000001",
            "0X7F.1",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "0x7f.0x0.0x0.0x1",
        ] {
            assert_eq!(
                literal_address(host),
                Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                "{host}"
            );
        }
        for (host, address) in [
            ("0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("4294967295", "255.255.255.255"),
            ("10.258", "10.0.1.2"),
            ("[::1]", "::1"),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
            ("fd00::1", "fd00::1"),
        ] {
            assert_eq!(literal_address(host), address.parse().ok(), "{host}");
        }
    }

    #[test]
    fn a_name_is_no_address() {
        for host in [
            "",
            "localhost",
            "office.example",
            "1.2.3.4.5",
            "256.1",
            "127.0.0.256",
            "1.16777216",
            "4294967296",
            "08.1",
            "+1",
            "1..2",
            "a1",
        ] {
            assert_eq!(literal_address(host), None, "{host}");
        }
    }
}
