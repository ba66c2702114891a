# Writes OUTPUT: the files PAGE, STYLE, SCRIPT and CHARTS as the strings of assets.hpp.
set(text "#include \"report/html/assets.hpp\"\n\nnamespace echelon::report::html {\n")
foreach(asset IN ITEMS page style script charts)
  string(TOUPPER ${asset} name)
  file(READ "${${name}}" content)
  # Compilers need not take longer literals than 64 KiB; GCC takes any, clang warns.
  string(APPEND text "\n#pragma GCC diagnostic ignored \"-Woverlength-strings\"\nextern const std::string_view ${asset} = R\"echelon~(")
  string(FIND "${content}" ")echelon~\"" found)
  if(NOT found EQUAL -1)
    message(FATAL_ERROR "${${name}} has what ends a literal here: )echelon~\"")
  endif()
  string(APPEND text "${content}" ")echelon~\";\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}\n}  // namespace echelon::report::html\n")
