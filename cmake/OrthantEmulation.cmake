# orthant_kernel_tests(): the tests of tests/emulation (single kernels) and of tests/device (whole programs), in two
# binaries each, and what ptxas says of the kernels.
#   test_emulation, test_device       compile kernels/**/*_cuda.cu as C++ and run them on fibers; on any host, without a
#                                     CUDA Toolkit
#   test_cuda, test_device_cuda       run them on a device; each test is skipped, with the reason, where there is none
function(orthant_tests_on_fibers name label)
  add_executable(test_${name} ${ARGN} $<TARGET_OBJECTS:orthant_fibers>)
  target_link_libraries(test_${name} PRIVATE orthant_kernels_ref orthant_launch GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE ORTHANT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ORTHANT_EMULATED_DEVICE=1)
  gtest_discover_tests(test_${name} TEST_PREFIX ${label}. DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS ${label} TIMEOUT 600)
endfunction()

function(orthant_tests_on_devices name label)
  add_executable(test_${name} ${ARGN})
  target_link_libraries(test_${name} PRIVATE orthant_kernels_ref orthant_launch GTest::gtest_main)
  gtest_discover_tests(test_${name} TEST_PREFIX ${label}. DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS cuda TIMEOUT 600 RESOURCE_LOCK gpu)
endfunction()

function(orthant_kernel_tests)
  set(folder ${CMAKE_SOURCE_DIR}/tests/emulation)
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*_cuda.cu)
  file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  set(emulator_tests ${folder}/emu_test.cpp ${folder}/coverage_test.cpp)
  set(device ${CMAKE_SOURCE_DIR}/tests/device)
  file(GLOB device_tests CONFIGURE_DEPENDS ${device}/*_test.cpp)
  set(shared ORTHANT_SHARED_DEFAULT="${CMAKE_SOURCE_DIR}/../shared")
  # The fibers of emu.h are none of TSan's threads.
  if(NOT ORTHANT_SANITIZE MATCHES "thread")
    add_library(orthant_fibers OBJECT ${kernels} ${folder}/host_blas.cpp ${device}/emulated_device.cpp)
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
    target_include_directories(orthant_fibers BEFORE PRIVATE ${folder}/replacing)
    target_link_libraries(orthant_fibers PRIVATE orthant_flags)
    orthant_tests_on_fibers(emulation emulation ${tests} ${folder}/emulated_runs.cpp)
    target_include_directories(test_emulation BEFORE PRIVATE ${folder}/replacing)
    orthant_tests_on_fibers(device device ${device_tests})
    target_compile_definitions(test_device PRIVATE ${shared})
  endif()
  if(ORTHANT_HAS_CUDA)
    list(REMOVE_ITEM tests ${emulator_tests})
    orthant_tests_on_devices(cuda cuda ${tests} ${folder}/native_runs.cpp)
    orthant_tests_on_devices(device_cuda device_cuda ${device_tests})
    target_compile_definitions(test_device_cuda PRIVATE ${shared})
  endif()

  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  set(scripts ${CMAKE_SOURCE_DIR}/tests/cuda_build)
  set(nvcc "")
  if(ORTHANT_HAS_CUDA)
    set(nvcc ${CMAKE_CUDA_COMPILER})
  endif()
  add_test(NAME cuda_build.spills
           COMMAND ${Python3_EXECUTABLE} -B ${scripts}/ptxas.py "${nvcc}" ${CMAKE_SOURCE_DIR}/kernels -arch=sm_90
                   -O3 -std=c++20 ${ORTHANT_CUDA_OPTIONS} -I${CMAKE_SOURCE_DIR} -I${CMAKE_BINARY_DIR}/generated)
  add_test(NAME cuda_build.ptxas COMMAND ${Python3_EXECUTABLE} -B ${scripts}/ptxas_test.py WORKING_DIRECTORY ${scripts})
  set_tests_properties(cuda_build.spills cuda_build.ptxas PROPERTIES LABELS cuda_build SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()
