//! Intel's instructions on tile registers (AMX) in software, for machines without them: a handler of illegal instructions performs
//! one and goes on behind it. So what is tested is machine code as it is made, run with all that is around it.
//!
//! What the processor demands is demanded here: a configuration of palette 1 with nothing in its reserved parts, shapes that are there
//! and agree, three different registers. What breaks it ends the process with a message. Decoding and arithmetic follow Intel's
//! Software Developer's Manual: volume 1, chapter 18, and the instructions' pages in volume 2.

#![allow(unsafe_code)]

use nim_llvm::Target;
use nim_vm::code_image::{amx, cpu};
use std::cell::UnsafeCell;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

const TILES: usize = 8;
const MAX_ROWS: usize = 16;
const ROW: usize = 64;

/// Machines with tile registers and as many other features as this one has.
pub const TARGETS: [&str; 2] =
    ["x86-64-v4+avx512vnni+avx512bf16+amx-tile+amx-int8+amx-bf16", "x86-64-v3+amx-tile+amx-int8+amx-bf16"];

/// The first of [`TARGETS`] whose other instructions this machine has.
pub fn target() -> Option<Target> {
    install();
    TARGETS.iter().map(|t| Target::parse(t).unwrap()).find(Target::supported_on_host)
}

/// Products of tiles so far, in this process.
pub fn products() -> usize {
    PRODUCTS.load(Ordering::Relaxed)
}

/// Whether this thread has no configuration of tile registers.
pub fn is_released() -> bool {
    // SAFETY: the handler runs within instructions on tiles only, of which there is none here.
    STATE.with(|state| unsafe { (*state.get()).palette == 0 })
}

/// Whether the instructions are emulated: this machine has none of them.
pub fn is_in_use() -> bool {
    install();
    EMULATES.is_completed()
}

static PRODUCTS: AtomicUsize = AtomicUsize::new(0);
static EMULATES: Once = Once::new();

/// What a thread has in its registers.
struct State {
    palette: u8,
    start_row: u8,
    bytes: [u16; TILES],
    rows: [u8; TILES],
    data: [[[u8; ROW]; MAX_ROWS]; TILES],
}

thread_local! {
    // Made without code and never destroyed: a signal handler may use it.
    static STATE: UnsafeCell<State> = const {
        UnsafeCell::new(State {
            palette: 0,
            start_row: 0,
            bytes: [0; TILES],
            rows: [0; TILES],
            data: [[[0; ROW]; MAX_ROWS]; TILES],
        })
    };
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cpu::host_has("amx-tile") == Some(true) {
            return;
        }
        EMULATES.call_once(|| {
            // SAFETY: a plain `sigaction` with a handler of the signature that SA_SIGINFO asks for.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handle as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                assert_eq!(libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()), 0);
            }
            amx::emulated();
        });
    });
}

/// Ends the process from within the handler.
fn stop(message: &str) -> ! {
    // SAFETY: both functions may be called from a signal handler.
    unsafe {
        libc::write(2, message.as_ptr().cast(), message.len());
        libc::write(2, b"\n".as_ptr().cast(), 1);
        libc::abort()
    }
}

fn demand(holds: bool, what: &str) {
    if !holds {
        stop(what);
    }
}

/// General registers in the order in which instructions number them.
const REGISTERS: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system gives the context of the interrupted instruction, whose bytes can be read as they were to be executed.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize] as *const u8;
        let value = |number: usize| registers[REGISTERS[number] as usize];
        let code = std::slice::from_raw_parts(at, 15);
        let instruction = Instruction::decode(code, &value, at as i64);
        STATE.with(|state| instruction.perform(&mut *state.get()));
        registers[libc::REG_RIP as usize] += instruction.length as i64;
    }
}

/// A decoded instruction.
struct Instruction {
    /// The prefix in VEX (0 none, 1 `66`, 2 `F3`, 3 `F2`) and the opcode.
    which: (u8, u8),
    /// Fields of ModRM and VEX that name registers.
    reg: usize,
    rm: usize,
    vvvv: usize,
    /// Memory: address of the first row, and from one row to the next.
    memory: Option<(i64, i64)>,
    length: usize,
}

impl Instruction {
    /// VEX with three bytes, map 0F38, 128 bits, W0: all of them.
    fn decode(code: &[u8], value: &dyn Fn(usize) -> i64, at: i64) -> Instruction {
        let (one, two) = (code[1], code[2]);
        demand(code[0] == 0xc4 && one & 0x1f == 2 && two & 0x84 == 0, "illegal instruction that is none on tiles");
        // Inverted in the prefix.
        let bit = |n: u32| usize::from(one >> n & 1 == 0) << 3;
        let (r, x, b) = (bit(7), bit(6), bit(5));
        let modrm = code[4];
        let (mode, reg, rm) = (modrm >> 6, usize::from(modrm >> 3 & 7) | r, usize::from(modrm & 7));
        let vvvv = usize::from(!two >> 3 & 15);
        let which = (two & 3, code[3]);
        let mut length = 5;
        if mode == 3 {
            return Instruction { which, reg, rm: rm | b, vvvv, memory: None, length };
        }
        let little =
            |from: usize| i64::from(i32::from_le_bytes([code[from], code[from + 1], code[from + 2], code[from + 3]]));
        let (mut base, mut index, mut scale) = (Some(rm | b), None, 0);
        if rm == 4 {
            let sib = code[length];
            length += 1;
            index = Some(usize::from(sib >> 3 & 7) | x).filter(|&i| i != 4);
            scale = sib >> 6;
            base = Some(usize::from(sib & 7) | b);
            if sib & 7 == 5 && mode == 0 {
                base = None;
            }
        }
        let relative = rm == 5 && mode == 0;
        let displacement = match mode {
            0 if relative || base.is_none() => {
                length += 4;
                little(length - 4)
            }
            1 => {
                length += 1;
                i64::from(code[length - 1] as i8)
            }
            2 => {
                length += 4;
                little(length - 4)
            }
            _ => 0,
        };
        let base = if relative { at + length as i64 } else { base.map_or(0, value) };
        let stride = index.map_or(0, |i| value(i) << scale);
        demand(which.1 == 0x49 || rm == 4, "a tile is moved without SIB");
        Instruction { which, reg, rm, vvvv, memory: Some((base.wrapping_add(displacement), stride)), length }
    }

    /// # Safety
    /// Memory that the instruction names is what the program may use.
    unsafe fn perform(&self, state: &mut State) {
        match (self.which, self.memory) {
            ((0, 0x49), Some((at, index))) => {
                // SAFETY: as the caller says.
                let bytes = unsafe { &*(at.wrapping_add(index) as *const [u8; 64]) };
                state.configure(bytes);
            }
            ((1, 0x49), Some((at, index))) => {
                // SAFETY: as the caller says.
                unsafe { *(at.wrapping_add(index) as *mut [u8; 64]) = state.configuration() };
            }
            ((0, 0x49), None) => {
                demand(self.reg == 0 && self.rm == 0, "illegal instruction near TILERELEASE");
                state.release();
            }
            ((3, 0x49), None) => {
                state.shape(self.reg);
                state.data[self.reg] = [[0; ROW]; MAX_ROWS];
            }
            ((1 | 3, 0x4b), Some((at, stride))) => {
                let (rows, bytes) = state.shape(self.reg);
                let mut tile = [[0; ROW]; MAX_ROWS];
                for (row, data) in tile.iter_mut().enumerate().take(rows) {
                    let from = at.wrapping_add(stride.wrapping_mul(row as i64)) as *const u8;
                    // SAFETY: as the caller says.
                    unsafe { std::ptr::copy_nonoverlapping(from, data.as_mut_ptr(), bytes) };
                }
                state.data[self.reg] = tile;
            }
            ((2, 0x4b), Some((at, stride))) => {
                let (rows, bytes) = state.shape(self.reg);
                for row in 0..rows {
                    let to = at.wrapping_add(stride.wrapping_mul(row as i64)) as *mut u8;
                    // SAFETY: as the caller says.
                    unsafe { std::ptr::copy_nonoverlapping(state.data[self.reg][row].as_ptr(), to, bytes) };
                }
            }
            ((prefix, 0x5e), None) => {
                // NP uu, 66 us, F3 su, F2 ss.
                let (left, right) = (prefix >= 2, prefix % 2 == 1);
                let byte = |b: u8, signed: bool| if signed { i32::from(b as i8) } else { i32::from(b) };
                state.product(self, |sum, words| {
                    *sum = words.fold(*sum, |sum, (a, b)| {
                        let products = a.iter().zip(b).map(|(&a, b)| byte(a, left) * byte(b, right));
                        sum.wrapping_add(products.sum::<i32>() as u32)
                    });
                });
            }
            ((2, 0x5c), None) => state.product(self, |sum, words| {
                let number = |bytes: &[u8]| flushed(f32::from_bits(u32::from_le_bytes([0, 0, bytes[0], bytes[1]])));
                let mut sums = [0.0f32; 2];
                for (a, b) in words {
                    for (k, sum) in sums.iter_mut().enumerate() {
                        let at = 2 * k..2 * k + 2;
                        *sum = flushed(number(&a[at.clone()]).mul_add(number(&b[at]), *sum));
                    }
                }
                let both = flushed(sums[0] + sums[1]);
                *sum = flushed(flushed(f32::from_bits(*sum)) + both).to_bits();
            }),
            _ => stop("illegal instruction that is none on tiles"),
        }
    }
}

/// What is below the normal numbers counts as zero.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0f32.copysign(x) } else { x }
}

impl State {
    fn configure(&mut self, from: &[u8; 64]) {
        self.release();
        self.palette = from[0];
        self.start_row = from[1];
        if self.palette == 0 {
            return;
        }
        demand(self.palette == 1, "a palette that there is not");
        demand(self.start_row == 0, "a configuration in the middle of a tile");
        demand(from[2..16].iter().chain(&from[32..48]).chain(&from[56..]).all(|&b| b == 0), "a reserved byte is set");
        for t in 0..TILES {
            let (bytes, rows) = (u16::from_le_bytes([from[16 + 2 * t], from[17 + 2 * t]]), from[48 + t]);
            demand(bytes as usize <= ROW && rows as usize <= MAX_ROWS, "a tile is too large");
            demand((bytes == 0) == (rows == 0), "a tile has rows or columns only");
            (self.bytes[t], self.rows[t]) = (bytes, rows);
        }
    }

    fn configuration(&self) -> [u8; 64] {
        let mut to = [0; 64];
        (to[0], to[1]) = (self.palette, self.start_row);
        for t in 0..TILES {
            to[16 + 2 * t..18 + 2 * t].copy_from_slice(&self.bytes[t].to_le_bytes());
            to[48 + t] = self.rows[t];
        }
        to
    }

    fn release(&mut self) {
        (self.palette, self.start_row) = (0, 0);
        (self.bytes, self.rows) = ([0; TILES], [0; TILES]);
        self.data = [[[0; ROW]; MAX_ROWS]; TILES];
    }

    /// Rows and bytes of one, which must have some.
    fn shape(&self, tile: usize) -> (usize, usize) {
        demand(self.palette == 1, "tiles are used that are not configured");
        demand(tile < TILES, "a tile register that there is not");
        let (rows, bytes) = (self.rows[tile].into(), self.bytes[tile].into());
        demand(rows > 0 && bytes > 0, "a tile is used that has no shape");
        (rows, bytes)
    }

    /// For each word of the sum: it, and the words of both factors in order.
    fn product(&mut self, op: &Instruction, f: impl Fn(&mut u32, &mut dyn Iterator<Item = ([u8; 4], [u8; 4])>)) {
        let [sum, left, right] = [op.reg, op.rm, op.vvvv];
        demand(sum != left && sum != right && left != right, "one register twice in a product");
        let [(rows, bytes), (left_rows, left_bytes), (right_rows, right_bytes)] =
            [sum, left, right].map(|t| self.shape(t));
        demand(bytes % 4 == 0 && left_bytes % 4 == 0, "a part of a word");
        demand(rows == left_rows && bytes == right_bytes && left_bytes / 4 == right_rows, "shapes do not agree");
        let word = |row: &[u8; ROW], n: usize| [row[4 * n], row[4 * n + 1], row[4 * n + 2], row[4 * n + 3]];
        let (a, b) = (self.data[left], self.data[right]);
        let mut sums = [[0; ROW]; MAX_ROWS];
        for m in 0..rows {
            for n in 0..bytes / 4 {
                let mut acc = u32::from_le_bytes(word(&self.data[sum][m], n));
                let mut words = (0..right_rows).map(|k| (word(&a[m], k), word(&b[k], n)));
                f(&mut acc, &mut words);
                sums[m][4 * n..4 * n + 4].copy_from_slice(&acc.to_le_bytes());
            }
        }
        self.data[sum] = sums;
        PRODUCTS.fetch_add(1, Ordering::Relaxed);
    }
}
