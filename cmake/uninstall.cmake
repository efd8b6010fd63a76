# SPDX-License-Identifier: GPL-3.0-or-later
#
# Remove the files listed in MANIFEST, which `cmake --install` wrote, the byte code beside them, and the
# folders of this module that hold no file then.

if(NOT EXISTS "${MANIFEST}")
    message(FATAL_ERROR "Nothing to uninstall: there is no ${MANIFEST}.")
endif()

file(STRINGS "${MANIFEST}" files)
set(folders)
foreach(file IN LISTS files)
    set(file "$ENV{DESTDIR}${file}")
    if(EXISTS "${file}" OR IS_SYMLINK "${file}")
        file(REMOVE "${file}")
    endif()
    get_filename_component(folder "${file}" DIRECTORY)
    # Up to the folder that bears the module's name; nothing above it is ours.
    while(folder MATCHES "/amrq(/|$)")
        list(APPEND folders "${folder}")
        get_filename_component(folder "${folder}" DIRECTORY)
    endwhile()
endforeach()

list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    file(REMOVE_RECURSE "${folder}/__pycache__")
endforeach()
list(SORT folders)
list(REVERSE folders)
foreach(folder IN LISTS folders)
    file(GLOB_RECURSE left LIST_DIRECTORIES false "${folder}/*")
    if(IS_DIRECTORY "${folder}" AND NOT left)
        file(REMOVE_RECURSE "${folder}")
    endif()
endforeach()
