# SPDX-License-Identifier: BSD-2-Clause
# In the place of vcpkg: what it defines for a portfile, of that what ours uses, and does before and after. Strict: a function
# that is not here, or called otherwise than documented, ends it.
#
# ARCHIVE, PORT_DIRECTORY, WORK, LINKAGE, VERSION are given.
cmake_minimum_required(VERSION 3.20)

set(PORT libkqueue)
set(TARGET_TRIPLET x64-linux)
set(VCPKG_LIBRARY_LINKAGE ${LINKAGE})
set(CURRENT_PACKAGES_DIR "${WORK}/packages")
file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}")

function(vcpkg_download_distfile out)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILENAME;SHA512" "URLS")
    get_filename_component(name "${ARCHIVE}" NAME)
    file(SHA512 "${ARCHIVE}" sum)
    if(NOT arg_URLS OR NOT arg_FILENAME STREQUAL name OR NOT arg_SHA512 STREQUAL sum OR DEFINED arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "vcpkg_download_distfile: ${ARGN}: not ${name}, ${sum}")
    endif()
    set(${out} "${ARCHIVE}" PARENT_SCOPE)
endfunction()

function(vcpkg_extract_source_archive out)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "ARCHIVE" "")
    file(ARCHIVE_EXTRACT INPUT "${arg_ARCHIVE}" DESTINATION "${WORK}/src")
    file(GLOB top "${WORK}/src/*")
    list(LENGTH top count)
    if(NOT count EQUAL 1)
        message(FATAL_ERROR "vcpkg_extract_source_archive: the archive has ${count} entries at its top")
    endif()
    set(${out} "${top}" PARENT_SCOPE)
endfunction()

function(vcpkg_execute_required_process)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "WORKING_DIRECTORY;LOGNAME" "COMMAND")
    if(NOT arg_WORKING_DIRECTORY OR NOT arg_LOGNAME OR DEFINED arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "vcpkg_execute_required_process: ${ARGN}")
    endif()
    execute_process(COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${arg_WORKING_DIRECTORY}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_replace_string file old new)
    file(READ "${file}" text)
    string(REPLACE "${old}" "${new}" replaced "${text}")
    if(text STREQUAL replaced)
        message(FATAL_ERROR "vcpkg_replace_string: ${file} has no ${old}")
    endif()
    file(WRITE "${file}" "${replaced}")
endfunction()

# The prefix is where the file is.
function(vcpkg_fixup_pkgconfig)
    foreach(prefix IN ITEMS "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/debug")
        file(GLOB files "${prefix}/lib/pkgconfig/*.pc")
        foreach(file IN LISTS files)
            file(READ "${file}" text)
            string(REPLACE "prefix=${prefix}" "prefix=\${pcfiledir}/../.." text "${text}")
            file(WRITE "${file}" "${text}")
        endforeach()
    endforeach()
endfunction()

function(vcpkg_install_copyright)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "COMMENT" "FILE_LIST")
    file(READ ${arg_FILE_LIST} text)
    file(WRITE "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${text}")
endfunction()

# CMAKE_CURRENT_LIST_DIR is the port's in there.
include("${PORT_DIRECTORY}/portfile.cmake")
