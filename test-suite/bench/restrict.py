"""Peers that see no more of the machine than AVX2.

Neither ONNX Runtime nor all of OpenVINO can be told so. Both ask the processor which registers the system saves (`xgetbv`) before they use
any of AVX-512 or AMX. So they are loaded from copies in which each such question is answered with 7: x87, SSE and AVX. Code behind it is
theirs, unchanged; what is compiled in for AVX2 is what runs. oneDNN, inside of OpenVINO, is told by its own environment variable as well.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

QUESTION = bytes([0x0F, 0x01, 0xD0])  # xgetbv
ANSWER = bytes([0xB0, 0x07, 0x90])  # mov al, 7; nop


def to_avx2(work, packages):
    """Has these packages imported from copies in the folder `work`; says how many questions each asked."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    asked = {}
    for package in packages:
        found = importlib.util.find_spec(package)
        if found is None:
            continue
        copy = Path(work) / package
        shutil.copytree(Path(found.origin).parent, copy, symlinks=True)
        asked[package] = 0
        for path in copy.rglob("*.so*"):
            if path.is_symlink() or not path.is_file():
                continue
            code = path.read_bytes()
            if count := code.count(QUESTION):
                asked[package] += count
                path.write_bytes(code.replace(QUESTION, ANSWER))
    sys.path.insert(0, str(work))
    return asked
