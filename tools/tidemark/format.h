#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"
#include "tools/tidemark/record_fields.h"

namespace tidemark::tools {

/// What `--format` makes of a record.
///
///     %t topic   %p partition   %o offset   %k key   %v value   %h headers as n=v,n=v   %T record time in ms since 1970
///     %D deliveries   %K %V key and value in base64   %% percent   \n \t \r \0 \\ \xNN bytes
///
/// A null key or value prints as nothing. Each record ends in `terminator`, unless the format itself ends in a newline or NUL byte.
class RecordFormat {
 public:
  /// Error invalid_argument names the unknown directive or escape.
  static Result<RecordFormat> parse(std::string_view format, char terminator = '\n');

  void append(const RecordFields& record, std::string& out) const;
  bool uses_headers() const;

 private:
  /// Text, or one directive.
  struct Piece {
    std::string text = {};
    char directive = 0;
  };
  std::vector<Piece> pieces_;
};

}  // namespace tidemark::tools
