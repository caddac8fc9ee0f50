# Compiler and linker flags for every target: warnings, hardening, sanitizers.
include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(PLIMSOLL_WERROR "Treat warnings as errors (developers and CI, not packagers)" OFF)
option(PLIMSOLL_TESTS "Build the tests" ON)
option(PLIMSOLL_FUZZ "Build the libFuzzer targets (clang only)" OFF)
option(PLIMSOLL_COVERAGE "Instrument for gcov" OFF)
set(PLIMSOLL_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")

# Asserts and checks stay on in release: no NDEBUG anywhere.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2")

add_compile_options(
  -Wall -Wextra -Wshadow -Wconversion -Wvla -Wundef -Wformat=2 -Wcast-qual -Wpointer-arith
  -Wwrite-strings -Wmissing-prototypes -Wstrict-prototypes -Wimplicit-fallthrough -Wswitch-enum
  -Wdate-time -Wframe-larger-than=16384 -Wno-missing-field-initializers)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wduplicated-cond -Wlogical-op -Wnull-dereference)
endif()
if(PLIMSOLL_WERROR)
  add_compile_options(-Werror)
endif()

# Hidden visibility is not cosmetic: without it our short names (log_, buf_, map_) would replace
# same-named functions inside the shared libraries that we link.
set(CMAKE_C_VISIBILITY_PRESET hidden)
add_compile_options(-fstack-protector-strong -fno-strict-aliasing -fno-delete-null-pointer-checks
  -fno-common)
foreach(flag -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
  string(MAKE_C_IDENTIFIER "has${flag}" name)
  check_c_compiler_flag(${flag} ${name})
  if(${name} AND NOT PLIMSOLL_FUZZ)
    add_compile_options(${flag})
  endif()
endforeach()
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed)

if(PLIMSOLL_SANITIZE)
  add_compile_options(-fsanitize=${PLIMSOLL_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PLIMSOLL_SANITIZE})
else()
  add_compile_options($<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE>
    $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=3>)
endif()
# A check that fails names src/core/x.c, not the folder of whoever built the binary.
add_compile_options(
  $<$<CONFIG:Release,RelWithDebInfo>:-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=>)
# Our parts are many small files; optimising over their borders inlines what the hot path calls.
if(NOT PLIMSOLL_SANITIZE AND NOT PLIMSOLL_COVERAGE AND CMAKE_BUILD_TYPE MATCHES "Rel")
  include(CheckIPOSupported)
  check_ipo_supported(RESULT has_ipo LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${has_ipo})
endif()
if(PLIMSOLL_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
