# orthant_kernel_tests(): the tests of tests/emulation in two binaries, and what ptxas says of the kernels.
#   test_emulation   compiles kernels/**/*_cuda.cu as C++ and runs them on fibers; on any host, without a CUDA Toolkit
#   test_cuda        runs the kernels on a device; each test is skipped, with the reason, where there is none
function(orthant_kernel_tests)
  set(folder ${CMAKE_SOURCE_DIR}/tests/emulation)
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*_cuda.cu)
  file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  set(emulator_tests ${folder}/emu_test.cpp ${folder}/coverage_test.cpp)
  # The fibers of emu.h are none of TSan's threads.
  if(NOT ORTHANT_SANITIZE MATCHES "thread")
    add_executable(test_emulation ${kernels} ${tests} ${folder}/emulated_runs.cpp ${folder}/host_blas.cpp)
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
    target_include_directories(test_emulation BEFORE PRIVATE ${folder}/replacing)
    target_link_libraries(test_emulation PRIVATE orthant_kernels_ref GTest::gtest_main)
    target_compile_definitions(test_emulation PRIVATE ORTHANT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    gtest_discover_tests(test_emulation TEST_PREFIX emulation. DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS emulation TIMEOUT 600)
  endif()
  if(ORTHANT_HAS_CUDA)
    list(REMOVE_ITEM tests ${emulator_tests})
    add_executable(test_cuda ${tests} ${folder}/native_runs.cpp)
    target_link_libraries(test_cuda PRIVATE orthant_kernels_ref GTest::gtest_main)
    gtest_discover_tests(test_cuda TEST_PREFIX cuda. DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS cuda TIMEOUT 600 RESOURCE_LOCK gpu)
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
