# Writes version.cpp with the commit of the checkout in SOURCE_DIR, or with the reason why it is not known; run at every
# build, rewrites only what changed.
set(ECHELON_COMMIT "")
set(ECHELON_DIRTY false)

# A folder of another user's is refused where git has to look for its own folder, and not where it is named.
set(git git --git-dir=${SOURCE_DIR}/.git --work-tree=${SOURCE_DIR})
execute_process(COMMAND git --version RESULT_VARIABLE no_git OUTPUT_QUIET ERROR_QUIET)
if(NOT EXISTS "${SOURCE_DIR}/.git") # a tarball, maybe unpacked inside another repository
  set(reason "built from no git checkout")
elseif(NOT no_git STREQUAL 0)
  set(reason "git was not installed")
else()
  execute_process(
    COMMAND ${git} rev-parse --short=12 HEAD
    WORKING_DIRECTORY "${SOURCE_DIR}"
    OUTPUT_VARIABLE ECHELON_COMMIT ERROR_VARIABLE reason RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed STREQUAL 0)
    execute_process(
      COMMAND ${git} status --porcelain --untracked-files=no
      WORKING_DIRECTORY "${SOURCE_DIR}"
      OUTPUT_VARIABLE changes
      ERROR_QUIET)
    if(NOT changes STREQUAL "")
      set(ECHELON_DIRTY true)
    endif()
  else()
    set(ECHELON_COMMIT "")
    string(REGEX REPLACE "\n.*" "" reason "git: ${reason}")
  endif()
endif()
if(ECHELON_COMMIT STREQUAL "")
  set(ECHELON_COMMIT "unknown, ${reason}")
endif()
configure_file("${SOURCE_DIR}/src/base/version.cpp.in" "${OUTPUT}" @ONLY)
