#pragma once

namespace tidemark {

/// Prints the broken invariant with its place to stderr and aborts. Never for bytes from a client or a disk: those are Errors.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace tidemark

/// An invariant of the program, checked in every build.
#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::tidemark::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
