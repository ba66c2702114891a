# Every test of the project; tests/rules checks that none is forgotten.
echelon_test(NAME numeric.exact_sum TIMEOUT 120)

echelon_test(NAME rules.layers TIMEOUT 60 DEFINES "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
include(rules/rules.cmake)

# An installed Echelon, used by another project.
add_test(NAME package.find_package
         COMMAND ${CMAKE_COMMAND} -D BUILD=${PROJECT_BINARY_DIR} -D WORK=${CMAKE_CURRENT_BINARY_DIR}/package -D
                 GENERATOR=${CMAKE_GENERATOR} -P ${CMAKE_CURRENT_SOURCE_DIR}/package/check.cmake)
set_tests_properties(package.find_package PROPERTIES TIMEOUT 300 LABELS package)

echelon_test(NAME comm.placement TIMEOUT 30)
echelon_mpi_test(NAME comm.session RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME comm.collectives RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME comm.counter RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME workloads.pi RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_test(NAME numeric.midpoint_rule TIMEOUT 120)
