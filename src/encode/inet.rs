//! `inet` and `cidr`: whole IPv4 and IPv6 addresses with an optional `/bits`.
//!
//! Out: family, bits, cidr flag, count of address bytes, address: what `network_recv` in
//! PostgreSQL's `src/backend/utils/adt/network.c` reads.
//!
//! Abbreviations such as `10.1/16` are refused, and octets with leading zeros, which some read as
//! octal. A `cidr` must not have bits set to the right of its mask.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::{Fault, Wanted};

/// `PGSQL_AF_INET`, and `PGSQL_AF_INET6` = `PGSQL_AF_INET` + 1.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

/// Longer than any address with its bits.
const MAX_BYTES: usize = 64;

/// Appends `text` as an `inet`.
///
/// # Errors
/// Not a whole address.
pub(super) fn put_inet(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    Network::parse(text, Wanted::Inet)?.put(false, out);
    Ok(())
}

/// Appends `text` as a `cidr`.
///
/// # Errors
/// Not a whole address, or bits are set to the right of the mask.
pub(super) fn put_cidr(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let network = Network::parse(text, Wanted::Cidr)?;
    if network.host_bits() {
        return Err(Fault::HostBits);
    }
    network.put(true, out);
    Ok(())
}

enum Network {
    V4(Ipv4Addr, u8),
    V6(Ipv6Addr, u8),
}

impl Network {
    fn parse(text: &[u8], wanted: Wanted) -> Result<Network, Fault> {
        let syntax = Fault::Syntax(wanted);
        let text = Some(text)
            .filter(|text| text.len() <= MAX_BYTES)
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or(syntax)?;
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(parse_bits(bits).ok_or(syntax)?)),
        };
        let (network, most) = if address.contains(':') {
            let address = address.parse().map_err(|_| syntax)?;
            (Network::V6(address, bits.unwrap_or(128)), 128)
        } else {
            // The standard library's parser refuses leading zeros and abbreviations.
            let address = address.parse().map_err(|_| syntax)?;
            (Network::V4(address, bits.unwrap_or(32)), 32)
        };
        if bits.is_some_and(|bits| bits > most) {
            return Err(Fault::Range(wanted));
        }
        Ok(network)
    }

    fn host_bits(&self) -> bool {
        match self {
            Network::V4(address, bits) => {
                u32::MAX.checked_shr((*bits).into()).unwrap_or(0) & address.to_bits() != 0
            }
            Network::V6(address, bits) => {
                u128::MAX.checked_shr((*bits).into()).unwrap_or(0) & address.to_bits() != 0
            }
        }
    }

    fn put(&self, cidr: bool, out: &mut Vec<u8>) {
        let cidr = u8::from(cidr);
        match self {
            Network::V4(address, bits) => {
                out.extend_from_slice(&[0, 0, 0, 8, IPV4, *bits, cidr, 4]);
                out.extend_from_slice(&address.octets());
            }
            Network::V6(address, bits) => {
                out.extend_from_slice(&[0, 0, 0, 20, IPV6, *bits, cidr, 16]);
                out.extend_from_slice(&address.octets());
            }
        }
    }
}

fn parse_bits(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_addresses_are_read() {
        let mut out = Vec::new();
        assert_eq!(put_inet(b"192.0.2.1/24", &mut out), Ok(()));
        assert_eq!(out, [0, 0, 0, 8, 2, 24, 0, 4, 192, 0, 2, 1]);
        out.clear();
        assert_eq!(put_cidr(b"2001:db8::/32", &mut out), Ok(()));
        assert_eq!(
            out[..12],
            [0, 0, 0, 20, 3, 32, 1, 16, 0x20, 0x01, 0x0d, 0xb8]
        );
    }

    #[test]
    fn abbreviations_and_host_bits_are_refused() {
        for text in [
            "",
            "10.1",
            "10.1/16",
            "010.0.0.1",
            "1.2.3.4/",
            "1.2.3.4/024",
            "1.2.3.4/+8",
            "::1%eth0",
            " ::1",
            "1.2.3.256",
        ] {
            assert_eq!(
                put_inet(text.as_bytes(), &mut Vec::new()),
                Err(Fault::Syntax(Wanted::Inet)),
                "{text:?}"
            );
        }
        assert_eq!(
            put_inet(b"1.2.3.4/33", &mut Vec::new()),
            Err(Fault::Range(Wanted::Inet))
        );
        for text in ["192.0.2.1/24", "::1/127", "1.0.0.0/0"] {
            assert_eq!(
                put_cidr(text.as_bytes(), &mut Vec::new()),
                Err(Fault::HostBits)
            );
        }
        for text in ["0.0.0.0/0", "::/0", "::1", "1.2.3.4"] {
            assert_eq!(put_cidr(text.as_bytes(), &mut Vec::new()), Ok(()), "{text}");
        }
    }
}
