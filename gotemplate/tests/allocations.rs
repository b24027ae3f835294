//! Formatting a log line with a plain template allocates nothing, whatever the number of lines.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use foursight_gotemplate::{CallResult, Context, Host, Limits, MissingKey, TemplateSet, Value, gotime, sets};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Line;

impl Host for Line {
    fn call<'d>(&'d self, name: &str, _args: &[Value<'d>]) -> Option<CallResult<'d>> {
        (name == "__line__").then(|| Ok(Value::from("the line")))
    }
}

#[test]
fn plain_templates_allocate_nothing() {
    let labels = [("level", "warn"), ("msg", "disk full"), ("status", "500")];
    let context = Context {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        local: gotime::Zone::Utc,
        host: &Line,
        limits: Limits::default(),
    };
    for (template, want) in [
        ("{{.msg}}", "disk full"),
        ("[{{.level}}] {{.msg}} {{.status}}{{.nope}}", "[warn] disk full 500"),
        ("{{.level}}: {{__line__}}", "warn: the line"),
        ("just text", "just text"),
    ] {
        let set = TemplateSet::of("line", template, &sets::loki(), MissingKey::Zero).unwrap();
        let mut out = Vec::with_capacity(256);
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..1_000 {
            out.clear();
            set.execute(&mut out, Value::Object(&labels), &context).unwrap();
        }
        assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "{template}");
        assert_eq!(std::str::from_utf8(&out), Ok(want));
    }
}

#[test]
fn other_templates_allocate_for_their_variables_only() {
    let labels = [("level", "warn"), ("status", "500")];
    let context = Context { host: &Line, ..Context::at("2026-01-01T00:00:00Z".parse().unwrap()) };
    let template = "{{if eq .status \"500\"}}{{.level}}{{else}}-{{end}} {{ .status }}";
    let set = TemplateSet::of("line", template, &sets::loki(), MissingKey::Zero).unwrap();
    let mut out = Vec::with_capacity(256);
    let before = ALLOCATIONS.with(Cell::get);
    set.execute(&mut out, Value::Object(&labels), &context).unwrap();
    // The stack of variables, and the arguments of `eq`.
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 2);
    assert_eq!(out, b"warn 500");
}
