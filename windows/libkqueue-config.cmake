# find_package(libkqueue): the targets libkqueue::kqueue (the DLL) and libkqueue::kqueue_static (MinGW).

get_filename_component(libkqueue_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(MSVC)
    set(libkqueue_dll kqueue.dll)
    set(libkqueue_import kqueue.lib)
else()
    set(libkqueue_dll libkqueue.dll)
    set(libkqueue_import libkqueue.dll.a)
endif()

if(NOT TARGET libkqueue::kqueue)
    add_library(libkqueue::kqueue SHARED IMPORTED)
    set_target_properties(libkqueue::kqueue PROPERTIES
        IMPORTED_LOCATION "${libkqueue_prefix}/bin/${libkqueue_dll}"
        IMPORTED_IMPLIB "${libkqueue_prefix}/lib/${libkqueue_import}"
        INTERFACE_INCLUDE_DIRECTORIES "${libkqueue_prefix}/include/kqueue")
    add_library(libkqueue::kqueue_static STATIC IMPORTED)
    set_target_properties(libkqueue::kqueue_static PROPERTIES
        IMPORTED_LOCATION "${libkqueue_prefix}/lib/libkqueue.a"
        INTERFACE_INCLUDE_DIRECTORIES "${libkqueue_prefix}/include/kqueue"
        INTERFACE_LINK_LIBRARIES "ws2_32;ntdll;userenv")
endif()

unset(libkqueue_prefix)
unset(libkqueue_dll)
unset(libkqueue_import)
