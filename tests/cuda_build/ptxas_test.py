#!/usr/bin/env python3
"""Tests of ptxas.py on reports that it must refuse."""
import unittest

import ptxas

REPORT = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5firstPf' for 'sm_90'
ptxas info    : Function properties for _Z5firstPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 48 registers, used 1 barriers, 256 bytes smem
ptxas info    : Compiling entry function '_Z6secondPf' for 'sm_90'
ptxas info    : Function properties for _Z6secondPf
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 70 registers, used 0 barriers
"""


class PtxasTest(unittest.TestCase):
    def test_reads_every_kernel(self):
        kernels = ptxas.kernels_of(REPORT)
        self.assertEqual(kernels["_Z5firstPf"], {"spills": 0, "registers": 48})
        self.assertEqual(kernels["_Z6secondPf"], {"spills": 20, "registers": 70})

    def test_refuses_spills_registers_and_empty_files(self):
        found = ptxas.problems_of("x.cu", ptxas.kernels_of(REPORT))
        self.assertEqual(len(found), 2)
        self.assertIn("_Z6secondPf spills 20 bytes", found[0])
        self.assertIn("70 registers", found[1])
        self.assertEqual(len(ptxas.problems_of("x.cu", ptxas.kernels_of("nothing"))), 1)


if __name__ == "__main__":
    unittest.main()
