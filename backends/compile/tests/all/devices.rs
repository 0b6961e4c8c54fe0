//! Programs on a device that counts what it is asked for, and that fails when it is told to.

#![allow(unsafe_code)]

use crate::parse;
use nim_compiler::{Options, compile};
use nim_interp::device::InterpreterDevice;
use nim_tensor::{Tensor, Value};
use nim_text::render_all;
use nim_vm::device::{Address, Device, Devices, KernelCall};
use nim_vm::{Program, RunErrorKind, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
struct Watched {
    device: InterpreterDevice,
    launches: AtomicUsize,
    copies: AtomicUsize,
    broken: AtomicBool,
}

impl Device for Watched {
    fn allocate(&self, bytes: usize) -> Option<Address> {
        self.device.allocate(bytes)
    }
    unsafe fn free(&self, at: Address, bytes: usize) {
        // SAFETY: as the caller says.
        unsafe { self.device.free(at, bytes) }
    }
    unsafe fn copy_in(&self, from: *const u8, to: Address, bytes: usize) {
        self.copies.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { self.device.copy_in(from, to, bytes) }
    }
    unsafe fn copy_out(&self, from: Address, to: *mut u8, bytes: usize) {
        self.copies.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { self.device.copy_out(from, to, bytes) }
    }
    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) {
        // SAFETY: as above.
        unsafe { self.device.copy(from, to, bytes) }
    }
    unsafe fn launch(&self, call: &KernelCall<'_>) -> Result<(), String> {
        self.launches.fetch_add(1, Relaxed);
        if self.broken.load(Relaxed) {
            return Err("it is out of order".into());
        }
        // SAFETY: as above.
        unsafe { self.device.launch(call) }
    }
    fn wait(&self) {
        self.device.wait();
    }
}

/// Two kernels that do not fuse; the second reads a constant.
const TEXT: &str = "
func.func @main(%x: tensor<[N]x4xf32>) -> tensor<[N]x4xf32> {
  %w = graph.constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %s = graph.cumsum %x {axis = 1, exclusive = false, reverse = false} : (tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  %p = graph.mul %s, %w : (tensor<[N]x4xf32>, tensor<4xf32>) -> tensor<[N]x4xf32>
  %y = graph.cumsum %p {axis = 0, exclusive = false, reverse = false} : (tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  return %y : tensor<[N]x4xf32>
}";

fn program(place: &[&str], devices: &Devices) -> Program {
    let (ctx, mut module) = parse(TEXT);
    let place = place.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let options = Options { threads: 1, strict: true, place, ..Options::default() };
    let compiled = compile(&ctx, &mut module, &options);
    let compiled = compiled.unwrap_or_else(|found| panic!("{}", render_all(&ctx, &found, &Default::default())));
    // By way of bytes, since what devices need has to be in the file.
    let bytes = compiled.program.to_bytes();
    let load = nim_vm::LoadOptions { devices: devices.clone(), ..nim_vm::LoadOptions::default() };
    Program::from_bytes_with(bytes, &load).expect("it can be loaded")
}

#[test]
fn runs_that_are_written_down_ask_the_same_of_a_device() {
    let device = Arc::new(Watched::default());
    let mut devices = Devices::default();
    devices.insert("npu", device.clone());
    let options = nim_vm::Options { threads: 1, ..nim_vm::Options::default() };
    let mut host = Session::new(&program(&[], &devices), options.clone());
    let mut placed = Session::new(&program(&["*:npu"], &devices), options);
    let input = |n: usize| -> Vec<Value> {
        vec![Tensor::new(&[n, 4], (0..4 * n).map(|i| i as f32 * 0.37 - 2.0).collect::<Vec<_>>()).into()]
    };
    let asked = || (device.launches.swap(0, Relaxed), device.copies.swap(0, Relaxed));
    // The constant went there when the program was loaded.
    assert_eq!(asked(), (0, 1));
    let mut first = None;
    for n in [3, 5, 3, 5, 3, 5] {
        assert_eq!(placed.run(&input(n)).expect("it runs"), host.run(&input(n)).expect("it runs"));
        let now = asked();
        assert_eq!(*first.get_or_insert(now), now);
    }
    let (launches, copies) = first.expect("it ran");
    assert!(launches >= 2 && copies == 2, "{launches} launches, {copies} copies");

    // Of a shape that is new, of one that is written down, and of one that would be now.
    assert!(placed.run(&input(7)).is_ok());
    device.broken.store(true, Relaxed);
    for n in [8, 3, 7] {
        let error = placed.run(&input(n)).expect_err("it is broken");
        assert!(matches!(&*error.kind, RunErrorKind::Launch { device, .. } if device == "npu"), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("kernel `") && text.contains("` on device `npu`: it is out of order"), "{text}");
    }
    device.broken.store(false, Relaxed);
    for n in [8, 3, 7] {
        assert_eq!(placed.run(&input(n)).expect("it runs again"), host.run(&input(n)).expect("it runs"));
    }
}
