#%Module1.0
# Echelon as an environment module, for Lmod and for Environment Modules: copy this to NAME/VERSION in a folder of
# MODULEPATH, as in modules/echelon/0.1.0, and set prefix to what cmake --install was given.
set prefix /opt/echelon

proc ModulesHelp {} {
    puts stderr "Echelon measures how a program scales over MPI ranks, and runs commands on them: echelon --help"
}
module-whatis "Echelon: scaling studies and task farms over MPI ranks"
conflict echelon

# The Open MPI that it was built with:
# module load openmpi

prepend-path PATH $prefix/bin
prepend-path CMAKE_PREFIX_PATH $prefix
# Where copied job files find what they share.
setenv ECHELON_HOME $prefix/share/echelon
