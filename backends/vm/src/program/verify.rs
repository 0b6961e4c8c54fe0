//! What must hold of a program before any of it runs.

use super::Contents;
use crate::bytecode::size::SizeExpr;
use crate::bytecode::{self, Instr, Limits, Size};
use crate::error::LoadError;
use crate::runtime;

/// Checks all bytecode.
pub(super) fn verify(contents: &Contents, library: &[Option<runtime::Function>]) -> Result<(), LoadError> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let sizes: Vec<u32> = contents.sizes.iter().map(SizeExpr::registers).collect();
    let mut placed = contents.kernel_devices.iter().chain(&contents.constant_devices);
    let count_of = (contents.kernel_devices.len(), contents.kernel_sources.len(), contents.constant_devices.len());
    if count_of != (contents.kernels.len(), contents.kernels.len(), contents.constants.len())
        || !placed.all(|id| id.index() <= contents.devices.len())
    {
        return Err(LoadError::Bytecode("the table of devices does not fit kernels and constants".into()));
    }
    let functions: Vec<(u32, u32)> = contents.functions.iter().map(|f| (f.inputs, f.outputs)).collect();
    let main = contents.functions.first().ok_or_else(|| LoadError::Bytecode("there is no function".into()))?;
    let signature = &contents.signature;
    if (main.inputs as usize, main.outputs as usize) != (signature.inputs.len(), signature.outputs.len()) {
        return Err(LoadError::Bytecode("the signature does not fit the first function".into()));
    }
    for function in &contents.functions {
        let limits = Limits {
            regs: function.regs,
            symbols: count(function.symbols.len()),
            code: count(function.code.len()),
            constants: count(contents.constants.len()),
            kernels: count(contents.kernels.len()),
            texts: count(contents.texts.len()),
            devices: count(contents.devices.len()).saturating_add(1),
            sizes: &sizes,
            functions: &functions,
        };
        bytecode::verify(function, &limits).map_err(|p| LoadError::Bytecode(format!("{}: {}", function.name, p.0)))?;
        // As many registers as could be used: more only cost memory.
        if function.regs as usize > function.inputs as usize + 8 * bytecode::encode(&function.code).len() {
            return Err(LoadError::Bytecode(format!("{} has more registers than it can use", function.name)));
        }
        for instr in &function.code {
            if let Instr::Runtime { function: name, .. } = instr
                && library[name.index()].is_none()
            {
                return Err(LoadError::Function(contents.texts[name.index()].clone()));
            }
        }
    }
    // What profiles look at.
    let costs = contents.costs.iter().flatten();
    let known = |size: Size| size.index() < sizes.len();
    if contents.costs.len() != contents.kernels.len()
        || !costs.fold(true, |ok, c| ok && known(c.operations) && known(c.bytes))
    {
        return Err(LoadError::Bytecode("the table of costs does not fit the kernels".into()));
    }
    Ok(())
}
