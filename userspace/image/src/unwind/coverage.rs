//! What a file's `.eh_frame` says of a code address, asked before framehop unwinds there.
//!
//! framehop answers every failure with its frame-pointer rule and evaluates expressions without a bound, so three
//! things are settled here: whether there is an entry at all (or the answer will be a guess by frame pointer),
//! whether the frame is a signal trampoline (the next address is then an interrupted one, not a return address),
//! and whether its expressions could jump (no compiler emits that; a damaged file could loop for ever).
//! Source: DWARF 5, section 6.4; LSB 5.0, "Exception Frames".

use gimli::{
    BaseAddresses, CallFrameInstruction, EhFrame, EhFrameHdr, EndianSlice, FrameDescriptionEntry,
    LittleEndian, Operation, ParsedEhFrameHdr, UnwindExpression, UnwindSection,
};

use super::image::Slice;
use super::layout::Layout;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = FrameDescriptionEntry<Bytes<'a>>;

const ADDRESS_BYTES: u8 = 8;

/// What the unwind tables say of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// No table covers it: only the frame pointer is left.
    Uncovered,
    /// An entry covers it.
    Covered,
    /// An entry covers it and marks it as the return trampoline of a signal handler.
    Signal,
    /// The entry that covers it must not be evaluated.
    Refused,
}

/// The unwind tables of one file.
pub(super) struct Frames {
    eh_frame: Option<Slice>,
    eh_frame_hdr: Option<Slice>,
    bases: BaseAddresses,
}

impl Frames {
    pub fn new(layout: &Layout, eh_frame: Option<Slice>, eh_frame_hdr: Option<Slice>) -> Self {
        let start = |name: &str| layout.section(name).map_or(0, |section| section.svma.start);
        let bases = BaseAddresses::default()
            .set_eh_frame(start(".eh_frame"))
            .set_eh_frame_hdr(start(".eh_frame_hdr"))
            .set_text(start(".text"))
            .set_got(start(".got"));
        Self { eh_frame, eh_frame_hdr, bases }
    }

    pub fn coverage(&self, svma: u64) -> Coverage {
        let Some(section) = &self.eh_frame else { return Coverage::Uncovered };
        let mut section = EhFrame::new(section, LittleEndian);
        section.set_address_size(ADDRESS_BYTES);
        let Some(entry) = self.entry(&section, svma) else { return Coverage::Uncovered };
        if self.may_jump(&section, &entry) {
            Coverage::Refused
        } else if entry.is_signal_trampoline() {
            Coverage::Signal
        } else {
            Coverage::Covered
        }
    }

    fn entry<'a>(&'a self, section: &EhFrame<Bytes<'a>>, svma: u64) -> Option<Entry<'a>> {
        let Some(header) = &self.eh_frame_hdr else {
            return section.fde_for_address(&self.bases, svma, EhFrame::cie_from_offset).ok();
        };
        let header: ParsedEhFrameHdr<_> =
            EhFrameHdr::new(header, LittleEndian).parse(&self.bases, ADDRESS_BYTES).ok()?;
        header.table()?.fde_for_address(section, &self.bases, svma, EhFrame::cie_from_offset).ok()
    }

    /// Whether any expression of the entry holds a jump, or the entry cannot be read to its end.
    fn may_jump(&self, section: &EhFrame<Bytes<'_>>, entry: &Entry<'_>) -> bool {
        let encoding = entry.cie().encoding();
        let lists =
            [entry.cie().instructions(section, &self.bases), entry.instructions(section, &self.bases)];
        for mut list in lists {
            loop {
                match list.next() {
                    Ok(None) => break,
                    Ok(Some(instruction)) => {
                        let Some(expression) = expression_of(&instruction) else { continue };
                        let Ok(expression) = expression.get(section) else { return true };
                        let mut operations = expression.operations(encoding);
                        loop {
                            match operations.next() {
                                Ok(None) => break,
                                Ok(Some(Operation::Bra { .. } | Operation::Skip { .. })) | Err(_) => {
                                    return true;
                                }
                                Ok(Some(_)) => {}
                            }
                        }
                    }
                    Err(_) => return true,
                }
            }
        }
        false
    }
}

fn expression_of(instruction: &CallFrameInstruction<usize>) -> Option<UnwindExpression<usize>> {
    match instruction {
        CallFrameInstruction::DefCfaExpression { expression }
        | CallFrameInstruction::Expression { expression, .. }
        | CallFrameInstruction::ValExpression { expression, .. } => Some(*expression),
        _ => None,
    }
}
