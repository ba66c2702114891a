# Every test of the project; tests/rules checks that none is forgotten.
