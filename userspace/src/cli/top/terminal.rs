//! The terminal, while `top` has it: keys come one by one, the picture has a screen of its own, and all is given back however it ends.

use std::io::{BufWriter, Stdout, Write, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::state::Key;

/// A frame is written in few pieces: each may become a packet.
const BUFFER: usize = 64 << 10;

/// Whether the terminal is ours at the moment, for whoever ends the program in a panic.
static OURS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, given back when dropped.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    /// There is none to read keys from, or it cannot be set.
    pub fn take() -> anyhow::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // Else what it says would go with the screen it is written on.
                give_back();
                before(info);
            }));
        });
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, stdout()));
        let inner = ratatui::Terminal::new(backend).context("asking the terminal for its size")?;
        let mut terminal = Self { inner };
        terminal.enter()?;
        Ok(terminal)
    }

    /// Takes it again, and draws everything anew.
    ///
    /// # Errors
    /// It cannot be set.
    pub fn enter(&mut self) -> anyhow::Result<()> {
        // What the shell set meanwhile counts for nothing: keys have to come one by one.
        let _ = disable_raw_mode();
        enable_raw_mode()
            .context("reading keys from the terminal; use --once, or redirect the output to have lines")?;
        if !OURS.swap(true, Ordering::SeqCst) {
            execute!(stdout(), EnterAlternateScreen, Hide).context("writing to the terminal")?;
        }
        self.repaint()
    }

    /// Gives it back for a while.
    pub fn leave(&mut self) {
        give_back();
    }

    /// Forgets what is on it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn repaint(&mut self) -> anyhow::Result<()> {
        // Not `clear`, which asks the terminal for its cursor: the answer would come to the thread that takes keys.
        let size = self.inner.size().context("asking the terminal for its size")?;
        self.inner.resize(size.into()).context("writing to the terminal")
    }

    /// Draws.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn draw(&mut self, picture: impl FnOnce(&mut ratatui::Frame<'_>)) -> anyhow::Result<()> {
        self.inner.draw(picture).map(drop).context("writing to the terminal")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        let mut out = stdout();
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = out.flush();
        let _ = disable_raw_mode();
    }
}

/// A key as `top` names it; `None` for those it does not know.
pub fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let with = |modifier| event.modifiers.contains(modifier);
    Some(match event.code {
        KeyCode::Char(c) if with(KeyModifiers::CONTROL) => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if with(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace | KeyCode::Delete => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names() {
        let named = |code, modifiers| key(KeyEvent::new(code, modifiers));
        assert_eq!(named(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Ctrl('c')));
        assert_eq!(named(KeyCode::Char('R'), KeyModifiers::SHIFT), Some(Key::Char('R')));
        assert_eq!(named(KeyCode::F(1), KeyModifiers::NONE), None);
        assert_eq!(named(KeyCode::Char('x'), KeyModifiers::ALT), None);
    }
}
