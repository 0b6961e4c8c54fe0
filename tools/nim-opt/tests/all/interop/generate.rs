//! Random modules in upstream's grammar: all builtin types, attributes and locations, regions, blocks, successors,
//! forward references. The same seed gives the same text.

use std::fmt::Write;

/// A module of about so many ops.
pub fn module(seed: u64, ops: usize) -> String {
    let mut g =
        Generator { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03, ..Default::default() };
    for i in 0..4 {
        let (attr, ty, loc) = (g.attr(2), g.ty(2), g.location(1));
        let _ = writeln!(g.out, "#a{i} = {attr}\n!t{i} = {ty}\n#l{i} = {loc}");
        g.aliases += 1;
    }
    g.left = ops;
    while g.left > 0 {
        g.op(0);
    }
    g.out
}

#[derive(Default)]
struct Generator {
    state: u64,
    out: String,
    /// Ops still to be made.
    left: usize,
    /// Aliases that are defined already.
    aliases: usize,
    next_value: usize,
    /// Values that may be used, with their types.
    values: Vec<(String, String)>,
    next_block: usize,
}

const FLOATS: [&str; 18] = [
    "f16",
    "bf16",
    "f32",
    "f64",
    "tf32",
    "f80",
    "f128",
    "f8E5M2",
    "f8E4M3",
    "f8E4M3FN",
    "f8E5M2FNUZ",
    "f8E4M3FNUZ",
    "f8E4M3B11FNUZ",
    "f8E3M4",
    "f8E8M0FNU",
    "f6E2M3FN",
    "f6E3M2FN",
    "f4E2M1FN",
];

impl Generator {
    /// xorshift64*
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
    fn list(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> String) -> String {
        let n = self.below(most + 1);
        (0..n).map(|_| item(self)).collect::<Vec<_>>().join(", ")
    }

    // ---- types

    fn scalar(&mut self) -> String {
        match self.below(5) {
            0 => self.pick(&FLOATS).into(),
            1 => format!("{}{}", self.pick(&["i", "si", "ui"]), 1 + self.below(130)),
            2 => "index".into(),
            3 => format!("complex<{}>", self.pick(&["f32", "f64", "i8", "bf16"])),
            _ => self.pick(&["i1", "i8", "i32", "i64", "f32"]).into(),
        }
    }
    fn dims(&mut self, dynamic: bool) -> String {
        let n = self.below(4);
        (0..n)
            .map(|_| match self.below(4) {
                0 if dynamic => "?x".to_string(),
                _ => format!("{}x", 1 + self.below(9)),
            })
            .collect()
    }
    fn ty(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 2 } else { 14 }) {
            0 | 1 => self.scalar(),
            2 => format!("tensor<{}{}>", self.dims(true), self.scalar()),
            3 => format!(
                "tensor<{}x{}, {}>",
                1 + self.below(9),
                self.scalar(),
                self.pick(&["\"enc\"", "#e.nc<[1]>", "{a = 1}"])
            ),
            4 => format!("tensor<*x{}>", self.scalar()),
            5 => {
                let layout = match self.below(4) {
                    0 => ", strided<[?, 1], offset: ?>",
                    1 => ", affine_map<(d0, d1) -> (d1, d0 + 3)>",
                    _ => "",
                };
                format!(
                    "memref<?x4x{}{layout}{}>",
                    self.pick(&["f32", "i8", "index"]),
                    self.pick(&["", ", 3", ", \"s\"", ", #gpu.address_space<global>"])
                )
            }
            6 => format!("memref<*x{}, {}>", self.pick(&["f32", "i1"]), 1 + self.below(5)),
            7 => {
                format!("vector<{}x[{}]x{}>", 1 + self.below(9), 1 + self.below(9), self.pick(&["f32", "i1", "index"]))
            }
            8 => format!("vector<{}{}>", self.dims(false), self.pick(&["f64", "i7"])),
            9 => format!("tuple<{}>", self.list(3, |g| g.ty(depth - 1))),
            10 => {
                let (inputs, results) = (self.list(2, |g| g.ty(depth - 1)), self.list(2, |g| g.ty(depth - 1)));
                format!("({inputs}) -> ({results})")
            }
            11 if self.aliases > 0 => format!("!t{}", self.below(self.aliases)),
            12 => format!("!d{}.ty<{}, {{x = [{} -> #a]}}>", self.below(3), self.scalar(), self.string()),
            _ => self
                .pick(&[
                    "none",
                    "!d.plain",
                    "!d<\"any \\22 > text\">",
                    "!llvm.ptr<1>",
                    "!llvm.struct<\"r\", (ptr, i8)>",
                ])
                .into(),
        }
    }

    // ---- attributes

    fn float(&mut self) -> String {
        match self.below(4) {
            0 => format!("{}.0", self.below(100)),
            1 => format!("-{}.{}e-{}", self.below(9), self.below(1000), self.below(30)),
            2 => format!("{}.{}e+{}", 1 + self.below(9), self.below(1_000_000_000), self.below(30)),
            _ => format!("0.{}", self.next()),
        }
    }
    fn string(&mut self) -> String {
        let n = self.below(8);
        let chars: String = (0..n)
            .map(|_| match self.below(8) {
                0 => format!("\\{:02X}", self.below(256)),
                1 => "\\22".into(),
                2 => "\\\\".into(),
                3 => self.pick(&["{", ">", "//", "#a0", "%", "\t"]).into(),
                _ => char::from(b'a' + self.below(26) as u8).to_string(),
            })
            .collect();
        format!("\"{chars}\"")
    }
    fn elements(&mut self, element: &str) -> String {
        match element {
            "i1" => self.pick(&["true", "false"]).into(),
            "complex<f32>" => format!("({}, {})", self.float(), self.float()),
            e if e.starts_with(['f', 'b', 't']) => self.pick(&["1.0", "-0.5", "2.0", "0.0"]).into(),
            _ => self.below(100).to_string(),
        }
    }
    fn dense(&mut self) -> String {
        let element = self.pick(&[
            "f32",
            "f64",
            "bf16",
            "i8",
            "i1",
            "i32",
            "index",
            "complex<f32>",
            "f80",
            "i3",
            "i200",
            "f8E5M2",
            "tf32",
        ]);
        let element = if element == "i3" && self.below(2) == 0 { "ui16" } else { element };
        let limit = element == "i3";
        let item = |g: &mut Self| if limit { g.below(4).to_string() } else { g.elements(element) };
        let (a, b) = (1 + self.below(3), 1 + self.below(4));
        let shape = self.pick(&["tensor", "vector"]);
        if element.starts_with('c') || self.below(3) == 0 {
            return format!("dense<{}> : tensor<{a}x{b}x{element}>", item(self));
        }
        let shape =
            if shape == "vector" && !["f32", "f64", "i8", "i32", "i1"].contains(&element) { "tensor" } else { shape };
        let rows: Vec<String> =
            (0..a).map(|_| format!("[{}]", (0..b).map(|_| item(self)).collect::<Vec<_>>().join(", "))).collect();
        format!("dense<[{}]> : {shape}<{a}x{b}x{element}>", rows.join(", "))
    }
    fn affine(&mut self) -> String {
        let terms =
            ["d0", "d1", "s0", "d0 + s0 * 2", "d1 floordiv 3", "(d0 - 4) mod 5", "d0 ceildiv 2 - s0", "-d1 + 7", "0"];
        let first = self.pick(&terms).to_string();
        let second = self.pick(&terms).to_string();
        match self.below(2) {
            0 => format!("affine_map<(d0, d1)[s0] -> ({first}, {second})>"),
            _ => format!("affine_set<(d0, d1)[s0] : ({first} >= 0, {second} == 0)>"),
        }
    }
    fn attr(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 7 } else { 18 }) {
            0 => self.pick(&["unit", "true", "false"]).into(),
            1 => format!("{} : i{}", self.below(128), 8 + self.below(200)),
            2 => format!("-{} : {}", 1 + self.below(100), self.pick(&["i32", "si64", "index", "i8"])),
            3 => format!("{} : {}", self.float(), self.pick(&["f32", "f64", "bf16", "f16", "f80", "f128"])),
            4 => self.string(),
            5 => format!("0x{:08X} : f32", self.next() as u32),
            6 => format!("0x{:016X} : f64", self.next()),
            7 => format!("[{}]", self.list(4, |g| g.attr(depth - 1))),
            8 => self.dictionary(depth - 1),
            9 => self.ty(depth - 1),
            10 => format!("@s{}::@\"n{}::@x", self.below(9), &self.string()[1..]),
            11 => self.dense(),
            12 => match self.below(3) {
                0 => format!("array<i64: {}, -{}>", self.below(99), 1 + self.below(99)),
                1 => format!("array<f32: {}, 0x7FC00001>", self.float()),
                _ => self.pick(&["array<i8>", "array<i1: true, false>", "array<i128: 5>", "array<bf16: 1.5>"]).into(),
            },
            13 => self.affine(),
            14 => format!("#d{}.at<{}, ({} -> \"}}\")>", self.below(3), self.scalar(), self.below(9)),
            15 if self.aliases > 0 => format!("#a{}", self.below(self.aliases)),
            16 => self.location(depth - 1),
            _ => self
                .pick(&[
                    "sparse<[[0, 1], [1, 0]], [1.0, 5.0]> : tensor<2x2xf32>",
                    "strided<[?, 1], offset: 3>",
                    "#arith.fastmath<nnan,ninf>",
                    "distinct[0]<42 : i32>",
                    "#d<\"x\"> : tensor<2xi8>",
                    "#complex.number<:f32 1.0, 2.0>",
                ])
                .into(),
        }
    }
    fn dictionary(&mut self, depth: usize) -> String {
        let n = self.below(4);
        let mut entries: Vec<String> = vec![];
        for i in 0..n {
            let value = self.attr(depth);
            let key = self.pick(&["k", "x.y", "\"q r\"", "_u"]);
            let key = if key.starts_with('"') { format!("\"q {i}\"") } else { format!("{key}{i}") };
            entries.push(format!("{key} = {value}"));
        }
        format!("{{{}}}", entries.join(", "))
    }

    // ---- locations

    fn location(&mut self, depth: usize) -> String {
        format!("loc({})", self.place(depth))
    }
    fn place(&mut self, depth: usize) -> String {
        let file = format!("\"f{}.py\":{}:{}", self.below(3), 1 + self.below(99), 1 + self.below(99));
        match self.below(if depth == 0 { 3 } else { 8 }) {
            0 => "unknown".into(),
            1 => file,
            2 => format!("\"name{}\"", self.below(9)),
            3 => format!("\"name{}\"({})", self.below(9), self.place(depth - 1)),
            4 => format!("callsite({} at {})", self.place(depth - 1), self.place(depth - 1)),
            5 => format!("fused[\"f\":1:{}, {file}]", 1 + self.below(9)),
            6 => format!("fused<{}>[{file}, \"n\"]", self.pick(&["\"meta\"", "{a = 1 : i32}", "#d.meta<1>"])),
            _ => format!("{file} to {}:{}", 100 + self.below(9), 1 + self.below(9)),
        }
    }

    // ---- ops

    fn op(&mut self, depth: usize) {
        self.left = self.left.saturating_sub(1);
        let indent = "  ".repeat(depth);
        let results: Vec<String> = (0..self.below(3)).map(|_| self.ty(2)).collect();
        let name = format!("%v{}", self.next_value);
        self.next_value += 1;
        let mut line = match results.len() {
            0 => String::new(),
            1 => format!("{name} = "),
            n => format!("{name}:{n} = "),
        };
        let operands: Vec<(String, String)> = match self.values.is_empty() {
            true => vec![],
            false => {
                let n = self.below(4);
                let visible = self.values.len();
                let picks: Vec<usize> = (0..n).map(|_| self.below(visible)).collect();
                picks.into_iter().map(|i| self.values[i].clone()).collect()
            }
        };
        let names: Vec<&str> = operands.iter().map(|(n, _)| n.as_str()).collect();
        let _ = write!(line, "\"g{}.op\"({})", self.below(4), names.join(", "));
        if self.below(3) == 0 {
            let properties = self.dictionary(2);
            let _ = write!(line, " <{properties}>");
        }
        let _ = write!(self.out, "{indent}{line}");
        if depth < 6 && self.left > 0 && self.below(4) == 0 {
            self.out.push_str(" (");
            for i in 0..1 + self.below(2) {
                self.out.push_str(if i > 0 { ", " } else { "" });
                self.region(depth);
            }
            self.out.push(')');
        }
        let attrs = if self.below(2) == 0 { format!(" {}", self.dictionary(2)) } else { String::new() };
        let types: Vec<&str> = operands.iter().map(|(_, t)| t.as_str()).collect();
        let location = if self.below(2) == 0 { format!(" {}", self.location(2)) } else { String::new() };
        let _ = writeln!(self.out, "{attrs} : ({}) -> ({}){location}", types.join(", "), results.join(", "));
        for (i, ty) in results.iter().enumerate() {
            let text = if results.len() == 1 { name.clone() } else { format!("{name}#{i}") };
            self.values.push((text, ty.clone()));
        }
    }

    /// A region of one block, or of several that end with branches to each other.
    fn region(&mut self, depth: usize) {
        let indent = "  ".repeat(depth);
        let visible = self.values.len();
        let count = 1 + self.below(3);
        let labels: Vec<String> = (0..count).map(|i| format!("^b{}", self.next_block + i)).collect();
        self.next_block += count;
        self.out.push_str("{\n");
        for (i, label) in labels.iter().enumerate() {
            let args: Vec<String> = (0..self.below(3)).map(|_| self.ty(1)).collect();
            // Values of one block are not visible in those behind it.
            self.values.truncate(visible);
            let mut header: Vec<String> = vec![];
            for ty in &args {
                let name = format!("%v{}", self.next_value);
                self.next_value += 1;
                let location = if self.below(2) == 0 { format!(" {}", self.location(1)) } else { String::new() };
                header.push(format!("{name}: {ty}{location}"));
                self.values.push((name, ty.clone()));
            }
            let _ = writeln!(self.out, "{indent}{label}({}):", header.join(", "));
            for _ in 0..1 + self.below(3) {
                self.op(depth + 1);
            }
            if count > 1 {
                // The entry block has no predecessors.
                let others = &labels[1..];
                let (a, b) = (&others[self.below(others.len())], &others[self.below(others.len())]);
                let targets = if i + 1 < count { format!("{}, {a}, {b}", labels[i + 1]) } else { a.clone() };
                let _ = writeln!(self.out, "{indent}  \"g.br\"()[{targets}] : () -> ()");
            }
        }
        self.values.truncate(visible);
        let _ = write!(self.out, "{indent}}}");
    }
}
