//! Running a body pass on all bodies of a module that it is meant for.
//!
//! Bodies are taken out of their ops, worked on by threads in any order, and put back; reports are merged in the order of the
//! text, so nothing depends on the number of threads.

use crate::{BodyPass, Owner, PassContext, PassReport};
use nim_ir::{Body, Context, Diagnostic, Loc, Module, OpId};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A body out of its place.
struct Task {
    /// The task of the body around, and the op there; `None` for the module's own body.
    home: Option<(usize, OpId)>,
    owner: Owner,
    wanted: bool,
    body: Box<Body>,
    result: Option<Result<PassReport, Vec<Diagnostic>>>,
}

fn take_out(ctx: &Context, tasks: &mut Vec<Task>, at: usize, wanted: &dyn Fn(&str) -> bool) {
    let ops: Vec<OpId> = tasks[at].body.walk().into_iter().filter(|&op| tasks[at].body.nested(op).is_some()).collect();
    for op in ops {
        let around = &mut tasks[at].body;
        let name = ctx.op_str(around.op_name(op)).to_string();
        let owner = Owner { attrs: around.attrs(op).clone(), loc: around.loc(op), op: name };
        let Some(body) = around.take_nested(op) else { continue };
        let wanted_here = wanted(&owner.op);
        tasks.push(Task { home: Some((at, op)), wanted: wanted_here, owner, body, result: None });
        take_out(ctx, tasks, tasks.len() - 1, wanted);
    }
}

/// Runs the pass on the bodies of ops whose name `anchor` is, or that the pass wants by itself; tells how many there were.
pub(crate) fn run(
    pass: &dyn BodyPass,
    context: &PassContext<'_>,
    anchor: Option<&str>,
    module: &mut Module,
) -> (usize, Result<PassReport, Vec<Diagnostic>>) {
    let anchors = pass.anchors();
    let wanted = |op: &str| match anchor {
        Some(anchor) => op == anchor,
        None => anchors.is_empty() || anchors.contains(&op),
    };
    let owner = Owner { op: "builtin.module".into(), attrs: module.attrs.clone(), loc: module.loc };
    let body = Box::new(std::mem::take(&mut module.body));
    let wanted_here = wanted(&owner.op);
    let mut tasks = vec![Task { home: None, wanted: wanted_here, owner, body, result: None }];
    take_out(context.ctx, &mut tasks, 0, &wanted);
    let count = tasks.iter().filter(|t| t.wanted).count();

    let cells: Vec<Mutex<Task>> = tasks.into_iter().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut task = cell.lock().unwrap_or_else(PoisonError::into_inner);
            let Task { owner, wanted, body, result, .. } = &mut *task;
            if *wanted {
                *result = Some(guarded(context.pass, owner.loc, || pass.run(context, owner, body)));
            }
        }
    };
    let threads = context.threads.min(count);
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }

    let mut tasks: Vec<Task> =
        cells.into_iter().map(|c| c.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    let (mut report, mut errors) = (PassReport::new(), vec![]);
    for task in &mut tasks {
        match task.result.take() {
            Some(Ok(one)) => report.merge(one),
            Some(Err(found)) => errors.extend(found),
            None => {}
        }
    }
    // Inner bodies were pushed behind those around them.
    while let Some(task) = tasks.pop() {
        match task.home {
            Some((at, op)) => {
                // A pass may have erased the op; its body goes with it.
                if !tasks[at].body.is_erased(op) {
                    tasks[at].body.set_nested(op, task.body);
                }
            }
            None => module.body = *task.body,
        }
    }
    (count, if errors.is_empty() { Ok(report) } else { Err(errors) })
}

/// The code of a pass that panicked.
pub const PANIC: &str = "N0804";

/// Runs a pass; a panic becomes a diagnostic, so that the tool can still name the pass and write a reproducer.
pub(crate) fn guarded(
    pass: &str,
    loc: Loc,
    f: impl FnOnce() -> Result<PassReport, Vec<Diagnostic>>,
) -> Result<PassReport, Vec<Diagnostic>> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(vec![
            Diagnostic::error(PANIC, loc, format!("`{pass}` failed: {text}"))
                .note("this is a fault of the pass, not of the program"),
        ])
    })
}
