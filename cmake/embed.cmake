# plimsoll_embed(part folder)
#
# Puts the files of the folder into the part as the table assets_files (src/dashboard/assets.h). A
# name that is added or removed, and a content that changes, builds the table again.
function(plimsoll_embed part folder)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*)
  set(table ${CMAKE_BINARY_DIR}/embed/${part}_assets.c)
  add_custom_command(
    OUTPUT ${table}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DTABLE=${table}
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_table.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed_table.cmake
    VERBATIM)
  target_sources(${part} PRIVATE ${table})
endfunction()
