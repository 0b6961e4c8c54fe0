//! Bytecode made ready to run: constants are read where they are instead of being moved into registers first.

use crate::bytecode::{ConstId, Function, Instr, Label, Reg};
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
    Function { code, nodes, ..function.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytecode::Size;

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
        let expected = vec![
            Instr::Const { out: b, constant: ConstId(4) },
            Instr::Const { out: b, constant: ConstId(5) },
            Instr::Reshape { out: Reg(0), from: Reg::constant(ConstId(3)), dims },
            Instr::Kill { regs: [b].into() },
            Instr::Jump { target: Label(3) },
        ];
        assert_eq!(found.code, expected);
        assert_eq!(found.nodes.len(), expected.len());
    }
}
