# orthant_version(TARGET): generates "launch/build.h" with the version, the git hash of the checkout at build time, the
# compiler and what was found, and rewrites it only when something changed.
function(orthant_version target)
  set(ORTHANT_CUDA "none")
  set(ORTHANT_NCCL "none")
  if(CUDAToolkit_FOUND)
    set(ORTHANT_CUDA ${CUDAToolkit_VERSION})
  endif()
  if(NCCL_VERSION)
    set(ORTHANT_NCCL ${NCCL_VERSION})
  endif()
  set(header ${CMAKE_BINARY_DIR}/generated/launch/build.h)
  add_custom_target(orthant_build_header BYPRODUCTS ${header} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${header} -DVERSION=${PROJECT_VERSION}
            "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
            -DCUDA=${ORTHANT_CUDA} -DNCCL=${ORTHANT_NCCL} -P ${CMAKE_SOURCE_DIR}/cmake/WriteBuildHeader.cmake)
  add_dependencies(${target} orthant_build_header)
endfunction()
