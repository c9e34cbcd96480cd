#!/usr/bin/env python3
"""The lint finds what it is there to find."""
import pathlib
import unittest

import lint


def check(path: str, text: str) -> list[str]:
    return lint.problems_of(pathlib.PurePath(path), text)


class LintTest(unittest.TestCase):
    def test_rooms(self):
        self.assertTrue(check("sae/a.cpp", '#include "models/b.h"'))
        self.assertTrue(check("models/a.cpp", '#include "sae/b.h"'))
        self.assertTrue(check("runtime/a.cpp", '#include "kernels/b.h"'))
        self.assertTrue(check("kernels/a.cpp", '#include "runtime/storage/file.h"'))
        self.assertFalse(check("launch/a.cpp", '#include "sae/b.h"\n#include "models/c.h"'))
        self.assertFalse(check("kernels/a.cpp", '#include "runtime/core/error.h"'))

    def test_outside_headers(self):
        self.assertTrue(check("runtime/comm/self.cpp", "#include <mpi.h>"))
        self.assertFalse(check("runtime/comm/session_mpi.cpp", "#include <mpi.h>"))
        self.assertTrue(check("kernels/a.cpp", "#include <cuda_runtime.h>"))
        self.assertFalse(check("kernels/a_cuda.cu", "#include <cuda_runtime.h>"))

    def test_kernels(self):
        for text in ["f<<<1, 2>>>();", "__shared__ int x;", "atomicAdd(p, 1.0f);", 'asm("nop");', "__shfl_sync(m, v, 0);"]:
            self.assertTrue(check("kernels/a_cuda.cu", text), text)
            self.assertTrue(check("kernels/a.cuh", text), text)
            self.assertFalse(check("kernels/a.cpp", text), text)
        self.assertFalse(check("kernels/cuda/launch.cuh", "__shared__ int x;"))
        self.assertFalse(check("kernels/a_cuda.cu", "__syncthreads();  // no atomics"))

    def test_files(self):
        self.assertTrue(check("sae/a.cpp", "\n" * 601))
        self.assertTrue(check("sae/a.h", "int x;"))
        self.assertFalse(check("sae/a.h", "#pragma once"))

    def test_own_header_first(self):
        late = "#include <string>\n#include \"sae/a.h\""
        self.assertTrue(lint.problems_of(pathlib.PurePath("sae/a.cpp"), late, True))
        self.assertFalse(lint.problems_of(pathlib.PurePath("sae/a.cpp"), '#include "sae/a.h"', True))


if __name__ == "__main__":
    unittest.main()
