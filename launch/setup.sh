#!/usr/bin/env bash
# Installs what is missing (Debian 12; root or sudo) and builds. Idempotent.
#   launch/setup.sh [--program-only] [--prefix DIR] [--cuda]
#   --program-only   no tests and no benchmarks
#   --prefix DIR     also installs the program below DIR
#   --cuda           fails without a CUDA Toolkit; else the CUDA code is built where one is found, with or without a device
#   BUILD_DIR        where to build (default: build)
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD_DIR=${BUILD_DIR:-build}
program_only=OFF
prefix=
cuda=

while [ $# -gt 0 ]; do
  case "$1" in
    --program-only) program_only=ON ;;
    --prefix) prefix=${2:?"--prefix needs a directory"}; shift ;;
    --prefix=*) prefix=${1#*=} ;;
    --cuda) cuda=ON ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup: unknown option '$1'; see launch/setup.sh --help" >&2; exit 64 ;;
  esac
  shift
done

packages=(cmake ninja-build g++ ccache mold git python3 openmpi-bin libopenmpi-dev libprotobuf-dev protobuf-compiler
          libboost-json1.81-dev libboost-program-options1.81-dev libeigen3-dev libxxhash-dev libfmt-dev libpcre2-dev
          libssl-dev)
[ "$program_only" = ON ] || packages+=(libgtest-dev libgmock-dev libdnnl-dev)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: missing packages: ${missing[*]} (neither root nor sudo)" >&2; exit 69; }
    sudo=sudo
  fi
  echo "setup: installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  if ! { $sudo apt-get update -q && $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"; } >&2; then
    echo "setup: missing packages: ${missing[*]} (apt-get could not install them) Connect to a network or install them by hand." >&2
    exit 69
  fi
fi

options=(-DCMAKE_BUILD_TYPE=Release)
if [ "$program_only" = ON ]; then
  options+=(-DORTHANT_TESTS=OFF -DORTHANT_BENCHMARKS=OFF)
else
  options+=(-DORTHANT_TESTS=ON -DORTHANT_BENCHMARKS=ON)
fi
[ -z "$prefix" ] || options+=("-DCMAKE_INSTALL_PREFIX=$prefix")
if [ -n "$cuda" ]; then
  command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || { echo "setup: --cuda needs the CUDA Toolkit (nvcc was not found)" >&2; exit 69; }
  options+=(-DORTHANT_CUDA=ON)
fi
[ -f "$BUILD_DIR/build.ninja" ] || options+=(-G Ninja)
cmake -S . -B "$BUILD_DIR" "${options[@]}" >&2
cmake --build "$BUILD_DIR" >&2
[ -z "$prefix" ] || cmake --install "$BUILD_DIR" >&2
echo "setup: $BUILD_DIR/orthant is ready" >&2
