#!/usr/bin/env bash
# Packs the program, its tests of a GPU and the libraries they need, for a host that has a driver and nothing else.
#   launch/bundle.sh FILE.tar.gz
#   BUILD_DIR   where launch/setup.sh built with CUDA (default: build)
# There: tar xzf FILE.tar.gz && orthant-gpu/run.sh [FOLDER]     runs the tests and writes their results to FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64; }
build=${BUILD_DIR:-build}
file=$(realpath -m "$1")
programs=(orthant test_cuda test_device_cuda nccl_rank)
for program in "${programs[@]}"; do
  [ -x "$build/$program" ] || { echo "bundle: '$build/$program' is missing (not built, or built without CUDA) Run launch/setup.sh --cuda." >&2; exit 66; }
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bundle=$folder/orthant-gpu
mkdir -p "$bundle/bin" "$bundle/lib"
for program in "${programs[@]}"; do
  strip -o "$bundle/bin/$program" "$build/$program"
done
# The C library is the host's: one of another version next to the host's loader does not start.
ldd "$bundle"/bin/* | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -v -E '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*)\.so' |
  while read -r library; do cp -L "$library" "$bundle/lib/"; done
cp launch/gpu_rung.sh "$bundle/run.sh"
tar -C "$folder" -czf "$file" orthant-gpu
echo "bundle: $file, $(($(du -sb "$bundle" | cut -f1) / 1000000)) MB unpacked"
