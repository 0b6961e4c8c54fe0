//! Bytecode made ready to run: constants are read where they are instead of being moved into registers first, registers that
//! nothing uses any more are left out, and sizes that are numbers stand in the instructions.

use crate::bytecode::size::SizeExpr;
use crate::bytecode::{ConstId, Function, Instr, Label, Reg, Size};
use std::collections::HashMap;

/// What a register is ever given, if anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Constant(ConstId),
    Other,
}

/// A function whose registers that only ever hold one constant are replaced by that constant.
pub(crate) fn prepare(function: &Function) -> Function {
    // A map, since the number of registers is only a claim of the file.
    let mut given: HashMap<Reg, Given> = HashMap::new();
    for instr in &function.code {
        let mut instr = instr.clone();
        if let Instr::Const { out, constant } = instr {
            let new = if out.0 < function.inputs { Given::Other } else { Given::Constant(constant) };
            given.entry(out).and_modify(|old| *old = if *old == new { new } else { Given::Other }).or_insert(new);
        } else {
            instr.registers(&mut |reg, is_result| {
                if is_result {
                    given.insert(*reg, Given::Other);
                }
            });
        }
    }
    let constant = |reg: Reg| match given.get(&reg) {
        Some(Given::Constant(id)) => Some(*id),
        _ => None,
    };
    // Where each instruction goes; what is left out leads to the next one that stays.
    let mut moved = Vec::with_capacity(function.code.len());
    let (mut code, mut nodes) = (vec![], vec![]);
    for (instr, node) in function.code.iter().zip(&function.nodes) {
        moved.push(code.len() as u32);
        let mut instr = instr.clone();
        match &mut instr {
            Instr::Const { out, .. } if constant(*out).is_some() => continue,
            Instr::Kill { regs } => {
                *regs = regs.iter().copied().filter(|&r| constant(r).is_none()).collect();
                if regs.is_empty() {
                    continue;
                }
            }
            other => other.registers(&mut |reg, _| {
                if let Some(id) = constant(*reg) {
                    *reg = Reg::constant(id);
                }
            }),
        }
        code.push(instr);
        nodes.push(*node);
    }
    for instr in &mut code {
        instr.labels(&mut |label: &mut Label| *label = Label(moved[label.index()]));
    }
    let regs = renumber(&mut code, function.inputs);
    Function { code, nodes, regs: regs.min(function.regs), ..function.clone() }
}

/// Gives registers behind the arguments the next free numbers in the order of their appearance; how many there are.
fn renumber(code: &mut [Instr], inputs: u32) -> u32 {
    let mut next = inputs;
    let mut places: HashMap<Reg, Reg> = HashMap::new();
    for instr in code {
        instr.registers(&mut |reg, _| {
            if reg.0 >= inputs && reg.as_constant().is_none() {
                *reg = *places.entry(*reg).or_insert_with(|| {
                    next += 1;
                    Reg(next - 1)
                });
            }
        });
    }
    next
}

/// Puts sizes that are numbers into the instructions.
pub(crate) fn immediate(function: &mut Function, sizes: &[SizeExpr]) {
    for instr in &mut function.code {
        instr.sizes(&mut |size| {
            if let Some(SizeExpr::Constant(value)) = sizes.get(size.index()) {
                *size = Size::immediate(*value).unwrap_or(*size);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_become_operands() {
        let (a, b) = (Reg(1), Reg(2));
        let dims: Box<[Size]> = [].into();
        let code = vec![
            Instr::Const { out: a, constant: ConstId(3) },
            Instr::Const { out: b, constant: ConstId(4) },
            Instr::Const { out: b, constant: ConstId(5) },
            Instr::Reshape { out: Reg(0), from: a, dims: dims.clone() },
            Instr::Kill { regs: [a].into() },
            Instr::Kill { regs: [a, b].into() },
            Instr::Jump { target: Label(4) },
        ];
        let nodes = vec![None; code.len()];
        let function = Function { regs: 3, inputs: 1, code, nodes, ..Function::default() };
        let found = prepare(&function);
        // It is the only one left behind the argument.
        let b = Reg(1);
        let expected = vec![
            Instr::Const { out: b, constant: ConstId(4) },
            Instr::Const { out: b, constant: ConstId(5) },
            Instr::Reshape { out: Reg(0), from: Reg::constant(ConstId(3)), dims },
            Instr::Kill { regs: [b].into() },
            Instr::Jump { target: Label(3) },
        ];
        assert_eq!(found.code, expected);
        assert_eq!((found.nodes.len(), found.regs), (expected.len(), 2));
    }

    #[test]
    fn numbers_stand_in_instructions() {
        let values: [Size; 3] = [0, 1, 2].map(Size);
        let code = vec![Instr::Index { to: Reg(0), values: values.into() }];
        let mut function = Function { code, ..Function::default() };
        let sizes = [SizeExpr::Constant(7), SizeExpr::Constant(-1), SizeExpr::Symbol(0)];
        immediate(&mut function, &sizes);
        let Instr::Index { values, .. } = &function.code[0] else { panic!() };
        assert_eq!(values.iter().map(|s| s.as_immediate()).collect::<Vec<_>>(), [Some(7), None, None]);
        assert_eq!(values[1..], [Size(1), Size(2)]);
    }
}
