//! The text of `/etc/hosts` in, the addresses of one name out (hosts(5)).

use std::net::IpAddr;

/// All addresses that a name has, in the order of their lines. Lines that are none are skipped, as everybody
/// does.
pub(super) fn addresses(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.trim_end_matches('.');
    let mut addresses = Vec::new();
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|name| name.eq_ignore_ascii_case(host)) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_with_the_name_counts_and_what_is_no_line_does_not() {
        let text = "# 192.0.2.9 db\n\
                    127.0.0.1\tlocalhost\n\
                    192.0.2.1 db.example.org DB # the old one: 192.0.2.8 db\n\
                    not-an-address db\n\
                    2001:db8::1   other db\n\
                    192.0.2.1 db\n\
                    fe80::1%eth0 db\n\
                    192.0.2.2\n\
                    192.0.2.3 dbx x.db\n";
        let table: [(&str, &[&str]); 6] = [
            ("db", &["192.0.2.1", "2001:db8::1"]),
            ("DB.example.org", &["192.0.2.1"]),
            ("db.example.org.", &["192.0.2.1"]),
            ("localhost", &["127.0.0.1"]),
            ("192.0.2.2", &[]),
            ("example.org", &[]),
        ];
        for (host, expected) in table {
            let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(addresses(text, host), expected, "{host}");
        }
    }
}
