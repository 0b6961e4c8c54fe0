//! Hot shapes: another program takes over between two runs, for its shape only, and nothing waits or breaks when there is none.

use nim_expr::ExprPool;
use nim_tensor::{DType, Tensor, Value};
use nim_vm::bytecode::{DeviceId, Function, FunctionId, Instr, Reg, Sym};
use nim_vm::{
    Options, Program, ProgramBuilder, RunErrorKind, Session, Signature, SignatureValue, SpecialiseOptions,
    SpecialisedState, Specialiser, ValueType,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// `main(x: [N]) -> (tag, tag of the weights, N)`: what ran is what it says. `fails`: it wants more memory than there is.
fn tagged(tag: i64, weights: &[i64], fails: bool) -> Program {
    let (mut builder, pool) = (ProgramBuilder::new("test"), ExprPool::new());
    builder.declare("main");
    let ints = |dims: Vec<String>| ValueType::Tensor { dtype: DType::I64, dims };
    let value = |name: &str, ty| SignatureValue { name: name.into(), ty, node: None };
    builder.signature(Signature {
        inputs: vec![value("x", ints(vec!["N".into()]))],
        outputs: vec![
            value("tag", ints(vec![])),
            value("w", ints(vec![weights.len().to_string()])),
            value("n", ints(vec![])),
        ],
        types: vec![],
    });
    let mut size = |text: &str| builder.size(&pool, pool.parse(text).unwrap(), &mut |_| Some(0)).unwrap();
    let (n, huge) = (size("N"), size("1000000000000000"));
    let constant = builder.constant(&Tensor::new(&[], vec![tag]));
    let weights = builder.constant(&Tensor::new(&[weights.len()], weights.to_vec()));
    let mut code = vec![Instr::Dim { symbol: Sym(0), from: Reg(0), axis: 0 }];
    if fails {
        code.push(Instr::New { device: DeviceId::HOST, out: Reg(1), dtype: DType::I64, dims: [huge].into() });
    }
    code.extend([
        Instr::Const { out: Reg(1), constant },
        Instr::Const { out: Reg(2), constant: weights },
        Instr::New { device: DeviceId::HOST, out: Reg(3), dtype: DType::I64, dims: [].into() },
        Instr::Index { to: Reg(3), values: [n].into() },
        Instr::Return { values: [Reg(1), Reg(2), Reg(3)].into() },
    ]);
    let nodes = vec![None; code.len()];
    let function =
        Function { name: "main".into(), regs: 4, symbols: vec!["N".into()], inputs: 1, outputs: 3, code, nodes };
    builder.define(FunctionId(0), function);
    builder.into_program().unwrap()
}

/// Makes programs that say 1, when it may.
#[derive(Default)]
struct Maker {
    open: Mutex<bool>,
    opened: Condvar,
    asked: Mutex<Vec<Vec<Vec<usize>>>>,
    made: AtomicUsize,
    cancelled: AtomicBool,
    what: What,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum What {
    #[default]
    Fits,
    Refused,
    Panics,
    Fails,
    OtherSignature,
    /// 8,000 bytes of constants of its own.
    Large,
}

impl Maker {
    fn of(what: What) -> Arc<Maker> {
        Arc::new(Maker { what, open: Mutex::new(true), ..Maker::default() })
    }
}

impl Specialiser for Maker {
    fn specialise(&self, shapes: &[Vec<usize>]) -> Result<Program, String> {
        self.asked.lock().unwrap().push(shapes.to_vec());
        let mut open = self.open.lock().unwrap();
        while !*open && !self.cancelled.load(Ordering::SeqCst) {
            open = self.opened.wait(open).unwrap();
        }
        drop(open);
        self.made.fetch_add(1, Ordering::SeqCst);
        match self.what {
            What::Fits => Ok(tagged(1, &[5; 100], false)),
            What::Refused => Err("no such luck".into()),
            What::Panics => panic!("on purpose"),
            What::Fails => Ok(tagged(1, &[5; 100], true)),
            What::OtherSignature => {
                let mut builder = ProgramBuilder::new("test");
                builder.declare("main");
                let code = vec![Instr::Return { values: [].into() }];
                let function = Function { name: "main".into(), code, nodes: vec![None], ..Function::default() };
                builder.define(FunctionId(0), function);
                Ok(builder.into_program().unwrap())
            }
            What::Large => Ok(tagged(1, &[6; 1000], false)),
        }
    }
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.opened.notify_all();
    }
}

fn hot(maker: &Arc<Maker>, options: SpecialiseOptions) -> Program {
    tagged(0, &[5; 100], false).specialised_by(maker.clone(), options)
}

fn session(program: &Program) -> Session {
    Session::new(program, Options { threads: 1, memory_limit: 1 << 30, ..Options::default() })
}

/// The tag of what ran with this shape.
fn run(session: &mut Session, n: usize) -> i64 {
    let out = session.run(&[Tensor::new(&[n], vec![0i64; n]).into()]).unwrap();
    let number = |at: usize| out[at].as_tensor().unwrap().elements::<i64>()[0];
    assert_eq!(number(2), n as i64);
    number(0)
}

fn repeat(session: &mut Session, n: usize, times: usize) {
    for _ in 0..times {
        run(session, n);
    }
}

fn wait(program: &Program) {
    let start = Instant::now();
    while program.is_specialising() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never ends");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const AFTER_3: SpecialiseOptions = SpecialiseOptions { after: 3, programs: 2, constants: 4096 };

#[test]
fn a_hot_shape_gets_its_own_program_without_waiting() {
    let maker = Arc::new(Maker::default());
    let program = hot(&maker, AFTER_3);
    let (mut first, mut second) = (session(&program), session(&program.clone()));
    // The compiler stands still: all goes on as before.
    assert_eq!([4, 4, 7, 4, 4, 4].map(|n| run(&mut first, n)), [0; 6]);
    *maker.open.lock().unwrap() = true;
    maker.opened.notify_all();
    wait(&program);
    assert_eq!(*maker.asked.lock().unwrap(), [[[4]]]);
    // All sessions share it, and only that shape has it.
    for session in [&mut first, &mut second] {
        assert_eq!([4, 7, 4, 5, 4].map(|n| run(session, n)), [1, 0, 1, 0, 1]);
    }
    let report = program.specialised();
    assert_eq!(report[0].shape, "x=4");
    // The weights are those of the program; the tag is its own.
    assert!(matches!(report[0].state, SpecialisedState::Ready { runs: 6, constants: 8, .. }), "{report:?}");
    assert_eq!(report[0].runs, 5);
    let text = program.explain_guards();
    assert!(text.contains("shapes: one that is run 3 times gets a program of its own; at most 2 have one"), "{text}");
}

#[test]
fn what_cannot_be_made_changes_nothing() {
    std::panic::set_hook(Box::new(|_| {}));
    for (what, why) in [
        (What::Refused, "no such luck"),
        (What::Panics, "the compiler panicked"),
        (What::OtherSignature, "takes or gives something else"),
        (What::Large, "8008 bytes of constants of its own, at most 4096"),
        (What::Fails, "it failed where the program for all shapes does not"),
    ] {
        let maker = Maker::of(what);
        let program = hot(&maker, AFTER_3);
        let mut session = session(&program);
        assert_eq!([4, 4, 4].map(|n| run(&mut session, n)), [0; 3]);
        wait(&program);
        assert_eq!([4, 4, 4, 4].map(|n| run(&mut session, n)), [0; 4]);
        wait(&program);
        let report = program.specialised();
        assert!(report[0].to_string().contains(why), "{report:?}");
        assert_eq!(maker.made.load(Ordering::SeqCst), 1, "it is not asked for again");
    }
    let _ = std::panic::take_hook();
}

#[test]
fn the_shape_that_was_not_used_for_longest_goes() {
    let maker = Maker::of(What::Fits);
    let program = hot(&maker, AFTER_3);
    let mut session = session(&program);
    for n in [4, 5, 6] {
        repeat(&mut session, n, 3);
        wait(&program);
        assert_eq!(run(&mut session, n), 1);
    }
    assert_eq!([5, 6, 4].map(|n| run(&mut session, n)), [1, 1, 0]);
    // One that had to go has to be run twice as often to come back.
    assert_eq!([4, 4, 4, 4].map(|n| run(&mut session, n)), [0; 4]);
    assert!(!program.is_specialising());
    run(&mut session, 4);
    wait(&program);
    assert_eq!([4, 6, 5].map(|n| run(&mut session, n)), [1, 1, 0]);
    let ready = program.specialised().iter().filter(|s| matches!(s.state, SpecialisedState::Ready { .. })).count();
    assert_eq!(ready, 2);
}

#[test]
fn a_far_hotter_shape_that_is_in_use_stays() {
    let maker = Maker::of(What::Fits);
    let program = hot(&maker, AFTER_3);
    let mut session = session(&program);
    for n in [4, 5] {
        repeat(&mut session, n, 3);
        wait(&program);
        repeat(&mut session, n, 40);
    }
    repeat(&mut session, 6, 3);
    wait(&program);
    assert_eq!([4, 5, 6].map(|n| run(&mut session, n)), [1, 1, 0]);
    // It comes when the others are not run any more, or when it is about as hot.
    repeat(&mut session, 6, 30);
    wait(&program);
    assert_eq!(run(&mut session, 6), 1);
}

#[test]
fn errors_are_those_of_the_program_and_are_not_counted() {
    let maker = Maker::of(What::Fits);
    let program = hot(&maker, AFTER_3);
    let mut session = session(&program);
    let wrong: Value = Tensor::new(&[4], vec![0f32; 4]).into();
    for _ in 0..5 {
        let error = session.run(std::slice::from_ref(&wrong)).unwrap_err();
        assert!(matches!(*error.kind, RunErrorKind::InputType { .. }));
    }
    assert!(program.specialised().is_empty() && !program.is_specialising());
    let failing = tagged(0, &[5; 100], true).specialised_by(maker.clone(), AFTER_3);
    let mut session = Session::new(&failing, Options { memory_limit: 1 << 20, ..Options::default() });
    for _ in 0..5 {
        let error = session.run(&[Tensor::new(&[4], vec![0i64; 4]).into()]).unwrap_err();
        assert!(matches!(*error.kind, RunErrorKind::Memory { .. }), "{error}");
    }
    assert!(failing.specialised().is_empty());
}

#[test]
fn nobody_waits_for_a_compiler_that_nobody_wants() {
    let maker = Arc::new(Maker::default());
    let program = hot(&maker, AFTER_3);
    let mut session = session(&program);
    repeat(&mut session, 4, 3);
    assert!(program.is_specialising());
    // It stands still, and is told to give up.
    drop((session, program));
    assert!(maker.cancelled.load(Ordering::SeqCst));
}

#[test]
fn threads_share_shapes() {
    let maker = Maker::of(What::Fits);
    let program = hot(&maker, SpecialiseOptions { after: 50, programs: 3, constants: 4096 });
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let program = &program;
            scope.spawn(move || {
                let mut session = session(program);
                for i in 0..2000usize {
                    // Some shapes come often, others seldom; each gives its own size whatever runs it.
                    let n = if i % 3 == 0 { 1 + (i * 7 + thread * 13) % 60 } else { 4 + i % 2 };
                    run(&mut session, n);
                }
            });
        }
    });
    wait(&program);
    let ready = |s: &nim_vm::SpecialisedShape| matches!(s.state, SpecialisedState::Ready { .. });
    let report = program.specialised();
    assert!(report.iter().filter(|s| ready(s)).count() <= 3);
    assert!(report[..2].iter().all(ready), "{report:?}");
}

#[test]
fn a_profile_has_all_programs() {
    let maker = Maker::of(What::Fits);
    let program = hot(&maker, AFTER_3);
    let mut session = Session::new(&program, Options { threads: 1, profile: true, ..Options::default() });
    repeat(&mut session, 4, 3);
    wait(&program);
    repeat(&mut session, 4, 5);
    assert_eq!(session.profile().runs, 8);
}
