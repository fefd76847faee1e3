//! The tree as FUSE asks for it. The kernel keeps nothing that can change: every look at it and every read comes here.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno as FuseErrno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::handles::{Handle, Handles, Inodes};
use super::tree::{self, Kind};
use crate::faults::{Effect, Operation};
use crate::host::Host;
use crate::resctrl::Errno;

/// Directories that are always there.
const LASTING: [&str; 11] = [
    "counters",
    "dev",
    "dev/cpu",
    "proc",
    "sys",
    "sys/devices",
    "sys/devices/system",
    "sys/devices/system/cpu",
    "sys/devices/system/node",
    "sys/fs",
    "sys/fs/resctrl",
];

/// How long the kernel may go without asking for a path again.
fn time_to_live(path: &str) -> Duration {
    if LASTING.contains(&path) { Duration::from_secs(3600) } else { Duration::ZERO }
}

/// The host, and what FUSE knows of it.
pub(super) struct SimulatedFs {
    host: Arc<Mutex<Host>>,
    inodes: Mutex<Inodes>,
    handles: Mutex<Handles>,
}

/// A panic of a test that holds the lock leaves a host that is whole: every change is one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatedFs {
    pub(super) fn new(host: Arc<Mutex<Host>>) -> Self {
        Self { host, inodes: Mutex::default(), handles: Mutex::default() }
    }

    fn path(&self, inode: INodeNo) -> Result<String, Errno> {
        lock(&self.inodes).path(inode.0).ok_or(libc::ENOENT)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
        let name = name.to_str().ok_or(libc::EINVAL)?;
        let parent = self.path(parent)?;
        Ok(if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") })
    }

    fn attributes(&self, path: &str) -> Result<FileAttr, Errno> {
        let kind = tree::kind(&lock(&self.host), &tree::parts(path)).ok_or(libc::ENOENT)?;
        let (kind, perm, nlink) = match kind {
            Kind::Directory => (FileType::Directory, 0o755, 2),
            Kind::File(mode) => (FileType::RegularFile, mode, 1),
        };
        Ok(FileAttr {
            ino: INodeNo(lock(&self.inodes).number(path)),
            // As in kernfs, which does not know before it is read. Reads go past it: files are opened for direct I/O.
            size: 0,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Lets the faults due come about, those that take time without holding the host up.
    fn suffer(&self, operation: Operation, path: &str) -> Result<(), Errno> {
        let effects = lock(&self.host).faults.due(operation, path);
        for effect in effects {
            if let Effect::Slow(time) = effect {
                std::thread::sleep(time);
            }
            lock(&self.host).suffer(&effect)?;
        }
        Ok(())
    }

    fn open_file(&self, inode: INodeNo) -> Result<u64, Errno> {
        let path = self.path(inode)?;
        self.suffer(Operation::Open, &path)?;
        let host = lock(&self.host);
        let parts = tree::parts(&path);
        tree::kind(&host, &parts).ok_or(libc::ENOENT)?;
        let group = tree::below_resctrl(&parts).and_then(|inner| host.resctrl.identity(inner));
        drop(host);
        Ok(lock(&self.handles).open(Handle { group, text: Vec::new() }))
    }

    /// A file of a group that is gone stays gone, also when another of the name has come.
    fn check_group(&self, host: &Host, parts: &[&str], handle: FileHandle) -> Result<(), Errno> {
        let group = tree::below_resctrl(parts).and_then(|inner| host.resctrl.identity(inner));
        let opened = lock(&self.handles).get_mut(handle.0).and_then(|handle| handle.group);
        if group == opened { Ok(()) } else { Err(libc::ENODEV) }
    }

    fn read_file(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>, Errno> {
        let path = self.path(inode)?;
        let parts = tree::parts(&path);
        let size = usize::try_from(size).unwrap_or(0);
        let is_device = path.starts_with("dev/");
        if is_device || offset == 0 {
            self.suffer(Operation::Read, &path)?;
        }
        if is_device {
            return tree::read_device(&lock(&self.host), &parts, offset, size).ok_or(libc::ENOENT)?;
        }
        if offset == 0 {
            let mut host = lock(&self.host);
            self.check_group(&host, &parts, handle)?;
            let text = tree::read_text(&mut host, &parts)?.into_bytes();
            drop(host);
            if let Some(open) = lock(&self.handles).get_mut(handle.0) {
                open.text = text;
            }
        }
        let mut handles = lock(&self.handles);
        let text = &handles.get_mut(handle.0).ok_or(libc::EBADF)?.text;
        let first = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        let last = first.saturating_add(size).min(text.len());
        Ok(text.get(first..last).unwrap_or_default().to_vec())
    }

    fn write_file(&self, inode: INodeNo, handle: FileHandle, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        let path = self.path(inode)?;
        let parts = tree::parts(&path);
        self.suffer(Operation::Write, &path)?;
        let mut host = lock(&self.host);
        self.check_group(&host, &parts, handle)?;
        tree::write(&mut host, &parts, offset, data)?;
        u32::try_from(data.len()).map_err(|_| libc::E2BIG)
    }

    fn change_directory(&self, operation: Operation, parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
        let path = self.child(parent, name)?;
        self.suffer(operation, &path)?;
        let parts = tree::parts(&path);
        let inner = tree::below_resctrl(&parts).ok_or(libc::EPERM)?;
        let host = &mut *lock(&self.host);
        match operation {
            Operation::Mkdir => host.resctrl.mkdir(&mut host.machine, inner)?,
            _ => {
                host.resctrl.rmdir(&mut host.machine, inner)?;
                lock(&self.inodes).forget(&path);
            }
        }
        Ok(path)
    }
}

fn errno(number: Errno) -> FuseErrno {
    FuseErrno::from_i32(number)
}

impl Filesystem for SimulatedFs {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.child(parent, name).and_then(|path| Ok((self.attributes(&path)?, time_to_live(&path)))) {
            Ok((attributes, time)) => reply.entry(&time, &attributes, Generation(0)),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.path(inode).and_then(|path| Ok((self.attributes(&path)?, time_to_live(&path)))) {
            Ok((attributes, time)) => reply.attr(&time, &attributes),
            Err(number) => reply.error(errno(number)),
        }
    }

    /// Opening for writing truncates, which says nothing here; nor are owners and times kept.
    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.getattr(request, inode, handle, reply);
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_file(inode) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(inode, handle, offset, size) {
            Ok(data) => reply.data(&data),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.write_file(inode, handle, offset, data) {
            Ok(written) => reply.written(written),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.handles).close(handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = self.path(inode).and_then(|path| {
            let entries = tree::entries(&lock(&self.host), &tree::parts(&path)).ok_or(libc::ENOENT)?;
            Ok((path, entries))
        });
        let (path, entries) = match entries {
            Ok(found) => found,
            Err(number) => return reply.error(errno(number)),
        };
        let mut inodes = lock(&self.inodes);
        let mut all = vec![
            (inode.0, FileType::Directory, ".".to_owned()),
            (inode.0, FileType::Directory, "..".to_owned()),
        ];
        all.extend(entries.into_iter().map(|entry| {
            let child = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
            let kind = if entry.file_mode.is_some() { FileType::RegularFile } else { FileType::Directory };
            (inodes.number(&child), kind, entry.name)
        }));
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for ((number, kind, name), next) in all.into_iter().zip(1_u64..).skip(skipped) {
            if reply.add(INodeNo(number), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.change_directory(Operation::Mkdir, parent, name);
        match made.and_then(|path| self.attributes(&path)) {
            Ok(attributes) => reply.entry(&Duration::ZERO, &attributes, Generation(0)),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.change_directory(Operation::Rmdir, parent, name) {
            Ok(_) => reply.ok(),
            Err(number) => reply.error(errno(number)),
        }
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(FuseErrno::EPERM);
    }
}
