# Every test of the project; tests/rules checks that none is forgotten.
echelon_test(NAME numeric.exact_sum TIMEOUT 120)

echelon_test(NAME rules.layers TIMEOUT 60 DEFINES "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
echelon_test(NAME rules.spack TIMEOUT 60 DEFINES "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
echelon_test(NAME rules.programs TIMEOUT 60 DEFINES "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
include(rules/rules.cmake)

# An installed Echelon, used by another project.
add_test(NAME package.find_package
         COMMAND ${CMAKE_COMMAND} -D BUILD=${PROJECT_BINARY_DIR} -D WORK=${CMAKE_CURRENT_BINARY_DIR}/package -D
                 GENERATOR=${CMAKE_GENERATOR} -P ${CMAKE_CURRENT_SOURCE_DIR}/package/check.cmake)
set_tests_properties(package.find_package PROPERTIES TIMEOUT 300 LABELS package)

echelon_test(NAME comm.placement TIMEOUT 30)
echelon_test(NAME comm.liveness TIMEOUT 300 WAITS)
echelon_mpi_test(NAME comm.session RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME comm.collectives RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME comm.counter RANKS 1 2 3 4 7 TIMEOUT 60 RANKS_A_NODE 1 2 3)
echelon_mpi_test(NAME comm.between_nodes RANKS 1 2 3 4 7 TIMEOUT 60 RANKS_A_NODE 1 2 3)
echelon_mpi_test(NAME comm.nodes RANKS 1 2 3 4 7 TIMEOUT 60 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME comm.requests RANKS 1 2 3 4 7 TIMEOUT 60 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME comm.roster RANKS 1 2 3 4 7 TIMEOUT 60)
echelon_mpi_test(NAME comm.shared_file RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_mpi_test(NAME workloads.pi RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2 3)
echelon_mpi_test(NAME workloads.fill RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_test(NAME workloads.npy TIMEOUT 60)
echelon_mpi_test(NAME workloads.queue RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_mpi_test(NAME workloads.counter RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_mpi_test(NAME workloads.log RANKS 1 2 3 4 7 TIMEOUT 120)
echelon_test(NAME numeric.midpoint_rule TIMEOUT 300)
echelon_test(NAME numeric.uniform TIMEOUT 120)
echelon_test(NAME base.number TIMEOUT 60)
echelon_test(NAME base.death TIMEOUT 60)
echelon_test(NAME base.launcher_variables TIMEOUT 60)
echelon_test(NAME base.processes TIMEOUT 60)
echelon_test(NAME base.stamp TIMEOUT 60 DEFINES "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\""
             "ECHELON_CMAKE=\"${CMAKE_COMMAND}\"")
echelon_test(NAME schedule.chunks TIMEOUT 60)
echelon_test(NAME schedule.node_pieces TIMEOUT 60)
echelon_test(NAME farm.delivery TIMEOUT 60)
echelon_test(NAME farm.histories TIMEOUT 300)
echelon_test(NAME farm.journal TIMEOUT 120)
echelon_test(NAME farm.halt TIMEOUT 60)
echelon_test(NAME farm.master TIMEOUT 60)
echelon_test(NAME farm.worker TIMEOUT 60 PROCESSORS 2)
echelon_test(NAME command.helper TIMEOUT 120)
echelon_test(NAME pool.nursery TIMEOUT 120)
target_include_directories(pool_nursery_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
echelon_test(NAME command.inputs TIMEOUT 120)
echelon_test(NAME measure.phase_clock TIMEOUT 60)
echelon_test(NAME measure.record TIMEOUT 60)
echelon_test(NAME measure.machine TIMEOUT 60)
echelon_test(NAME analysis.pop TIMEOUT 60)
echelon_test(NAME analysis.bootstrap TIMEOUT 60)
echelon_test(NAME analysis.compare TIMEOUT 300)
echelon_test(NAME analysis.conditions TIMEOUT 60)
echelon_test(NAME analysis.coverage TIMEOUT 300)
echelon_test(NAME analysis.drift TIMEOUT 60)
echelon_test(NAME analysis.karp_flatt TIMEOUT 60)
echelon_test(NAME analysis.median TIMEOUT 60)
echelon_test(NAME analysis.models TIMEOUT 60)
echelon_test(NAME analysis.precision TIMEOUT 60)
echelon_test(NAME analysis.speedup TIMEOUT 60)
echelon_test(NAME analysis.spread TIMEOUT 60)
echelon_test(NAME analysis.study TIMEOUT 60)
echelon_test(NAME analysis.study_point TIMEOUT 60)
echelon_test(NAME analysis.study_warnings TIMEOUT 60)
echelon_test(NAME analysis.warnings TIMEOUT 60)
echelon_test(NAME comm.backoff TIMEOUT 60)
echelon_test(NAME comm.lane TIMEOUT 60 PROCESSORS 2)
target_include_directories(comm_lane_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
echelon_test(NAME command.environment TIMEOUT 60)
echelon_test(NAME launch.chatter TIMEOUT 60)
echelon_test(NAME launch.launcher TIMEOUT 60)
echelon_test(NAME launch.start_command TIMEOUT 60)
echelon_test(NAME launch.start_watch TIMEOUT 300 WAITS)
target_include_directories(launch_start_watch_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
echelon_test(NAME launch.way_out TIMEOUT 60)
target_include_directories(launch_way_out_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
add_executable(launch_probe launch/probe.cpp)
target_link_libraries(launch_probe PRIVATE echelon_launch echelon_warnings MPI::MPI_CXX fmt::fmt)
echelon_test(NAME launch.supervision TIMEOUT 300 WAITS LABEL mpi DEFINES "ECHELON_PROBE=\"$<TARGET_FILE:launch_probe>\"")
echelon_test(NAME launch.stopping TIMEOUT 300 WAITS LABEL mpi DEFINES "ECHELON_PROBE=\"$<TARGET_FILE:launch_probe>\"")
echelon_test(NAME command.template TIMEOUT 120)
echelon_test(NAME command.words TIMEOUT 120)
echelon_test(NAME map.joblog TIMEOUT 60)
echelon_test(NAME map.results_folder TIMEOUT 60)
echelon_test(NAME map.tagger TIMEOUT 60)
echelon_test(NAME map.spool TIMEOUT 60)
echelon_test(NAME map.output TIMEOUT 60)
echelon_test(NAME map.printer TIMEOUT 60)
echelon_test(NAME map.deliveries TIMEOUT 60)
foreach(unit IN ITEMS tagger spool output printer deliveries) # private headers
  target_include_directories(map_${unit}_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
endforeach()
echelon_test(NAME report.json TIMEOUT 60)
echelon_test(NAME report.compare_text TIMEOUT 60)
echelon_test(NAME report.beside TIMEOUT 60)
echelon_test(NAME report.csv TIMEOUT 60)
echelon_test(NAME report.gnuplot TIMEOUT 60)
echelon_test(NAME report.html TIMEOUT 60)
target_link_libraries(report_html_test PRIVATE nlohmann_json::nlohmann_json)
echelon_test(NAME report.table TIMEOUT 60)
echelon_test(NAME report.output_file TIMEOUT 60)
echelon_test(NAME report.progress TIMEOUT 60)
echelon_test(NAME report.map TIMEOUT 60)
echelon_test(NAME report.paper TIMEOUT 60)
echelon_test(NAME report.study_text TIMEOUT 60)
echelon_test(NAME report.tidy_csv TIMEOUT 60)
echelon_test(NAME report.trace TIMEOUT 60)
target_link_libraries(report_trace_test PRIVATE nlohmann_json::nlohmann_json)

# Scaling studies: the driver, with fakes and with real processes.
echelon_test(NAME study.plan TIMEOUT 60)
echelon_test(NAME study.command_line TIMEOUT 60)
echelon_test(NAME study.merge TIMEOUT 60)
echelon_test(NAME study.schedule TIMEOUT 60)
echelon_test(NAME study.shortcomings TIMEOUT 60)
echelon_test(NAME study.store TIMEOUT 60)
echelon_test(NAME study.conduct TIMEOUT 60)
echelon_test(NAME study.process TIMEOUT 60)

# The files of map: what is left of them after a run was cut short anywhere.
echelon_test(NAME map.journal_file TIMEOUT 300)
echelon_test(NAME map.output_file TIMEOUT 300)

# The program as its users see it.
set(program_under_test "ECHELON_PROGRAM=\"$<TARGET_FILE:echelon_program>\"" "ECHELON_MPIEXEC=\"${MPIEXEC_EXECUTABLE}\"")
echelon_test(NAME cli.usage TIMEOUT 120 PROCESSORS 2 LABEL cli LAYERS numeric DEFINES ${program_under_test})
echelon_test(NAME cli.pi TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.fill TIMEOUT 180 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.full_disk TIMEOUT 180 WAITS LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.queue TIMEOUT 180 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.counter TIMEOUT 400 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.map TIMEOUT 300 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.map_disk TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.map_inputs TIMEOUT 300 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.map_resume TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.gnu TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.map_work TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.log TIMEOUT 180 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.loss TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.journal TIMEOUT 120 PROCESSORS 2 LABEL cli LAYERS map DEFINES ${program_under_test})
echelon_test(NAME cli.report TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.study_report TIMEOUT 300 LABEL cli DEFINES ${program_under_test}
             "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
echelon_test(NAME cli.study TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.readme TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test}
             "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
echelon_test(NAME cli.port TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})
echelon_test(NAME cli.jobs TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test}
             "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
echelon_test(NAME cli.nodes TIMEOUT 120 PROCESSORS 2 LABEL cli DEFINES ${program_under_test})

# A program with a Pool whose ranks are killed.
add_executable(payloads app/payloads.cpp)
target_link_libraries(payloads PRIVATE echelon echelon_warnings)
echelon_test(NAME app.payloads TIMEOUT 300 PROCESSORS 2 LABEL cli
             DEFINES "ECHELON_PAYLOADS=\"$<TARGET_FILE:payloads>\"" ${program_under_test})
add_executable(losses app/losses.cpp)
target_link_libraries(losses PRIVATE echelon echelon_warnings)
echelon_test(NAME app.losses TIMEOUT 300 PROCESSORS 2 LABEL cli
             DEFINES "ECHELON_LOSSES=\"$<TARGET_FILE:losses>\"" ${program_under_test})
# Programs that end in many ways, and that are asked to stop.
add_executable(ends app/ends.cpp)
target_link_libraries(ends PRIVATE echelon echelon_warnings)
echelon_test(NAME app.ends TIMEOUT 300 PROCESSORS 2 LABEL cli DEFINES "ECHELON_ENDS=\"$<TARGET_FILE:ends>\""
             ${program_under_test})
add_executable(stops app/stops.cpp)
target_link_libraries(stops PRIVATE echelon echelon_warnings)
echelon_test(NAME app.stops TIMEOUT 300 WAITS LABEL cli DEFINES "ECHELON_STOPS=\"$<TARGET_FILE:stops>\""
             ${program_under_test})

# A program some of whose tasks crash.
add_executable(poison app/poison.cpp)
target_link_libraries(poison PRIVATE echelon echelon_warnings MPI::MPI_CXX)
echelon_test(NAME app.poison TIMEOUT 300 PROCESSORS 2 LABEL cli
             DEFINES "ECHELON_POISON=\"$<TARGET_FILE:poison>\"" ${program_under_test})

# A program that calls the library wrongly.
add_executable(misuse app/misuse.cpp)
target_link_libraries(misuse PRIVATE echelon echelon_warnings)
echelon_test(NAME app.misuse TIMEOUT 300 WAITS LABEL cli
             DEFINES "ECHELON_MISUSE=\"$<TARGET_FILE:misuse>\"" ${program_under_test})

# A program whose tasks start processes.
add_executable(processes app/processes.cpp)
target_link_libraries(processes PRIVATE echelon echelon_warnings)
echelon_test(NAME app.processes TIMEOUT 300 WAITS LABEL cli
             DEFINES "ECHELON_PROCESSES=\"$<TARGET_FILE:processes>\"" ${program_under_test})

# Runs whose processes are killed while they start.
echelon_test(NAME launch.start_kills TIMEOUT 600 WAITS LABEL cli DEFINES ${program_under_test}
             "ECHELON_LOSSES=\"$<TARGET_FILE:losses>\"" "ECHELON_PARALLEL=\"${PROJECT_BINARY_DIR}/examples/row14_counter\"")
add_dependencies(launch_start_kills_test echelon_program)

# Programs that texts on multiprocessing show, by the number of their row in the list of these.
echelon_test(NAME examples.output TIMEOUT 180 PROCESSORS 2 LABEL examples LAYERS measure DEFINES ${program_under_test}
             "ECHELON_EXAMPLES=\"${PROJECT_BINARY_DIR}/examples\"")
add_dependencies(examples_output_test echelon_program)
echelon_examples(
  row01_apply_async
  row02_process
  row03_map
  row04_starmap_apply_map_async
  row05_async_result
  row06_queue
  row07_pipe
  row08_value_array_lock
  row09_cpu_count
  row10_imap
  row11_imap_unordered
  row12_different_bodies
  row13_array
  row14_counter
  row15_log
  row16_pi
  row17_pi_threads
  row18_scaling
  pool)
add_dependencies(launch_start_kills_test example_row14_counter)
echelon_test(NAME comm.packing TIMEOUT 120)
# With a message beyond 2 GiB, which is 20 s where nobody else has work.
echelon_mpi_test(NAME comm.mailbox RANKS 1 2 3 4 7 TIMEOUT 240)
echelon_mpi_test(NAME comm.attach RANKS 1 2 3 4 TIMEOUT 60 MAIN comm/attach_test.cpp)
echelon_test(NAME comm.loss TIMEOUT 300 PROCESSORS 2 LABEL mpi DEFINES "ECHELON_MPIEXEC=\"${MPIEXEC_EXECUTABLE}\"")

# The pool: the tests run on the master, the other ranks serve.
set(pool_main LAYERS app MAIN support/pool_main.cpp)
echelon_mpi_test(NAME pool.map RANKS 1 2 3 4 7 TIMEOUT 120 ${pool_main})
echelon_mpi_test(NAME pool.errors RANKS 1 2 3 4 7 TIMEOUT 120 ${pool_main})
echelon_mpi_test(NAME pool.imap RANKS 1 2 3 4 7 TIMEOUT 120 ${pool_main})
echelon_mpi_test(NAME pool.async RANKS 1 2 3 4 7 TIMEOUT 120 ${pool_main})
echelon_mpi_test(NAME pool.pool RANKS 1 2 3 4 7 TIMEOUT 120 ${pool_main})
echelon_mpi_test(NAME pool.own_mpi RANKS 1 2 3 TIMEOUT 60 MAIN pool/own_mpi_test.cpp)
# A session that ends on the workers first is no loss.
set_tests_properties(pool.own_mpi.np2 pool.own_mpi.np3 PROPERTIES FAIL_REGULAR_EXPRESSION "echelon: rank")

# Queues, locks and values between ranks; the parts without MPI by private headers.
echelon_test(NAME shared.ring TIMEOUT 300 PROCESSORS 2)
target_include_directories(shared_ring_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
echelon_test(NAME shared.turns TIMEOUT 300 PROCESSORS 2)
target_include_directories(shared_turns_test PRIVATE ${PROJECT_SOURCE_DIR}/src)
echelon_mpi_test(NAME shared.queue RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME shared.pipe RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME shared.lock RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME shared.value RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME shared.interleavings RANKS 1 2 3 4 7 TIMEOUT 300 RANKS_A_NODE 1 2)
echelon_mpi_test(NAME shared.array RANKS 1 2 3 4 7 TIMEOUT 120 RANKS_A_NODE 1 2)

# A program with shared objects whose ranks are killed.
add_executable(shared_losses shared/losses.cpp)
target_include_directories(shared_losses PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(shared_losses PRIVATE echelon echelon_warnings)
echelon_test(NAME shared.losses TIMEOUT 300 PROCESSORS 2 LABEL cli
             DEFINES "ECHELON_LOSSES=\"$<TARGET_FILE:shared_losses>\"" ${program_under_test})

# report.html in a real browser.
add_executable(browser_make_pages browser/make_pages.cpp)
target_include_directories(browser_make_pages PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(browser_make_pages PRIVATE echelon_report echelon_warnings)
find_program(PYTHON3 python3)
if(PYTHON3)
  add_test(NAME browser.report
           COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/browser/run.py $<TARGET_FILE:browser_make_pages>)
else()
  add_test(NAME browser.report COMMAND ${CMAKE_COMMAND} -E echo "[  SKIPPED ] python3 is not installed")
endif()
echelon_schedule(browser.report 2 FALSE 300)
set_tests_properties(browser.report PROPERTIES LABELS browser SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")

# A SLURM of four nodes on this machine, which ends with ctest at the latest.
set(cluster_scripts ${CMAKE_CURRENT_SOURCE_DIR}/cluster)
set(cluster_environment ECHELON_CLUSTER=${CMAKE_CURRENT_BINARY_DIR}/cluster)
add_test(NAME cluster.up COMMAND ${cluster_scripts}/up.sh --with-parent)
set_tests_properties(cluster.up PROPERTIES FIXTURES_SETUP cluster SKIP_RETURN_CODE 77)
add_test(NAME cluster.down COMMAND ${cluster_scripts}/down.sh)
set_tests_properties(cluster.down PROPERTIES FIXTURES_CLEANUP cluster)
set_tests_properties(cluster.up cluster.down PROPERTIES TIMEOUT 120 LABELS cluster ENVIRONMENT "${cluster_environment}")
set(cluster_test TIMEOUT 400 WAITS LABEL cluster DEFINES ${program_under_test}
                 "ECHELON_CLUSTER_SCRIPTS=\"${cluster_scripts}\"" "ECHELON_MPI_SMOKE=\"$<TARGET_FILE:mpi_smoke>\"")
echelon_test(NAME cluster.slurm ${cluster_test})
echelon_test(NAME cluster.pi ${cluster_test})
echelon_test(NAME cluster.map ${cluster_test})
echelon_test(NAME cluster.loss ${cluster_test})
echelon_test(NAME cluster.jobs ${cluster_test} "ECHELON_PROJECT=\"${PROJECT_SOURCE_DIR}\"")
set_tests_properties(
  cluster.slurm cluster.pi cluster.map cluster.loss cluster.jobs
  PROPERTIES FIXTURES_REQUIRED cluster RESOURCE_LOCK cluster ENVIRONMENT "${cluster_environment}")

# Not built where the compiler does not understand std::views, as clang before 16 those of GCC's library.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS ${CMAKE_CXX20_STANDARD_COMPILE_OPTION})
check_cxx_source_compiles("#include <ranges>\nint main() { for (int i : std::views::iota(0, 0)) return i; }" ECHELON_HAS_VIEWS)
if(NOT ECHELON_HAS_VIEWS)
  set_target_properties(
    losses stops payloads ends pool_async_test pool_errors_test pool_imap_test pool_map_test pool_pool_test
    example_row03_map example_row04_starmap_apply_map_async example_row10_imap example_row11_imap_unordered
    examples_output_test PROPERTIES EXCLUDE_FROM_ALL ON)
  get_property(tests DIRECTORY PROPERTY TESTS)
  list(FILTER tests INCLUDE REGEX "^(app\\.(losses|stops|payloads|ends)|pool\\.(async|errors|imap|map|pool)\\.|examples\\.output|\
launch\\.start_kills|package\\.find_package)")
  set_tests_properties(${tests} PROPERTIES DISABLED ON)
endif()
