# Each public header is compiled alone, and twice: it needs nothing before it, and can be included again.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/include/*.hpp)
set(header_sources "")
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER ${header} identifier)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${identifier}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include <${header}>\n#include <${header}>\n")
  list(APPEND header_sources ${source})
endforeach()
add_library(rules_headers OBJECT ${header_sources})
target_link_libraries(rules_headers PRIVATE echelon echelon_warnings)
target_compile_options(rules_headers PRIVATE -O0 -Werror)

# The scripts.
file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/jobs/*.sh ${PROJECT_SOURCE_DIR}/tests/*.sh
     ${PROJECT_SOURCE_DIR}/tests/bench/*.sh ${PROJECT_SOURCE_DIR}/.ci/run)
find_program(SHELLCHECK shellcheck)
if(SHELLCHECK)
  add_test(NAME rules.shellcheck COMMAND ${SHELLCHECK} --external-sources ${scripts}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
else()
  add_test(NAME rules.shellcheck COMMAND ${CMAKE_COMMAND} -E echo "[  SKIPPED ] shellcheck is not installed")
endif()
set_tests_properties(rules.shellcheck PROPERTIES TIMEOUT 60 LABELS rules SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
