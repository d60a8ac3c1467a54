# The installed package: find_package(tidemark), link tidemark::client, include <tidemark/client.h>. Everything below the client that
# it is linked from goes along; of their headers only what the public ones include.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tidemark)
set(packaged_targets tidemark_client tidemark_native_codec tidemark_native_wire tidemark_batch tidemark_base tidemark_warnings)
foreach(target IN LISTS packaged_targets)
  string(REGEX REPLACE "^tidemark_" "" exported ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${exported})
endforeach()
# Two roots: <tidemark/client.h>, and "storage/base/result.h" as the public headers include it.
target_include_directories(tidemark_client INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
                                                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tidemark/detail>)

install(TARGETS ${packaged_targets} EXPORT tidemark-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(EXPORT tidemark-targets NAMESPACE tidemark:: DESTINATION ${package_dir} COMPONENT client)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/tidemark DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client)
foreach(header base/bytes.h base/check.h base/clock.h base/offset.h base/result.h base/time_text.h batch/partitioner.h
               batch/record_batch.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/storage/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidemark/detail/storage/${folder}
          COMPONENT client)
endforeach()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tidemark-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/tidemark-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tidemark-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tidemark-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/tidemark-config-version.cmake
        DESTINATION ${package_dir} COMPONENT client)
