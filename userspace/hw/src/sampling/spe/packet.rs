//! Packets: a header of one or two bytes, and a payload of 1, 2, 4 or 8.

use super::super::bytes::Bytes;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// An address: what it is of, and its raw payload.
    Address(u8, u64),
    /// A number of cycles: of what.
    Counter(u8, u16),
    /// Which events the operation had.
    Events(u64),
    /// What kind of operation it was: class and subclass.
    Operation(u8, u8),
    /// What served it.
    DataSource(u16),
    /// The context it ran in.
    Context(u32),
    /// When it was; ends a record.
    Timestamp(u64),
    /// Ends a record without a time.
    End,
    /// Nothing.
    Padding,
}

/// The packets in a piece of the AUX area.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    bytes: Bytes<'a>,
    /// Bytes that are no packet, nor part of one.
    pub damaged_bytes: u64,
}

impl<'a> Packets<'a> {
    /// Reads from the start of `bytes`, which is the start of a packet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::new(bytes), damaged_bytes: 0 }
    }

    /// What is left: after the last packet, the part of one.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.rest()
    }
}

impl Iterator for Packets<'_> {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        loop {
            let mut ahead = self.bytes;
            match packet(&mut ahead) {
                Read::Packet(packet) => {
                    self.bytes = ahead;
                    return Some(packet);
                }
                Read::Short => return None,
                Read::Damaged => {
                    self.bytes.u8()?;
                    self.damaged_bytes += 1;
                }
            }
        }
    }
}

enum Read {
    Packet(Packet),
    Short,
    Damaged,
}

fn packet(bytes: &mut Bytes<'_>) -> Read {
    let Some(header) = bytes.u8() else { return Read::Short };
    match header {
        0x00 => return Read::Packet(Packet::Padding),
        0x01 => return Read::Packet(Packet::End),
        _ => {}
    }
    // An extended header holds the upper bits of the second one's index.
    let (header, upper) = if header & 0xfc == 0x20 {
        match bytes.u8() {
            None => return Read::Short,
            Some(second) => (second, (header & 0x03) << 3),
        }
    } else {
        (header, 0)
    };
    let Some(read) = with_payload(header, upper, bytes) else { return Read::Short };
    read
}

/// `None` where the payload is not whole.
fn with_payload(header: u8, upper: u8, bytes: &mut Bytes<'_>) -> Option<Read> {
    let index = upper | header & 0x07;
    let kind = match header {
        0x71 => Kind::Timestamp,
        _ if header & 0xcf == 0x42 => Kind::Events,
        _ if header & 0xcf == 0x43 => Kind::DataSource,
        _ if header & 0xfc == 0x64 => Kind::Context,
        _ if header & 0xfc == 0x48 => Kind::Operation,
        _ if header & 0xf8 == 0xb0 => Kind::Address,
        _ if header & 0xf8 == 0x98 => Kind::Counter,
        _ => return Some(Read::Damaged),
    };
    let payload = match header >> 4 & 0x03 {
        0 => bytes.u8()?.into(),
        1 => bytes.u16()?.into(),
        2 => bytes.u32()?.into(),
        _ => bytes.u64()?,
    };
    Some(Read::Packet(match kind {
        Kind::Timestamp => Packet::Timestamp(payload),
        Kind::Events => Packet::Events(payload),
        Kind::DataSource => Packet::DataSource(payload as u16),
        Kind::Context => Packet::Context(payload as u32),
        Kind::Operation => Packet::Operation(header & 0x03, payload as u8),
        Kind::Address => Packet::Address(index, payload),
        Kind::Counter => Packet::Counter(index, payload as u16),
    }))
}

enum Kind {
    Address,
    Context,
    Counter,
    DataSource,
    Events,
    Operation,
    Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_of_known_bytes() {
        let mut bytes = vec![0x00, 0xb0];
        bytes.extend(0x8000_0000_0040_1234_u64.to_le_bytes());
        bytes.extend([0x99, 0x2a, 0x00, 0x98, 0x57, 0x00, 0x65, 7, 0, 0, 0, 0x52, 0x16, 0x00, 0x49, 0x01]);
        bytes.extend([0x43, 0x0e, 0x20, 0xb2, 1, 0, 0, 0, 0, 0, 0, 0, 0x71, 9, 0, 0, 0, 0, 0, 0, 0, 0x01]);
        let packets: Vec<Packet> = Packets::new(&bytes).collect();
        let expected = [
            Packet::Padding,
            Packet::Address(0, 0x8000_0000_0040_1234),
            Packet::Counter(1, 42),
            Packet::Counter(0, 87),
            Packet::Context(7),
            Packet::Events(0x16),
            Packet::Operation(1, 1),
            Packet::DataSource(0x0e),
            Packet::Address(2, 1),
            Packet::Timestamp(9),
            Packet::End,
        ];
        assert_eq!(packets, expected);
    }

    #[test]
    fn a_part_of_a_packet_waits_and_damage_is_counted() {
        let mut packets = Packets::new(&[0xff, 0x49, 0x01, 0xb2, 1, 2]);
        assert_eq!(packets.next(), Some(Packet::Operation(1, 1)));
        assert_eq!((packets.next(), packets.rest(), packets.damaged_bytes), (None, &[0xb2, 1, 2][..], 1));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_is_lost(bytes: Vec<u8>) {
            let mut packets = Packets::new(&bytes);
            let found = packets.by_ref().count();
            prop_assert!(found as u64 + packets.damaged_bytes + packets.rest().len() as u64 <= bytes.len() as u64);
        }
    }
}
