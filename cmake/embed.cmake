# Run as a script: writes OUTPUT, a C++ source that defines tidemark::http::embedded_files() with the files in the list file LIST, one a line as
# NAME=PATH.
file(STRINGS ${LIST} entries)
set(arrays "")
set(table "")
set(number 0)
foreach(entry IN LISTS entries)
  string(REGEX MATCH "^([^=]+)=(.+)$" matched "${entry}")
  set(name ${CMAKE_MATCH_1})
  set(path ${CMAKE_MATCH_2})
  file(READ ${path} hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")  # Lines of 16 bytes.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "const unsigned char kFile${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${name}\", std::string_view(reinterpret_cast<const char*>(kFile${number}), ${size})},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"protocol/http/console_pages.h\"\n\nnamespace tidemark::http {\nnamespace {\n${arrays}}  // namespace\n
std::span<const EmbeddedFile> embedded_files() {\n  static const EmbeddedFile kFiles[] = {\n${table}  };\n  return kFiles;\n}\n\n}  // namespace tidemark::http\n")
