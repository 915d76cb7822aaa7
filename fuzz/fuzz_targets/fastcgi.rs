//! The FastCGI decoder reads any bytes the same way wherever they are cut, without a panic and within its
//! memory limits.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/fastcgi/mod.rs"]
mod fastcgi;

use fastcgi::{Decoder, Event, HEAP_MAX, ParamsState, RETAINED_MAX, encode_reply};
use libfuzzer_sys::fuzz_target;

// The last byte of the input sets the size of the reads, so that libFuzzer also searches the cuts.
fuzz_target!(|input: &[u8]| {
    let Some((&size, bytes)) = input.split_last() else { return };
    let mut decoder = Decoder::new(100);
    let whole = read(&mut decoder, [bytes].into_iter());
    decoder.reset();
    assert!(decoder.is_idle() && decoder.heap_bytes() <= RETAINED_MAX);
    let pieces = read(&mut decoder, bytes.chunks(usize::from(size) + 1));
    assert_eq!(whole, pieces);
});

/// Each event with the bytes that it wrote and the parameters of its request; at the end whether the decoder
/// is idle.
type Said = (Vec<(Event, Vec<u8>, Vec<u8>)>, bool);

fn read<'a>(decoder: &mut Decoder, chunks: impl Iterator<Item = &'a [u8]>) -> Said {
    let mut said = Vec::new();
    'connection: for mut input in chunks {
        loop {
            let mut out = Vec::new();
            let (consumed, event) = decoder.decode(input, &mut out);
            assert!(consumed <= input.len());
            assert!(decoder.heap_bytes() <= HEAP_MAX);
            assert!(out.len() <= 80 && out.is_empty() != matches!(event, Event::Answer { .. }));
            input = &input[consumed..];
            match event {
                Event::NeedMore => {
                    assert!(input.is_empty() && decoder.params().iter().next().is_none());
                    break;
                }
                Event::Close(_) => {
                    said.push((event, out, Vec::new()));
                    break 'connection;
                }
                Event::Answer { .. } => said.push((event, out, Vec::new())),
                Event::Request(head) => {
                    let mut shown = decoder.params().cookie().into_owned();
                    for (name, value) in decoder.params().iter() {
                        assert!(head.params == ParamsState::Complete);
                        assert!(decoder.params().last(name).is_some());
                        shown.extend_from_slice(name);
                        shown.extend_from_slice(value);
                    }
                    encode_reply(head.id, &shown, &shown, &mut out);
                    assert!(out.len() >= 2 * shown.len() + 24);
                    said.push((event, out, shown));
                }
            }
        }
    }
    (said, decoder.is_idle())
}
