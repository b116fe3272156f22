//! Whatever a model answers: reading it neither panics, nor depends on the pieces in which it came, nor makes more
//! series than there may be.
//!
//! The readers' sources are compiled into this program, not the whole crate: it builds in seconds.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../../src/exporter"]
mod exporter {
    pub mod blame;
    pub mod exchange;
    pub mod reading;
}

use libfuzzer_sys::fuzz_target;

// The first byte chooses settings, whether the bodies are whole, and where they are cut in two; a NUL parts request and
// answer.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, bodies)) = input.split_first() else { return };
    exporter::reading::try_anything(choice, bodies);
});
