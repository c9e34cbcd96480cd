# orthant_kernel_tests(): the tests of tests/emulation in two binaries.
#   test_emulation   compiles kernels/*_cuda.cu as C++ and runs them on fibers; on any host, without a CUDA Toolkit
#   test_cuda        runs the kernels on a device; each test is skipped, with the reason, where there is none
function(orthant_kernel_tests)
  set(folder ${CMAKE_SOURCE_DIR}/tests/emulation)
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*_cuda.cu)
  file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  set(emulator_tests ${folder}/emu_test.cpp ${folder}/coverage_test.cpp)
  # The fibers of emu.h are none of TSan's threads.
  if(NOT ORTHANT_SANITIZE MATCHES "thread")
    add_executable(test_emulation ${kernels} ${tests} ${folder}/emulated_runs.cpp)
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
endfunction()
