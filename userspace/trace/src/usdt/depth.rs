//! How deep in an allocator a sample was taken: the probe sits where the allocator decides, some calls below the program's.

use waytrace_image::allocators::is_allocation_function;
use waytrace_model::stack::Frame;

/// Calls from the program's down to the probe, at most. Deeper down a function by an allocator's name is the program's
/// own business: an allocator that calls back.
const MOST: usize = 24;

/// How many frames of a stack, innermost first, are the allocator's: up to the outermost function by an allocator's name,
/// and as far as the library goes that holds the probe. Each frame may be several functions, inlined into the last.
pub fn caller_depth(stack: &[Vec<Frame>]) -> usize {
    let near = stack.get(..stack.len().min(MOST)).unwrap_or_default();
    let outermost = |frames: &Vec<Frame>| frames.last().and_then(|frame| frame.function.clone());
    let named = |frames: &Vec<Frame>| outermost(frames).is_some_and(|name| is_allocation_function(&name));
    let by_name = near.iter().rposition(named).map_or(0, |last| last + 1);
    let module = |frames: &Vec<Frame>| frames.last().and_then(|frame| frame.module.clone());
    let library = near.first().and_then(module).filter(|name| is_library(name));
    let by_module = library.map_or(0, |library| {
        near.iter().take_while(|frames| module(frames).as_ref() == Some(&library)).count()
    });
    by_name.max(by_module)
}

/// `libfoo.so`, `libfoo.so.2`; a program seldom is called so.
fn is_library(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `function@module`, innermost first; `inner>outer` is inlined.
    fn depth(stack: &[&str]) -> usize {
        let frames = |text: &&str| -> Vec<Frame> {
            let (functions, module) = text.split_once('@').unwrap();
            let frame = |name: &str| Frame {
                function: (!name.is_empty()).then(|| name.to_owned()),
                module: Some(module.to_owned()),
                ..Frame::default()
            };
            functions.split('>').map(frame).collect()
        };
        caller_depth(&stack.iter().map(frames).collect::<Vec<_>>())
    }

    #[test]
    fn the_caller_is_the_first_outside_the_allocator() {
        assert_eq!(depth(&["sample@server", "arena_malloc@server", "je_malloc@server", "handle@server"]), 3);
        assert_eq!(depth(&["@libjemalloc.so.2", "@libjemalloc.so.2", "parse@server", "main@server"]), 2);
        let wrapped =
            ["@libhooks.so", "malloc@libhooks.so", "operator new(unsigned long)@libstdc++.so.6", "f@a"];
        assert_eq!(depth(&wrapped), 3);
        // Inlined into the caller, as far as can be told.
        assert_eq!(depth(&["sample>malloc>handle@server", "main@server"]), 0);
        assert_eq!(depth(&["sample@server", "main@server"]), 0);
        assert_eq!(depth(&[]), 0);
    }

    #[test]
    fn an_allocator_far_up_the_stack_is_not_its_own() {
        let mut stack = vec!["f@server"; MOST];
        stack.push("malloc@libc.so.6");
        assert_eq!(depth(&stack), 0);
    }
}
