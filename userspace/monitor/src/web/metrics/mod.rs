//! `/metrics`: what targets did, and how waytrace itself fares.

mod own;
mod targets;
mod text;

pub(super) use text::Format;

use super::state::WebState;
use text::Exposition;

/// The page as it is now.
pub(super) fn page(state: &WebState, format: Format) -> String {
    let mut page = Exposition::new(format);
    own::write(&mut page, state);
    let live = state.live();
    targets::write(&mut page, &live.totals, live.last().as_deref());
    drop(live);
    page.finish()
}
