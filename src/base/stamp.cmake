# Writes version.cpp with the commit of the checkout in SOURCE_DIR; run at every build, rewrites only what changed.
set(ECHELON_COMMIT unknown)
set(ECHELON_DIRTY false)
# A tarball unpacked inside another repository has no commit of its own.
if(EXISTS "${SOURCE_DIR}/.git")
  execute_process(
    COMMAND git -c safe.directory=* rev-parse --short=12 HEAD
    WORKING_DIRECTORY "${SOURCE_DIR}"
    OUTPUT_VARIABLE commit
    OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed
    ERROR_QUIET)
  if(failed STREQUAL 0)
    set(ECHELON_COMMIT "${commit}")
    execute_process(
      COMMAND git -c safe.directory=* status --porcelain --untracked-files=no
      WORKING_DIRECTORY "${SOURCE_DIR}"
      OUTPUT_VARIABLE changes
      ERROR_QUIET)
    if(NOT changes STREQUAL "")
      set(ECHELON_DIRTY true)
    endif()
  endif()
endif()
configure_file("${SOURCE_DIR}/src/base/version.cpp.in" "${OUTPUT}" @ONLY)
