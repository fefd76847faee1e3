//! The journal: a file that is locked while its process lives, and grows by a line before each change.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use waytrace_model::cache_report::Interface;

use super::lines::{self, Header, Lines};
use super::{Undo, UndoError, Undone, perform, place};
use crate::Root;
use crate::rdt::{CacheAllocation as _, ResctrlState, resctrl_state};
use crate::resctrl::Resctrl;

/// Changes under way, taken back when this is dropped.
#[derive(Debug)]
pub struct Journal {
    root: Root,
    file: Locked,
    header: Header,
    undos: Vec<Undo>,
    /// Bytes of the file before each change, and at its end.
    lengths: Vec<u64>,
    over: bool,
}

impl Journal {
    /// Begins a journal for a purpose (`sweep`), of which there is one for each root. Nothing is changed yet.
    ///
    /// # Errors
    /// [`UndoError::Alive`] and [`UndoError::Pending`] while there is another; a directory that cannot be written.
    pub fn open(root: &Root, purpose: &str) -> Result<Self, UndoError> {
        let (file, before) = Self::lock(root, purpose)?;
        match before.header {
            Some(header) if !before.undos.is_empty() => Err(UndoError::Pending {
                pid: header.owner.pid,
                command: header.owner.command,
                path: file.path,
                fix: fix(root),
            }),
            // One that was killed before it changed anything.
            _ => Self::begin(root, file, purpose, false),
        }
    }

    /// Opens a journal that outlives its process, and goes on with what it holds already: dropping it takes nothing back.
    ///
    /// # Errors
    /// As [`Self::open`], but for a journal of a process that is gone.
    pub fn keep(root: &Root, purpose: &str) -> Result<Self, UndoError> {
        let (file, before) = Self::lock(root, purpose)?;
        let Some(header) = before.header else { return Self::begin(root, file, purpose, true) };
        let mut journal = Self {
            root: root.clone(),
            file,
            header,
            lengths: vec![before.whole_bytes; before.undos.len() + 1],
            undos: before.undos,
            over: false,
        };
        journal.file.truncate(before.whole_bytes)?;
        Ok(journal)
    }

    fn lock(root: &Root, purpose: &str) -> Result<(Locked, Lines), UndoError> {
        let directory = place::directory(root);
        place::make(&directory)?;
        let path = directory.join(place::name(root, purpose));
        match Locked::open(&path, true)? {
            Lock::Ours(mut file) => {
                let lines = file.lines()?;
                Ok((file, lines))
            }
            Lock::Theirs | Lock::None => {
                let owner = read(&path)?.header.map(|header| header.owner);
                let (pid, command) = owner.map_or((0, String::new()), |owner| (owner.pid, owner.command));
                Err(UndoError::Alive { pid, command, path })
            }
        }
    }

    fn begin(root: &Root, mut file: Locked, purpose: &str, kept: bool) -> Result<Self, UndoError> {
        let mounted = matches!(resctrl_state(root), ResctrlState::Mounted { .. });
        let header = Header::new(purpose, place::real(root), kept, mounted);
        file.truncate(0)?;
        let length = file.append(0, &header)?;
        Ok(Self { root: root.clone(), file, header, undos: Vec::new(), lengths: vec![length], over: false })
    }

    /// Writes down a change that is about to be made; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written, and must not be made; a class that is there and so cannot be created.
    pub fn add(&mut self, undo: Undo) -> Result<(), UndoError> {
        if let Undo::CreatedClass { interface: Interface::Resctrl, name } = &undo {
            self.must_not_exist(name)?;
        }
        let length = self.lengths.last().copied().unwrap_or(0);
        let length = self.file.append(length, &undo)?;
        self.undos.push(undo);
        self.lengths.push(length);
        Ok(())
    }

    /// Takes the last line back: its change was refused as a whole, and there is nothing to undo.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget(&mut self) -> Result<(), UndoError> {
        if self.undos.pop().is_some() {
            self.lengths.pop();
            self.file.truncate(self.lengths.last().copied().unwrap_or(0))?;
        }
        Ok(())
    }

    /// What was written down.
    pub fn undos(&self) -> &[Undo] {
        &self.undos
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Takes all changes back, the last one first, going on past failures. The file is deleted if all is as before.
    pub fn undo(mut self) -> Undone {
        self.take_back()
    }

    fn take_back(&mut self) -> Undone {
        self.over = true;
        self.file.undo(&self.root, &self.header, &self.undos)
    }

    fn must_not_exist(&self, class: &str) -> Result<(), UndoError> {
        let classes = Resctrl::open(&self.root).and_then(|resctrl| resctrl.classes()).unwrap_or_default();
        if classes.iter().any(|other| other.name == class) {
            return Err(UndoError::ClassExists { class: class.to_owned() });
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.over && !self.header.kept {
            self.take_back();
        }
    }
}

/// The command that takes back what is pending below a root.
pub fn fix(root: &Root) -> String {
    match root.is_live() {
        true => "waytrace doctor --restore".to_owned(),
        false => format!("waytrace doctor --restore --host-root {}", root.path("").display()),
    }
}

/// A journal's file, which is ours until it is dropped.
#[derive(Debug)]
pub struct Locked {
    file: File,
    pub path: PathBuf,
}

/// Whose a file is.
#[derive(Debug)]
pub enum Lock {
    /// Ours now.
    Ours(Locked),
    /// Somebody else's, who lives.
    Theirs,
    /// There is none.
    None,
}

impl Locked {
    /// Takes the lock of a journal that is there, or of a new one.
    pub fn open(path: &Path, create: bool) -> Result<Lock, UndoError> {
        let failed = || UndoError::io("opening", path);
        loop {
            let mut options = OpenOptions::new();
            let opened = options.read(true).write(true).create(create).mode(0o600).open(path);
            let file = match opened {
                Ok(file) => file,
                Err(error) if !create && error.kind() == io::ErrorKind::NotFound => return Ok(Lock::None),
                Err(error) => return Err(failed()(error)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Lock::Theirs),
                Err(TryLockError::Error(error)) => return Err(failed()(error)),
            }
            // Who had the lock before may have deleted the file that we had opened.
            let ours = file.metadata().map_err(failed())?;
            if fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Lock::Ours(Self { file, path: path.to_owned() }));
            }
        }
    }

    /// What it says.
    pub fn lines(&mut self) -> Result<Lines, UndoError> {
        let mut text = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut text));
        read.map_err(UndoError::io("reading", &self.path))?;
        lines::parse(&text).ok_or_else(|| UndoError::Damaged { path: self.path.clone() })
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), UndoError> {
        self.file.set_len(bytes).map_err(UndoError::io("writing", &self.path))
    }

    /// Writes a line at `from` and returns where it ends. After a failure the file is as before.
    fn append<T: serde::Serialize>(&mut self, from: u64, value: &T) -> Result<u64, UndoError> {
        let written = lines::line(value).and_then(|line| {
            self.file.seek(SeekFrom::Start(from))?;
            self.file.write_all(&line)?;
            self.file.sync_all()?;
            if let (0, Some(directory)) = (from, self.path.parent()) {
                File::open(directory)?.sync_all()?;
            }
            Ok(from + line.len() as u64)
        });
        written.map_err(|source| {
            // Half a line is none, but one written behind it would be.
            let _ = self.file.set_len(from);
            UndoError::Io { what: "writing", path: self.path.clone(), source }
        })
    }

    /// Takes back what a journal says, and deletes it if all is as before.
    pub fn undo(&mut self, root: &Root, header: &Header, undos: &[Undo]) -> Undone {
        let mut undone = perform::all(root, header, undos);
        if undone.restored
            && let Err(error) = fs::remove_file(&self.path)
        {
            undone.left.push(format!("deleting {}: {error}", self.path.display()));
        }
        undone
    }
}

/// What a journal says, whoever has it.
pub fn read(path: &Path) -> Result<Lines, UndoError> {
    match fs::read(path) {
        Ok(text) => lines::parse(&text).ok_or_else(|| UndoError::Damaged { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lines::default()),
        Err(error) => Err(UndoError::io("reading", path)(error)),
    }
}
