"""Call an exported closure with PyTorch alone; Spectune need not be installed.

python use_closure.py closure.pt fields.bin pi.bin members ny nx

`fields.bin` holds ψ̄ and ω̄ of each member, float32, shape (members, 2, ny, nx), x fastest; `pi.bin`
gets Π, shape (members, 1, ny, nx), to add to the right-hand side of ∂ω̄/∂t = ….
"""

import sys
from array import array
from pathlib import Path

import torch

program, source, target = sys.argv[1:4]
members, ny, nx = map(int, sys.argv[4:7])

if program.endswith(".pt2"):
    closure = torch.export.load(program).module()
else:
    closure = torch.jit.load(program)

fields = torch.tensor(array("f", Path(source).read_bytes())).reshape(members, 2, ny, nx)
with torch.no_grad():
    pi = closure(fields)
Path(target).write_bytes(array("f", pi.flatten().tolist()).tobytes())
