# orthant_version(TARGET): generates "launch/build.h" with the version, the git hash of the checkout at build time, the
# compiler and what was found, and rewrites it only when something changed.
function(orthant_version target)
  set(cuda "none")
  set(nccl "none")
  if(ORTHANT_HAS_CUDA)
    set(cuda ${CUDAToolkit_VERSION})
  endif()
  if(ORTHANT_HAS_NCCL)
    set(nccl ${NCCL_VERSION})
  endif()
  set(header ${CMAKE_BINARY_DIR}/generated/launch/build.h)
  add_custom_target(orthant_build_header BYPRODUCTS ${header} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${header} -DVERSION=${PROJECT_VERSION}
            "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
            -DCUDA=${cuda} -DNCCL=${nccl} -P ${CMAKE_SOURCE_DIR}/cmake/WriteBuildHeader.cmake)
  add_dependencies(${target} orthant_build_header)
endfunction()
