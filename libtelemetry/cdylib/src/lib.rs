//! libtelemetry.so.4: gives the functions of `libtelemetry` the names that C
//! programs link to, and holds what only a final artifact may have.
//!
//! The names are made by the assembler: rustc would export them by a version
//! script of its own, and they would lose their versions without a word.

#![no_std]

#[cfg(not(panic = "abort"))]
compile_error!("libtelemetry must be built with panic=abort: it must not unwind into C programs");

use core::alloc::{GlobalAlloc, Layout};

macro_rules! export {
    ($($name:ident)*) => {
        $(core::arch::global_asm!(
            concat!(".globl ", stringify!($name)),
            concat!(".type ", stringify!($name), ", @function"),
            concat!(".set ", stringify!($name), ", {function}"),
            function = sym libtelemetry::capi::$name,
        );)*
    };
}

export! {
    tm_set_config_file
    tm_create_record
    tm_set_payload
    tm_set_event_id
    tm_send_record
    tm_free_record
    tm_is_opted_in
}

/// The C heap. `alloc` is in the crate graph and asks for an allocator; the
/// library's own code allocates fallibly, by `calloc`, and never comes here.
struct CHeap;

// SAFETY: malloc and free keep the contract for every alignment that malloc
// gives; others get NULL, which is allowed.
unsafe impl GlobalAlloc for CHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > align_of::<libc::max_align_t>() {
            return core::ptr::null_mut();
        }
        // SAFETY: malloc may be called with any size.
        unsafe { libc::malloc(layout.size()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block came from `alloc`.
        unsafe { libc::free(block.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: CHeap = CHeap;

/// No path leads here in a release build. A test proves it: with `panic_proof`
/// this calls a function that does not exist, and the link fails if a single
/// path is left.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(panic_proof)]
    {
        unsafe extern "C" {
            safe fn a_path_to_the_panic_handler_is_left() -> !;
        }
        a_path_to_the_panic_handler_is_left()
    }
    #[cfg(not(panic_proof))]
    loop {}
}
