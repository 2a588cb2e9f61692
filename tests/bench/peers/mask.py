"""Copies of programs that see no AVX-512, to compare on a processor that has it what others run.

What the system saves of the registers (`xgetbv`) tells programs whether they may use AVX-512, AMX among them. In the copies every `xgetbv` in the
form that compilers give it says 7: x87, SSE and AVX. Nothing else is changed, so sets of instructions up to AVX2 run as they do elsewhere.
"""
import pathlib
import shutil
import stat
import sys

# Code around `xgetbv`, and as many bytes that put 7 where it put its result.
FORMS = [
    # shl rdx, 32; or rax, rdx: the result in rax.
    ("0f01d0 48c1e220 4809d0", "b807000000 9090909090"),
    # mov eax, eax; shl rdx, 32; or rdx, rax: in rax and rdx.
    ("0f01d0 89c0 48c1e220 4809c2", "b807000000 31d2 4809c2 9090"),
    # xor ecx, ecx in front; shr edi, 26; mov ecx, r8d behind: in eax alone.
    ("31c9 0f01d0 c1ef1a 4489c1", "b807000000 c1ef1a 4489c1"),
]


def masked(code):
    """The code with its answers changed, and how many there were."""
    changed = 0
    for found, put in ((bytes.fromhex(a), bytes.fromhex(b)) for a, b in FORMS):
        assert len(found) == len(put)
        changed += code.count(found)
        code = code.replace(found, put)
    return code, changed


def rewrite(path):
    """Changes a file in place."""
    code, changed = masked(path.read_bytes())
    if not changed:
        sys.exit(f"{path}: it asks for AVX-512 in no form that is known here")
    path.write_bytes(code)
    print(f"{path}: {changed} questions for the registers", file=sys.stderr)


def build(folder, leptond):
    """Makes FOLDER/leptond and FOLDER/onnxruntime, which is imported where PYTHONPATH is FOLDER."""
    import onnxruntime
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "leptond"
    shutil.copyfile(leptond, program)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    rewrite(program)
    package = folder / "onnxruntime"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(pathlib.Path(onnxruntime.__file__).parent, package)
    for library in package.glob("capi/onnxruntime_pybind11_state*.so"):
        rewrite(library)
