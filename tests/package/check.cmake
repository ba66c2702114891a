# Installs Echelon from BUILD into a folder of WORK's, and builds and runs the project beside this file with it.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${WORK}/prefix/bin/echelon --version)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${WORK}/prefix
    -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/uses_echelon)

# README.md shows squares.cpp and what it prints.
execute_process(COMMAND ${WORK}/build/squares -n 3 OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
file(READ ${CMAKE_CURRENT_LIST_DIR}/squares.cpp source)
file(READ ${CMAKE_CURRENT_LIST_DIR}/../../README.md readme)
foreach(shown IN ITEMS "${source}" "${printed}")
  string(REGEX REPLACE "\n([^\n])" "\n    \\1" shown "\n${shown}")
  string(FIND "${readme}" "${shown}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "README.md does not show this:\n${shown}")
  endif()
endforeach()
