# Every outside library, found once, as an imported target.
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json program_options)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)

function(orthant_import name header library)
  string(REPLACE "::" "_" id ${name})
  find_path(${id}_INCLUDE ${header} REQUIRED)
  find_library(${id}_LIBRARY ${library} REQUIRED)
  add_library(${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${${id}_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${${id}_INCLUDE})
endfunction()

orthant_import(PCRE2::pcre2-8 pcre2.h pcre2-8)
# Header-only use: XXH_INLINE_ALL.
find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
add_library(xxHash::xxHash INTERFACE IMPORTED GLOBAL)
set_target_properties(xxHash::xxHash PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${XXHASH_INCLUDE})
