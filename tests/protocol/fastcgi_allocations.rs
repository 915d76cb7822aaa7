//! A request costs the FastCGI layer no allocation once its buffers have been used.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use piwigo_gate::fastcgi::{Decoder, Event, ParamsState, encode_reply};

/// The system's allocator, counting what each thread asks of it (other threads are the test harness).
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is going away has no counter any more, and is not the one that is measured.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: every method hands its arguments unchanged to the system's allocator and returns what that
// returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` asked for memory.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

/// What the reply to an allowed picture looks like to nginx.
const HEADER_BLOCK: &[u8] = b"Status: 200 OK\r\n\
    X-Accel-Redirect: /_gate/file/upload/2024/01/02/x.jpg\r\n\
    Cache-Control: private, max-age=600\r\n\r\n";

/// One request, in reads of `size` bytes, and its reply.
fn serve(bytes: &[u8], size: usize, decoder: &mut Decoder, out: &mut Vec<u8>) {
    for mut input in bytes.chunks(size) {
        while !input.is_empty() {
            let (consumed, event) = decoder.decode(input, out);
            input = &input[consumed..];
            if let Event::Request(head) = event {
                assert_eq!(head.params, ParamsState::Complete);
                assert!(decoder.params().last(b"REQUEST_URI").is_some());
                std::hint::black_box(decoder.params().cookie());
                out.clear();
                encode_reply(head.id, HEADER_BLOCK, b"", out);
                return;
            }
        }
    }
    panic!("not a whole request");
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0; 100]))), 1);
}

#[test]
fn requests_after_the_first_allocate_nothing() {
    let captures: [(&str, &[u8]); 4] = [
        ("nginx", include_bytes!("../data/captures/nginx-1.22.1-get-keepconn.bin")),
        ("nginx, 26 KB of headers", include_bytes!("../data/captures/nginx-1.22.1-bigcookie-26k.bin")),
        ("mod_fcgid", include_bytes!("../data/captures/apache-mod_fcgid-2.3.9-responder-action-get.bin")),
        ("authorizer", include_bytes!("../data/captures/apache-mod_authnz_fcgi-2.4.71-authorizer.bin")),
    ];
    for (name, bytes) in captures {
        for size in [100, bytes.len()] {
            let (mut decoder, mut out) = (Decoder::new(100), Vec::new());
            let first = allocations(|| serve(bytes, size, &mut decoder, &mut out));
            assert!(first > 0, "{name}: the buffers come from somewhere");
            let later = allocations(|| (0..100).for_each(|_| serve(bytes, size, &mut decoder, &mut out)));
            assert_eq!(later, 0, "{name} by {size}");
        }
    }
}

/// nginx opens a new connection for nearly every request (it closes the old one on a redirect header).
#[test]
fn connections_after_the_first_allocate_nothing() {
    let bytes = include_bytes!("../data/captures/nginx-1.22.1-get-nokeep.bin");
    let (mut decoder, mut out) = (Decoder::new(100), Vec::new());
    serve(bytes, bytes.len(), &mut decoder, &mut out);
    let later = allocations(|| {
        for _ in 0..100 {
            decoder.reset();
            serve(bytes, bytes.len(), &mut decoder, &mut out);
        }
    });
    assert_eq!(later, 0);
}
