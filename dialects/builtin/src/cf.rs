//! Upstream's `cf`: branches between blocks.

use crate::syntax::{print_attrs, resolve_all, set_segments, types_of};
use nim_ir::{
    OpId, OpState, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
    verifier::operand_groups,
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `cf` dialect of upstream MLIR.
    pub static CF: "cf", "Upstream: branches between blocks.",
    ops[Assert, Br, CondBr]
}

/// Ends the program with a message unless the argument is true.
#[op(name = "cf.assert", format = "$arg `,` $msg attr-dict")]
pub struct Assert {
    /// what must be true
    #[operand(BOOL)]
    arg: One,
    /// what is said when it is not
    #[attr(String)]
    msg: Required,
}

/// Goes on with another block.
#[op(name = "cf.br", traits(Pure, Terminator), successors = 1, parse = parse_br, print = print_br)]
pub struct Br {
    /// arguments of the block
    #[operand(ANY)]
    destOperands: Variadic,
}

/// Goes on with one of two blocks.
#[op(name = "cf.cond_br", traits(Pure, Terminator), successors = 2, parse = parse_cond_br, print = print_cond_br)]
pub struct CondBr {
    /// which
    #[operand(BOOL)]
    condition: One,
    /// arguments of the first block
    #[operand(ANY)]
    trueDestOperands: Variadic,
    /// arguments of the second block
    #[operand(ANY)]
    falseDestOperands: Variadic,
    /// how often each is taken
    #[attr(Ints)]
    branch_weights: Optional,
}

/// `^bb1(%a, %b : T, U)`
fn parse_target(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<Vec<ValueId>> {
    let block = p.successor()?;
    state.successors.push(block);
    if !p.accept("(") {
        return Ok(vec![]);
    }
    let names = p.operands()?;
    p.expect(":")?;
    let types = p.types()?;
    p.expect(")")?;
    resolve_all(p, &names, &types)
}

fn print_target(p: &mut dyn AsmPrinter, op: OpId, index: usize, values: &[ValueId]) {
    let block = p.body().successors(op)[index];
    p.successor(block);
    if !values.is_empty() {
        let types = types_of(p, values);
        p.text("(");
        p.values(values);
        p.text(" : ");
        p.types(&types);
        p.text(")");
    }
}

fn parse_br(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    state.operands = parse_target(p, state)?;
    p.attr_dict(&mut state.attrs)
}

fn print_br(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    print_target(p, op, 0, &operands);
    print_attrs(p, op, &[]);
}

fn parse_cond_br(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let condition = p.operand()?;
    let i1 = p.ctx().int_type(1);
    let condition = p.resolve(condition, i1)?;
    if p.accept("weights") {
        p.expect("(")?;
        p.expect("[")?;
        let mut weights = vec![p.integer()?];
        while p.accept(",") {
            weights.push(p.integer()?);
        }
        p.expect("]")?;
        p.expect(")")?;
        let weights = p.ctx().i32_array(&weights);
        crate::syntax::set(p, state, "branch_weights", weights);
    }
    p.expect(",")?;
    let first = parse_target(p, state)?;
    p.expect(",")?;
    let second = parse_target(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    set_segments(p, &mut state.attrs, &[1, first.len(), second.len()]);
    state.operands = [vec![condition], first, second].concat();
    Ok(())
}

fn print_cond_br(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let groups = operand_groups(p.ctx(), p.body(), op).unwrap_or_default();
    let group = |i: usize| groups.get(i).map(|g| operands[g.clone()].to_vec()).unwrap_or_default();
    p.text(" ");
    p.value(operands[0]);
    let weights = crate::syntax::attr(p, op, "branch_weights").and_then(|a| p.ctx().as_ints(a));
    if let Some(weights) = weights {
        let list: Vec<String> = weights.iter().map(i64::to_string).collect();
        p.text(&format!(" weights([{}])", list.join(", ")));
    }
    p.text(", ");
    print_target(p, op, 0, &group(1));
    p.text(", ");
    print_target(p, op, 1, &group(2));
    print_attrs(p, op, &["operandSegmentSizes", "branch_weights"]);
}
