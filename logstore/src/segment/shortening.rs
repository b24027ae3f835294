//! Lines made shorter for a query that looks at some of their fields: per template what is put together.

use std::sync::{Arc, OnceLock};

use model::{GAP, Shorten, Shortened};

use super::directory::{Directory, Pages};
use super::template::FIELD;

const _: () = assert!(GAP == FIELD, "a template is a shape");

/// What is left of the lines of each template of a segment, found out when one is asked for.
#[derive(Debug)]
pub(crate) struct Shortening {
    by: Arc<dyn Shorten>,
    templates: OnceLock<Vec<OnceLock<Option<Shortened>>>>,
}

impl Shortening {
    pub(crate) fn new(by: Arc<dyn Shorten>) -> Self {
        Self { by, templates: OnceLock::new() }
    }

    /// What is left of the lines of a template; `None`: all of them.
    pub(super) fn of(&self, directory: &Directory, pages: &Pages, template: u32) -> Option<&Shortened> {
        let templates = self.templates.get_or_init(|| directory.lines.iter().map(|_| OnceLock::new()).collect());
        templates.get(template as usize)?.get_or_init(|| self.make(directory, pages, template)).as_ref()
    }

    fn make(&self, directory: &Directory, pages: &Pages, template: u32) -> Option<Shortened> {
        let table = directory.lines.get(template as usize)?;
        let short = self.by.shorten(&table.key)?;
        let fits = short.texts.len() == short.gaps.len() + 1
            && short.gaps.iter().all(|gap| *gap < table.columns.len())
            && short.texts.iter().all(|text| std::str::from_utf8(text).is_ok());
        // What cannot be read is found out, and told, when lines are put together.
        let holds = |(gap, class): &(usize, _)| directory.all_are(pages, table, *gap, *class).unwrap_or(false);
        (fits && short.needs.iter().all(holds)).then_some(short)
    }
}
