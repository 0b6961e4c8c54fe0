"""A child-sum Tree-LSTM (Tai, Socher, Manning, ACL 2015, equations 2 to 8) three times: as a recursive function of a .nir
module, in DyNet, and in NumPy to compare with. Trees are nested pairs with a vector at each leaf."""

import numpy as np

INPUT, HIDDEN = 300, 150


def trees(rng, count, least=2, most=52, mean=19):
    """Random binary trees; the numbers of leaves are uniform in two parts, so that their mean is as asked."""
    # Two uniform parts with means (least + mean) / 2 and (mean + most) / 2, mixed so that the whole has the mean.
    low_mean, high_mean = (least + mean) / 2, (mean + most) / 2
    share = (high_mean - mean) / (high_mean - low_mean)
    low = rng.random(count) < share
    sizes = np.where(low, rng.integers(least, mean + 1, count), rng.integers(mean, most + 1, count))

    def grow(leaves):
        if leaves == 1:
            return rng.standard_normal((1, INPUT)).astype(np.float32)
        left = int(rng.integers(1, leaves))
        return (grow(left), grow(leaves - left))

    return [grow(int(n)) for n in sizes]


def leaves(tree):
    return leaves(tree[0]) + leaves(tree[1]) if isinstance(tree, tuple) else 1


def weights(rng):
    scale = lambda *shape: (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
    return {"w": scale(INPUT, 3 * HIDDEN), "u": scale(HIDDEN, 3 * HIDDEN), "f": scale(HIDDEN, HIDDEN)}


# ---- NumPy


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(iou, fc):
    i, o, u = np.split(iou, 3, axis=1)
    c = sigmoid(i) * np.tanh(u) + fc
    return sigmoid(o) * np.tanh(c), c


def reference(tree, p):
    if not isinstance(tree, tuple):
        return cell(tree @ p["w"], 0)
    (hl, cl), (hr, cr) = reference(tree[0], p), reference(tree[1], p)
    return cell((hl + hr) @ p["u"], sigmoid(hl @ p["f"]) * cl + sigmoid(hr @ p["f"]) * cr)


# ---- nim


def module(p):
    """docs/examples/tree_lstm.nir in this size, with its weights as constants."""
    hidden, gates, wide = f"tensor<1x{HIDDEN}xf32>", f"tensor<1x{3 * HIDDEN}xf32>", 3 * HIDDEN
    state = f"({hidden}, {hidden})"

    def constant(name, array):
        ty = f"tensor<{'x'.join(map(str, array.shape))}xf32>"
        return f'%{name} = graph.constant {{value = dense<"0x{array.tobytes().hex()}"> : {ty}}} : () -> {ty}'

    def op(name, kind, *args):
        return f"%{name} = graph.{kind} {', '.join('%' + a for a in args)} : ({', '.join([hidden] * len(args))}) -> {hidden}"

    def product(name, a, b, rows, columns):
        out = f"tensor<1x{columns}xf32>"
        return f"%{name} = graph.matmul %{a}, %{b} : (tensor<1x{rows}xf32>, tensor<{rows}x{columns}xf32>) -> {out}"

    def gate(name, number):
        attrs = f"{{sizes = [1, {HIDDEN}], starts = [0, {number * HIDDEN}], steps = [1, 1]}}"
        return f"%{name} = graph.slice %iou {attrs} : ({gates}) -> {hidden}"

    lines = [
        f"graph.adt @Tree {{ leaf(tensor<1x{INPUT}xf32>), node(!graph.adt<@Tree>, !graph.adt<@Tree>) }}",
        f"func.func private @cell(%iou: {gates}, %fc: {hidden}) -> {state} {{",
        *[gate(name, i) for i, name in enumerate("iou")],
        op("si", "sigmoid", "i"), op("so", "sigmoid", "o"), op("tu", "tanh", "u"),
        op("iu", "mul", "si", "tu"), op("c", "add", "iu", "fc"), op("tc", "tanh", "c"), op("h", "mul", "so", "tc"),
        f"return %h, %c : {hidden}, {hidden}",
        "}",
        f"func.func @main(%t: !graph.adt<@Tree>) -> {state} {{",
        f"%h, %c = graph.match %t : !graph.adt<@Tree> -> {state} {{",
        f"case leaf(%x: tensor<1x{INPUT}xf32>) {{",
        constant("w", p["w"]),
        product("iou", "x", "w", INPUT, wide),
        f"%zero = graph.constant {{value = dense<0.0> : {hidden}}} : () -> {hidden}",
        f"%h0, %c0 = func.call @cell(%iou, %zero) : ({gates}, {hidden}) -> {state}",
        f"graph.yield %h0, %c0 : {state} -> ()",
        "}",
        "case node(%l: !graph.adt<@Tree>, %r: !graph.adt<@Tree>) {",
        constant("u", p["u"]),
        constant("f", p["f"]),
        *[f"%h{s}, %c{s} = func.call @main(%{s}) : (!graph.adt<@Tree>) -> {state}" for s in "lr"],
        op("sum", "add", "hl", "hr"),
        product("iou", "sum", "u", HIDDEN, wide),
        *[line for s in "lr" for line in (
            product(f"u{s}", f"h{s}", "f", HIDDEN, HIDDEN),
            op(f"f{s}", "sigmoid", f"u{s}"),
            op(f"k{s}", "mul", f"f{s}", f"c{s}"),
        )],
        op("fc", "add", "kl", "kr"),
        f"%h1, %c1 = func.call @cell(%iou, %fc) : ({gates}, {hidden}) -> {state}",
        f"graph.yield %h1, %c1 : {state} -> ()",
        "}",
        "}",
        f"return %h, %c : {hidden}, {hidden}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def value(library, tree):
    """The tree as a value of libnim."""
    if isinstance(tree, tuple):
        return library.data("node", value(library, tree[0]), value(library, tree[1]))
    return library.data("leaf", library.tensor(tree))


# ---- DyNet


class DyNet:
    """Trees in DyNet, on one thread; with `batch` several of them in one graph that DyNet batches itself."""

    def __init__(self, p, autobatch):
        import dynet_config

        dynet_config.set(mem=2048, autobatch=1 if autobatch else 0, random_seed=1)
        import dynet

        self.dy, model = dynet, dynet.ParameterCollection()
        self.model = model
        self.w, self.u, self.f = (model.parameters_from_numpy(np.ascontiguousarray(p[k].T)) for k in "wuf")
        self.zero = np.zeros(HIDDEN, np.float32)

    def cell(self, iou, fc):
        dy = self.dy
        i, o, u = (dy.pick_range(iou, k * HIDDEN, (k + 1) * HIDDEN) for k in range(3))
        c = dy.cmult(dy.logistic(i), dy.tanh(u))
        c = c if fc is None else c + fc
        return dy.cmult(dy.logistic(o), dy.tanh(c)), c

    def state(self, tree):
        dy = self.dy
        if not isinstance(tree, tuple):
            return self.cell(self.w * dy.inputTensor(tree[0]), None)
        (hl, cl), (hr, cr) = self.state(tree[0]), self.state(tree[1])
        fc = dy.cmult(dy.logistic(self.f * hl), cl) + dy.cmult(dy.logistic(self.f * hr), cr)
        return self.cell(self.u * (hl + hr), fc)

    def run(self, batch):
        """h of all trees."""
        self.dy.renew_cg()
        states = [self.state(tree)[0] for tree in batch]
        self.dy.forward(states)
        return [state.npvalue().reshape(1, HIDDEN) for state in states]
