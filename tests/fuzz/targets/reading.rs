//! Whatever a model answers: reading it neither panics, nor depends on the pieces in which it came, nor makes more
//! series than there may be.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte chooses settings, whether the bodies are whole, and where they are cut in two; a NUL parts request and
// answer.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, bodies)) = input.split_first() else { return };
    modelship_exporter::reading::try_anything(choice, bodies);
});
