//! Functions of this process, walked from their first instruction to their return: the result must be what the
//! processor makes of them.
#![allow(clippy::unwrap_used)]

#[path = "support/functions.rs"]
mod functions;
#[path = "support/own.rs"]
mod own;

use std::hint::black_box;

use functions::{Call, FUNCTIONS, words};
use waytrace_walk::Walker;

#[test]
fn walked_functions_give_what_the_processor_gives() {
    let words = words(40);
    for (name, function) in FUNCTIONS {
        let truth = black_box(function)(words.as_ptr(), words.len() as u64);
        let walk = Call::new(function, &words).walk(&mut Walker::default());
        assert_eq!(walk.result, Some(truth), "{name} after {} instructions", walk.instructions);
        assert!(walk.accesses > words.len() as u64, "{name}");
    }
}
