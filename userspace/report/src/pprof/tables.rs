//! pprof's tables: every string, mapping, function and location once, named by number.

use std::collections::HashMap;

use waytrace_model::stack::Frame;

use super::proto::{Function, Line, Location, Mapping};

/// The tables of one profile under construction.
pub struct Tables<'a> {
    /// File name of the target's executable, with its build id.
    exe: (&'a str, &'a str),
    pub strings: Vec<String>,
    string_ids: HashMap<String, i64>,
    pub mappings: Vec<Mapping>,
    mapping_ids: HashMap<&'a str, u64>,
    pub functions: Vec<Function>,
    function_ids: HashMap<(String, &'a str), u64>,
    pub locations: Vec<Location>,
    location_ids: HashMap<Vec<&'a Frame>, u64>,
}

impl<'a> Tables<'a> {
    /// Empty tables. pprof takes the first mapping for the main program, so that one is entered at once.
    pub fn new(exe: &'a str, build_id: Option<&'a str>) -> Self {
        let exe = exe.rsplit('/').next().unwrap_or(exe);
        let mut tables = Self {
            exe: (exe, build_id.unwrap_or_default()),
            strings: Vec::new(),
            string_ids: HashMap::new(),
            mappings: Vec::new(),
            mapping_ids: HashMap::new(),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
        };
        tables.string("");
        tables.mapping(exe);
        tables
    }

    /// Number of a string; the empty one is 0.
    pub fn string(&mut self, text: &str) -> i64 {
        if let Some(id) = self.string_ids.get(text) {
            return *id;
        }
        let id = self.strings.len() as i64;
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }

    /// Numbers of a stack's locations, innermost first, from frames that are root first.
    pub fn stack(&mut self, root_first: &[&'a Frame]) -> Vec<u64> {
        let mut locations = Vec::new();
        let mut place: Vec<&'a Frame> = Vec::new();
        for frame in root_first.iter().rev() {
            place.push(frame);
            if !frame.inlined {
                locations.push(self.location(std::mem::take(&mut place)));
            }
        }
        if !place.is_empty() {
            locations.push(self.location(place));
        }
        locations
    }

    /// A place in the code: the functions inlined there, innermost first, and the one that holds them.
    fn location(&mut self, place: Vec<&'a Frame>) -> u64 {
        if let Some(id) = self.location_ids.get(&place) {
            return *id;
        }
        let mapping_id =
            place.iter().find_map(|frame| frame.module.as_deref()).map_or(0, |name| self.mapping(name));
        let line = place.iter().map(|frame| self.line(frame, mapping_id)).collect();
        // A frame without a function is told apart by its offset alone, so that becomes its address.
        let address = place.last().filter(|frame| frame.function.is_none()).map_or(0, |frame| frame.offset);
        let id = self.locations.len() as u64 + 1;
        self.locations.push(Location { id, mapping_id, address, line });
        self.location_ids.insert(place, id);
        id
    }

    fn line(&mut self, frame: &'a Frame, mapping_id: u64) -> Line {
        if let Some(mapping) = self.mappings.get_mut((mapping_id as usize).wrapping_sub(1)) {
            mapping.has_filenames |= frame.file.is_some();
            mapping.has_line_numbers |= frame.line.is_some();
            mapping.has_inline_frames |= frame.inlined;
        }
        Line { function_id: self.function(frame), line: i64::from(frame.line.unwrap_or(0)) }
    }

    fn function(&mut self, frame: &'a Frame) -> u64 {
        let key = (frame.label(), frame.file.as_deref().unwrap_or_default());
        if let Some(id) = self.function_ids.get(&key) {
            return *id;
        }
        let (name, filename) = (self.string(&key.0), self.string(key.1));
        let id = self.functions.len() as u64 + 1;
        self.functions.push(Function { id, name, system_name: name, filename });
        self.function_ids.insert(key, id);
        id
    }

    /// Functions are already known, so `has_functions` keeps pprof from looking the addresses up itself.
    fn mapping(&mut self, name: &'a str) -> u64 {
        if let Some(id) = self.mapping_ids.get(name) {
            return *id;
        }
        let (exe, build_id) = self.exe;
        let filename = self.string(name);
        let build_id = if name == exe { self.string(build_id) } else { 0 };
        let id = self.mappings.len() as u64 + 1;
        self.mappings.push(Mapping { id, filename, build_id, has_functions: true, ..Mapping::default() });
        self.mapping_ids.insert(name, id);
        id
    }
}
