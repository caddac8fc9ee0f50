# embed_table.cmake: writes TABLE, a C source with the files of FOLDER. Run by cmake -P.

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

file(GLOB files ${FOLDER}/*)
list(SORT files)
set(arrays "")
set(rows "")
set(number 0)
foreach(path IN LISTS files)
  get_filename_component(name ${path} NAME)
  string(REGEX REPLACE "^.*\\." "" suffix ${name})
  if(NOT DEFINED type_${suffix})
    message(FATAL_ERROR "${path}: no content type is known for .${suffix}")
  endif()
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char asset_${number}[] = {\n${bytes}};\n\n")
  string(APPEND rows "    {SPAN_INIT(\"${name}\"), SPAN_INIT(\"${type_${suffix}}\"),\n"
                     "     {(const char *)asset_${number}, sizeof asset_${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${TABLE}
  "/* Made from the files of assets by cmake/embed_table.cmake. */\n"
  "#include \"dashboard/assets.h\"\n\n${arrays}"
  "const struct assets_file assets_files[] = {\n${rows}    {{0}, {0}, {0}},\n};\n")
