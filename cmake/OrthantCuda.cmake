# CUDA, NCCL and cuSPARSELt: detected, never required unless ORTHANT_CUDA=ON. Sets ORTHANT_HAS_CUDA, ORTHANT_HAS_NCCL
# and ORTHANT_HAS_CUSPARSELT, makes CUDA::cudart_static, NCCL::nccl and CUSPARSELT::cusparselt available and NCCL_VERSION
# known, and gives orthant_flags the flags of CUDA sources.
#
# The CUDA runtime is linked statically: it loads the driver by itself when it is first called, so one program starts on
# hosts without a driver and without a toolkit.
set(ORTHANT_CUDA AUTO CACHE STRING "The CUDA part: AUTO (where the toolkit is found), ON (required) or OFF")
set_property(CACHE ORTHANT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(ORTHANT_CUDA_ARCHITECTURES "80-real;90-real;100" CACHE STRING
    "What device code is built for; the last one also as PTX, for later devices. One name builds quickly: 90-real")
set(ORTHANT_HAS_CUDA OFF)
set(ORTHANT_HAS_NCCL OFF)
set(ORTHANT_HAS_CUSPARSELT OFF)
# C++20 in device code; devices of compute capability 10.
set(oldest_toolkit 12.8)
# ncclCommRegister.
set(oldest_nccl 2.19)

function(orthant_without_cuda why)
  if(ORTHANT_CUDA STREQUAL "AUTO")
    message(STATUS "Building without CUDA: ${why}")
  else()
    message(FATAL_ERROR "CUDA is required by ORTHANT_CUDA=${ORTHANT_CUDA}, but ${why}. "
                        "Install the CUDA Toolkit ${oldest_toolkit} or later, or use ORTHANT_CUDA=OFF.")
  endif()
endfunction()

if(ORTHANT_CUDA)
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
    orthant_without_cuda("no CUDA Toolkit was found")
  elseif(CUDAToolkit_VERSION VERSION_LESS oldest_toolkit)
    orthant_without_cuda("the CUDA Toolkit found is ${CUDAToolkit_VERSION}, older than ${oldest_toolkit}")
  else()
    if(NOT DEFINED ENV{CUDACXX})
      set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})
    endif()
    set(CMAKE_CUDA_ARCHITECTURES ${ORTHANT_CUDA_ARCHITECTURES})
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      set(ORTHANT_HAS_CUDA ON)
    else()
      orthant_without_cuda("nvcc could not build a program")
    endif()
  endif()
endif()

if(ORTHANT_HAS_CUDA)
  if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  # CMake 3.25 does not know how nvcc is asked for C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA_STANDARD 20)
  # Products and sums are fused only where the source says so, as on the CPU. 554 overlooks the constraint of a
  # conversion (View).
  set(ORTHANT_CUDA_OPTIONS --fmad=false --Werror=all-warnings,cross-execution-space-call --diag-suppress=554
      -Xcompiler=-Wall,-Wextra,-ffp-contract=off,-fno-math-errno)
  # Many kernels are one template: packed tightly they are a tenth of the size. Drivers since CUDA 12.4 unpack it.
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND ORTHANT_CUDA_OPTIONS --compress-mode=size)
  endif()
  target_compile_options(orthant_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${ORTHANT_CUDA_OPTIONS}>")

  find_path(NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR})
  if(NCCL_INCLUDE AND NCCL_LIBRARY)
    file(STRINGS ${NCCL_INCLUDE}/nccl.h numbers REGEX "#define NCCL_(MAJOR|MINOR|PATCH) ")
    list(TRANSFORM numbers REPLACE "^.* ([0-9]+).*$" "\\1")
    list(JOIN numbers "." NCCL_VERSION)
    if(NCCL_VERSION VERSION_LESS oldest_nccl)
      message(STATUS "Building without NCCL: ${NCCL_VERSION} is older than ${oldest_nccl}")
      unset(NCCL_VERSION)
    else()
      set(ORTHANT_HAS_NCCL ON)
      # Its header, and where it lies here; it is loaded at run time.
      add_library(NCCL::nccl INTERFACE IMPORTED GLOBAL)
      set_target_properties(NCCL::nccl PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE})
      target_link_libraries(NCCL::nccl INTERFACE CUDA::cudart_static ${CMAKE_DL_LIBS})
      target_compile_definitions(NCCL::nccl INTERFACE ORTHANT_NCCL_LIBRARY="${NCCL_LIBRARY}")
    endif()
  endif()

  find_path(CUSPARSELT_INCLUDE cusparseLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  if(CUSPARSELT_INCLUDE)
    set(ORTHANT_HAS_CUSPARSELT ON)
    # Its header; it is loaded at run time.
    add_library(CUSPARSELT::cusparselt INTERFACE IMPORTED GLOBAL)
    set_target_properties(CUSPARSELT::cusparselt PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CUSPARSELT_INCLUDE})
  endif()
  message(STATUS "CUDA ${CUDAToolkit_VERSION} for ${ORTHANT_CUDA_ARCHITECTURES}, NCCL ${NCCL_VERSION}")
endif()
