//! Programs as text.

use super::{Contents, SignatureValue};
use crate::bytecode::{DeviceId, Names};
use std::fmt::Write;

pub(super) fn disassemble(contents: &Contents) -> String {
    let mut out = String::new();
    let list = |values: &[SignatureValue]| {
        values.iter().map(|v| format!("{}: {}", v.name, v.ty)).collect::<Vec<_>>().join(", ")
    };
    let signature = &contents.signature;
    let _ = writeln!(out, "program({}) -> ({})", list(&signature.inputs), list(&signature.outputs));
    let device = |i: u32| match i.checked_sub(1) {
        None => "host".to_owned(),
        Some(at) => contents.devices.get(at as usize).cloned().unwrap_or_default(),
    };
    let on = |id: Option<&DeviceId>| match id {
        None | Some(&DeviceId::HOST) => String::new(),
        Some(id) => format!(" on {}", device(id.0)),
    };
    for (i, constant) in contents.constants.iter().enumerate() {
        let _ = writeln!(out, "constant #{i}: {constant:?}{}", on(contents.constant_devices.get(i)));
    }
    for (kernel, id) in contents.kernels.iter().zip(&contents.kernel_devices).filter(|(_, id)| **id != DeviceId::HOST) {
        let _ = writeln!(out, "kernel @{kernel}{}", on(Some(id)));
    }
    let text = |list: &[String], i: u32| list.get(i as usize).cloned().unwrap_or_default();
    for function in &contents.functions {
        let _ =
            writeln!(out, "\nfunction {}: {} registers, {} arguments", function.name, function.regs, function.inputs);
        let functions = |i: u32| contents.functions.get(i as usize).map(|f| f.name.clone()).unwrap_or_default();
        let names = Names {
            size: &|i| text(&contents.size_texts, i),
            text: &|i| text(&contents.texts, i),
            kernel: &|i| text(&contents.kernels, i),
            function: &functions,
            symbol: &|i| text(&function.symbols, i),
            device: &device,
        };
        let mut last = None;
        for (i, instr) in function.code.iter().enumerate() {
            let _ = write!(out, "{i:5}  ");
            instr.show(&names, &mut out);
            let node = function.nodes.get(i).copied().flatten();
            // Each node is named once, where its code begins.
            if let Some(node) = node.filter(|_| node != last) {
                let _ = write!(out, "  ; {}", text(&contents.texts, node.0));
            }
            last = node;
            out.push('\n');
        }
    }
    out
}
