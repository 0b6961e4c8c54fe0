"""Compiled programs in this process, through libnim: what nim.h declares, as far as measuring needs it."""

import ctypes
import subprocess
import time
from pathlib import Path

import numpy as np

DTYPES = {np.dtype("float32"): 1, np.dtype("int64"): 10, np.dtype("int32"): 11, np.dtype("bool"): 22}
NUMPY = {code: dtype for dtype, code in DTYPES.items()}


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("threads", ctypes.c_size_t),
        ("memory_limit", ctypes.c_size_t),
        ("max_steps", ctypes.c_uint64),
        ("max_depth", ctypes.c_size_t),
        ("seed", ctypes.c_uint64),
        ("has_seed", ctypes.c_bool),
        ("pinned", ctypes.c_bool),
    ]


class Library:
    def __init__(self, tools):
        self.tools = Path(tools)
        self.lib = ctypes.CDLL(str(self.tools / "libnim.so"))
        pointers = ["program_load", "session_new", "session_set_input", "session_set_input_value", "session_run"]
        pointers += ["value_tensor", "value_data", "session_output", "value_dims", "value_elements", "error_message"]
        for name in pointers:
            getattr(self.lib, f"nim_{name}").restype = ctypes.c_void_p
        for name in ["value_rank", "value_bytes", "program_input_count", "session_peak_bytes"]:
            getattr(self.lib, f"nim_{name}").restype = ctypes.c_size_t

    def compile(self, model, out, *flags):
        """Compiles a model; the seconds that it took."""
        start = time.perf_counter()
        subprocess.run([self.tools / "nim-compile", model, "-o", out, *flags], check=True)
        return time.perf_counter() - start

    def check(self, error):
        if error:
            message = ctypes.string_at(self.lib.nim_error_message(ctypes.c_void_p(error))).decode()
            self.lib.nim_error_free(ctypes.c_void_p(error))
            raise RuntimeError(message)

    def tensor(self, array):
        """A value of the library with a copy of an array's elements."""
        array, value = np.ascontiguousarray(array), ctypes.c_void_p()
        dims = (ctypes.c_size_t * array.ndim)(*array.shape)
        args = (DTYPES[array.dtype], dims, ctypes.c_size_t(array.ndim), ctypes.c_void_p(array.ctypes.data))
        args += (ctypes.c_size_t(array.nbytes), None, None, ctypes.byref(value))
        self.check(self.lib.nim_value_tensor(*args))
        return value

    def data(self, constructor, *fields):
        """A value of a data type; takes its fields over."""
        value, items = ctypes.c_void_p(), (ctypes.c_void_p * len(fields))(*[f.value for f in fields])
        count = ctypes.c_size_t(len(fields))
        self.check(self.lib.nim_value_data(constructor.encode(), items, count, ctypes.byref(value)))
        for field in fields:
            self.lib.nim_value_free(field)
        return value


class Session:
    """A program that is run again and again on one thread."""

    def __init__(self, library, path, threads=1, clock=time.perf_counter):
        self.library, self.lib, self.clock = library, library.lib, clock
        program, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        library.check(self.lib.nim_program_load(str(path).encode(), ctypes.byref(program)))
        options = Options()
        self.lib.nim_options_init(ctypes.byref(options))
        options.threads = threads
        library.check(self.lib.nim_session_new(program, ctypes.byref(options), ctypes.byref(self.session)))
        self.lib.nim_program_free(program)

    def set(self, index, value):
        self.library.check(self.lib.nim_session_set_input_value(self.session, ctypes.c_size_t(index), value))

    def set_arrays(self, arrays):
        for index, array in enumerate(arrays):
            value = self.library.tensor(array)
            self.set(index, value)
            self.lib.nim_value_free(value)

    def run(self):
        """Seconds of a run."""
        start = self.clock()
        error = self.lib.nim_session_run(self.session)
        taken = self.clock() - start
        self.library.check(error)
        return taken

    def output(self, index=0):
        value = ctypes.c_void_p(self.lib.nim_session_output(self.session, ctypes.c_size_t(index)))
        rank, dims = self.lib.nim_value_rank(value), ctypes.c_void_p(self.lib.nim_value_dims(value))
        shape = list((ctypes.c_size_t * rank).from_address(dims.value)) if rank else []
        dtype = NUMPY[self.lib.nim_value_dtype(value)]
        at = self.lib.nim_value_elements(value)
        data = ctypes.string_at(at, self.lib.nim_value_bytes(value))
        return np.frombuffer(data, dtype).reshape(shape)

    def free(self):
        self.lib.nim_session_free(self.session)

    def peak(self):
        return self.lib.nim_session_peak_bytes(self.session)
