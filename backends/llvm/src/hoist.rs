//! Moves register tiles to where LLVM can turn them into registers.
//!
//! A kernel generator puts `memref.alloca` where the tile is used, often inside loops. LLVM's scalar replacement looks
//! at the entry block only, and an `alloca` that is executed again and again eats stack. Both are cured by moving every
//! stack slot of constant size whose address does not escape to the entry block. Each execution of an `alloca` gives
//! memory of unspecified content, so one slot, with whatever it held before, is a legal refinement.

#![allow(unsafe_code)]

use inkwell::llvm_sys::LLVMOpcode;
use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::prelude::{LLVMBasicBlockRef, LLVMValueRef};
use inkwell::module::Module;
use std::ffi::CStr;

/// Hoists every constant-size, non-escaping stack slot of every function to its entry block; answers how many moved.
pub(crate) fn hoist_stack_slots(module: &Module) -> usize {
    let mut moved = 0;
    // SAFETY: the values come from a live module, which nobody else touches during the walk. The next block or
    // instruction is taken before one is moved.
    unsafe {
        let mut function = LLVMGetFirstFunction(module.as_mut_ptr());
        while !function.is_null() {
            moved += hoist_in_function(function);
            function = LLVMGetNextFunction(function);
        }
    }
    moved
}

/// # Safety
/// `function` is a live function.
unsafe fn hoist_in_function(function: LLVMValueRef) -> usize {
    // SAFETY: see the caller; every reference below is reached from `function`.
    unsafe {
        let entry = LLVMGetFirstBasicBlock(function);
        if entry.is_null() {
            return 0;
        }
        let mut slots = Vec::new();
        let mut block = LLVMGetNextBasicBlock(entry);
        while !block.is_null() {
            slots_of_block(block, &mut slots);
            block = LLVMGetNextBasicBlock(block);
        }
        if slots.is_empty() {
            return 0;
        }
        let builder = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(function)));
        LLVMPositionBuilderBefore(builder, LLVMGetFirstInstruction(entry));
        for slot in &slots {
            LLVMInstructionRemoveFromParent(*slot);
            LLVMInsertIntoBuilder(builder, *slot);
        }
        LLVMDisposeBuilder(builder);
        slots.len()
    }
}

/// # Safety
/// `block` is a live block.
unsafe fn slots_of_block(block: LLVMBasicBlockRef, slots: &mut Vec<LLVMValueRef>) {
    // SAFETY: see the caller.
    unsafe {
        let mut instruction = LLVMGetFirstInstruction(block);
        while !instruction.is_null() {
            if LLVMGetInstructionOpcode(instruction) == LLVMOpcode::LLVMAlloca
                && !LLVMIsAConstantInt(LLVMGetOperand(instruction, 0)).is_null()
                && !escapes(instruction)
            {
                slots.push(instruction);
            }
            instruction = LLVMGetNextInstruction(instruction);
        }
    }
}

/// Says whether the address may be kept anywhere but in SSA values that are seen through here: address arithmetic and
/// the memref descriptors that MLIR builds.
///
/// # Safety
/// `address` is a live instruction.
unsafe fn escapes(address: LLVMValueRef) -> bool {
    let mut work = vec![address];
    // A descriptor chain of one tile has some dozen values per access; far above that, leave the slot where it is.
    let mut budget = 100_000_usize;
    // SAFETY: see the caller; users of a live value are live.
    unsafe {
        while let Some(value) = work.pop() {
            let mut used = LLVMGetFirstUse(value);
            while !used.is_null() {
                let user = LLVMGetUser(used);
                if LLVMIsAInstruction(user).is_null() || budget == 0 {
                    return true;
                }
                budget -= 1;
                match LLVMGetInstructionOpcode(user) {
                    LLVMOpcode::LLVMLoad => {}
                    LLVMOpcode::LLVMStore if LLVMGetOperand(user, 0) != value => {}
                    LLVMOpcode::LLVMCall if is_intrinsic(LLVMGetCalledValue(user)) => {}
                    LLVMOpcode::LLVMGetElementPtr | LLVMOpcode::LLVMInsertValue | LLVMOpcode::LLVMExtractValue => {
                        work.push(user);
                    }
                    _ => return true,
                }
                used = LLVMGetNextUse(used);
            }
        }
    }
    false
}

/// # Safety
/// `callee` is a live value.
unsafe fn is_intrinsic(callee: LLVMValueRef) -> bool {
    let mut len = 0;
    // SAFETY: the name belongs to the value; LLVM ends it with a NUL.
    let name = unsafe { CStr::from_ptr(LLVMGetValueName2(callee, &raw mut len)) };
    name.to_bytes().starts_with(b"llvm.")
}
