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
# A tenth of the time of all else together, so by those who build for development, and at night.
if(NOT ECHELON_WARNINGS_AS_ERRORS)
  set_target_properties(rules_headers PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
set_target_properties(rules_headers PROPERTIES UNITY_BUILD OFF)  # alone is the point
target_link_libraries(rules_headers PRIVATE echelon echelon_warnings)
target_compile_options(rules_headers PRIVATE -O0 -Werror)

# The scripts.
file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/jobs/*.sh ${PROJECT_SOURCE_DIR}/tests/*.sh
     ${PROJECT_SOURCE_DIR}/jobs/slurm/*.sh ${PROJECT_SOURCE_DIR}/jobs/slurm/*.sbatch
     ${PROJECT_SOURCE_DIR}/jobs/systems/*.env ${PROJECT_SOURCE_DIR}/tests/bench/*.sh ${PROJECT_SOURCE_DIR}/tests/cluster/*.sh
     ${PROJECT_SOURCE_DIR}/.ci/run)
find_program(SHELLCHECK shellcheck)
if(SHELLCHECK)
  add_test(NAME rules.shellcheck COMMAND ${SHELLCHECK} --external-sources ${scripts}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
else()
  add_test(NAME rules.shellcheck COMMAND ${CMAKE_COMMAND} -E echo "[  SKIPPED ] shellcheck is not installed")
endif()
set_tests_properties(rules.shellcheck PROPERTIES TIMEOUT 60 LABELS rules SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")

# What cannot be sent is refused by the compiler, in words that its user understands.
set(includes "$<TARGET_PROPERTY:rules_headers,INCLUDE_DIRECTORIES>")
function(echelon_refuses name case message)
  add_test(NAME rules.${name}
           COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -DCASE=${case} "-I$<JOIN:${includes},;-I>"
                   ${CMAKE_CURRENT_SOURCE_DIR}/rules/refused.cpp
           COMMAND_EXPAND_LISTS)
  set_tests_properties(rules.${name} PROPERTIES TIMEOUT 120 LABELS rules)
  if(message)
    set_tests_properties(rules.${name} PROPERTIES PASS_REGULAR_EXPRESSION "error: static.assert[^\n]*echelon: ${message}")
  endif()
endfunction()
echelon_refuses(compiles_what_can_be_sent 0 "")
echelon_refuses(refuses_string_view 1 "values of this type cannot be sent to another rank. Types that can: ")
echelon_refuses(refuses_lambda_that_captures_a_string 2 "this function object cannot be sent to another rank. A lambda")
echelon_refuses(refuses_pointer_as_argument 3 "values of this type cannot be sent to another rank. Types that can: ")
echelon_refuses(refuses_pointer_as_result 4 "values of this type cannot be (sent|received)")
echelon_refuses(refuses_queue_of_string_view 5 "values of this type cannot be put into a Queue")
echelon_refuses(refuses_pipe_of_pointers 6 "values of this type cannot go through a Pipe")
echelon_refuses(refuses_value_of_string 7 "a Value holds a trivially copyable type of 1, 2, 4 or 8 bytes")
echelon_refuses(refuses_array_of_pointers 8 "an Array holds elements of a trivially copyable type without addresses")

# A user's program has no warnings from our headers, whatever the compiler and the standard; where clang++ is not installed
# there is nothing to try.
find_program(GXX g++)
find_program(CLANGXX clang++)
foreach(compiler IN ITEMS ${GXX} ${CLANGXX})
  get_filename_component(name ${compiler} NAME)
  foreach(standard IN ITEMS 20 2b)
    add_test(NAME rules.client_of_${name}_${standard}
             COMMAND ${compiler} -std=c++${standard} -Wall -Wextra -Wpedantic -Werror -fsyntax-only -DCASE=0
                     "-I$<JOIN:${includes},;-I>" ${CMAKE_CURRENT_SOURCE_DIR}/rules/refused.cpp
                     ${CMAKE_CURRENT_SOURCE_DIR}/examples/pool.cpp ${CMAKE_CURRENT_SOURCE_DIR}/examples/row08_value_array_lock.cpp
             COMMAND_EXPAND_LISTS)
    set_tests_properties(rules.client_of_${name}_${standard} PROPERTIES TIMEOUT 240 LABELS rules)
  endforeach()
endforeach()
