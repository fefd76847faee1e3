//! Every different frame of the page once, named by number.

use std::collections::HashMap;

use serde::{Serialize, Serializer};
use waytrace_model::stack::Frame;

use crate::access_words;
use crate::text::plain;

/// A frame as it is shown.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    inlined: bool,
}

/// The table of frames; serialises as a list.
#[derive(Default)]
pub struct Frames {
    list: Vec<Shown>,
    ids: HashMap<Shown, u32>,
}

impl Frames {
    /// Number of a frame with its source line.
    pub fn with_place(&mut self, frame: &Frame) -> u32 {
        let place = frame.file.as_ref().map(|file| match frame.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        });
        self.id(Shown { name: frame.label(), module: frame.module.clone(), place, inlined: frame.inlined })
    }

    /// Number of a frame's function, wherever in it the frame is.
    pub fn function(&mut self, frame: &Frame) -> u32 {
        self.id(Shown { name: frame.label(), module: frame.module.clone(), place: None, inlined: false })
    }

    /// Number of a function that accesses memory. All code of a module without symbols is one.
    pub fn accessing(&mut self, frame: &Frame) -> u32 {
        let whole = Frame { offset: 0, ..frame.clone() };
        let name = access_words::frame_label(&whole);
        self.id(Shown { name, module: frame.module.clone(), place: None, inlined: false })
    }

    /// Number of a name that stands in for frames that are not known.
    pub fn stand_in(&mut self, name: &str) -> u32 {
        self.id(Shown { name: name.to_owned(), module: None, place: None, inlined: false })
    }

    fn id(&mut self, mut shown: Shown) -> u32 {
        for text in [Some(&mut shown.name), shown.module.as_mut(), shown.place.as_mut()].into_iter().flatten()
        {
            *text = plain(text);
        }
        if let Some(id) = self.ids.get(&shown) {
            return *id;
        }
        let id = self.list.len() as u32;
        self.list.push(shown.clone());
        self.ids.insert(shown, id);
        id
    }
}

impl Serialize for Frames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}
