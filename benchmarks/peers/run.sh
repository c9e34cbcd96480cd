#!/usr/bin/env bash
# run.sh plain|tuned [flags]: runs a peer trainer with the environment it is meant to have. PEERS_PYTHON names the
# Python that has torch. ORTHANT_ISA=avx2 keeps it from AVX-512, as it does our kernels. The tuned one keeps freed memory in huge pages, which has to be asked for before the start.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peer=${1:?usage: run.sh plain|tuned [flags]}
shift
[ -f "$here/$peer.py" ] || { echo "no peer named $peer (plain, tuned)" >&2; exit 64; }
threads=2
for flag in "$@"; do
  case $flag in --threads=*) threads=${flag#*=} ;; esac
done
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export PYTHONDONTWRITEBYTECODE=1
export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads
if [ "${ORTHANT_ISA:-}" = avx2 ]; then
  export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
fi
if [ "$peer" = tuned ]; then
  export GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592
fi
exec "${PEERS_PYTHON:-python3}" "$here/$peer.py" "$@"
