//! A name in, the bytes of a question to a name server out; the bytes of its answer in, addresses out (RFC
//! 1035). No I/O.

use std::net::IpAddr;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE, header_buffer};

/// One name for another, at most so many times.
const MAX_ALIASES: usize = 16;

/// The family of addresses that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn kind(self) -> TYPE {
        match self {
            Family::V4 => TYPE::A,
            Family::V6 => TYPE::AAAA,
        }
    }
}

/// What is known of a name: no addresses where it has none of this family, or where there is no such name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundAddresses {
    pub(super) addresses: Vec<IpAddr>,
    /// For how long that counts.
    pub(super) ttl: Duration,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DnsAnswer {
    Found(FoundAddresses),
    /// It did not fit into the datagram.
    Truncated,
    /// The server cannot or will not say; another one may.
    Failed(RCODE),
    /// The same: it asks nobody for others, and the name is not its own.
    Referred,
}

/// A question: its bytes, and by what its answer is known.
#[derive(Debug)]
pub(super) struct Query<'a> {
    id: u16,
    name: Name<'a>,
    family: Family,
}

impl<'a> Query<'a> {
    /// `None`: this cannot be a name.
    pub(super) fn new(id: u16, name: &'a str, family: Family) -> Option<Self> {
        Some(Query { id, name: Name::new(name).ok()?, family })
    }

    /// The message to send; `None` if it cannot be written.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let (kind, class) = (QTYPE::TYPE(self.family.kind()), QCLASS::CLASS(CLASS::IN));
        packet.questions.push(Question::new(self.name.clone(), kind, class, false));
        packet.build_bytes_vec().ok()
    }

    /// Reads a message; `None` for what is no answer to this question: then the true one may still come.
    pub(super) fn read(&self, message: &[u8]) -> Option<DnsAnswer> {
        let is_ours = header_buffer::id(message).ok()? == self.id
            && header_buffer::has_flags(message, PacketFlag::RESPONSE).ok()?;
        if !is_ours {
            return None;
        }
        // Before all else: a truncated message may end anywhere.
        if header_buffer::has_flags(message, PacketFlag::TRUNCATION).ok()? {
            return Some(DnsAnswer::Truncated);
        }
        let packet = Packet::parse(message).ok()?;
        match packet.rcode() {
            // It does not know, and names others who may (a referral, RFC 2308 §2.2).
            RCODE::NoError
                if packet.answers.is_empty()
                    && !packet.has_flags(PacketFlag::RECURSION_AVAILABLE)
                    && !packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER) =>
            {
                return self.is_asked_in(&packet).then_some(DnsAnswer::Referred);
            }
            RCODE::NoError | RCODE::NameError => {}
            // A server that did not understand may leave out the question.
            failed if packet.questions.is_empty() => return Some(DnsAnswer::Failed(failed)),
            failed => return self.is_asked_in(&packet).then_some(DnsAnswer::Failed(failed)),
        }
        self.is_asked_in(&packet).then(|| DnsAnswer::Found(self.found(&packet)))
    }

    fn is_asked_in(&self, packet: &Packet<'_>) -> bool {
        matches!(packet.questions.as_slice(), [question] if question.qname == self.name
            && question.qtype == QTYPE::TYPE(self.family.kind())
            && question.qclass == QCLASS::CLASS(CLASS::IN))
    }

    /// The addresses of the name, or of the name that it stands for. What the message says of other names is
    /// nothing that was asked.
    fn found(&self, packet: &Packet<'_>) -> FoundAddresses {
        let mut name = self.name.clone();
        let mut ttl = u32::MAX;
        for _ in 0..MAX_ALIASES {
            let of_name =
                || packet.answers.iter().filter(|record| record.class == CLASS::IN && record.name == name);
            let mut addresses = Vec::new();
            for record in of_name() {
                match (&record.rdata, self.family) {
                    (RData::A(a), Family::V4) => addresses.push(IpAddr::V4(a.address.into())),
                    (RData::AAAA(aaaa), Family::V6) => addresses.push(IpAddr::V6(aaaa.address.into())),
                    _ => continue,
                }
                ttl = ttl.min(record.ttl);
            }
            if !addresses.is_empty() {
                return FoundAddresses { addresses, ttl: Duration::from_secs(ttl.into()) };
            }
            let alias = of_name().find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some((alias.0.clone(), record.ttl)),
                _ => None,
            });
            let Some((next, alias_ttl)) = alias else { break };
            (name, ttl) = (next, ttl.min(alias_ttl));
        }
        FoundAddresses { addresses: Vec::new(), ttl: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query() -> Query<'static> {
        Query::new(7, "db.example.org", Family::V4).unwrap()
    }

    #[test]
    fn a_question_is_twelve_bytes_and_the_name() {
        let bytes = query().bytes().unwrap();
        assert_eq!(bytes, b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x02db\x07example\x03org\0\0\x01\0\x01");
    }

    #[test]
    fn only_an_answer_to_this_question_is_one() {
        let own = query().bytes().unwrap();
        let answer = |change: &[(usize, u8)]| {
            let mut bytes = own.clone();
            bytes[2] |= 0x80;
            for &(at, byte) in change {
                bytes[at] = byte;
            }
            query().read(&bytes)
        };
        let nothing = Some(DnsAnswer::Found(FoundAddresses { addresses: Vec::new(), ttl: Duration::ZERO }));
        let (authoritative, recursive) = ((2, 0x85), (3, 0x80));
        assert_eq!(answer(&[]), Some(DnsAnswer::Referred));
        assert_eq!(answer(&[authoritative]), nothing);
        assert_eq!(answer(&[recursive]), nothing);
        assert_eq!(answer(&[recursive, (13, b'D')]), nothing, "names are compared without regard to case");
        assert_eq!(answer(&[(3, 3)]), nothing, "no such name");
        assert_eq!(answer(&[(3, 2)]), Some(DnsAnswer::Failed(RCODE::ServerFailure)));
        assert_eq!(answer(&[(2, 0x83)]), Some(DnsAnswer::Truncated));
        for (why, change) in [
            ("another id", (0, 1)),
            ("a question", (2, 0x01)),
            ("another name", (13, b'x')),
            ("another family", (own.len() - 3, 28)),
            ("another class", (own.len() - 1, 3)),
            ("more records than there are", (7, 1)),
        ] {
            assert_eq!(answer(&[change]), None, "{why}");
        }
        assert_eq!(query().read(&own[..11]), None);
        assert_eq!(query().read(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not_but_never_fatal(
            mut message in proptest::collection::vec(any::<u8>(), 0..300), is_answer: bool,
        ) {
            if is_answer && message.len() > 12 {
                message[..4].copy_from_slice(&[0, 7, 0x80, 0]);
                message[4..6].copy_from_slice(&[0, 1]);
                message[6..12].iter_mut().for_each(|byte| *byte %= 3);
            }
            let _ = query().read(&message);
        }
    }
}
