//! An imported run, and what tests ask of it.

use std::path::Path;

use waytrace_import::{Error, Options, Recording, open};
use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::batch::{Batch, Epilogue, ThreadInfo};
use waytrace_model::run::RunHeader;

/// An imported run.
pub struct Run {
    pub header: RunHeader,
    pub batches: Vec<Batch>,
    pub epilogue: Epilogue,
}

impl Run {
    pub fn accesses(&self) -> Vec<&Access> {
        self.batches.iter().flat_map(|batch| &batch.accesses).collect()
    }

    pub fn threads(&self) -> Vec<&ThreadInfo> {
        self.batches.iter().flat_map(|batch| &batch.threads).collect()
    }

    pub fn traced(&self) -> Vec<TracedAllocation> {
        self.batches.iter().flat_map(|batch| &batch.traced).chain(&self.epilogue.remaining).copied().collect()
    }

    /// Why the collector gave less than all.
    pub fn reason(&self, collector: &str) -> &str {
        let found = self.epilogue.collectors.iter().find(|report| report.name == collector);
        found.and_then(|report| report.reason.as_deref()).unwrap_or_default()
    }

    /// `module+offset` of an access's instruction.
    pub fn code(&self, access: &Access) -> String {
        let code = &self.epilogue.accesses.as_ref().unwrap().code;
        code.iter()
            .find(|code| Some(code.id) == access.code)
            .map_or(String::new(), |code| code.frames[0].label())
    }

    pub fn region(&self, access: &Access) -> &str {
        let regions = &self.epilogue.accesses.as_ref().unwrap().regions;
        regions.iter().find(|region| Some(region.id) == access.region).map_or("", |region| &region.name)
    }
}

fn read(recording: Recording) -> Result<Run, Error> {
    let (header, announced) = (recording.header().clone(), recording.accesses());
    let mut batches = Vec::new();
    let epilogue = recording.read(&mut |batch| {
        batches.push(batch);
        Ok::<(), Error>(())
    })?;
    let run = Run { header, batches, epilogue };
    // What holds of every run: each access is there, and windows have no gaps.
    assert_eq!(run.accesses().len() as u64, announced);
    let mut end_ns = 0;
    for (index, batch) in (0..).zip(&run.batches) {
        assert_eq!((batch.window.index, batch.window.start_ns), (index, end_ns));
        end_ns = batch.window.end_ns;
    }
    assert_eq!(end_ns, run.epilogue.duration_ns);
    Ok(run)
}

pub fn import_with(path: &Path, options: &Options) -> Result<Vec<Run>, Error> {
    open(path, options)?.into_iter().map(read).collect()
}

pub fn import(path: &Path) -> Run {
    let mut runs = import_with(path, &Options::default()).unwrap();
    assert_eq!(runs.len(), 1);
    for batch in &runs[0].batches {
        let window = batch.window.start_ns..batch.window.end_ns;
        assert!(batch.accesses.iter().all(|access| window.contains(&access.at_ns)), "{:?}", batch.window);
    }
    runs.remove(0)
}

pub fn refusal(path: &Path) -> String {
    match import_with(path, &Options::default()) {
        Ok(_) => panic!("{} was imported", path.display()),
        Err(error) => error.to_string(),
    }
}
